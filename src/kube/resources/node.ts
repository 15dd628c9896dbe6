// v1 Node: its addresses and pod subnets, and the settings of a gateway that its labels and annotations
// override. A write changes labels and annotations alone.

import { type Address, type Prefix, parseAddress } from '../../net/address.ts'
import { gatewayOverridePrefix, label } from '../names.ts'
import type { Parsed, Resource, ResourceType } from '../resource-type.ts'
import { readGoBoolean, readPort } from './backend-config.ts'
import {
  FieldError,
  type Fields,
  has,
  invalid,
  parseAt,
  pathOf,
  readObjectOr,
  readObjects,
  readPrefix,
  readPrefixes,
  readText,
} from './fields.ts'
import { parseResource, problemOf, writeResource } from './resource.ts'

export interface Node extends Resource {
  /** Addresses of the type InternalIP. */
  readonly internalIps: readonly Address[]
  /** Empty when the node's network plugin assigns them in another way. */
  readonly podCidrs: readonly Prefix[]
  readonly isReady: boolean
}

/** What a Node's labels and annotations say of a gateway on it; undefined: nothing. */
export interface GatewayOverrides {
  readonly udpPort: number | undefined
  /** 0: off. */
  readonly nattDiscoveryPort: number | undefined
  /** How its public address is found, in the words of stock: `ipv4:192.0.2.1`, `dns:name`, … */
  readonly publicIp: string | undefined
  readonly isPreferredServer: boolean | undefined
}

const place = {
  group: '',
  version: 'v1',
  plural: 'nodes',
  kind: 'Node',
  namespaced: false,
} as const

export const nodeType: ResourceType<Node> = {
  ...place,
  parse: raw =>
    parseResource(place, raw, (root, meta) => {
      const status = readObjectOr(root, 'status')
      return {
        meta,
        internalIps: readInternalIps(status),
        podCidrs: readPodCidrs(readObjectOr(root, 'spec')),
        isReady: readObjects(status, 'conditions').some(
          condition =>
            readText(condition, 'type') === 'Ready' && readText(condition, 'status') === 'True',
        ),
      }
    }),
  serialize: ({ meta }, base) => writeResource(place, meta, {}, base),
}

export function isGatewayCandidate(node: Node): boolean {
  return node.meta.labels[label.gatewayNode] === 'true'
}

/** Annotations win over labels; a key with the prefix that nobody knows is a problem, as for stock. */
export function gatewayOverrides(node: Node): Parsed<GatewayOverrides> {
  const values = { ...withPrefix(node.meta.labels), ...withPrefix(node.meta.annotations) }
  try {
    return { ok: true, value: readOverrides({ values, path: '' }) }
  } catch (error) {
    if (!(error instanceof FieldError)) throw error
    const what = `label or annotation ${gatewayOverridePrefix}${error.message}`
    return problemOf(place.kind, { metadata: node.meta }, what)
  }
}

const overrideKeys = ['udp-port', 'natt-discovery-port', 'public-ip', 'preferred-server']

function readOverrides(fields: Fields): GatewayOverrides {
  const unknown = Object.keys(fields.values).find(name => !overrideKeys.includes(name))
  if (unknown !== undefined) {
    throw invalid(unknown, `nobody knows it; known are ${overrideKeys.join(', ')}`)
  }
  const isOff = fields.values['natt-discovery-port'] === '0'
  return {
    udpPort: readPort(fields, 'udp-port'),
    nattDiscoveryPort: isOff ? 0 : readPort(fields, 'natt-discovery-port'),
    publicIp: readText(fields, 'public-ip', '') || undefined,
    isPreferredServer: readGoBoolean(fields, 'preferred-server'),
  }
}

function withPrefix(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([name]) => name.startsWith(gatewayOverridePrefix))
      .map(([name, value]) => [name.slice(gatewayOverridePrefix.length), value]),
  )
}

function readInternalIps(status: Fields): Address[] {
  return readObjects(status, 'addresses')
    .filter(entry => readText(entry, 'type') === 'InternalIP')
    .map(entry =>
      parseAt(readText(entry, 'address'), pathOf(entry, 'address'), 'an IP address', parseAddress),
    )
}

function readPodCidrs(spec: Fields): Prefix[] {
  if (has(spec, 'podCIDRs')) return readPrefixes(spec, 'podCIDRs')
  const single = readPrefix(spec, 'podCIDR')
  return single === undefined ? [] : [single]
}
