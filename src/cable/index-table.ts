// Receiver index -> key slot: open addressing with linear probing over shared words, laid out as
// shared.ts says, because native `open` looks datagrams up in it. Never more than half full
// (limits.indexEntries is twice limits.slots), so a search ends.

import { limits } from '../tables/shared.ts'

const mask = limits.indexEntries - 1
const shift = 32 - Math.log2(limits.indexEntries)

function home(index: number): number {
  return Math.imul(index, 0x9e3779b1) >>> shift
}

export class IndexTable {
  readonly #words: Int32Array

  constructor(words: Int32Array) {
    this.#words = words
  }

  set(index: number, slot: number): void {
    const at = this.#find(index)
    this.#words[at * 2] = index | 0
    this.#words[at * 2 + 1] = slot + 1
  }

  /** The slot of an index, or -1. */
  get(index: number): number {
    return this.#words[this.#find(index) * 2 + 1] - 1
  }

  /** Forgets an index; entries behind it move up so that no search breaks off early. */
  delete(index: number): void {
    let hole = this.#find(index)
    if (this.#words[hole * 2 + 1] === 0) return
    for (let next = (hole + 1) & mask; this.#words[next * 2 + 1] !== 0; next = (next + 1) & mask) {
      const wanted = home(this.#words[next * 2])
      // The entry may move into the hole unless its home lies behind the hole.
      if (((next - wanted) & mask) < ((next - hole) & mask)) continue
      this.#words[hole * 2] = this.#words[next * 2]
      this.#words[hole * 2 + 1] = this.#words[next * 2 + 1]
      hole = next
    }
    this.#words[hole * 2] = 0
    this.#words[hole * 2 + 1] = 0
  }

  #find(index: number): number {
    let at = home(index)
    while (this.#words[at * 2 + 1] !== 0 && this.#words[at * 2] !== (index | 0)) {
      at = (at + 1) & mask
    }
    return at
  }
}
