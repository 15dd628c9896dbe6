// submariner.io/v1 Endpoint: how to reach one cluster's active gateway, and which subnets are behind
// it. Its fields also stand in Gateway and RouteAgent, there for both ends of a connection.
//
// Before 0.21 there was one address of each kind (`private_ip`), always IPv4; since then there is a
// list beside it with at most one of each family (`privateIPs`). Lists are read first, the single
// field for IPv4 alone, and both are written, so that old readers still find IPv4. `private_ip` and
// `public_ip` are written even when empty: the old schema requires them.

import { type Address, formatAddress, formatPrefix, type Prefix } from '../../net/address.ts'
import { isLabelValue } from '../names.ts'
import type { Resource, ResourceType } from '../resource-type.ts'
import {
  type BackendConfig,
  equalBackendConfig,
  readBackendConfig,
  writeBackendConfig,
} from './backend-config.ts'
import {
  type Fields,
  invalid,
  pathOf,
  quoted,
  readAddress,
  readAddresses,
  readFlag,
  readObject,
  readObjectOr,
  readPrefixes,
  readText,
} from './fields.ts'
import {
  listOrNone,
  overlay,
  parseResource,
  partOf,
  recordOrNone,
  writeResource,
} from './resource.ts'

/** An address of each IP family, where there is one. */
export interface FamilyAddresses {
  readonly ipv4: Address | undefined
  readonly ipv6: Address | undefined
}

export interface EndpointSpec {
  readonly clusterId: string
  readonly cableName: string
  /** The node of the active gateway. */
  readonly hostname: string
  /**
   * Service CIDRs, then those of pods; with Globalnet, global CIDRs in place of the IPv4 ones. Always
   * written with a length: stock ends on an address alone.
   */
  readonly subnets: readonly Prefix[]
  readonly privateIps: FamilyAddresses
  readonly publicIps: FamilyAddresses
  /** What answers ping behind the cable. */
  readonly healthCheckIps: FamilyAddresses
  /** Without NAT discovery: whether its public address is to be used. */
  readonly isNatEnabled: boolean
  /** The preferred cable driver. */
  readonly backend: string
  readonly backendConfig: BackendConfig
}

export interface Endpoint extends Resource, EndpointSpec {}

export const noAddresses: FamilyAddresses = { ipv4: undefined, ipv6: undefined }

const place = {
  group: 'submariner.io',
  version: 'v1',
  plural: 'endpoints',
  kind: 'Endpoint',
  namespaced: true,
} as const

export const endpointType: ResourceType<Endpoint> = {
  ...place,
  parse: raw =>
    parseResource(place, raw, (root, meta) => ({
      meta,
      ...readEndpointSpec(readObject(root, 'spec')),
    })),
  serialize: (endpoint, base) =>
    writeResource(
      place,
      endpoint.meta,
      { spec: writeEndpointSpec(endpoint, partOf(base, 'spec')) },
      base,
    ),
}

/** Whether stock takes both for the same: else it is deleted and created anew. */
export function isSameEndpoint(a: EndpointSpec, b: EndpointSpec): boolean {
  return (
    a.clusterId === b.clusterId &&
    a.cableName === b.cableName &&
    a.hostname === b.hostname &&
    a.backend === b.backend &&
    equalBackendConfig(a.backendConfig, b.backendConfig)
  )
}

export function readEndpointSpec(fields: Fields): EndpointSpec {
  return {
    clusterId: readClusterId(fields),
    cableName: readName(fields, 'cable_name'),
    hostname: readName(fields, 'hostname'),
    subnets: readPrefixes(fields, 'subnets'),
    privateIps: readFamilies(fields, 'privateIPs', 'private_ip'),
    publicIps: readFamilies(fields, 'publicIPs', 'public_ip'),
    healthCheckIps: readFamilies(fields, 'healthCheckIPs', 'healthCheckIP'),
    isNatEnabled: readFlag(fields, 'nat_enabled'),
    backend: readName(fields, 'backend'),
    backendConfig: readBackendConfig(readObjectOr(fields, 'backend_config')),
  }
}

/** The fields as both shapes have them. `base`: the raw fields that were read last. */
export function writeEndpointSpec(spec: EndpointSpec, base?: unknown): Record<string, unknown> {
  const { privateIps, publicIps, healthCheckIps } = spec
  return overlay(base, {
    cluster_id: spec.clusterId,
    cable_name: spec.cableName,
    hostname: spec.hostname,
    subnets: spec.subnets.map(formatPrefix),
    private_ip: singleText(privateIps) ?? '',
    privateIPs: listOrNone(familyTexts(privateIps)),
    public_ip: singleText(publicIps) ?? '',
    publicIPs: listOrNone(familyTexts(publicIps)),
    healthCheckIP: singleText(healthCheckIps),
    healthCheckIPs: listOrNone(familyTexts(healthCheckIps)),
    nat_enabled: spec.isNatEnabled,
    backend: spec.backend,
    backend_config: recordOrNone(writeBackendConfig(spec.backendConfig)),
  })
}

/**
 * `cluster_id`, as loose as the label that it has to be: clusters that were joined before ids had to
 * be DNS names are read.
 */
export function readClusterId(fields: Fields): string {
  const id = readText(fields, 'cluster_id')
  if (isLabelValue(id)) return id
  throw invalid(pathOf(fields, 'cluster_id'), `${quoted(id)} is no cluster id`)
}

function readName(fields: Fields, name: string): string {
  const text = readText(fields, name)
  if (text === '') throw invalid(pathOf(fields, name), 'expected a name')
  return text
}

function readFamilies(fields: Fields, list: string, single: string): FamilyAddresses {
  const addresses = readAddresses(fields, list)
  const ipv4 = addresses.find(({ family }) => family === 4) ?? readSingle(fields, single)
  return { ipv4, ipv6: addresses.find(({ family }) => family === 6) }
}

/** An IPv6 address in a single field is none that a stock reader would use. */
function readSingle(fields: Fields, name: string): Address | undefined {
  const address = readAddress(fields, name)
  return address?.family === 4 ? address : undefined
}

function singleText({ ipv4 }: FamilyAddresses): string | undefined {
  return ipv4 === undefined ? undefined : formatAddress(ipv4)
}

function familyTexts({ ipv4, ipv6 }: FamilyAddresses): string[] {
  return [ipv4, ipv6].flatMap(address => (address === undefined ? [] : [formatAddress(address)]))
}
