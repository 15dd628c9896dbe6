// Datagrams that are no cable packet (NAT discovery, IKE, STUN …) go to whoever attached, at a bounded
// rate: a stranger who floods the port costs a counter. What they send from there is bounded too.

import type { Message } from '../cable/driver.ts'
import { type DropReason, drop } from '../tables/counters.ts'

const perSecond = 500
const burst = 200
const bytesMax = 2048

/** Datagrams from control that may wait for the inbound worker, which takes them once a breath. */
export const foreignMailMost = 64

/** Takes copies of datagrams; false when nobody listens. */
export type ForeignSink = (bytes: Uint8Array, remote: Uint8Array) => boolean

export class ForeignGate {
  readonly #sink: ForeignSink
  #tokens = burst
  #filledMs = 0

  constructor(sink: ForeignSink) {
    this.#sink = sink
  }

  receive(message: Message, nowMs: number): DropReason {
    const earned = ((nowMs - this.#filledMs) * perSecond) / 1000
    this.#filledMs = nowMs
    this.#tokens = Math.min(burst, this.#tokens + earned)
    if (this.#tokens < 1 || message.lengthBytes > bytesMax) return drop.foreignRateLimited
    this.#tokens--
    const end = message.offset + message.lengthBytes
    const isTaken = this.#sink(message.slab.slice(message.offset, end), message.remote.slice())
    return isTaken ? drop.none : drop.foreignUnread
  }
}
