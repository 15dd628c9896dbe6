// The driver of a watch: does what watch-state.ts says, over a client and a clock. One of these keeps the
// objects of one kind; what a consumer needs is the store, the status, and one signal that is raised when
// either is different, shared by as many watches as the consumer likes.

import type { IncomingMessage } from 'node:http'
import type { Clock } from '../net/clock.ts'
import type { KubeClient, Scope } from './client.ts'
import { callError, connectionError, KubeError } from './errors.ts'
import type { ObjectProblem } from './objects.ts'
import type { Resource, ResourceType } from './resource-type.ts'
import { Signal } from './signal.ts'
import { type ObjectStore, Store } from './store.ts'
import {
  type Step,
  WatchState,
  type WatchStatus,
  type WatchTimes,
  watchTimes,
} from './watch-state.ts'

/** etcd takes objects of 1.5 MiB. */
const lineBytesMost = 16 * 1024 * 1024
/** For a page, or the begin of a watch: a busy server lets both wait in a queue. */
const answerLimitMs = 30_000

export interface WatchParts<T extends Resource> {
  readonly client: KubeClient
  readonly type: ResourceType<T>
  readonly scope: Scope
  /** Raised when the store or the state of the watch is different. */
  readonly changed: Signal
  readonly clock: Clock
  readonly random?: () => number
  readonly times?: WatchTimes
}

/** Begins at once and goes on until it is stopped, whatever the server does. */
export class Watch<T extends Resource> implements ObjectStore<T> {
  readonly #parts: WatchParts<T>
  readonly #store: Store<T>
  readonly #state: WatchState<T>
  readonly #abort = new AbortController()
  readonly #wake = new Signal()
  readonly #done: Promise<void>
  #lastState: WatchStatus['state'] = 'syncing'

  constructor(parts: WatchParts<T>) {
    const { client, type, scope, random = Math.random, times = watchTimes } = parts
    this.#parts = parts
    this.#store = new Store(type)
    const name = client.watchName(type, scope)
    this.#state = new WatchState(this.#nowMs(), this.#store, name, random, times)
    this.#done = this.#run()
  }

  get synced(): boolean {
    return this.#store.synced
  }

  list(): readonly T[] {
    return this.#store.list()
  }

  get(namespace: string, name: string): T | undefined {
    return this.#store.get(namespace, name)
  }

  problems(): readonly ObjectProblem[] {
    return this.#store.problems()
  }

  status(): WatchStatus {
    return this.#state.status()
  }

  /** Resolves when its connection is closed. */
  async stop(): Promise<void> {
    this.#abort.abort()
    this.#wake.raise()
    await this.#done
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const step = this.#state.next(this.#nowMs())
      switch (step.kind) {
        case 'wait':
          await this.#wake.wait(step.untilMs - this.#nowMs())
          break
        case 'list':
          await this.#list(step)
          break
        case 'watch':
          await this.#follow(step)
          break
        default:
          step satisfies never
      }
      this.#note(false)
    }
  }

  async #list({ limit, continueToken }: Step & { kind: 'list' }): Promise<void> {
    const { client, type, scope } = this.#parts
    try {
      const page = await client.listPage(type, scope, {
        signal: this.#abort.signal,
        limitMs: answerLimitMs,
        continueToken,
        ...(limit === undefined ? {} : { limit }),
      })
      this.#note(this.#state.page(this.#nowMs(), page))
    } catch (error) {
      this.#failed(error)
    }
  }

  async #follow({ resourceVersion, timeoutSeconds }: Step & { kind: 'watch' }): Promise<void> {
    const { client, type, scope } = this.#parts
    const { signal } = this.#abort
    let stream: IncomingMessage
    try {
      stream = await client.watch(type, scope, {
        signal,
        limitMs: answerLimitMs,
        resourceVersion,
        timeoutSeconds,
      })
    } catch (error) {
      this.#failed(error)
      return
    }
    const stop = () => stream.destroy()
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    this.#state.opened(this.#nowMs())
    this.#note(false)
    const watchdog = this.#guard(stream)
    try {
      await this.#read(stream)
      this.#state.ended(this.#nowMs())
    } catch (error) {
      this.#failed(error)
    } finally {
      watchdog.stop()
      signal.removeEventListener('abort', stop)
      stream.destroy()
    }
  }

  async #read(stream: IncomingMessage): Promise<void> {
    const name = this.#parts.client.watchName(this.#parts.type, this.#parts.scope)
    try {
      for await (const line of linesOf(stream)) {
        if (line === undefined) {
          throw callError(name, 'BAD_ANSWER', `a frame of more than ${lineBytesMost / 2 ** 20} MiB`)
        }
        this.#note(this.#state.frame(this.#nowMs(), line))
        if (!this.#state.isFollowing) return
      }
    } catch (error) {
      throw error instanceof KubeError ? error : connectionError(name, error)
    }
  }

  /** Ends the stream when it has been silent for too long. */
  #guard(stream: IncomingMessage): { stop(): void } {
    let timer: NodeJS.Timeout | undefined
    const look = () => {
      this.#state.tick(this.#nowMs())
      const restMs = this.#state.silentAtMs() - this.#nowMs()
      if (this.#state.isFollowing) timer = setTimeout(look, Math.ceil(restMs))
      else stream.destroy()
    }
    look()
    return { stop: () => clearTimeout(timer) }
  }

  #failed(error: unknown): void {
    if (!(error instanceof KubeError)) throw error
    this.#state.failed(this.#nowMs(), error)
  }

  #note(isDifferent: boolean): void {
    const { state } = this.#state.status()
    if (isDifferent || state !== this.#lastState) this.#parts.changed.raise()
    this.#lastState = state
  }

  #nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }
}

/** Whole lines; undefined for one that is too long. What stands behind the last newline is dropped. */
async function* linesOf(stream: IncomingMessage): AsyncGenerator<string | undefined> {
  let begun: Buffer[] = []
  let begunBytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      begun.push(chunk.subarray(from, at))
      const line = Buffer.concat(begun).toString()
      begun = []
      begunBytes = 0
      from = at + 1
      if (line.trim() !== '') yield line
    }
    if (from < chunk.length) begun.push(chunk.subarray(from))
    begunBytes += chunk.length - from
    if (begunBytes > lineBytesMost) yield undefined
  }
}
