// IPv4 packets with DF clear that do not fit their cable are fragmented here, into the side batch,
// and sent from there (RFC 791). A superpacket is cut into its segments before, each of which makes
// fragments of its own: to the receiver it is the same as if they had come one by one. This is the
// slow path.

import type { ContextMemory } from '../native.ts'
import { ROW, ROW_BYTES, ROW_HEADROOM } from '../packet/batch.ts'
import { finishChecksum } from '../packet/checksum.ts'
import { fragmentIpv4 } from '../packet/fragment.ts'
import { PacketView } from '../packet/packet-view.ts'
import { writeSegment4 } from '../packet/segment.ts'

export class Fragments {
  readonly #batch: ContextMemory
  /** Pairs (offset, length) that fragmentIpv4 writes. */
  readonly #pieces = new Int32Array(2 * 64)
  readonly #segment = new PacketView(new Uint8Array(ROW_BYTES))
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

  /**
   * Fragments a row whose slot, remote and socket are set, all of it or nothing. False: it cannot be,
   * or there is no room behind what was added before.
   */
  add(from: ContextMemory, base: number, mtuBytes: number): boolean {
    const count = this.#count
    const end = this.#end
    const { rows } = from
    const isSuper = rows[base + ROW.GSO] !== 0
    if (isSuper ? this.#addSegments(from, base, mtuBytes) : this.#addLone(from, base, mtuBytes)) {
      return true
    }
    this.#count = count
    this.#end = end
    return false
  }

  #addLone(from: ContextMemory, base: number, mtuBytes: number): boolean {
    const { rows, slab } = from
    const offset = rows[base + ROW.OFFSET]
    const length = rows[base + ROW.LENGTH]
    const csum = rows[base + ROW.CSUM]
    if (csum !== 0) finishChecksum(slab, offset, length, csum & 0xffff, csum >>> 16)
    return this.#cut(from, base, slab, offset, length, mtuBytes)
  }

  #addSegments(from: ContextMemory, base: number, mtuBytes: number): boolean {
    const { rows, slab } = from
    const offset = rows[base + ROW.OFFSET]
    const length = rows[base + ROW.LENGTH]
    const headers = rows[base + ROW.HEADER_LENGTH]
    const size = rows[base + ROW.GSO_SIZE]
    for (let index = 0; index < rows[base + ROW.SEGMENTS]; index++) {
      const segment = this.#segment
      const bytes = writeSegment4(slab, offset, length, headers, size, index, segment)
      if (bytes === 0 || !this.#cut(from, base, segment.slab, 0, bytes, mtuBytes)) return false
    }
    return true
  }

  /** Fragments one packet, whose checksum is finished, behind what is in the side batch. */
  #cut(
    from: ContextMemory,
    base: number,
    packet: Uint8Array,
    offset: number,
    length: number,
    mtuBytes: number,
  ): boolean {
    const { rows, slab } = this.#batch
    const pieces = this.#pieces
    const made = fragmentIpv4(packet, offset, length, mtuBytes, slab, this.#end, pieces)
    if (made === 0 || (this.#count + made) * ROW.WORDS > rows.length) return false
    for (let i = 0; i < made; i++) {
      const at = this.#count++ * ROW.WORDS
      for (let word = 0; word < ROW.WORDS; word++) rows[at + word] = from.rows[base + word]
      rows[at + ROW.DROP] = 0
      rows[at + ROW.GSO] = 0
      rows[at + ROW.GSO_SIZE] = 0
      rows[at + ROW.HEADER_LENGTH] = 0
      rows[at + ROW.CSUM] = 0
      rows[at + ROW.OFFSET] = pieces[2 * i]
      rows[at + ROW.LENGTH] = pieces[2 * i + 1]
      rows[at + ROW.SEGMENTS] = 1
    }
    // Sealing reads the pieces from where they are; nothing of them may be overwritten before.
    const last = 2 * (made - 1)
    this.#end = (pieces[last] + pieces[last + 1] + 2 * ROW_HEADROOM - 1) & -ROW_HEADROOM
    return true
  }
}
