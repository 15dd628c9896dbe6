// Whose subnets are whose. A book of prefixes that do not overlap, each with an owner: whoever claims
// first has it, and a claim that overlaps another owner's, in either direction, is refused whole.
//
// The prefixes of a family are sorted, so whatever overlaps a prefix stands beside the place where it
// would be put.

import { type Prefix, parsePrefix } from '../net/address.ts'
import { contains, overlaps } from '../net/prefix.ts'

interface Entry {
  readonly prefix: Prefix
  readonly owner: string
}

/** A claim that was refused, and the claim that stands in its way. */
export interface Refusal {
  readonly prefix: Prefix
  readonly by: Entry
}

export class SubnetBook {
  readonly #entries: Readonly<Record<4 | 6, Entry[]>> = { 4: [], 6: [] }

  /** Claims what is not another's, once for each owner. Returns what is. */
  claim(prefixes: readonly Prefix[], owner: string): readonly Refusal[] {
    const refused: Refusal[] = []
    // The widest first: those within them need no entry of their own.
    for (const prefix of [...prefixes].sort((a, b) => a.bits - b.bits)) {
      const by = this.#overlapping(prefix, owner)
      if (by !== undefined) refused.push({ prefix, by })
      else if (this.ownerOf(prefix) === undefined) this.#insert(prefix, owner)
    }
    return refused
  }

  /** Who has the whole of a prefix. */
  ownerOf(prefix: Prefix): string | undefined {
    const entries = this.#entries[prefix.family]
    const before = entries[placeOf(entries, prefix) - 1]
    return before !== undefined && contains(before.prefix, prefix) ? before.owner : undefined
  }

  /** Another's than `owner`'s that has a part of the prefix. */
  #overlapping(prefix: Prefix, owner: string): Entry | undefined {
    const entries = this.#entries[prefix.family]
    const place = placeOf(entries, prefix)
    const before = entries[place - 1]
    if (before !== undefined && overlaps(before.prefix, prefix) && before.owner !== owner) {
      return before
    }
    for (let at = place; at < entries.length && contains(prefix, entries[at].prefix); at++) {
      if (entries[at].owner !== owner) return entries[at]
    }
    return undefined
  }

  #insert(prefix: Prefix, owner: string): void {
    const entries = this.#entries[prefix.family]
    entries.splice(placeOf(entries, prefix), 0, { prefix, owner })
  }
}

/** The index of the first entry that begins behind the begin of the prefix. */
function placeOf(entries: readonly Entry[], prefix: Prefix): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (Buffer.compare(entries[middle].prefix.bytes, prefix.bytes) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

/** What a cluster has that others can reach: with Globalnet, global CIDRs in place of IPv4. */
export function publishedSubnets(lists: CidrLists): readonly Prefix[] {
  const own = [...lists.serviceCidrs, ...lists.clusterCidrs]
  if (lists.globalCidrs.length === 0) return own
  return [...lists.globalCidrs, ...own.filter(({ family }) => family === 6)]
}

export interface CidrLists {
  readonly clusterCidrs: readonly Prefix[]
  readonly serviceCidrs: readonly Prefix[]
  readonly globalCidrs: readonly Prefix[]
}

/** Where nobody's pods can be: a route there would take packets that the node itself needs. */
export const reservedSubnets: readonly Prefix[] = [
  ...['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '255.255.255.255/32'],
  // The route agents' overlay, and the addresses inside VXLAN cables.
  ...['240.0.0.0/8', '241.0.0.0/8'],
  // ::1 and what is written in IPv6 but is none.
  ...['::/96', '::ffff:0:0/96', 'fe80::/10', 'ff00::/8'],
].map(parsePrefix)
