// Who may be the active gateway, as a state machine: answers in, the next step out, no I/O, no clock.
// The Lease object is the fence; it is written by compare-and-swap on its resourceVersion alone.
//
//   standby ──── took it: absent, released, ours, expired, or the holder's heartbeat is silent ────► leader
//     ▲  ▲                                                                                      │  ▲
//     │  └─ another holder; not renewed for 10 s, and the API answers ──────────────────────────┤  │ took it
//     │                                                                                         ▼  │
//     └──── a successor is heard, or is in the lease ─────────────────────────── leader-without-api
//                                                                not renewed for 10 s, and the API is away
//
// Clocks of two machines are never compared: a lease has expired when we saw it unchanged for its duration
// (as client-go does it) and the API was there all the time (else its holder may lead on). What a leader may rely on counts from when its request was
// sent, not from the answer. A fail-over adds one to leaseTransitions, here called the epoch: with it a
// gateway that is heard from tells whether it is a successor or one that has not noticed yet.

import assert from 'node:assert/strict'
import { isAway, type KubeError } from './errors.ts'
import { type LeaseRecord, type LeaseTimes, type LeaseWrite, leaseTimes } from './lease-record.ts'

/** Races in a row that are tried again at once. */
const racesMost = 3

export type LeaseStep =
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'read'; readonly limitMs: number }
  /** Over what was read last, or a new one if there was none. */
  | { readonly kind: 'write'; readonly lease: LeaseWrite; readonly limitMs: number }
  | { readonly kind: 'end' }

export type Leadership =
  | {
      readonly state: 'leader'
      readonly epoch: number
      readonly sinceMs: number
      readonly renewedAtMs: number
    }
  | {
      readonly state: 'standby'
      /** Undefined while nobody has been seen. */
      readonly holder: string | undefined
      readonly error: KubeError | undefined
    }
  | {
      readonly state: 'leader-without-api'
      readonly epoch: number
      readonly sinceMs: number
      readonly error: KubeError
    }

export interface LeaseOptions {
  readonly identity: string
  readonly times?: LeaseTimes
  /** In [0, 1). */
  readonly random: () => number
  /** The epoch in which we were the holder when this machine last knew: it may start without the API. */
  readonly heldEpoch?: number
}

type State =
  | { readonly kind: 'standby' }
  | {
      readonly kind: 'leader'
      readonly epoch: number
      readonly sinceMs: number
      readonly renewedAtMs: number
    }
  | {
      readonly kind: 'alone'
      readonly epoch: number
      readonly sinceMs: number
      readonly error: KubeError
    }

/** Why there is no answer that helps: the first of a row of failures of one sort, and the last error. */
interface Trouble {
  readonly kind: 'away' | 'refused'
  readonly sinceMs: number
  readonly error: KubeError
}

interface Seen {
  /** Undefined: there is no Lease. */
  readonly record: LeaseRecord | undefined
  readonly readAtMs: number
  /** For how long it had not changed by then. Time in which the API was away does not count. */
  readonly ageMs: number
}

export class LeaseState {
  readonly #identity: string
  readonly #times: LeaseTimes
  readonly #random: () => number
  #state: State = { kind: 'standby' }
  #seen: Seen | undefined
  /** What was seen is no base to write on any more. */
  #isStale = true
  #nextMs: number
  #askedAtMs = 0
  #races = 0
  /** The epoch that was ours; undefined once somebody may have come after us. */
  #heldEpoch: number | undefined
  /** The latest epoch that was seen: a Lease that somebody deleted must not begin again at 0. */
  #lastEpoch: number
  /** The latest epoch whose holder's heartbeat was heard. */
  #heardEpoch = -1
  #trouble: Trouble | undefined
  #silentHolder: string | undefined
  #isChallenged = false
  #carried: Readonly<Record<string, string>> = {}
  #release: 'no' | 'wanted' | 'sent' | 'done' = 'no'

  constructor(nowMs: number, options: LeaseOptions) {
    const { identity, times = leaseTimes, random, heldEpoch } = options
    assert.ok(
      times.retryPeriodMs < times.renewDeadlineMs && times.renewDeadlineMs < times.durationMs,
    )
    this.#identity = identity
    this.#times = times
    this.#random = random
    this.#heldEpoch = heldEpoch
    this.#lastEpoch = heldEpoch ?? -1
    this.#nextMs = nowMs
  }

