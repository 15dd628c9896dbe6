// Carries out the writes of a plan over two API servers, in the order and at the pace of
// write-queue.ts. An update reads the object first, so that what others own in it stays, and is not
// done when it is not the object that the plan has seen. Who was faster is no failure: the loop looks
// again. Writes are POST, PUT and DELETE: the Role of stock gateways allows no patch of these kinds.

import type { KubeClient } from '../kube/client.ts'
import { isAway, type KubeCode, KubeError } from '../kube/errors.ts'
import { Signal } from '../kube/signal.ts'
import type { Clock } from '../net/clock.ts'
import type { Log } from './parts.ts'
import type { Problem, Write } from './world.ts'
import { WriteQueue, type WriteTimes } from './write-queue.ts'

export interface ExecutorParts {
  readonly local: KubeClient
  readonly broker: KubeClient
  readonly clock: Clock
  readonly log: Log
  /** Raised when the world may be another one than the plan was made for. */
  readonly changed: Signal
  readonly times?: WriteTimes
}

/** Somebody else was faster, or has done it. */
const races: readonly KubeCode[] = ['CONFLICT', 'ALREADY_EXISTS', 'NOT_FOUND', 'GONE']

export class Executor {
  readonly #parts: ExecutorParts
  readonly #queue: WriteQueue
  readonly #wake = new Signal()
  readonly #abort = new AbortController()
  readonly #underWay = new Set<Promise<void>>()
  /** What failed last, by write; said once. */
  readonly #failures = new Map<string, KubeError>()
  readonly #done: Promise<void>

  constructor(parts: ExecutorParts) {
    this.#parts = parts
    this.#queue = new WriteQueue(parts.clock.monotonicMs(), parts.times)
    this.#done = this.#run()
  }

  /** From now on these are to be done, and no others. */
  want(writes: readonly Write[]): void {
    this.#queue.plan(this.#nowMs(), writes)
    const waiting = new Set(this.#queue.waiting())
    for (const id of this.#failures.keys()) if (!waiting.has(id)) this.#failures.delete(id)
    this.#wake.raise()
  }

  /** Whether everything that was wanted is done. */
  get isIdle(): boolean {
    return this.#queue.waiting().length === 0 && this.#underWay.size === 0
  }

  problems(): readonly Problem[] {
    // That a server is away the watches say.
    const refused = [...this.#failures].filter(([, { code }]) => !isAway(code))
    return refused.map(([id, { message, hint }]) => ({
      code: 'write-failed',
      clusterId: '',
      object: id,
      message: hint === undefined ? message : `${message}; try: ${hint}`,
    }))
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    this.#wake.raise()
    await this.#done
    await Promise.all(this.#underWay)
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const step = this.#queue.next(this.#nowMs())
      if (step.kind === 'wait') {
        await this.#wake.wait(step.untilMs - this.#nowMs())
        continue
      }
      const work = this.#carryOut(step.id, step.write).finally(() => {
        this.#underWay.delete(work)
        this.#wake.raise()
      })
      this.#underWay.add(work)
    }
  }

  async #carryOut(id: string, write: Write): Promise<void> {
    const { log, changed } = this.#parts
    try {
      await this.#write(write)
      this.#queue.done(this.#nowMs(), id, write)
      this.#failures.delete(id)
      // A status is written every few seconds, with the latest round trips.
      const isStatus = write.verb === 'update' && write.status === true
      log[isStatus ? 'debug' : 'info'](
        `${write.server}: ${write.verb} ${write.key}: ${write.reason}`,
      )
    } catch (error) {
      if (!(error instanceof KubeError)) throw error
      this.#queue.failed(this.#nowMs(), id)
      if (races.includes(error.code)) changed.raise()
      else if (error.code !== 'ABORTED') this.#note(id, error)
    }
  }

  async #write(write: Write): Promise<void> {
    const client = this.#parts[write.server]
    const options = { signal: this.#abort.signal }
    switch (write.verb) {
      case 'create':
        await client.create(write.type, write.object, options)
        return
      case 'update': {
        const { name, namespace, resourceVersion } = write.object.meta
        const read = await client.get(write.type, { name, namespace }, options)
        const isSeen = ['', read.value.meta.resourceVersion].includes(resourceVersion)
        if (!isSeen) throw new KubeError('CONFLICT', `${write.key} has changed`)
        const { status = false } = write
        await client.update(write.type, read, write.object, { ...options, status })
        return
      }
      case 'delete': {
        const { type, name, namespace, uid } = write
        await client.delete(type, { name, namespace }, { ...options, ...(uid && { uid }) })
        return
      }
      default:
        write satisfies never
    }
  }

  #note(id: string, error: KubeError): void {
    if (this.#failures.get(id)?.message === error.message) return
    this.#failures.set(id, error)
    this.#parts.changed.raise()
  }

  #nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }
}
