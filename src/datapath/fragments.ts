// IPv4 packets with DF clear that do not fit their cable are fragmented here, into the side batch,
// and sent at the end of the breath (RFC 791). This is the slow path.

import type { ContextMemory } from '../native.ts'
import { ROW, ROW_HEADROOM } from '../packet/batch.ts'
import { finishChecksum } from '../packet/checksum.ts'
import { fragmentIpv4 } from '../packet/fragment.ts'

export class Fragments {
  readonly #batch: ContextMemory
  /** Pairs (offset, length) that fragmentIpv4 writes. */
  readonly #pieces = new Int32Array(2 * 64)
  #count = 0
  #end = ROW_HEADROOM

  constructor(batch: ContextMemory) {
    this.#batch = batch
  }

  get count(): number {
    return this.#count
  }

  /** The number of rows that are ready in the side batch; the next fragment starts anew. */
  take(): number {
    const count = this.#count
    this.#count = 0
    this.#end = ROW_HEADROOM
    return count
  }

  /** Fragments a row whose slot, remote and socket are set. False: it cannot be, or there is no room. */
  add(from: ContextMemory, base: number, mtuBytes: number): boolean {
    if (from.rows[base + ROW.GSO] !== 0) return false
    const { rows, slab } = this.#batch
    const offset = from.rows[base + ROW.OFFSET]
    const length = from.rows[base + ROW.LENGTH]
    const csum = from.rows[base + ROW.CSUM]
    if (csum !== 0) finishChecksum(from.slab, offset, length, csum & 0xffff, csum >>> 16)
    const pieces = this.#pieces
    const made = fragmentIpv4(from.slab, offset, length, mtuBytes, slab, this.#end, pieces)
    if (made === 0 || (this.#count + made) * ROW.WORDS > rows.length) return false
    for (let i = 0; i < made; i++) {
      const at = this.#count++ * ROW.WORDS
      for (let word = 0; word < ROW.WORDS; word++) rows[at + word] = from.rows[base + word]
      rows[at + ROW.DROP] = 0
      rows[at + ROW.CSUM] = 0
      rows[at + ROW.OFFSET] = pieces[2 * i]
      rows[at + ROW.LENGTH] = pieces[2 * i + 1]
      rows[at + ROW.SEGMENTS] = 1
      this.#end = (pieces[2 * i] + pieces[2 * i + 1] + 2 * ROW_HEADROOM - 1) & -ROW_HEADROOM
    }
    return true
  }
}
