// ICMP errors that go back to the sender of a packet, through the TUN device. They are collected in a
// batch of their own during a breath and written at its end; what finds no room is counted.

import type { Tap } from '../capture/tap.ts'
import type { BreathFunctions, Context, ContextMemory } from '../native.ts'
import { ROW, ROW_HEADROOM } from '../packet/batch.ts'
import {
  buildIcmpError,
  type IcmpError,
  IcmpRateLimiter,
  icmpError,
  icmpErrorBytes,
} from '../packet/icmp-error.ts'
import type { PacketView } from '../packet/packet-view.ts'
import { COUNTER, drop, noCable } from '../tables/counters.ts'

export class Answers {
  readonly #context: Context
  readonly #batch: ContextMemory
  readonly #tap: Tap
  readonly #limiter = new IcmpRateLimiter()
  #count = 0
  #nowMs = 0

  constructor(context: Context, batch: ContextMemory, tap: Tap) {
    this.#context = context
    this.#tap = tap
    this.#batch = batch
  }

  /** Call it at the begin of a breath. */
  begin(nowMs: number): void {
    this.#nowMs = nowMs
  }

  /** No cable, or one without a remote: host or address unreachable, as the Linux driver says it. */
  unreachable(packet: PacketView): void {
    this.#add(icmpError.hostUnreachable, packet, 0)
  }

  tooBig(packet: PacketView, mtuBytes: number): void {
    this.#add(icmpError.tooBig, packet, mtuBytes)
  }

  /** Writes the answers of this breath. */
  flush(native: BreathFunctions, tunFd: number): void {
    if (this.#count === 0) return
    if (this.#tap.isOn) this.#tap.rows(this.#batch, this.#count, false)
    native.writeTun(this.#context, tunFd, 0, this.#count)
    this.#count = 0
  }

  #add(kind: IcmpError, packet: PacketView, mtuBytes: number): void {
    const { rows, slab, counters } = this.#batch
    const at = this.#count * ROW.WORDS
    const offset = ROW_HEADROOM + this.#count * icmpErrorBytes
    if (at === rows.length || !this.#limiter.allow(packet, this.#nowMs)) {
      counters[noCable * COUNTER.WORDS + drop.icmpRateLimited]++
      return
    }
    const { offset: source, totalLength } = packet
    const bytes = buildIcmpError(kind, packet.slab, source, totalLength, mtuBytes, slab, offset)
    if (bytes === 0) return
    rows.fill(0, at, at + ROW.WORDS)
    rows[at + ROW.OFFSET] = offset
    rows[at + ROW.LENGTH] = bytes
    rows[at + ROW.CABLE] = -1
    this.#count++
    counters[noCable * COUNTER.WORDS + COUNTER.ICMP_SENT]++
  }
}
