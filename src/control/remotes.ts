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
import type { Endpoint } from '../kube/resources/endpoint.ts'
import { type AcceptedCluster, acceptAll, remoteLimits } from './acceptance.ts'
import { malformed, problem } from './problems.ts'
import type { Problem, Remembered, World } from './world.ts'

export interface Remotes {
  /** The oldest first. */
  readonly accepted: readonly AcceptedCluster[]
  readonly problems: readonly Problem[]
}

export function findRemotes(world: World): Remotes {
  const { clusterId: ownId } = world.settings
  const source = sourceOf(world)
  const problems = isListed(world)
    ? [...world.broker.clusters.problems, ...world.broker.endpoints.problems].map(malformed)
    : []
  const isBelieved = (kind: string) => (object: Resource & { readonly clusterId: string }) => {
    if (ownerOf(object) === object.clusterId) return object.clusterId !== ownId
    // Our own Endpoint is remembered beside those of others, without a label.
    if (isListed(world) || object.clusterId !== ownId) problems.push(foreignLabel(kind, object))
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
