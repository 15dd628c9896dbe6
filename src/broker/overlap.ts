// Which prefixes of two clusters meet. Without Globalnet none may: a packet has one way to go.

import { formatPrefix, maskBytes, type Prefix } from '../net/address.ts'
import { contains, overlaps } from '../net/prefix.ts'

/** The subnets of a cluster, with its name. */
export interface Owner {
  readonly clusterId: string
  readonly cidrs: readonly Prefix[]
}

/** `10.1.0.0/16 of the cluster east overlaps with 10.0.0.0/8 of the cluster west`, for each pair. */
export function overlapsBetween(own: Owner, others: readonly Owner[]): readonly string[] {
  return others
    .filter(({ clusterId }) => clusterId !== own.clusterId)
    .flatMap(other =>
      own.cidrs.flatMap(a =>
        other.cidrs
          .filter(b => overlaps(a, b))
          .map(
            b =>
              `${formatPrefix(a)} of the cluster ${own.clusterId} overlaps with ${formatPrefix(b)} of the cluster ${other.clusterId}`,
          ),
      ),
    )
}

/** The same addresses in as few prefixes as there can be: neighbours become one. */
export function merged(prefixes: readonly Prefix[]): readonly Prefix[] {
  let list = distinct(prefixes)
  for (;;) {
    const pair = neighbours(list)
    if (pair === undefined) return list
    const [a, b] = pair
    const bytes = maskBytes(a.bytes.slice(), a.bits - 1)
    const parent = { family: a.family, bytes, bits: a.bits - 1 }
    list = distinct([...list.filter(each => each !== a && each !== b), parent])
  }
}

/** Each once, in order, and none that lies in another. */
function distinct(prefixes: readonly Prefix[]): Prefix[] {
  const sorted = [...prefixes].sort(
    (a, b) => a.family - b.family || Buffer.compare(a.bytes, b.bytes) || a.bits - b.bits,
  )
  return sorted.filter(
    (prefix, index) => !sorted.slice(0, index).some(earlier => contains(earlier, prefix)),
  )
}

function neighbours(list: readonly Prefix[]): readonly [Prefix, Prefix] | undefined {
  for (let i = 1; i < list.length; i++) {
    const [a, b] = [list[i - 1], list[i]]
    if (a.family !== b.family || a.bits !== b.bits || a.bits === 0) continue
    const [one, other] = [a, b].map(({ bytes }) => maskBytes(bytes.slice(), a.bits - 1))
    if (Buffer.compare(one, other) === 0) return [a, b]
  }
  return undefined
}
