// Gives a cluster its block of the range that a broker hands out, as Submariner's operator does it: blocks
// have the size of a power of two and lie at multiples of it; the first that is free from the range's
// start on. A cluster that is in the book keeps what it has.

import type { CidrBook } from '../kube/resources/cidr-book.ts'
import { formatPrefix, type Prefix } from '../net/address.ts'
import { GatewayError } from '../net/errors.ts'
import { overlaps } from '../net/prefix.ts'

export const defaultGlobalnetRange = '242.0.0.0/8'
export const defaultGlobalnetSize = 65_536
export const defaultClustersetIpRange = '243.0.0.0/8'
export const defaultClustersetIpSize = 4096

export interface AllocationWish {
  readonly clusterId: string
  /** In addresses; undefined: what the book says. */
  readonly size: number | undefined
  /** By hand. */
  readonly cidr: Prefix | undefined
}

export interface Allocation {
  readonly cidrs: readonly Prefix[]
  /** With the cluster in it; the same object when it was there already. */
  readonly book: CidrBook
}

/** Throws CIDR_TAKEN or CIDR_EXHAUSTED. */
export function allocateCidr(
  book: CidrBook,
  wish: AllocationWish,
  defaultSize: number,
): Allocation {
  const { clusterId, cidr } = wish
  const own = book.entries.find(entry => entry.clusterId === clusterId)
  const isKept = own !== undefined && own.cidrs.length > 0
  if (isKept && (cidr === undefined || own.cidrs.some(each => isSame(each, cidr)))) {
    return { cidrs: own.cidrs, book }
  }
  const others = book.entries.filter(entry => entry.clusterId !== clusterId)
  const chosen = cidr ?? firstFree(book, others, wish.size ?? (book.clusterSize || defaultSize))
  const owner = others.find(entry => entry.cidrs.some(each => overlaps(each, chosen)))
  if (owner !== undefined) {
    throw new GatewayError(
      'CIDR_TAKEN',
      `${formatPrefix(chosen)} overlaps with ${owner.cidrs.map(formatPrefix).join(', ')} of the cluster ${owner.clusterId}`,
      { hint: 'give another CIDR, or none: then one is chosen' },
    )
  }
  const entries = [...others, { clusterId, cidrs: [chosen] }]
  return { cidrs: [chosen], book: { ...book, entries } }
}

function firstFree(book: CidrBook, others: CidrBook['entries'], size: number): Prefix {
  const { range } = book
  if (range === undefined) {
    throw new GatewayError('CIDR_EXHAUSTED', 'the broker has no range to give out CIDRs from', {
      hint: 'give one by hand, or a range to hawser deploy-broker',
    })
  }
  const width = range.bytes.length * 8
  const bits = width - Math.ceil(Math.log2(Math.max(2, size)))
  const shown = `${formatPrefix(range)}, the range of the broker,`
  if (bits <= range.bits) {
    throw new GatewayError(
      'CIDR_EXHAUSTED',
      `${size} addresses are more than half of ${shown} which is the most for one cluster`,
      { hint: 'a smaller size' },
    )
  }
  const step = 1n << BigInt(width - bits)
  const end = firstOf(range) + (1n << BigInt(width - range.bits))
  const taken = others.flatMap(entry => entry.cidrs)
  let start = firstOf(range)
  while (start < end) {
    const candidate = prefixAt(range, start, bits)
    const blocker = taken.find(each => overlaps(each, candidate))
    if (blocker === undefined) return candidate
    // Behind what is in the way, at the next multiple.
    const behind = firstOf(blocker) + (1n << BigInt(width - blocker.bits))
    start = behind > start ? ((behind + step - 1n) / step) * step : start + step
  }
  throw new GatewayError('CIDR_EXHAUSTED', `${shown} has no free block of ${size} addresses`, {
    hint: 'a smaller size, or a block by hand; those of clusters that are gone stay in the book until somebody takes them out',
  })
}

function isSame(a: Prefix, b: Prefix): boolean {
  return formatPrefix(a) === formatPrefix(b)
}

function firstOf({ bytes }: Prefix): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)
}

function prefixAt({ family, bytes }: Prefix, value: bigint, bits: number): Prefix {
  const out = new Uint8Array(bytes.length)
  for (let i = bytes.length - 1, rest = value; i >= 0; i--, rest >>= 8n)
    out[i] = Number(rest & 255n)
  return { family, bytes: out, bits }
}
