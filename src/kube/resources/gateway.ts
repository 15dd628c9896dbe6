// submariner.io/v1 Gateway: what a gateway says of itself and its connections, rewritten every few
// seconds. It has a status and no status subresource: the whole object is updated.

import { type Address, parseAddress } from '../../net/address.ts'
import { annotation } from '../names.ts'
import type { Resource, ResourceMeta, ResourceType } from '../resource-type.ts'
import { type Connection, readConnection, writeConnection } from './connection.ts'
import { type EndpointSpec, readEndpointSpec, writeEndpointSpec } from './endpoint.ts'
import { type Fields, parseAt, readObject, readObjects, readOneOf, readText } from './fields.ts'
import { overlay, parseResource, partOf, writeResource } from './resource.ts'

const haStates = ['active', 'passive'] as const

export type HaState = (typeof haStates)[number]

/** Also an item of a Submariner's status. */
export interface GatewayStatus {
  readonly version: string
  readonly haState: HaState
  readonly localEndpoint: EndpointSpec
  /** Why it does not work; empty when it does. */
  readonly failure: string
  /** A passive gateway has none. */
  readonly connections: readonly Connection[]
}

export interface Gateway extends Resource, GatewayStatus {
  /**
   * When it was last written, to the second. Undefined when the annotation is missing or wrong: the
   * active gateway deletes such a Gateway like an old one.
   */
  readonly updatedAtMs: number | undefined
  /** Globalnet writes it; it is read here and never written. */
  readonly globalIp: Address | undefined
}

const place = {
  group: 'submariner.io',
  version: 'v1',
  plural: 'gateways',
  kind: 'Gateway',
  namespaced: true,
} as const

export const gatewayType: ResourceType<Gateway> = {
  ...place,
  parse: raw =>
    parseResource(place, raw, (root, meta) => ({
      meta,
      updatedAtMs: updateTimeOf(meta),
      globalIp: globalIpOf(meta),
      ...readGatewayStatus(readObject(root, 'status')),
    })),
  serialize: (gateway, base) =>
    writeResource(
      place,
      withUpdateTime(gateway.meta, gateway.updatedAtMs),
      { status: writeGatewayStatus(gateway, partOf(base, 'status')) },
      base,
    ),
}

export function readGatewayStatus(fields: Fields): GatewayStatus {
  return {
    version: readText(fields, 'version', ''),
    haState: readOneOf(fields, 'haStatus', haStates),
    localEndpoint: readEndpointSpec(readObject(fields, 'localEndpoint')),
    failure: readText(fields, 'statusFailure', ''),
    connections: readObjects(fields, 'connections').map(readConnection),
  }
}

export function writeGatewayStatus(status: GatewayStatus, base?: unknown): Record<string, unknown> {
  return overlay(base, {
    version: status.version,
    haStatus: status.haState,
    localEndpoint: writeEndpointSpec(status.localEndpoint, partOf(base, 'localEndpoint')),
    statusFailure: status.failure,
    connections: status.connections.map(writeConnection),
  })
}

function updateTimeOf(meta: ResourceMeta): number | undefined {
  const text = meta.annotations[annotation.updateTimestamp] ?? ''
  return /^\d{1,12}$/.test(text) ? Number(text) * 1000 : undefined
}

function withUpdateTime(meta: ResourceMeta, updatedAtMs: number | undefined): ResourceMeta {
  if (updatedAtMs === undefined) return meta
  const seconds = String(Math.floor(updatedAtMs / 1000))
  return { ...meta, annotations: { ...meta.annotations, [annotation.updateTimestamp]: seconds } }
}

function globalIpOf(meta: ResourceMeta): Address | undefined {
  const text = meta.annotations[annotation.globalIp] ?? ''
  if (text === '') return undefined
  const path = `metadata.annotations[${annotation.globalIp}]`
  return parseAt(text, path, 'an IP address', parseAddress)
}
