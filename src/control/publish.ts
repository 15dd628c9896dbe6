// What the active gateway writes of Clusters and Endpoints: our own, here and on the broker, and copies
// of the others' here, which carry nothing but what is accepted of them.
//
// With our own route agents a fail-over updates the Endpoint in place: its name is the same on every
// node. Stock agents act when Endpoints come and go, never when they change. Beside them an Endpoint
// has stock's name, is deleted, and is made anew when it is seen to be gone, ours with a key that it
// did not have before: remotes with stock's driver leave a peer alone whose key they know.

import {
  type Conflict,
  inPlace,
  ownerOf,
  planSync,
  type Replacement,
  type SyncPlan,
} from '../broker/sync.ts'
import type { Known } from '../broker/writes.ts'
import type { Resource, ResourceType } from '../kube/resource-type.ts'
import { clusterType } from '../kube/resources/cluster.ts'
import { type Endpoint, endpointType, isSameEndpoint } from '../kube/resources/endpoint.ts'
import { equalBytes, prefixKey } from '../net/address.ts'
import type { AcceptedCluster } from './acceptance.ts'
import type { OwnObjects } from './own-objects.ts'
import { problem } from './problems.ts'
import { isListed } from './remotes.ts'
import type { Problem, World, Write } from './world.ts'

export interface Publication {
  readonly writes: readonly Write[]
  readonly problems: readonly Problem[]
  readonly wantsNewKey: boolean
}

export function publish(
  world: World,
  own: OwnObjects,
  accepted: readonly AcceptedCluster[],
): Publication {
  const { local, broker, settings, isActive } = world
  if (!isActive) return { writes: [], problems: [], wantsNewKey: false }
  const replacement = settings.hasStockAgents ? forStockAgents : inPlace
  // Before all of the broker has been listed, what is accepted is of another time.
  const known = isListed(world) ? accepted : undefined
  const plans = [
    planKind(world, {
      ...{ type: clusterType, local: local.clusters, broker: broker.clusters },
      own: [own.cluster],
      imports: known?.map(({ cluster }) => cluster),
      replacement: inPlace,
    }),
    planKind(world, {
      ...{ type: endpointType, local: local.endpoints, broker: broker.endpoints },
      own: own.isReachable ? [own.endpoint] : published(world),
      imports: known?.flatMap(({ endpoint }) => acceptedEndpoint(endpoint)),
      replacement,
    }),
  ]
  return {
    writes: plans.flatMap(({ writes }) => writes),
    problems: [
      ...plans.flatMap(({ conflicts }) => conflicts.map(conflictProblem)),
      ...strays(world, 'clusters', local.clusters),
      ...strays(world, 'endpoints', local.endpoints),
    ],
    wantsNewKey: settings.hasStockAgents && own.isReachable && isMadeAnew(world, own.endpoint),
  }
}

interface KindPlan<T extends Resource> {
  readonly type: ResourceType<T>
  readonly local: Known<T>
  readonly broker: Known<T>
  readonly own: readonly T[]
  readonly imports: readonly T[] | undefined
  readonly replacement: Replacement<T>
}

type Owned = Resource & { readonly clusterId: string }

function planKind<T extends Owned>({ settings }: World, { own, ...plan }: KindPlan<T>): SyncPlan {
  const { clusterId, namespace, brokerNamespace } = settings
  return planSync({
    ...plan,
    ...{ clusterId, brokerNamespace, localNamespace: namespace, made: own, exports: own },
    isFromAllNamespaces: false,
    // Another node was active before, or the name was another: there is one Endpoint of a cluster.
    isOutdated: item => item.clusterId === clusterId,
  })
}

const forStockAgents: Replacement<Endpoint> = {
  mustRecreate: (before, after) => !isSameEndpoint(before, after) || !hasSameSubnets(before, after),
  mustGoFirst: (surplus, created) => surplus.clusterId === created.clusterId,
}

function hasSameSubnets(a: Endpoint, b: Endpoint): boolean {
  const keys = new Set(a.subnets.map(prefixKey))
  return a.subnets.length === b.subnets.length && b.subnets.every(item => keys.has(prefixKey(item)))
}

/** Without an accepted subnet an Endpoint says nothing to a route agent. */
function acceptedEndpoint(endpoint: Endpoint | undefined): readonly Endpoint[] {
  return endpoint === undefined || endpoint.subnets.length === 0 ? [] : [endpoint]
}

/** Our Endpoint as it is: what cannot be described now is not taken away for that. */
function published({ local, settings }: World): readonly Endpoint[] {
  return local.endpoints.items.filter(
    item => item.clusterId === settings.clusterId && ownerOf(item) === '',
  )
}

/** Whether an Endpoint with our key is there, and will be deleted to be made anew. */
function isMadeAnew({ local, broker, keys, settings }: World, own: Endpoint): boolean {
  const { clusterId } = settings
  return [...local.endpoints.items, ...broker.endpoints.items].some(
    item =>
      item.clusterId === clusterId &&
      ['', clusterId].includes(ownerOf(item)) &&
      item.backendConfig.publicKey !== undefined &&
      equalBytes(item.backendConfig.publicKey, keys.publicKey) &&
      (item.meta.name !== own.meta.name || forStockAgents.mustRecreate(item, own)),
  )
}

function conflictProblem({ server, kind, name, owner, clusterId }: Conflict): Problem {
  const where = server === 'broker' ? 'the broker' : 'this cluster'
  const whose = owner === '' ? 'without the label of a cluster' : `of cluster ${owner}`
  const message = `it cannot be written: ${where} has one of that name, ${whose}`
  return problem('name-taken', clusterId, `${kind.toLowerCase()}s/${name}`, message)
}

/** Objects that somebody made here by hand, and that no broker has. */
function strays({ settings }: World, plural: string, { items }: Known<Owned>): readonly Problem[] {
  return items
    .filter(item => ownerOf(item) === '' && item.clusterId !== settings.clusterId)
    .map(({ clusterId, meta }) => {
      const message =
        `it has no label, and is of cluster ${clusterId}: it is ignored here, and route agents ` +
        'may believe it; delete it'
      return problem('stray-object', clusterId, `${plural}/${meta.name}`, message)
    })
}
