// Makes the shared memory of one data path, and keeps the books that let a retired entry be
// reused: quiescent-state reclamation with one breath counter per worker.
//
//   publish -> both read -> overwrite the index -> retire -> the breath ends -> collect -> reuse

import { COUNTER } from './counters.ts'
import {
  CABLE,
  INSTANT,
  limits,
  REMOTE,
  REPLAY,
  type SharedMemory,
  SLOT,
  worker,
} from './shared.ts'

/** Virtual memory of about 200 MB; pages that no cable touches are never resident. */
export function createSharedMemory(): SharedMemory {
  const bytes = (size: number) => new Uint8Array(new SharedArrayBuffer(size))
  const ints = (count: number) => new Int32Array(new SharedArrayBuffer(count * 4))
  const doubles = (count: number) => new Float64Array(new SharedArrayBuffer(count * 8))
  return {
    slots: bytes(limits.slots * SLOT.BYTES),
    replay: bytes(limits.slots * REPLAY.BYTES),
    remotes: bytes(limits.remotes * REMOTE.BYTES),
    indices: ints(limits.indexEntries * 2),
    cables: ints(limits.cables * CABLE.WORDS),
    instants: doubles(limits.cables * INSTANT.WORDS),
    breaths: ints(worker.count),
    counters: Array.from({ length: worker.count }, () =>
      doubles((limits.cables + 1) * COUNTER.WORDS),
    ),
  }
}

/** Marks the begin and the end of a breath of one worker. Sequentially consistent. */
export function stepBreath(memory: SharedMemory, which: number): void {
  Atomics.add(memory.breaths, which, 1)
}

/**
 * Entries of a pool that were retired and wait until the other worker can no longer hold them:
 * it is outside a breath now, or has ended the one that it was in. Used by the inbound worker, the
 * only one that publishes, about the outbound worker, the only other one that reads.
 */
export class RetiredEntries {
  readonly #memory: SharedMemory
  readonly #waiting: { entry: number; breath: number }[] = []

  constructor(memory: SharedMemory) {
    this.#memory = memory
  }

  /** Call it after the last published index of the entry was overwritten. */
  retire(entry: number): void {
    this.#waiting.push({ entry, breath: Atomics.load(this.#memory.breaths, worker.outbound) })
  }

  /** Moves every entry that nobody can hold any more to `free`. */
  collect(free: (entry: number) => void): void {
    const now = Atomics.load(this.#memory.breaths, worker.outbound)
    let kept = 0
    for (const item of this.#waiting) {
      const wasOutside = (item.breath & 1) === 0
      if (wasOutside || item.breath !== now) free(item.entry)
      else this.#waiting[kept++] = item
    }
    this.#waiting.length = kept
  }

  get length(): number {
    return this.#waiting.length
  }
}
