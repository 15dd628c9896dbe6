// List and watch as a state machine: answers and frames in, the next step out, no I/O, no clock.
//
//   list, page by page ─► the store is replaced ─► watch from the list's version ─► follow the frames
//        ▲                                          ▲      │ ended, cut, silent, garbage
//        │ 410, or three failed watches in a row    └─ wait ◄┘
//        └──────────────── wait ◄── a list failed
//
// A watch resumes from the last version it has seen, bookmarks included, so nothing is missed and nothing
// is listed again. What a cut leaves half said is asked for again. A connection that is silent for longer
// than bookmarks are apart is taken for dead: resuming costs one request and loses nothing.
// Waits grow and are random (backoff.ts). A failure count is forgotten only once a watch has lived for a
// while: a server that accepts everything and then cuts must not be asked in a circle.

import assert from 'node:assert/strict'
import { type BackoffTimes, backoffMs } from './backoff.ts'
import type { Page } from './client.ts'
import {
  type CallName,
  callError,
  isRecord,
  type KubeError,
  parseJson,
  watchedError,
} from './errors.ts'
import { identityOf } from './objects.ts'
import type { Resource } from './resource-type.ts'
import { objectsMost, type Store } from './store.ts'

export interface WatchTimes {
  readonly backoff: BackoffTimes
  /** The server ends a watch after a random time between these, so that not all end together. */
  readonly endsAfterSeconds: { readonly least: number; readonly most: number }
  /** Without a frame for so long a watch is dead. A kube-apiserver sends bookmarks once a minute. */
  readonly silenceMs: number
  /** A watch that lived for so long was a good one. */
  readonly healthyMs: number
  /** After a 410 of a good watch everybody lists anew: not at once. */
  readonly spreadMs: number
  readonly pageSize: number
}

export const watchTimes: WatchTimes = {
  backoff: { firstMs: 1000, mostMs: 20_000 },
  endsAfterSeconds: { least: 240, most: 360 },
  silenceMs: 90_000,
  healthyMs: 10_000,
  spreadMs: 1000,
  pageSize: 500,
}

/** Watches that fail one after the other before a list is tried: the version may be what is wrong. */
const watchFailuresMost = 3
/** A server that lets a watch live beyond the time that it was asked for. */
const overdueMs = 15_000
/** A server that wants more than that is asked again all the same. */
const retryAfterMsMost = 60_000
/** Statuses that say nothing about the version that was asked for. */
const notOfTheVersion = [0, 401, 403, 429, 502, 503]

export type Step =
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'list'; readonly limit: number | undefined; readonly continueToken: string }
  | { readonly kind: 'watch'; readonly resourceVersion: string; readonly timeoutSeconds: number }

export type WatchStatus =
  | { readonly state: 'syncing'; readonly sinceMs: number }
  | { readonly state: 'synced'; readonly sinceMs: number }
  | {
      readonly state: 'retrying'
      /** The first of the failures. */
      readonly sinceMs: number
      readonly attempts: number
      readonly error: string
      readonly hint: string | undefined
      /** In the past while the next one is under way. */
      readonly nextTryMs: number
    }

type State =
  | { readonly kind: 'waiting'; readonly untilMs: number }
  | { readonly kind: 'asking' }
  | { readonly kind: 'following'; readonly openedAtMs: number; readonly endsByMs: number }

interface Failure {
  readonly sinceMs: number
  readonly attempts: number
  readonly nextTryMs: number
  readonly error: KubeError
}

export class WatchState<T extends Resource> {
  readonly #store: Store<T>
  readonly #name: CallName
  readonly #times: WatchTimes
  readonly #random: () => number
  #state: State = { kind: 'waiting', untilMs: Number.NEGATIVE_INFINITY }
  /** Empty: a list is needed. */
  #resourceVersion = ''
  /** The pages of the list under way. */
  #items: unknown[] = []
  #pages = 0
  #continueToken = ''
  /** The server forgot a list half-way: the next one comes in one piece. */
  #wantsOnePage = false
  #timeoutSeconds = 0
  #heardAtMs = 0
  #sinceMs: number
  #isSynced = false
  #failure: Failure | undefined
  #failures = 0
  #watchFailures = 0

