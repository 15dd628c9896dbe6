// The timers of a peer (whitepaper 6; timers.c of the Linux driver) as instants: each field says
// when something happened or is due, and Infinity that it is not. Nothing here acts; the tunnel
// calls the methods named by events, compares the instants in its tick, and acts.
//
//   initiate     a handshake is wanted, or the last initiation was not answered for 5 s
//   give up      90 s after the handshake was last wanted
//   passive      data was received 10 s ago and nothing was sent since
//   unanswered   data was sent 15 s ago and nothing was received since
//   persistent   nothing went either way for the configured time
//   zero         no session was made for 540 s
//
// What the outbound worker sends is known from the instants that it publishes, so a send re-arms
// nothing here: it is looked at when a timer is due. Keepalives are authenticated but no data: they
// must not arm the passive timer, or two sides would answer each other for ever.

import type { SentInstants } from './actions.ts'
import { implementation, specification } from './messages.ts'

const never = Number.NEGATIVE_INFINITY
const notDue = Number.POSITIVE_INFINITY
const unansweredMs = specification.keepaliveTimeoutMs + specification.rekeyTimeoutMs

export class Timers {
  readonly #cable: number
  readonly #sent: SentInstants
  /** Persistent keepalive interval, 0 for off. */
  keepaliveMs = 0
  /** When the next initiation is due: asked for, or as a retry. */
  initiateAtMs = notDue
  zeroAtMs = notDue
  /** When to look next at whether data that was sent stays unanswered. */
  watchAtMs = notDue
  #wantedMs = never
  /** The last initiation or response that we sent: initiations are 5 s apart from it. */
  #handshakeSentMs = never
  /** The initiation that waits for its answer. */
  #unansweredInitiationMs = never
  #sentMs = never
  #receivedMs = never
  #passiveSinceMs = notDue
  #lastDataMs = never
  #persistentTriedMs = never
  #watchFiredMs = never
  #attempts = 0
  #watchJitterMs = 0

  constructor(cable: number, sent: SentInstants) {
    this.#cable = cable
    this.#sent = sent
  }

  /** The earliest instant at which something may be due. */
  deadlineMs(): number {
    return Math.min(
      this.initiateAtMs,
      this.giveUpAtMs(),
      this.#passiveSinceMs + specification.keepaliveTimeoutMs,
      this.persistentAtMs(),
      this.watchAtMs,
      this.zeroAtMs,
    )
  }