  /** What to do now. A read or write is given once and must be answered. */
  next(nowMs: number): LeaseStep {
    this.tick(nowMs)
    if (this.#release !== 'no') return this.#giveUp(nowMs)
    const untilMs = Math.min(this.#nextMs, this.#dueMs())
    if (nowMs < untilMs) return { kind: 'wait', untilMs }
    this.#askedAtMs = nowMs
    const limitMs = this.#limitMs(nowMs)
    if (this.#isStale || this.#seen === undefined) return { kind: 'read', limitMs }
    const wantsIt = this.#state.kind !== 'standby' || this.#mayTake(nowMs, this.#seen)
    return wantsIt ? { kind: 'write', lease: this.#claim(), limitMs } : { kind: 'read', limitMs }
  }

  /** Time has passed: a right ends, or that of the last holder begins. */
  tick(nowMs: number): void {
    const { renewDeadlineMs } = this.#times
    const state = this.#state
    const trouble = this.#trouble
    const isLong = trouble !== undefined && nowMs >= trouble.sinceMs + renewDeadlineMs
    switch (state.kind) {
      case 'leader':
        if (nowMs < state.renewedAtMs + renewDeadlineMs) return
        if (trouble?.kind === 'away') this.#goOn(nowMs, state.epoch, trouble.error)
        else this.#stepDown(nowMs)
        return
      case 'alone':
        // The API is back and does not want us: then it may have given the lease to somebody else.
        if (isLong && trouble.kind === 'refused') this.#stepDown(nowMs)
        return
      case 'standby':
        if (!isLong || trouble.kind !== 'away' || this.#heldEpoch === undefined) return
        this.#goOn(nowMs, this.#heldEpoch, trouble.error)
        return
      default:
        state satisfies never
    }
  }

  /** The Lease as it is; undefined when there is none. */
  read(nowMs: number, record: LeaseRecord | undefined): void {
    this.#see(nowMs, record)
    this.#answered()
    const isOthers =
      record !== undefined && record.holder !== '' && record.holder !== this.#identity
    if (isOthers) this.#lose(nowMs)
    const wantsIt = this.#state.kind !== 'standby' || this.#mayTake(nowMs, this.#seen)
    this.#nextMs = wantsIt ? nowMs : nowMs + this.#pauseMs()
  }

  /** The write was taken; this is what the server made of it. */
  wrote(nowMs: number, record: LeaseRecord): void {
    this.#see(nowMs, record)
    this.#answered()
    this.#races = 0
    if (this.#release === 'sent') {
      this.#end()
      return
    }
    const sinceMs = this.#state.kind === 'standby' ? nowMs : this.#state.sinceMs
    this.#state = { kind: 'leader', epoch: record.epoch, sinceMs, renewedAtMs: this.#askedAtMs }
    this.#heldEpoch = record.epoch
    this.#nextMs = this.#askedAtMs + this.#times.retryPeriodMs
  }

  failed(nowMs: number, error: KubeError): void {
    const { code } = error
    this.#isStale = true
    if (this.#release === 'sent') this.#end()
    if (code === 'ABORTED') return
    const isRace = code === 'CONFLICT' || code === 'ALREADY_EXISTS' || code === 'NOT_FOUND'
    if (isRace && ++this.#races <= racesMost) {
      this.#nextMs = nowMs
      return
    }
    this.#races = 0
    this.#nextMs = nowMs + this.#pauseMs()
    const kind = isAway(code) ? 'away' : 'refused'
    const isAnother = this.#trouble?.kind !== kind
    const sinceMs = isAnother ? this.#askedAtMs : (this.#trouble?.sinceMs ?? nowMs)
    this.#trouble = { kind, sinceMs, error }
    // Somebody says to be our successor, and we cannot look.
    if (this.#isChallenged) this.#lose(nowMs)
    this.tick(nowMs)
  }

  /** A heartbeat of one that says to hold the lease in this epoch. Later than ours: a successor. */
  hearHolder(nowMs: number, epoch: number): void {
    this.#heardEpoch = Math.max(this.#heardEpoch, epoch)
    if (this.#state.kind === 'standby' || epoch <= this.#state.epoch) return
    if (this.#state.kind === 'alone') {
      this.#lose(nowMs)
      return
    }
    this.#isChallenged = true
    this.#isStale = true
    this.#nextMs = nowMs
  }

  /** Others were told of another gateway in our place. Who has a lease knows better. */
  hearSuccessor(nowMs: number): void {
    if (this.#state.kind === 'alone') this.#lose(nowMs)
  }

  /**
   * Nothing was heard of this holder, on any path, for as long as that takes to mean that it is dead;
   * undefined when that is not so any more. A standby then does not wait for the lease to expire, unless
   * it never heard that holder: two gateways that do not reach each other would take turns.
   */
  hearNothingOf(nowMs: number, holder: string | undefined): void {
    const isNews = holder !== undefined && holder !== this.#silentHolder
    this.#silentHolder = holder
    if (isNews && this.#state.kind === 'standby') this.#nextMs = nowMs
  }

  /** These go into the Lease with the next write, beside what others have put there. */
  carry(annotations: Readonly<Record<string, string>>): void {
    this.#carried = annotations
  }

  /** Those of the Lease as it was last seen. */
  annotations(): Readonly<Record<string, string>> {
    return this.#seen?.record?.annotations ?? {}
  }

  /** Gives the lease up, so that a standby takes it at once; then there is nothing more to do. */
  release(): void {
    if (this.#release === 'no') this.#release = 'wanted'
  }

  leadership(): Leadership {
    const state = this.#state
    switch (state.kind) {
      case 'leader': {
        const { epoch, sinceMs, renewedAtMs } = state
        return { state: 'leader', epoch, sinceMs, renewedAtMs }
      }
      case 'alone': {
        const { epoch, sinceMs, error } = state
        return { state: 'leader-without-api', epoch, sinceMs, error }
      }
      case 'standby':
        return {
          state: 'standby',
          holder: this.#seen?.record?.holder,
          error: this.#trouble?.error,
        }
      default:
        return state satisfies never
    }
  }

  #giveUp(nowMs: number): LeaseStep {
    const record = this.#seen?.record
    const isOurs = record?.holder === this.#identity && !this.#isStale
    if (this.#release !== 'wanted' || this.#state.kind !== 'leader' || !isOurs) {
      this.#end()
      return { kind: 'end' }
    }
    this.#release = 'sent'
    this.#askedAtMs = nowMs
    const annotations = { ...record.annotations, ...this.#carried }
    // client-go, too, leaves a second: a duration of 0 is no valid Lease.
    const lease = { holder: '', epoch: record.epoch, durationMs: 1000, isNewHolder: false }
    const limitMs = this.#times.retryPeriodMs
    return { kind: 'write', lease: { ...lease, annotations }, limitMs }
  }

  #end(): void {
    this.#release = 'done'
    this.#state = { kind: 'standby' }
  }

  #claim(): LeaseWrite {
    const record = this.#seen?.record
    const isNewHolder = record?.holder !== this.#identity
    return {
      holder: this.#identity,
      epoch: isNewHolder ? this.#lastEpoch + 1 : record.epoch,
      durationMs: this.#times.durationMs,
      isNewHolder,
      annotations: { ...record?.annotations, ...this.#carried },
    }
  }

  #see(nowMs: number, record: LeaseRecord | undefined): void {
    const before = this.#seen
    const isSame =
      before !== undefined &&
      before.record?.holder === record?.holder &&
      before.record?.stamp === record?.stamp &&
      before.record?.epoch === record?.epoch
    this.#seen = { record, readAtMs: nowMs, ageMs: isSame ? this.#ageMs(nowMs, before) : 0 }
    this.#isStale = false
    if (record === undefined) return
    this.#lastEpoch = Math.max(this.#lastEpoch, record.epoch)
    // It may be free again, but it was somebody else's after us.
    const wasOthers = record.holder !== this.#identity && record.epoch > (this.#heldEpoch ?? -1)
    if (wasOthers) this.#heldEpoch = undefined
  }

  #mayTake(nowMs: number, seen: Seen | undefined): boolean {
    if (seen === undefined) return false
    const { record } = seen
    if (record === undefined || record.holder === '' || record.holder === this.#identity)
      return true
    const isSilent = record.holder === this.#silentHolder && this.#heardEpoch >= record.epoch
    return isSilent || this.#ageMs(nowMs, seen) >= record.durationMs
  }

  /** The holder, too, could not renew while the API was away: it gets its chance after that. */
  #ageMs(nowMs: number, { readAtMs, ageMs }: Seen): number {
    return this.#trouble?.kind === 'away' ? ageMs : ageMs + nowMs - readAtMs
  }

  /** When something is due before the next turn: a lease expires, or our own right ends. */
  #dueMs(): number {
    if (this.#state.kind === 'leader') return this.#state.renewedAtMs + this.#times.renewDeadlineMs
    const seen = this.#seen
    const isOpen = this.#state.kind === 'standby' && !this.#isStale
    if (!isOpen || seen?.record === undefined) return Number.POSITIVE_INFINITY
    return seen.readAtMs + seen.record.durationMs - seen.ageMs
  }

  /** No request of a leader may outlast its right to lead; and there is time for a second one. */
  #limitMs(nowMs: number): number {
    const half = this.#times.renewDeadlineMs / 2
    if (this.#state.kind !== 'leader') return half
    const restMs = this.#state.renewedAtMs + this.#times.renewDeadlineMs - nowMs
    return Math.max(1, Math.min(half, restMs))
  }

  /** A leader keeps its time; those who only look do not look all at once. */
  #pauseMs(): number {
    const isLeader = this.#state.kind === 'leader'
    return this.#times.retryPeriodMs * (isLeader ? 1 : 1 + 0.5 * this.#random())
  }

  #answered(): void {
    this.#trouble = undefined
    this.#isChallenged = false
  }

  /** The API is away, and nobody came after us. */
  #goOn(nowMs: number, epoch: number, error: KubeError): void {
    this.#state = { kind: 'alone', epoch, sinceMs: nowMs, error }
  }

  /** There is another holder. */
  #lose(nowMs: number): void {
    this.#heldEpoch = undefined
    this.#isChallenged = false
    if (this.#state.kind !== 'standby') this.#standBy(nowMs)
  }

  /** We have no right any more. If the API refuses us, it may have given it to somebody else. */
  #stepDown(nowMs: number): void {
    if (this.#trouble !== undefined) this.#heldEpoch = undefined
    this.#standBy(nowMs)
  }

  #standBy(nowMs: number): void {
    this.#state = { kind: 'standby' }
    this.#isStale = true
    this.#nextMs = Math.min(this.#nextMs, nowMs)
  }
}
