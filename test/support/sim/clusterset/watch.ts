// Drives a WatchState on virtual time, as src/kube/watch.ts does on a real one.

import type { Known } from '../../../../src/broker/writes.ts'
import type { Scope } from '../../../../src/kube/client.ts'
import { callError } from '../../../../src/kube/errors.ts'
import type { Resource, ResourceType } from '../../../../src/kube/resource-type.ts'
import { Store } from '../../../../src/kube/store.ts'
import { WatchState, type WatchStatus } from '../../../../src/kube/watch-state.ts'
import { resourceOf, type SimClient } from './client.ts'
import type { Stream } from './server.ts'
import { Alarm, type Timeline } from './timeline.ts'

export interface SimWatchParts<T extends Resource> {
  readonly timeline: Timeline
  readonly random: () => number
  readonly client: SimClient
  readonly type: ResourceType<T>
  readonly scope: Scope
  readonly changed: () => void
}

export class SimWatch<T extends Resource> {
  readonly #parts: SimWatchParts<T>
  readonly #store: Store<T>
  readonly #state: WatchState<T>
  readonly #alarm: Alarm
  #stream: Stream | undefined
  #lastState: WatchStatus['state'] = 'syncing'

  constructor(parts: SimWatchParts<T>) {
    const { timeline, type, scope, random } = parts
    this.#parts = parts
    this.#store = new Store(type)
    const name = { verb: 'watch', resource: resourceOf(type), name: '', server: 'https://sim' }
    const namespace = scope.namespace ?? ''
    this.#state = new WatchState(timeline.nowMs, this.#store, { ...name, namespace }, random)
    this.#alarm = new Alarm(timeline, () => this.#rung())
    this.#step()
  }

  get known(): Known<T> {
    const { synced } = this.#store
    return { synced, items: this.#store.list(), problems: this.#store.problems() }
  }

  get isRetrying(): boolean {
    return this.#state.status().state === 'retrying'
  }

  stop(): void {
    this.#alarm.off()
    this.#stream?.close()
  }

  #step(): void {
    const { client, type, scope, timeline } = this.#parts
    const step = this.#state.next(timeline.nowMs)
    switch (step.kind) {
      case 'wait':
        this.#alarm.set(step.untilMs)
        return
      case 'list':
        client.listPage(type, scope, step, result => {
          const { nowMs } = timeline
          if (result.ok) this.#note(this.#state.page(nowMs, result.value))
          else this.#state.failed(nowMs, result.error)
          this.#goOn()
        })
        return
      case 'watch':
        client.watch(type, scope, step, this.#events(), result => {
          if (result.ok) this.#opened(result.value)
          else this.#state.failed(timeline.nowMs, result.error)
          if (!this.#state.isFollowing) this.#goOn()
        })
        return
      default:
        step satisfies never
    }
  }

  #goOn(): void {
    this.#stream?.close()
    this.#stream = undefined
    this.#note(false)
    this.#step()
  }

  /** A text in place of a stream is its only line. */
  #opened(stream: Stream | string): void {
    const { nowMs } = this.#parts.timeline
    this.#state.opened(nowMs)
    this.#note(false)
    if (typeof stream === 'string') this.#note(this.#state.frame(nowMs, stream))
    else {
      this.#stream = stream
      this.#alarm.set(this.#state.silentAtMs())
    }
  }

  #events() {
    const { timeline, type, scope } = this.#parts
    return {
      line: (text: string) => {
        this.#note(this.#state.frame(timeline.nowMs, text))
        if (!this.#state.isFollowing) this.#goOn()
      },
      ended: (isOrderly: boolean) => {
        const call = { verb: 'watch', resource: resourceOf(type), name: '', server: 'https://sim' }
        const name = { ...call, namespace: scope.namespace ?? '' }
        if (isOrderly) this.#state.ended(timeline.nowMs)
        else {
          const error = callError(name, 'UNAVAILABLE', 'the connection was cut')
          this.#state.failed(timeline.nowMs, error)
        }
        this.#goOn()
      },
    }
  }

  /** A wait is over, or a watch may have been silent for too long. */
  #rung(): void {
    if (this.#state.isFollowing) this.#state.tick(this.#parts.timeline.nowMs)
    if (this.#state.isFollowing) this.#alarm.set(this.#state.silentAtMs())
    else this.#goOn()
  }

  #note(isDifferent: boolean): void {
    const { state } = this.#state.status()
    if (isDifferent || state !== this.#lastState) this.#parts.changed()
    this.#lastState = state
  }
}
