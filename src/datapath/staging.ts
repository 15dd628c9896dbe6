// Packets that wait for a key (a handshake, or ARP on a VXLAN cable). Bounded three ways; the oldest
// goes first and is counted. This is the slow path: here packets are copied and objects are made.

import { ROW, segmentBytes } from '../packet/batch.ts'

export const stagingLimits = {
  segmentsPerCable: 128,
  bytesPerCable: 256 * 1024,
  bytes: 16 * 1024 * 1024,
} as const

interface StagedPacket {
  readonly bytes: Uint8Array
  /** The words of its row; offset excepted, they hold. */
  readonly row: Int32Array
}

interface Queue {
  packets: StagedPacket[]
  segments: number
  bytes: number
  /** The value of CABLE.GAVE_UP when the queue began. */
  gaveUp: number
}

export class Staging {
  readonly #queues = new Map<number, Queue>()
  readonly #bytesMost: number
  #bytes = 0

  /** `pairs`: so many outbound workers share the memory for all cables. */
  constructor(pairs = 1) {
    this.#bytesMost = stagingLimits.bytes / pairs
  }

  /** Cables with waiting packets. */
  get cables(): IterableIterator<number> {
    return this.#queues.keys()
  }

  get isEmpty(): boolean {
    return this.#queues.size === 0
  }

  gaveUpMark(cable: number): number {
    return this.#queues.get(cable)?.gaveUp ?? 0
  }

  /** Copies a packet in. Returns how many packets were dropped to make room (itself included). */
  add(cable: number, slab: Uint8Array, rows: Int32Array, base: number, gaveUp: number): number {
    const length = rows[base + ROW.LENGTH]
    const offset = rows[base + ROW.OFFSET]
    const segments = Math.max(1, rows[base + ROW.SEGMENTS])
    if (segments > stagingLimits.segmentsPerCable) return segments
    let queue = this.#queues.get(cable)
    if (!queue) {
      queue = { packets: [], segments: 0, bytes: 0, gaveUp }
      this.#queues.set(cable, queue)
    }
    queue.packets.push({
      bytes: slab.slice(offset, offset + length),
      row: rows.slice(base, base + ROW.WORDS),
    })
    queue.segments += segments
    queue.bytes += length
    this.#bytes += length
    const dropped = this.#trim(queue)
    if (queue.packets.length === 0) this.#queues.delete(cable)
    return dropped
  }

  /** Bytes of the largest packet that the oldest row of a cable makes; 0 when none waits. */
  nextBytes(cable: number): number {
    const packet = this.#queues.get(cable)?.packets[0]
    return packet ? segmentBytes(packet.row, 0) : 0
  }

  /** Takes the oldest packet into `slab` at `offset`, its words into `rows`. False: none is left. */
  take(cable: number, slab: Uint8Array, offset: number, rows: Int32Array, base: number): boolean {
    const queue = this.#queues.get(cable)
    const packet = queue?.packets[0]
    if (!queue || !packet || offset + packet.bytes.length > slab.length) return false
    this.#shift(queue)
    if (queue.packets.length === 0) this.#queues.delete(cable)
    slab.set(packet.bytes, offset)
    rows.set(packet.row, base)
    rows[base + ROW.OFFSET] = offset
    return true
  }

  /** Forgets a cable's packets. Returns how many segments that were. */
  dropAll(cable: number): number {
    const queue = this.#queues.get(cable)
    if (!queue) return 0
    this.#queues.delete(cable)
    this.#bytes -= queue.bytes
    for (const packet of queue.packets) packet.bytes.fill(0)
    return queue.segments
  }

  #trim(queue: Queue): number {
    let dropped = 0
    while (
      queue.segments > stagingLimits.segmentsPerCable ||
      queue.bytes > stagingLimits.bytesPerCable ||
      this.#bytes > this.#bytesMost
    ) {
      dropped += Math.max(1, this.#shift(queue).row[ROW.SEGMENTS])
    }
    return dropped
  }

  #shift(queue: Queue): StagedPacket {
    const packet = queue.packets.shift() as StagedPacket
    queue.segments -= Math.max(1, packet.row[ROW.SEGMENTS])
    queue.bytes -= packet.bytes.length
    this.#bytes -= packet.bytes.length
    return packet
  }
}
