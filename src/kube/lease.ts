// The driver of an election: does what lease-state.ts says, one request at a time. Ask `leadership` who
// leads; `changed` is raised when the answer is another one.
//
// Writes are PUTs and POSTs: the Role that stock gateways have allows no patch of leases.

import type { Clock } from '../net/clock.ts'
import type { KubeClient, ObjectName, Stored } from './client.ts'
import { KubeError, kubeCodeOf } from './errors.ts'
import { type Lease, type LeaseTimes, leaseOf, leaseType, recordOf } from './lease-record.ts'
import { type Leadership, LeaseState, type LeaseStep } from './lease-state.ts'
import { Signal } from './signal.ts'

export interface ElectionParts {
  readonly client: KubeClient
  readonly name: string
  readonly namespace: string
  readonly identity: string
  /** Raised when the leadership is another one; not at renewals. */
  readonly changed: Signal
  readonly clock: Clock
  readonly times?: LeaseTimes
  readonly random?: () => number
  /** The epoch in which this machine was the holder when it last knew, from its disk. */
  readonly heldEpoch?: number
}

/** Begins at once and campaigns until it is stopped. */
export class Election {
  readonly #parts: ElectionParts
  readonly #state: LeaseState
  readonly #abort = new AbortController()
  readonly #wake = new Signal()
  readonly #done: Promise<void>
  #stored: Stored<Lease> | undefined
  #last = ''

  constructor(parts: ElectionParts) {
    const { identity, times, random = Math.random, heldEpoch, clock } = parts
    this.#parts = parts
    this.#state = new LeaseState(clock.monotonicMs(), {
      identity,
      random,
      ...(times === undefined ? {} : { times }),
      ...(heldEpoch === undefined ? {} : { heldEpoch }),
    })
    this.#done = this.#run()
  }

  /** As of now: a right that ended with time is not shown any more. */
  leadership(): Leadership {
    this.#state.tick(this.#nowMs())
    return this.#state.leadership()
  }

  /** What stood beside the lease when it was last seen; a successor reads here what the holder left. */
  annotations(): Readonly<Record<string, string>> {
    return this.#state.annotations()
  }

  /** Written with the next renewal, within a retry period. */
  carry(annotations: Readonly<Record<string, string>>): void {
    this.#state.carry(annotations)
  }

  /** See LeaseState. */
  hearHolder(epoch: number): void {
    this.#state.hearHolder(this.#nowMs(), epoch)
    this.#note()
    this.#wake.raise()
  }

  /** See LeaseState. */
  hearSuccessor(): void {
    this.#state.hearSuccessor(this.#nowMs())
    this.#note()
  }

  /** See LeaseState. */
  hearNothingOf(holder: string | undefined): void {
    this.#state.hearNothingOf(this.#nowMs(), holder)
    this.#wake.raise()
  }

  /** Gives the lease up, if it is ours, and ends. To be called when nothing is forwarded any more. */
  async release(): Promise<void> {
    this.#state.release()
    this.#wake.raise()
    await this.#done
  }

  /** Ends and leaves the lease as it is: a restart takes it again, a crash looks the same. */
  async stop(): Promise<void> {
    this.#abort.abort()
    this.#wake.raise()
    await this.#done
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const step = this.#state.next(this.#nowMs())
      this.#note()
      if (step.kind === 'end') return
      if (step.kind === 'wait') await this.#wake.wait(step.untilMs - this.#nowMs())
      else await this.#ask(step)
      this.#note()
    }
  }

  async #ask(step: LeaseStep & { kind: 'read' | 'write' }): Promise<void> {
    const { signal } = this.#abort
    const options = { signal, limitMs: step.limitMs }
    try {
      if (step.kind === 'read') await this.#read(options)
      else await this.#write(step, options)
    } catch (error) {
      if (!(error instanceof KubeError)) throw error
      this.#state.failed(this.#nowMs(), error)
    }
  }

  async #read(options: Options): Promise<void> {
    this.#stored = await this.#parts.client
      .get(leaseType, this.#place(), options)
      .catch((error: unknown) => {
        if (kubeCodeOf(error) === 'NOT_FOUND') return undefined
        throw error
      })
    const record = this.#stored === undefined ? undefined : recordOf(this.#stored.value)
    this.#state.read(this.#nowMs(), record)
  }

  async #write({ lease: write }: LeaseStep & { kind: 'write' }, options: Options): Promise<void> {
    const { client, name, namespace, clock } = this.#parts
    const before = this.#stored
    const lease = leaseOf(write, { name, namespace }, before?.value, clock.wallMs())
    this.#stored =
      before === undefined
        ? await client.create(leaseType, lease, options)
        : await client.update(leaseType, before, lease, options)
    this.#state.wrote(this.#nowMs(), recordOf(this.#stored.value))
  }

  #place(): ObjectName {
    return { name: this.#parts.name, namespace: this.#parts.namespace }
  }

  #note(): void {
    const leadership = this.#state.leadership()
    const detail = leadership.state === 'standby' ? leadership.holder : leadership.epoch
    const now = `${leadership.state} ${detail}`
    if (now !== this.#last) this.#parts.changed.raise()
    this.#last = now
  }

  #nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }
}

interface Options {
  readonly signal: AbortSignal
  readonly limitMs: number
}
