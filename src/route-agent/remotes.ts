// Which Endpoints count, and which of their subnets are routed: pure. Of several of a cluster the newest
// counts, whatever order they came in. A subnet that would take something of ours away from us (pods,
// services, nodes of this cluster, the overlay's own addresses, everything) is left out and named; the
// other subnets of that Endpoint, and all other clusters, are not touched by it.

import type { Endpoint } from '../kube/resources/endpoint.ts'
import type { Node } from '../kube/resources/node.ts'
import { formatPrefix, type Prefix, prefixKey } from '../net/address.ts'
import { hostPrefix, overlaps } from '../net/prefix.ts'
import { overlayPrefix } from './overlay.ts'
import type { AgentSettings } from './settings.ts'

/** What is wrong, with what. */
export interface AgentProblem {
  /** A word for a metric. */
  readonly code: string
  readonly message: string
}

export interface Remote {
  readonly endpoint: Endpoint
  /** Those that are routed, each once among all remotes. */
  readonly subnets: readonly Prefix[]
}

export interface KnownEndpoints {
  readonly local: Endpoint | undefined
  /** In the order of their cluster ids. */
  readonly remotes: readonly Remote[]
  readonly problems: readonly AgentProblem[]
}

export function chooseEndpoints(
  settings: AgentSettings,
  endpoints: readonly Endpoint[],
  nodes: readonly Node[],
): KnownEndpoints {
  const newest = new Map<string, Endpoint>()
  for (const endpoint of endpoints) {
    const other = newest.get(endpoint.clusterId)
    if (other === undefined || isNewer(endpoint, other)) newest.set(endpoint.clusterId, endpoint)
  }
  const local = newest.get(settings.clusterId)
  newest.delete(settings.clusterId)
  const problems: AgentProblem[] = []
  const taken = new Set<string>()
  const remotes = [...newest.keys()].sort().flatMap(id => {
    const endpoint = newest.get(id)
    if (endpoint === undefined) return []
    const subnets = endpoint.subnets.filter(subnet => {
      const why = refusal(settings, nodes, subnet)
      if (why !== undefined) problems.push(refused(endpoint, subnet, why))
      if (why !== undefined || taken.has(prefixKey(subnet))) return false
      taken.add(prefixKey(subnet))
      return true
    })
    return [{ endpoint, subnets }]
  })
  return { local, remotes, problems }
}

function isNewer(a: Endpoint, b: Endpoint): boolean {
  if (a.meta.createdAtMs !== b.meta.createdAtMs) return a.meta.createdAtMs > b.meta.createdAtMs
  // Whole seconds: two may be of the same one, and all nodes have to choose alike.
  return a.meta.name > b.meta.name
}

/** Why a subnet is not routed, in words. */
function refusal(
  settings: AgentSettings,
  nodes: readonly Node[],
  subnet: Prefix,
): string | undefined {
  if (subnet.bits === 0) return 'is everything there is'
  const own = [
    ['pods', settings.clusterCidrs],
    ['services', settings.serviceCidrs],
    ['global addresses', settings.globalCidrs],
  ] as const
  for (const [what, prefixes] of own) {
    const hit = prefixes.find(prefix => overlaps(prefix, subnet))
    if (hit !== undefined) return `overlaps with this cluster's ${what} ${formatPrefix(hit)}`
  }
  if (overlaps(subnet, overlayPrefix[subnet.family])) return 'overlaps with addresses between nodes'
  const node = nodes.find(({ internalIps }) =>
    internalIps.some(ip => overlaps(subnet, hostPrefix(ip))),
  )
  if (node !== undefined) return `holds the address of this cluster's node ${node.meta.name}`
  return reserved.some(prefix => overlaps(prefix, subnet)) ? 'is no unicast network' : undefined
}

function refused({ clusterId, meta }: Endpoint, subnet: Prefix, why: string): AgentProblem {
  return {
    code: 'subnet-refused',
    message: `cluster ${clusterId} (Endpoint ${meta.name}): ${formatPrefix(subnet)} ${why}, and is not routed`,
  }
}

const reserved: readonly Prefix[] = [
  { family: 4, bytes: Uint8Array.of(127, 0, 0, 0), bits: 8 },
  { family: 4, bytes: Uint8Array.of(224, 0, 0, 0), bits: 4 },
  { family: 4, bytes: Uint8Array.of(169, 254, 0, 0), bits: 16 },
  { family: 6, bytes: new Uint8Array(16), bits: 8 },
  { family: 6, bytes: Uint8Array.of(0xfe, 0x80, ...new Uint8Array(14)), bits: 10 },
  { family: 6, bytes: Uint8Array.of(0xff, ...new Uint8Array(15)), bits: 8 },
]
