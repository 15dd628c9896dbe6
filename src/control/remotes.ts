// Which remote clusters there are, and what of them is believed. Whoever may write to the broker may
// lie there, so:
//
//   an object counts for the cluster that both its label and its cluster_id name
//   a subnet is of the oldest Cluster that lists it; ours, and what the node itself needs, are nobody's
//   an Endpoint has those of its subnets that its own Cluster has, and no others are pinged
//   a WireGuard key belongs to the oldest cluster that shows it, and ours to us
//
// What is not believed is left out and named; it changes nothing for the others. Clusters are looked
// at from the oldest to the youngest, because age is what a newcomer cannot have. An Endpoint's age
// proves nothing: it is made anew at a fail-over, so the newest is the one that holds.

import { ownerOf } from '../broker/sync.ts'
import type { Resource } from '../kube/resource-type.ts'
import type { Cluster } from '../kube/resources/cluster.ts'
import type { Endpoint, FamilyAddresses } from '../kube/resources/endpoint.ts'
import { type Address, formatPrefix, type Prefix, prefixKey } from '../net/address.ts'
import { limits } from '../tables/shared.ts'
import { listed, malformed, problem } from './problems.ts'
import { contains, publishedSubnets, type Refusal, reservedSubnets, SubnetBook } from './subnets.ts'
import type { Problem, Remembered, World } from './world.ts'

export interface AcceptedCluster {
  readonly clusterId: string
  /** Without subnets that are another's. */
  readonly cluster: Cluster
  /** Without subnets that are not its Cluster's; undefined: none that is believed. */
  readonly endpoint: Endpoint | undefined
}

export interface Remotes {
  /** The oldest first. */
  readonly accepted: readonly AcceptedCluster[]
  readonly problems: readonly Problem[]
}

export const remoteLimits = {
  clusters: limits.cables,
  subnetsOfCluster: 1024,
  /** What a snapshot of the tables has room for (docs/wire.md). */
  subnets: 130_000,
} as const

export function findRemotes(world: World): Remotes {
  const { clusterId: ownId } = world.settings
  const source = sourceOf(world)
  const problems = isListed(world)
    ? [...world.broker.clusters.problems, ...world.broker.endpoints.problems].map(malformed)
    : []
  const isBelieved = (kind: string) => (object: Resource & { readonly clusterId: string }) => {
    if (ownerOf(object) === object.clusterId) return object.clusterId !== ownId
    problems.push(foreignLabel(kind, object))
    return false
  }
  const clusters = oldestOfEach(source.clusters.filter(isBelieved('clusters')), problems)
  const endpoints = newestOfEach(source.endpoints.filter(isBelieved('endpoints')))
  const accepted = acceptAll(world, clusters, endpoints, problems)
  const known = new Set(accepted.map(({ clusterId }) => clusterId))
  for (const { clusterId, meta } of endpoints.values()) {
    if (known.has(clusterId)) continue
    const message = `it is ignored: there is no Cluster ${clusterId} that its subnets could belong to`
    problems.push(problem('no-cluster', clusterId, `endpoints/${meta.name}`, message))
  }
  return { accepted, problems }
}

/** Whether the broker's objects are known, so that what is not among them is gone. */
export function isListed({ broker }: World): boolean {
  return broker.clusters.synced && broker.endpoints.synced
}

/** The broker's objects while they are known, else those that were remembered. */
export function sourceOf(world: World): Remembered {
  const { broker, remembered } = world
  return isListed(world)
    ? { clusters: broker.clusters.items, endpoints: broker.endpoints.items }
    : remembered
}

function foreignLabel(kind: string, object: Resource & { readonly clusterId: string }): Problem {
  const { clusterId, meta } = object
  const owner = ownerOf(object)
  const whose = owner === '' ? 'it has no label' : `its label says ${owner}`
  const message = `it is ignored: it says that it is of cluster ${clusterId}, and ${whose}`
  return problem('foreign-label', owner, `${kind}/${meta.name}`, message)
}

