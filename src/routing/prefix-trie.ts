// Longest-prefix match for IPv4 and IPv6 in one immutable table of words. Built once per snapshot on
// the cold path, put into shared memory, and read by both workers without locks.
//
//   buildTrie(prefixes) -> PrefixTable (posted to the workers) -> new PrefixTrie(table).lookup…

import assert from 'node:assert/strict'
import type { Family, Prefix } from '../net/address.ts'
import { read32 } from '../packet/bytes.ts'

export interface PrefixEntry {
  readonly prefix: Prefix
  /** 0 … 2^31 - 3; the index of a cable. */
  readonly value: number
}

/**
 * A word is a leaf when negative, -(value + 2), and so -1 for "no prefix". Otherwise it is twice
 * the index of a node, plus 1 for a path:
 *
 *   branch   16 words, by the next 4 bits of the address. Prefixes that end in it are spread over
 *            the words that they cover, so a lookup reads one word a node and never steps back.
 *   path     compares all bits that the prefixes below have in common at once, and stands for a
 *            chain of branches with a single way on:
 *              IPv4: | next | miss | shift | key | mask |
 *              IPv6: | next | miss | bit | key, 4 words | mask, 4 words |
 *            `next` where the masked address equals the key, the leaf `miss` where not. The next
 *            branch looks at the 4 bits from `bit` on; for IPv4, those that `shift` leaves.
 *
 * The table begins with 4 words: the roots of IPv4 and IPv6, two spare.
 *
 * Memory: with n prefixes there are fewer than 2n branches (each has two ways on or ends a prefix),
 * and in front of each branch and each prefix at most one path: below 2n * 64 + 3n * 44 bytes, 260
 * a prefix at the very worst. 100 000 random IPv6 prefixes take less than 7 MB, where branches alone
 * (no paths) would take 80 to 175 MB.
 */
export interface PrefixTable {
  readonly words: Int32Array<SharedArrayBuffer>
}

/** Words of the table's head, and of a node. */
const HEAD = { ROOT4: 0, ROOT6: 1, WORDS: 4 } as const
const BRANCH_WORDS = 16
const PATH = { NEXT: 0, MISS: 1, SHIFT4: 2, BIT6: 2, KEY: 3, MASK4: 4, MASK6: 7 } as const
const PATH_WORDS = { 4: 5, 6: 11 } as const
const noPrefix = -1

/** Builds the table. Host bits do not count; of a prefix given twice the last value holds. */
export function buildTrie(entries: Iterable<PrefixEntry>): PrefixTable {
  const all = [...entries]
  const builder = new TrieBuilder()
  const root4 = builder.build(all, 4)
  const root6 = builder.build(all, 6)
  return { words: builder.finish(root4, root6) }
}

/** Reads a table. Each worker has its own reader. */
export class PrefixTrie {
  readonly #words: Int32Array

  constructor(table: PrefixTable) {
    this.#words = table.words
  }

  /**
   * The value of the longest prefix that holds the address (host order), or -1. Callers on the packet
   * path give it as a signed word: a larger number would be put on the heap to be handed over.
   */
  lookup4(address: number): number {
    const words = this.#words
    let word = words[HEAD.ROOT4]
    let shift = 28
    while (word >= 0) {
      const node = word >>> 1
      if ((word & 1) === 0) {
        word = words[node + ((address >>> shift) & 15)]
        shift -= 4
      } else if (((address ^ words[node + PATH.KEY]) & words[node + PATH.MASK4]) === 0) {
        word = words[node + PATH.NEXT]
        shift = words[node + PATH.SHIFT4]
      } else word = words[node + PATH.MISS]
    }
    return -word - 2
  }

