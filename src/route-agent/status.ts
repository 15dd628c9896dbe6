// The RouteAgent object of a node: what it routes to, and whether that answers. Gateways do not ask: they
// know it from the cables. Stock's words for it are kept, since tools look for them.

import type { ConnectionState, Latency } from '../kube/resources/connection.ts'
import type { EndpointSpec } from '../kube/resources/endpoint.ts'
import { newMeta } from '../kube/resources/resource.ts'
import type { RouteAgent } from '../kube/resources/route-agent.ts'
import type { NodePlan } from './plan.ts'
import type { Role } from './scene.ts'
import type { AgentSettings } from './settings.ts'

/** What pings of a remote from this node say. */
export interface RemoteHealth {
  readonly state: ConnectionState
  readonly message: string
  readonly latency: Latency | undefined
}

/** Undefined: nobody pings it. */
export type HealthOf = (endpoint: EndpointSpec) => RemoteHealth | undefined

export function routeAgentOf(
  settings: AgentSettings,
  plan: NodePlan,
  failure: string,
  healthOf: HealthOf,
): RouteAgent {
  return {
    meta: newMeta(settings.nodeName, settings.namespace),
    version: settings.version,
    failure,
    remotes: plan.remotes.map(({ endpoint }) => ({
      endpoint,
      ...(unchecked(settings, plan.role, endpoint, healthOf) ?? notPinged),
    })),
  }
}

function unchecked(
  { isHealthCheckEnabled }: AgentSettings,
  role: Role,
  endpoint: EndpointSpec,
  healthOf: HealthOf,
): RemoteHealth | undefined {
  const none = (message: string) => ({ state: 'none', message, latency: undefined }) as const
  if (role === 'gateway') return none('Health check is not performed on gateway nodes')
  if (!isHealthCheckEnabled) return none('Health checks are switched off')
  const { ipv4, ipv6 } = endpoint.healthCheckIps
  if (ipv4 === undefined && ipv6 === undefined) return none('The Endpoint has no health check IP')
  return healthOf(endpoint)
}

const notPinged: RemoteHealth = {
  state: 'none',
  message: 'Nobody pings the remote from this node',
  latency: undefined,
}