function oldestOfEach(clusters: readonly Cluster[], problems: Problem[]): readonly Cluster[] {
  const found = new Map<string, Cluster>()
  for (const cluster of [...clusters].sort(byAge)) {
    const { clusterId, meta } = cluster
    const oldest = found.get(clusterId)
    if (oldest === undefined) found.set(clusterId, cluster)
    else {
      const message = `it is ignored: clusters/${oldest.meta.name} of cluster ${clusterId} is older`
      problems.push(problem('second-cluster', clusterId, `clusters/${meta.name}`, message))
    }
  }
  const kept = [...found.values()]
  for (const { clusterId, meta } of kept.slice(remoteLimits.clusters)) {
    const message = `it is ignored: ${remoteLimits.clusters} clusters are older, which is the limit`
    problems.push(problem('too-many-clusters', clusterId, `clusters/${meta.name}`, message))
  }
  return kept.slice(0, remoteLimits.clusters)
}

function newestOfEach(endpoints: readonly Endpoint[]): ReadonlyMap<string, Endpoint> {
  const sorted = [...endpoints].sort(byAge)
  return new Map(sorted.map(endpoint => [endpoint.clusterId, endpoint]))
}

/** Seconds are all that a creation time has; the name decides between those of one second. */
function byAge(a: Resource, b: Resource): number {
  const difference = a.meta.createdAtMs - b.meta.createdAtMs
  return difference !== 0 ? difference : a.meta.name < b.meta.name ? -1 : 1
}

/** What has been given away so far. */
interface Owned {
  readonly book: SubnetBook
  /** Of WireGuard keys. */
  readonly keys: Map<string, string>
  /** For further subnets. */
  readonly room: { clusters: number; endpoints: number }
}

function acceptAll(
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
    .flatMap(address =>
      address === undefined ? [] : [{ ...address, bits: address.family === 4 ? 32 : 128 }],
    )
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

function acceptEndpoint(
  endpoint: Endpoint,
  { book, keys, room }: Owned,
  problems: Problem[],
): Endpoint | undefined {
  const { clusterId, meta, backendConfig } = endpoint
  const note = (code: string, message: string) =>
    problems.push(problem(code, clusterId, `endpoints/${meta.name}`, message))
  const { publicKey } = backendConfig
  if (publicKey !== undefined) {
    const owner = keys.get(keyText(publicKey))
    if (owner !== undefined) {
      note('copied-endpoint', `it is ignored: its publicKey is that of cluster ${owner}`)
      return undefined
    }
    keys.set(keyText(publicKey), clusterId)
  }
  const unique = new Map(endpoint.subnets.map(subnet => [prefixKey(subnet), subnet]))
  const own = [...unique.values()].filter(subnet => book.ownerOf(subnet) === clusterId)
  const foreign = [...unique.values()].filter(subnet => book.ownerOf(subnet) !== clusterId)
  if (foreign.length > 0) {
    const named = listed(foreign.map(subnet => foreignText(subnet, book)))
    note('foreign-subnet', `subnets that cluster ${clusterId} does not have are ignored: ${named}`)
  }
  if (own.length > Math.min(room.endpoints, remoteLimits.subnetsOfCluster)) {
    note('too-many-subnets', `it is ignored: there is no room for its ${own.length} subnets`)
    return undefined
  }
  room.endpoints -= own.length
  const { healthCheckIps } = endpoint
  const foreignIps = wholeAddresses(healthCheckIps).filter(
    ip => !own.some(subnet => contains(subnet, ip)),
  )
  if (foreignIps.length > 0) {
    const named = listed(foreignIps.map(formatPrefix))
    note('foreign-health-check', `what is in none of its subnets is not pinged: ${named}`)
  }
  if (own.length === endpoint.subnets.length && foreignIps.length === 0) return endpoint
  const kept = (ip: Address | undefined) =>
    foreignIps.some(({ family }) => family === ip?.family) ? undefined : ip
  const { ipv4, ipv6 } = healthCheckIps
  return { ...endpoint, subnets: own, healthCheckIps: { ipv4: kept(ipv4), ipv6: kept(ipv6) } }
}

function foreignText(subnet: Prefix, book: SubnetBook): string {
  const owner = book.ownerOf(subnet)
  return owner === undefined ? formatPrefix(subnet) : `${formatPrefix(subnet)} of ${owner}`
}

function keyText(key: Uint8Array): string {
  return Buffer.from(key).toString('base64')
}