  /** The same for the 16 bytes in network order at `offset`. */
  lookup6(bytes: Uint8Array, offset: number): number {
    const words = this.#words
    let word = words[HEAD.ROOT6]
    let bit = 0
    while (word >= 0) {
      const node = word >>> 1
      if ((word & 1) === 0) {
        word = words[node + ((bytes[offset + (bit >>> 3)] >> (~bit & 4)) & 15)]
        bit += 4
      } else if (matches6(words, node, bytes, offset)) {
        word = words[node + PATH.NEXT]
        bit = words[node + PATH.BIT6]
      } else word = words[node + PATH.MISS]
    }
    return -word - 2
  }
}

function matches6(words: Int32Array, node: number, bytes: Uint8Array, offset: number): boolean {
  const key = node + PATH.KEY
  const mask = node + PATH.MASK6
  for (let i = 0; i < 4; i++) {
    const word = read32(bytes, offset + i * 4)
    if (((word ^ words[key + i]) & words[mask + i]) !== 0) return false
  }
  return true
}

/**
 * The prefixes of one family as columns, sorted by key and then by length: so that a prefix comes
 * before all that lie within it, and those within it follow in one run.
 */
class SortedPrefixes {
  readonly family: Family
  readonly count: number
  /** Words of a key, 1 or 4, host bits cleared. */
  readonly keyWords: number
  readonly keys: Int32Array
  readonly bits: Uint8Array
  readonly values: Int32Array

  constructor(entries: readonly PrefixEntry[], family: Family) {
    this.family = family
    this.keyWords = family === 4 ? 1 : 4
    const mine = entries.filter(entry => entry.prefix.family === family)
    const keys = new Int32Array(mine.length * this.keyWords)
    for (const [i, { prefix, value }] of mine.entries()) {
      assert(prefix.bits >= 0 && prefix.bits <= this.keyWords * 32)
      assert(Number.isInteger(value) && value >= 0 && value < 0x7fff_fffe)
      for (let w = 0; w < this.keyWords; w++) {
        const word = read32(prefix.bytes, w * 4)
        keys[i * this.keyWords + w] = word & maskWord(prefix.bits - w * 32)
      }
    }
    const order = this.#sort(keys, mine)
    this.count = order.length
    this.keys = new Int32Array(this.count * this.keyWords)
    this.bits = Uint8Array.from(order, i => mine[i].prefix.bits)
    this.values = Int32Array.from(order, i => mine[i].value)
    for (const [to, from] of order.entries())
      for (let w = 0; w < this.keyWords; w++)
        this.keys[to * this.keyWords + w] = keys[from * this.keyWords + w]
  }

  /** The 4 bits of prefix `i` from `bit` on. */
  nibble(i: number, bit: number): number {
    return (this.keys[i * this.keyWords + (bit >>> 5)] >>> (28 - (bit & 31))) & 15
  }

  /** How many leading bits two keys have in common. */
  commonBits(i: number, j: number): number {
    for (let w = 0; w < this.keyWords; w++) {
      const differing = this.keys[i * this.keyWords + w] ^ this.keys[j * this.keyWords + w]
      if (differing !== 0) return w * 32 + Math.clz32(differing)
    }
    return this.keyWords * 32
  }

  /** Indices into `mine` in order, without those that a later one of the same prefix replaces. */
  #sort(keys: Int32Array, mine: readonly PrefixEntry[]): Uint32Array {
    const width = this.keyWords
    const comparePrefix = (i: number, j: number): number => {
      for (let w = 0; w < width; w++) {
        const difference = (keys[i * width + w] >>> 0) - (keys[j * width + w] >>> 0)
        if (difference !== 0) return difference
      }
      return mine[i].prefix.bits - mine[j].prefix.bits
    }
    const order = Uint32Array.from(mine, (_, i) => i)
    order.sort((i, j) => comparePrefix(i, j) || i - j)
    return order.filter((i, at) => at + 1 === order.length || comparePrefix(i, order[at + 1]) !== 0)
  }
}

class TrieBuilder {
  #words = new Int32Array(1024)
  #used: number = HEAD.WORDS
  #sorted = new SortedPrefixes([], 4)

