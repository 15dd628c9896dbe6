// What of a cluster's Cluster and Endpoint is believed, given the clusters that are older: subnets and keys
// are given away in that order, and what is given away is nobody else's. Ours go first, then what this
// node needs for itself.

import type { Cluster } from '../kube/resources/cluster.ts'
import type { Endpoint, FamilyAddresses } from '../kube/resources/endpoint.ts'
import { type Family, formatAddress, formatPrefix, type Prefix, prefixKey } from '../net/address.ts'
import { contains, hostPrefix } from '../net/prefix.ts'
import { limits } from '../tables/shared.ts'
import { listed, problem } from './problems.ts'
import { publishedSubnets, type Refusal, reservedSubnets, SubnetBook } from './subnets.ts'
import type { Problem, World } from './world.ts'

export interface AcceptedCluster {
  readonly clusterId: string
  /** Without subnets that are another's. */
  readonly cluster: Cluster
  /** Without subnets that are not its Cluster's; undefined: none that is believed. */
  readonly endpoint: Endpoint | undefined
}

export const remoteLimits = {
  clusters: limits.cables,
  subnetsOfCluster: 1024,
  /** What a snapshot of the tables has room for (docs/wire.md). */
  subnets: 130_000,
} as const

/** What has been given away so far. */
interface Owned {
  readonly book: SubnetBook
  /** Of WireGuard keys. */
  readonly keys: Map<string, string>
  /** For further subnets. */
  readonly room: { clusters: number; endpoints: number }
}

export function acceptAll(
  { settings, self, keys }: World,
  clusters: readonly Cluster[],
  endpoints: ReadonlyMap<string, Endpoint>,
  problems: Problem[],
): readonly AcceptedCluster[] {
  const owned: Owned = {
    book: new SubnetBook(),
    keys: new Map([[keyText(keys.publicKey), settings.clusterId]]),
    room: { clusters: remoteLimits.subnets, endpoints: remoteLimits.subnets },
  }
  const { clusterCidrs, serviceCidrs, globalCidrs } = settings
  owned.book.claim([...clusterCidrs, ...serviceCidrs, ...globalCidrs], settings.clusterId)
  owned.book.claim(reservedSubnets, 'no cluster')
  owned.book.claim(wholeAddresses(self.privateIps, self.publicIps), 'this gateway')
  // All claims first: then a foreign subnet can be said to be whose.
  const claimed = clusters.map(cluster => acceptCluster(cluster, owned, problems))
  return claimed.map(cluster => {
    const { clusterId } = cluster
    const endpoint = endpoints.get(clusterId)
    return { clusterId, cluster, endpoint: endpoint && acceptEndpoint(endpoint, owned, problems) }
  })
}

function wholeAddresses(...lists: readonly FamilyAddresses[]): readonly Prefix[] {
  return lists
    .flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])
    .flatMap(address => (address === undefined ? [] : [hostPrefix(address)]))
}

function acceptCluster(cluster: Cluster, { book, room }: Owned, problems: Problem[]): Cluster {
  const { clusterId, meta } = cluster
  const object = `clusters/${meta.name}`
  const all = publishedSubnets(cluster)
  const claimed = all.slice(0, Math.min(room.clusters, remoteLimits.subnetsOfCluster))
  room.clusters -= claimed.length
  if (claimed.length < all.length) {
    const message = `only its first ${claimed.length} subnets of ${all.length} count`
    problems.push(problem('too-many-subnets', clusterId, object, message))
  }
  const refused = book.claim(claimed, clusterId)
  if (refused.length === 0) return cluster
  const message = `subnets are ignored: ${listed(refused.map(refusalText))}`
  problems.push(problem('owned-subnet', clusterId, object, message))
  const keys = new Set(refused.map(({ prefix }) => prefixKey(prefix)))
  const without = (prefixes: readonly Prefix[]) =>
    prefixes.filter(prefix => !keys.has(prefixKey(prefix)))
  return {
    ...cluster,
    clusterCidrs: without(cluster.clusterCidrs),
    serviceCidrs: without(cluster.serviceCidrs),
    globalCidrs: without(cluster.globalCidrs),
  }
}

function refusalText({ prefix, by }: Refusal): string {
  return `${formatPrefix(prefix)} overlaps ${formatPrefix(by.prefix)} of ${by.owner}`
}

type Note = (code: string, message: string) => void

function acceptEndpoint(
  endpoint: Endpoint,
  owned: Owned,
  problems: Problem[],
): Endpoint | undefined {
  const { clusterId, meta } = endpoint
  const note: Note = (code, message) => {
    problems.push(problem(code, clusterId, `endpoints/${meta.name}`, message))
  }
  if (!acceptKey(endpoint, owned, note)) return undefined
  const subnets = acceptSubnets(endpoint, owned, note)
  if (subnets === undefined) return undefined
  const healthCheckIps = acceptHealthChecks(endpoint, subnets, note)
  // The same object while it is the same: it is compared and written out once.
  const isWhole = subnets.length === endpoint.subnets.length
  if (isWhole && healthCheckIps === endpoint.healthCheckIps) return endpoint
  return { ...endpoint, subnets, healthCheckIps }
}

function acceptKey({ clusterId, backendConfig }: Endpoint, { keys }: Owned, note: Note): boolean {
  const { publicKey } = backendConfig
  if (publicKey === undefined) return true
  const owner = keys.get(keyText(publicKey))
  if (owner === undefined) keys.set(keyText(publicKey), clusterId)
  else note('copied-endpoint', `it is ignored: its publicKey is that of cluster ${owner}`)
  return owner === undefined
}

function acceptSubnets(
  { clusterId, subnets }: Endpoint,
  { book, room }: Owned,
  note: Note,
): readonly Prefix[] | undefined {
  const unique = [...new Map(subnets.map(subnet => [prefixKey(subnet), subnet])).values()]
  const own = unique.filter(subnet => book.ownerOf(subnet) === clusterId)
  const foreign = unique.filter(subnet => book.ownerOf(subnet) !== clusterId)
  if (foreign.length > 0) {
    const named = listed(foreign.map(subnet => foreignText(subnet, book)))
    note('foreign-subnet', `subnets that cluster ${clusterId} does not have are ignored: ${named}`)
  }
  if (own.length > Math.min(room.endpoints, remoteLimits.subnetsOfCluster)) {
    note('too-many-subnets', `it is ignored: there is no room for its ${own.length} subnets`)
    return undefined
  }
  room.endpoints -= own.length
  return own
}

function acceptHealthChecks(
  { healthCheckIps }: Endpoint,
  subnets: readonly Prefix[],
  note: Note,
): FamilyAddresses {
  const foreign = wholeAddresses(healthCheckIps).filter(
    address => !subnets.some(subnet => contains(subnet, address)),
  )
  if (foreign.length === 0) return healthCheckIps
  const named = listed(foreign.map(formatAddress))
  note('foreign-health-check', `what is in none of its subnets is not pinged: ${named}`)
  const { ipv4, ipv6 } = healthCheckIps
  const isForeign = (family: Family) => foreign.some(address => address.family === family)
  return { ipv4: isForeign(4) ? undefined : ipv4, ipv6: isForeign(6) ? undefined : ipv6 }
}

function foreignText(subnet: Prefix, book: SubnetBook): string {
  const owner = book.ownerOf(subnet)
  return owner === undefined ? formatPrefix(subnet) : `${formatPrefix(subnet)} of ${owner}`
}

function keyText(key: Uint8Array): string {
  return Buffer.from(key).toString('base64')
}