  constructor(
    nowMs: number,
    store: Store<T>,
    name: CallName,
    random: () => number,
    times: WatchTimes = watchTimes,
  ) {
    this.#sinceMs = nowMs
    this.#store = store
    this.#name = name
    this.#random = random
    this.#times = times
  }

  /**
   * What to do now. A list is answered by `page` or `failed`; a watch by `failed`, or by `opened`, which
   * begins a time of frames that lasts until `isFollowing` is false.
   */
  next(nowMs: number): Step {
    const state = this.#state
    assert.equal(state.kind, 'waiting', 'the last step was not answered')
    if (state.kind === 'waiting' && nowMs < state.untilMs) {
      return { kind: 'wait', untilMs: state.untilMs }
    }
    this.#state = { kind: 'asking' }
    return this.#resourceVersion === '' ? this.#list() : this.#watch()
  }

  get isFollowing(): boolean {
    return this.#state.kind === 'following'
  }

  /** A page of the list has come. Returns whether the store is different. */
  page(nowMs: number, page: Page): boolean {
    for (const item of page.items) this.#items.push(item)
    // Pages count, too: a server may send empty ones, but not for ever.
    if (this.#items.length + ++this.#pages > objectsMost) {
      this.failed(nowMs, this.#bad(`a list of more than ${objectsMost} objects`))
      return false
    }
    this.#continueToken = page.continueToken
    this.#wait(nowMs, 0)
    if (page.continueToken !== '') return false
    const items = this.#takeItems()
    this.#wantsOnePage = false
    this.#resourceVersion = page.resourceVersion
    return this.#store.replace(items)
  }

  /** The watch was accepted. */
  opened(nowMs: number): void {
    const endsByMs = nowMs + this.#timeoutSeconds * 1000 + overdueMs
    this.#state = { kind: 'following', openedAtMs: nowMs, endsByMs }
    this.#heardAtMs = nowMs
    this.#failure = undefined
    if (!this.#isSynced) this.#sinceMs = nowMs
    this.#isSynced = true
  }

  /** A line of the watch has come. Returns whether the store is different. */
  frame(nowMs: number, line: string): boolean {
    if (this.#state.kind !== 'following') return false
    const frame = parseJson(line)
    const object = isRecord(frame) ? frame['object'] : undefined
    const type = isRecord(frame) ? frame['type'] : undefined
    if (type === 'ERROR') {
      this.failed(nowMs, watchedError(this.#name, object))
      return false
    }
    const { name, resourceVersion } = identityOf(object)
    const isBookmark = type === 'BOOKMARK'
    const isEvent = type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED'
    if (resourceVersion === '' || !(isBookmark || (isEvent && name !== ''))) {
      this.failed(nowMs, this.#bad('a frame that is no event'))
      return false
    }
    this.#heardAtMs = nowMs
    this.#watchFailures = 0
    this.#resourceVersion = resourceVersion
    if (isBookmark) return false
    const isDifferent = type === 'DELETED' ? this.#store.remove(object) : this.#store.put(object)
    if (this.#store.size > objectsMost) {
      this.#resourceVersion = ''
      this.failed(nowMs, this.#bad(`more than ${objectsMost} objects`))
    }
    return isDifferent
  }

  /** When to look whether the watch is still alive; -Infinity when there is none. */
  silentAtMs(): number {
    const state = this.#state
    if (state.kind !== 'following') return Number.NEGATIVE_INFINITY
    return Math.min(this.#heardAtMs + this.#times.silenceMs, state.endsByMs)
  }

  /** Time has passed. A watch that is dead, or of a server without bookmarks, is resumed by another. */
  tick(nowMs: number): void {
    if (this.#state.kind !== 'following' || nowMs < this.silentAtMs()) return
    this.#forgive()
    this.#wait(nowMs, 0)
  }

  /** The server has ended the watch. */
  ended(nowMs: number): void {
    const state = this.#state
    if (state.kind !== 'following') return
    const { healthyMs, spreadMs } = this.#times
    const livedMs = nowMs - state.openedAtMs
    const askedMs = this.#timeoutSeconds * 1000
    if (livedMs < Math.min(healthyMs, 0.9 * askedMs)) {
      const why = `the server ended it after ${Math.round(livedMs)} ms`
      this.failed(nowMs, callError(this.#name, 'UNAVAILABLE', why))
      return
    }
    this.#forgive()
    // Those of others end at other times, unless the server is about to stop.
    this.#wait(nowMs, livedMs < 0.9 * askedMs ? this.#random() * spreadMs : 0)
  }

  /** A list or watch was refused, or a watch broke. */
  failed(nowMs: number, error: KubeError): void {
    const state = this.#state
    if (state.kind === 'waiting') return
    const wasGood = state.kind === 'following' && nowMs - state.openedAtMs >= this.#times.healthyMs
    const wasWatching = this.#resourceVersion !== ''
    const isGone = error.code === 'GONE'
    if (wasGood) this.#forgive()
    this.#wantsOnePage ||= isGone && this.#continueToken !== ''
    this.#takeItems()
    if (state.kind === 'following' || !notOfTheVersion.includes(error.status)) {
      this.#watchFailures += wasWatching ? 1 : 0
    }
    if (isGone || this.#watchFailures >= watchFailuresMost) {
      this.#resourceVersion = ''
      this.#watchFailures = 0
    }
    if (isGone && wasGood) {
      this.#unsynced(nowMs)
      this.#wait(nowMs, this.#random() * this.#times.spreadMs)
    } else {
      this.#retry(nowMs, error)
    }
  }

  status(): WatchStatus {
    if (this.#failure !== undefined) {
      const { sinceMs, attempts, error, nextTryMs } = this.#failure
      const { message, hint } = error
      return { state: 'retrying', sinceMs, attempts, error: message, hint, nextTryMs }
    }
    return { state: this.#isSynced ? 'synced' : 'syncing', sinceMs: this.#sinceMs }
  }

  #list(): Step {
    const limit = this.#wantsOnePage ? undefined : this.#times.pageSize
    return { kind: 'list', limit, continueToken: this.#continueToken }
  }

  #watch(): Step {
    const { least, most } = this.#times.endsAfterSeconds
    this.#timeoutSeconds = Math.round(least + (most - least) * this.#random())
    const [resourceVersion, timeoutSeconds] = [this.#resourceVersion, this.#timeoutSeconds]
    return { kind: 'watch', resourceVersion, timeoutSeconds }
  }

  /** A watch that has lived for a while ends a row of failures. */
  #forgive(): void {
    this.#failures = 0
    this.#watchFailures = 0
  }

  #takeItems(): unknown[] {
    const items = this.#items
    this.#items = []
    this.#pages = 0
    this.#continueToken = ''
    return items
  }

  #retry(nowMs: number, error: KubeError): void {
    this.#failures++
    const ownMs = backoffMs(this.#times.backoff, this.#failures, this.#random())
    const delayMs = Math.max(ownMs, Math.min(error.retryAfterMs, retryAfterMsMost))
    this.#wait(nowMs, delayMs)
    const sinceMs = this.#failure?.sinceMs ?? nowMs
    const nextTryMs = nowMs + delayMs
    this.#failure = { sinceMs, attempts: this.#failures, nextTryMs, error }
    this.#unsynced(nowMs)
  }

  #unsynced(nowMs: number): void {
    if (this.#isSynced) this.#sinceMs = nowMs
    this.#isSynced = false
  }

  #wait(nowMs: number, delayMs: number): void {
    this.#state = { kind: 'waiting', untilMs: nowMs + delayMs }
  }

  #bad(why: string): KubeError {
    return callError(this.#name, 'BAD_ANSWER', why)
  }
}
