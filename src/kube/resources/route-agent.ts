// submariner.io/v1 RouteAgent: what the route agent of a node sees of the remotes. As with Gateway
// there is a status and no status subresource.

import type { Resource, ResourceType } from '../resource-type.ts'
import {
  type ConnectionState,
  type Latency,
  readLatency,
  readState,
  writeLatency,
} from './connection.ts'
import { type EndpointSpec, readEndpointSpec, writeEndpointSpec } from './endpoint.ts'
import { readObject, readObjects, readText } from './fields.ts'
import { overlay, parseResource, partOf, writeResource } from './resource.ts'

export interface RouteAgent extends Resource {
  readonly version: string
  /** Why it does not work; empty when it does. */
  readonly failure: string
  readonly remotes: readonly RouteAgentRemote[]
}

export interface RouteAgentRemote {
  readonly state: ConnectionState
  readonly message: string
  readonly endpoint: EndpointSpec
  /** Undefined without health checks. */
  readonly latency: Latency | undefined
}

const place = {
  group: 'submariner.io',
  version: 'v1',
  plural: 'routeagents',
  kind: 'RouteAgent',
  namespaced: true,
} as const

export const routeAgentType: ResourceType<RouteAgent> = {
  ...place,
  parse: raw =>
    parseResource(place, raw, (root, meta) => {
      const status = readObject(root, 'status')
      return {
        meta,
        version: readText(status, 'version', ''),
        failure: readText(status, 'statusFailure', ''),
        remotes: readObjects(status, 'remoteEndpoints').map(remote => ({
          state: readState(remote),
          message: readText(remote, 'statusMessage', ''),
          endpoint: readEndpointSpec(readObject(remote, 'spec')),
          latency: readLatency(remote),
        })),
      }
    }),
  serialize: (agent, base) => {
    const status = overlay(partOf(base, 'status'), {
      version: agent.version,
      statusFailure: agent.failure,
      remoteEndpoints: agent.remotes.map(writeRemote),
    })
    return writeResource(place, agent.meta, { status }, base)
  },
}

function writeRemote(remote: RouteAgentRemote): Record<string, unknown> {
  return overlay(undefined, {
    status: remote.state,
    statusMessage: remote.message,
    spec: writeEndpointSpec(remote.endpoint),
    latencyRTT: writeLatency(remote.latency),
  })
}