  build(entries: readonly PrefixEntry[], family: Family): number {
    this.#sorted = new SortedPrefixes(entries, family)
    return this.#node(0, this.#sorted.count, 0, noPrefix)
  }

  finish(root4: number, root6: number): Int32Array<SharedArrayBuffer> {
    const words = new Int32Array(new SharedArrayBuffer(this.#used * 4))
    words.set(this.#words.subarray(0, this.#used))
    words[HEAD.ROOT4] = root4
    words[HEAD.ROOT6] = root6
    return words
  }

  /**
   * The word for prefixes [from, end), which have the first `bit` bits in common and end there or
   * behind; `inherited` is the leaf of the longest prefix that ended before.
   */
  #node(from: number, end: number, bit: number, inherited: number): number {
    const { bits } = this.#sorted
    // Only the first can end here: a shorter one sorts first, and none is there twice.
    if (from < end && bits[from] === bit) inherited = this.#leaf(from++)
    if (from === end) return inherited
    if (end - from === 1) return this.#path(from, bits[from], this.#leaf(from), inherited)
    // A path must not step over the end of a prefix, and the first is the shortest of those that
    // end within the common bits.
    const common = Math.min(this.#sorted.commonBits(from, end - 1), bits[from])
    const pathBits = common & ~3
    if (pathBits === bit) return this.#branch(from, end, bit, inherited)
    const path = this.#path(from, pathBits, noPrefix, inherited)
    const next = this.#node(from, end, pathBits, inherited)
    this.#words[(path >>> 1) + PATH.NEXT] = next
    return path
  }

  #branch(from: number, end: number, bit: number, inherited: number): number {
    const sorted = this.#sorted
    const node = this.#allocate(BRANCH_WORDS)
    this.#words.fill(inherited, node, node + BRANCH_WORDS)
    let i = from
    for (let slot = 0; slot < BRANCH_WORDS; slot++) {
      // Those that end inside the branch sort before those that lie within them: longer ones paint
      // over shorter ones.
      for (; i < end && sorted.nibble(i, bit) === slot && sorted.bits[i] < bit + 4; i++) {
        const covered = 1 << (bit + 4 - sorted.bits[i])
        this.#words.fill(this.#leaf(i), node + slot, node + slot + covered)
      }
      const first = i
      while (i < end && sorted.nibble(i, bit) === slot) i++
      if (i === first) continue
      const child = this.#node(first, i, bit + 4, this.#words[node + slot])
      this.#words[node + slot] = child
    }
    return node * 2
  }

  /** A path over the first `pathBits` bits of prefix `i`. */
  #path(i: number, pathBits: number, next: number, miss: number): number {
    const { family, keys, keyWords } = this.#sorted
    const node = this.#allocate(PATH_WORDS[family])
    const words = this.#words
    words[node + PATH.NEXT] = next
    words[node + PATH.MISS] = miss
    words[node + PATH.BIT6] = family === 6 ? pathBits : 28 - pathBits
    for (let w = 0; w < keyWords; w++) {
      const mask = maskWord(pathBits - w * 32)
      words[node + PATH.KEY + w] = keys[i * keyWords + w] & mask
      words[node + PATH.KEY + keyWords + w] = mask
    }
    return node * 2 + 1
  }

  #leaf(i: number): number {
    return -this.#sorted.values[i] - 2
  }

  #allocate(count: number): number {
    const node = this.#used
    this.#used += count
    // Twice the index of a node must be a positive word.
    assert(this.#used < 2 ** 30)
    if (this.#used > this.#words.length) {
      const larger = new Int32Array(this.#words.length * 2)
      larger.set(this.#words)
      this.#words = larger
    }
    return node
  }
}

/** A word with its first `bits` bits set, for any number of bits. */
function maskWord(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? -1 : -1 << (32 - bits)
}
