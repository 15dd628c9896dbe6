// A replay window that remembers every counter: the twin of native/replay.cc.

/** Counters below the newest by more than this are refused: the ring less its newest word. */
export const replayWindow = 8192 - 64

export class SlowReplay {
  readonly #seen = new Set<bigint>()
  #newest = -1n

  accept(counter: bigint): boolean {
    if (this.#seen.has(counter) || counter < this.#newest - BigInt(replayWindow)) return false
    this.#seen.add(counter)
    if (counter > this.#newest) this.#newest = counter
    return true
  }
}
