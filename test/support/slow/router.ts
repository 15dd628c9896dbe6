// Longest-prefix match as a list that is searched from end to end: the twin of routing/prefix-trie.ts.

import type { Address, Prefix } from '../../../src/net/address.ts'

export class SlowRouter {
  readonly #routes: { prefix: Prefix; value: number }[] = []

  add(prefix: Prefix, value: number): void {
    this.#routes.push({ prefix, value })
  }

  /** The value of the longest prefix that holds the address, of equals the last; -1 for none. */
  lookup(address: Address): number {
    let [bits, value] = [-1, -1]
    for (const route of this.#routes)
      if (route.prefix.bits >= bits && holds(route.prefix, address)) {
        bits = route.prefix.bits
        value = route.value
      }
    return value
  }
}

function holds(prefix: Prefix, address: Address): boolean {
  if (prefix.family !== address.family) return false
  for (let bit = 0; bit < prefix.bits; bit++)
    if (bitOf(prefix.bytes, bit) !== bitOf(address.bytes, bit)) return false
  return true
}

function bitOf(bytes: Uint8Array, bit: number): number {
  return (bytes[bit >> 3] >> (7 - (bit & 7))) & 1
}
