// The health check of one remote and family, without I/O (spec 4.10): when to send an echo request,
// what answers mean, and the statistics of round trips. Whoever has the socket asks `tick` and tells
// what came.
//
//   const next = pinger.tick(nowMs)        next.sequence is to be sent, if there is one
//   pinger.onReply(sequence, rttNs)        an answer from the remote
//   pinger.onSendError(message, nowMs)     it could not be sent: again in five seconds
//
// The remote has failed when more than `packetLossMost` requests in a row are without an answer, the last
// of them for an interval. An answer begins the count anew; so does a failure, which lasts until
// something answers. For another address there is another pinger.

import { type Address, formatAddress } from '../net/address.ts'
import { cut } from './problems.ts'
import { RoundTrips } from './round-trips.ts'
import type { PingReport } from './world.ts'

export interface PingerOptions {
  readonly to: Address
  readonly packetLossMost: number
  readonly intervalMs: number
  /** A 16-bit number to begin with. */
  readonly firstSequence: number
}

const sendRetryMs = 5000

export class Pinger {
  readonly #options: PingerOptions
  readonly #roundTrips = new RoundTrips()
  /** Requests without an answer since the last answer or failure. */
  #outstanding: number[] = []
  #nextSequence: number
  #dueMs = Number.NEGATIVE_INFINITY
  #state: PingReport['state'] = 'unknown'
  #message = ''

  constructor(options: PingerOptions) {
    this.#options = options
    this.#nextSequence = options.firstSequence & 0xffff
  }

  /** Call it when `dueMs` has come. `nowMs`: a clock that nobody sets. */
  tick(nowMs: number): { readonly sequence: number } | undefined {
    if (nowMs < this.#dueMs) return undefined
    if (this.#outstanding.length > this.#options.packetLossMost) this.#fail()
    const sequence = this.#nextSequence
    this.#nextSequence = (sequence + 1) & 0xffff
    this.#outstanding.push(sequence)
    this.#dueMs = nowMs + this.#options.intervalMs
    return { sequence }
  }

  get dueMs(): number {
    return this.#dueMs
  }

  /** Answers to what was not asked, twice or too late, count for nothing. */
  onReply(sequence: number, rttNs: number): void {
    const place = this.#outstanding.indexOf(sequence)
    if (place < 0) return
    // Those before it are lost or late; those behind it may still be answered.
    this.#outstanding = this.#outstanding.slice(place + 1)
    this.#roundTrips.add(rttNs)
    this.#state = 'ok'
    this.#message = ''
  }

  /** The last request was not sent. It says nothing of the remote. */
  onSendError(message: string, nowMs: number): void {
    this.#outstanding.pop()
    this.#dueMs = nowMs + sendRetryMs
    this.#state = 'unknown'
    this.#message = cut(`cannot ping ${formatAddress(this.#options.to)}: ${message}`)
  }

  report(): PingReport {
    return { state: this.#state, message: this.#message, latency: this.#roundTrips.latency() }
  }

  #fail(): void {
    this.#outstanding = []
    this.#state = 'failed'
    const to = formatAddress(this.#options.to)
    this.#message = `Failed to successfully ping the remote endpoint IP "${to}"`
  }
}