  /** The last authenticated datagram that was sent, by either worker. */
  lastSentMs(): number {
    return Math.max(this.#sentMs, this.#sent.sentMs(this.#cable) || never)
  }

  giveUpAtMs(): number {
    if (this.initiateAtMs === notDue) return notDue
    return this.#wantedMs + specification.rekeyAttemptMs
  }

  persistentAtMs(): number {
    if (this.keepaliveMs === 0) return notDue
    const lastMs = Math.max(this.lastSentMs(), this.#receivedMs, this.#persistentTriedMs)
    return lastMs + this.keepaliveMs
  }

  /** Whether the initiation that is due repeats one that was not answered. */
  get isRetry(): boolean {
    return this.#unansweredInitiationMs !== never
  }

  /** Initiations since a handshake was completed, given up, or asked for with another cipher. */
  get attempts(): number {
    return this.#attempts
  }

  /** What was tried with another cipher says nothing about this one. */
  cipherChanged(): void {
    this.#attempts = 0
  }

  /** A handshake is wanted; it begins as soon as the spacing allows, or goes on for 90 s more. */
  handshakeWanted(nowMs: number): void {
    this.#wantedMs = nowMs
    if (this.initiateAtMs !== notDue) return
    this.initiateAtMs = Math.max(nowMs, this.#handshakeSentMs + specification.rekeyTimeoutMs)
  }

  /** Call it also when the initiation could not be made (no private key), so that it is retried. */
  initiationTried(nowMs: number, jitterMs: number): void {
    this.#handshakeSentMs = nowMs
    this.#unansweredInitiationMs = nowMs
    this.#attempts++
    this.initiateAtMs = nowMs + specification.rekeyTimeoutMs + jitterMs
  }

  /** The private key changed: what was tried with the old one does not delay the new one. */
  identityChanged(nowMs: number): void {
    this.#handshakeSentMs = never
    this.#unansweredInitiationMs = never
    this.#attempts = 0
    if (this.initiateAtMs !== notDue) this.initiateAtMs = nowMs
  }

  /** Our response may be enough: an initiation of our own that was due waits for it. */
  responseSent(nowMs: number): void {
    this.#handshakeSentMs = nowMs
    if (this.initiateAtMs !== notDue) {
      this.initiateAtMs = Math.max(this.initiateAtMs, nowMs + specification.rekeyTimeoutMs)
    }
    this.authenticatedSent(nowMs)
  }

  /** A session was confirmed: as initiator by the response, as responder by the first data. */
  handshakeCompleted(): void {
    this.initiateAtMs = notDue
    this.#unansweredInitiationMs = never
    this.#attempts = 0
  }

  gaveUp(nowMs: number): void {
    this.handshakeCompleted()
    this.#passiveSinceMs = notDue
    if (this.zeroAtMs === notDue) this.zeroAtMs = nowMs + implementation.zeroAfterMs
  }

  sessionDerived(nowMs: number): void {
    this.zeroAtMs = nowMs + implementation.zeroAfterMs
  }

  /** A new keypair is sent with from now on; its sends are watched. */
  currentChanged(nowMs: number): void {
    this.watchAtMs = nowMs + unansweredMs
  }

  /** Handshake messages and keepalives that this side has sent. */
  authenticatedSent(nowMs: number): void {
    this.#sentMs = nowMs
  }

  authenticatedReceived(nowMs: number): void {
    this.#receivedMs = nowMs
  }

  /** At least once for each batch with data in it. */
  dataReceived(nowMs: number): void {
    this.#lastDataMs = nowMs
    const isArmed = this.#passiveSinceMs !== notDue && this.lastSentMs() <= this.#passiveSinceMs
    if (!isArmed) this.#passiveSinceMs = nowMs
  }

  /** Whether a passive keepalive is due. It is re-armed when more data came after the first. */
  takePassive(nowMs: number): boolean {
    const sinceMs = this.#passiveSinceMs
    if (nowMs < sinceMs + specification.keepaliveTimeoutMs) return false
    const isAnswered = this.lastSentMs() > sinceMs
    this.#passiveSinceMs = !isAnswered && this.#lastDataMs > sinceMs ? nowMs : notDue
    return !isAnswered
  }

  /** Whether a persistent keepalive is due. */
  takePersistent(nowMs: number): boolean {
    if (nowMs < this.persistentAtMs()) return false
    this.#persistentTriedMs = nowMs
    return true
  }

  /**
   * Looks at what was sent since something was received, and sets the next look. True: data has
   * been unanswered for 15 s, so the session is taken for dead. The jitter is for the next time.
   */
  takeUnanswered(nowMs: number, jitterMs: number): boolean {
    if (nowMs < this.watchAtMs) return false
    const dueMs = this.#unansweredAtMs()
    if (nowMs < dueMs) {
      this.watchAtMs = Math.min(dueMs, nowMs + unansweredMs)
      return false
    }
    this.#watchFiredMs = nowMs
    this.#watchJitterMs = jitterMs
    this.watchAtMs = nowMs + unansweredMs
    return true
  }

  #unansweredAtMs(): number {
    const firstMs = this.#sent.unansweredMs(this.#cable)
    if (firstMs === 0 || firstMs <= this.#receivedMs) return notDue
    // Fired once for these: again only if more was sent after that.
    if (firstMs <= this.#watchFiredMs && this.#sent.dataSentMs(this.#cable) <= this.#watchFiredMs) {
      return notDue
    }
    return Math.max(firstMs, this.#watchFiredMs) + unansweredMs + this.#watchJitterMs
  }
}
