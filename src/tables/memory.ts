// Makes the shared memory of one data path, and keeps the books that let a retired entry be
// reused: quiescent-state reclamation with one breath counter per worker.
//
//   publish -> others read -> overwrite the index -> retire -> the breath ends -> collect -> reuse

import { COUNTER } from './counters.ts'
import {
  CABLE,
  HANDOVERS,
  INSTANT,
  limits,
  REMOTE,
  REPLAY,
  type SharedMemory,
  SLOT,
  worker,
} from './shared.ts'

/**
 * Virtual memory of about 200 MB, and 20 MB for each further pair; pages that no cable touches are
 * never resident. As pair 0 sees it.
 */
export function createSharedMemory(pairs = 1): SharedMemory {
  const bytes = (size: number) => new Uint8Array(new SharedArrayBuffer(size))
  const ints = (count: number) => new Int32Array(new SharedArrayBuffer(count * 4))
  const doubles = (count: number) => new Float64Array(new SharedArrayBuffer(count * 8))
  const instants = doubles(limits.cables * INSTANT.WORDS)
  const ofOthers = Array.from({ length: pairs - 1 }, () => doubles(instants.length))
  return {
    pairs,
    pair: 0,
    slots: bytes(limits.slots * SLOT.BYTES),
    replay: bytes(limits.slots * REPLAY.BYTES),
    remotes: bytes(limits.remotes * REMOTE.BYTES),
    indices: ints(limits.indexEntries * 2),
    cables: ints(limits.cables * CABLE.WORDS),
    instants,
    sent: [instants, ...ofOthers],
    handovers: Array.from({ length: pairs }, () => bytes(HANDOVERS.BYTES)),
    breaths: ints(pairs * worker.count),
    counters: Array.from({ length: pairs * worker.count }, () =>
      doubles((limits.cables + 1) * COUNTER.WORDS),
    ),
  }
}

/** The same memory as another pair sees it. Its receiver indices are nobody else's. */
export function viewOfPair(memory: SharedMemory, pair: number): SharedMemory {
  if (pair === memory.pair) return memory
  const indices = new Int32Array(new SharedArrayBuffer(memory.indices.byteLength))
  return { ...memory, pair, indices }
}

/** The part of a pool of `size` entries that is a pair's: [first, end). */
export function partOfPair(memory: SharedMemory, size: number): { first: number; end: number } {
  const share = size / memory.pairs
  return { first: memory.pair * share, end: (memory.pair + 1) * share }
}

/** Marks the begin and the end of a breath of one worker. Sequentially consistent. */
export function stepBreath(memory: SharedMemory, which: number): void {
  Atomics.add(memory.breaths, memory.pair * worker.count + which, 1)
}

/**
 * Entries of a pool that were retired and wait until no other worker can hold them any more: each
 * is outside a breath now, or has ended the one that it was in. Used by the inbound worker that owns
 * the pool, about the outbound workers, the only others that read it.
 */
export class RetiredEntries {
  readonly #memory: SharedMemory
  readonly #waiting: { readonly entry: number; readonly breaths: readonly number[] }[] = []

  constructor(memory: SharedMemory) {
    this.#memory = memory
  }

  /** Call it after the last published index of the entry was overwritten. */
  retire(entry: number): void {
    const { pairs } = this.#memory
    const breaths = Array.from({ length: pairs }, (_, pair) => this.#outboundBreath(pair))
    this.#waiting.push({ entry, breaths })
  }

  /** Moves every entry that nobody can hold any more to `free`. */
  collect(free: (entry: number) => void): void {
    let kept = 0
    for (const item of this.#waiting) {
      if (this.#isPast(item.breaths)) free(item.entry)
      else this.#waiting[kept++] = item
    }
    this.#waiting.length = kept
  }

  get length(): number {
    return this.#waiting.length
  }

  /** Whether every outbound worker was outside a breath then, or has ended that breath. */
  #isPast(breaths: readonly number[]): boolean {
    for (let pair = 0; pair < breaths.length; pair++) {
      const isInside = (breaths[pair] & 1) === 1
      if (isInside && breaths[pair] === this.#outboundBreath(pair)) return false
    }
    return true
  }

  #outboundBreath(pair: number): number {
    return Atomics.load(this.#memory.breaths, pair * worker.count + worker.outbound)
  }
}
