// The memory between a worker and the reader of one capture: a ring of records with one writer, the
// worker, and one reader, the main thread. It is bounded and lossy. When there is no room a packet is
// counted and forgotten; the writer never waits for the reader and never wakes it.
//
//   reserve -> fill words and bytes -> commit    |    readRing copies out and frees
//
// Positions count bytes modulo 2^32, of which the size of the ring is a divisor. A record never wraps:
// what is left at the end is passed over.

import { limits } from '../tables/shared.ts'
import { RECORD, stage } from './record.ts'

export interface Ring {
  /** HEAD, TAIL. */
  readonly control: Int32Array<SharedArrayBuffer>
  readonly bytes: Uint8Array<SharedArrayBuffer>
  /** Packets lost: row `cable` (limits.cables: none), column `stage`, and in the row behind all. */
  readonly lost: Float64Array<SharedArrayBuffer>
}

/** HEAD is written by the worker alone, TAIL by the reader alone. */
const HEAD = 0
const TAIL = 1

const alignment = 8
/** Of a saturated cable some milliseconds; pages that are never written to are never resident. */
const defaultBytes = 16 * 1024 * 1024

/** Where Ring.lost counts all packets that were lost. */
export const lostTotal = (limits.cables + 1) * stage.count

/** `sizeBytes`: a power of two. */
export function createRing(sizeBytes: number = defaultBytes): Ring {
  return {
    control: new Int32Array(new SharedArrayBuffer(64)),
    bytes: new Uint8Array(new SharedArrayBuffer(sizeBytes)),
    // 400 KB, of which only the pages of cables that lost something are ever touched.
    lost: new Float64Array(new SharedArrayBuffer((lostTotal + 1) * 8)),
  }
}

export class RingWriter {
  readonly bytes: Uint8Array
  readonly words: Int32Array
  readonly #ring: Ring
  #head: number
  #next = 0

  constructor(ring: Ring) {
    this.#ring = ring
    this.bytes = ring.bytes
    this.words = new Int32Array(ring.bytes.buffer)
    this.#head = Atomics.load(ring.control, HEAD)
  }

  /** Room for a record with so many bytes: its first word, or -1. */
  reserve(storedBytes: number): number {
    const size = this.bytes.length
    const length = (RECORD.BYTES + storedBytes + alignment - 1) & -alignment
    const at = this.#head & (size - 1)
    const passed = at + length > size ? size - at : 0
    const used = (this.#head - Atomics.load(this.#ring.control, TAIL)) >>> 0
    if (used + passed + length > size) return -1
    if (passed > 0) this.words[(at >> 2) + RECORD.LENGTH] = 0
    this.#next = (this.#head + passed + length) | 0
    const word = (passed > 0 ? 0 : at) >> 2
    this.words[word + RECORD.LENGTH] = length
    this.words[word + RECORD.STORED] = storedBytes
    return word
  }

  /** Shows the record to the reader. */
  commit(): void {
    this.#head = this.#next
    Atomics.store(this.#ring.control, HEAD, this.#head)
  }

  lose(cable: number, stageCode: number, packets: number): void {
    this.#ring.lost[cable * stage.count + stageCode] += packets
    this.#ring.lost[lostTotal] += packets
  }
}

/**
 * Takes whole records out of the ring: about `bytesMax` bytes, and none that is later than `untilMs`
 * by the wall clock.
 */
export function readRing(
  ring: Ring,
  bytesMax: number,
  untilMs: number = Number.POSITIVE_INFINITY,
): Uint8Array {
  const { parts, bytes, position } = walkRing(ring, bytesMax, untilMs)
  const copy = new Uint8Array(bytes)
  let at = 0
  for (const part of parts) {
    copy.set(part, at)
    at += part.length
  }
  Atomics.store(ring.control, TAIL, position)
  return copy
}

/** What several rings held, in the order of time. Each part is in order. */
export function mergeRecords(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]
  const merged = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  const words = parts.map(part => new Int32Array(part.buffer, part.byteOffset, part.length >> 2))
  const next = parts.map(() => 0)
  let at = 0
  while (at < merged.length) {
    let first = -1
    let firstMs = Number.POSITIVE_INFINITY
    for (let i = 0; i < parts.length; i++) {
      if (next[i] === parts[i].length) continue
      const ms = instantMs(words[i], next[i] >> 2)
      if (first >= 0 && ms >= firstMs) continue
      first = i
      firstMs = ms
    }
    const length = words[first][(next[first] >> 2) + RECORD.LENGTH]
    merged.set(parts[first].subarray(next[first], next[first] + length), at)
    next[first] += length
    at += length
  }
  return merged
}

/** The instant of the last record that readRing would take if some were left behind it, else Infinity. */
export function endOfRead(ring: Ring, bytesMax: number): number {
  const head = Atomics.load(ring.control, HEAD)
  const { position, lastMs } = walkRing(ring, bytesMax, Number.POSITIVE_INFINITY)
  return position === head ? Number.POSITIVE_INFINITY : lastMs
}

interface Walk {
  /** Records that lie side by side. */
  readonly parts: readonly Uint8Array[]
  readonly bytes: number
  /** Behind them. */
  readonly position: number
  readonly lastMs: number
}

function walkRing({ control, bytes }: Ring, bytesMax: number, untilMs: number): Walk {
  const size = bytes.length
  const words = new Int32Array(bytes.buffer)
  const head = Atomics.load(control, HEAD)
  const parts: Uint8Array[] = []
  let position = Atomics.load(control, TAIL)
  let start = position & (size - 1)
  let end = start
  let taken = 0
  let lastMs = 0
  while (position !== head && taken < bytesMax) {
    const length = words[(end >> 2) + RECORD.LENGTH]
    if (length > 0) {
      const ms = instantMs(words, end >> 2)
      if (ms > untilMs) break
      lastMs = ms
      end += length
      taken += length
      position = (position + length) | 0
    } else position = (position + size - end) | 0
    if (length > 0 && end < size) continue
    parts.push(bytes.subarray(start, end))
    start = 0
    end = 0
  }
  parts.push(bytes.subarray(start, end))
  return { parts, bytes: taken, position, lastMs }
}

function instantMs(words: Int32Array, word: number): number {
  return (words[word + RECORD.SECONDS] >>> 0) * 1000 + words[word + RECORD.NANOS] / 1e6
}
