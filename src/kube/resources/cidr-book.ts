// The ConfigMaps of the broker in which CIDRs are given out: `submariner-globalnet-info` for global
// CIDRs and `submariner-clustersetip-info` for clusterset IPs. Their values are JSON in strings. An
// entry outlives its cluster: nobody takes one out.

import { formatPrefix, type Prefix, parsePrefix } from '../../net/address.ts'
import { objectName } from '../names.ts'
import type { Parsed } from '../resource-type.ts'
import type { ConfigMap } from './config-map.ts'
import {
  FieldError,
  type Fields,
  invalid,
  parseAt,
  pathOf,
  quoted,
  readObjects,
  readPrefixes,
  readText,
} from './fields.ts'
import { problemOf } from './resource.ts'

export interface CidrBook {
  readonly isEnabled: boolean
  /** What CIDRs are cut from; undefined when it is switched off and nobody has said. */
  readonly range: Prefix | undefined
  /** Of one cluster, in addresses; 0: the default. */
  readonly clusterSize: number
  readonly entries: readonly CidrBookEntry[]
}

export interface CidrBookEntry {
  readonly clusterId: string
  readonly cidrs: readonly Prefix[]
}

export type CidrBookKind = 'globalnet' | 'clustersetIp'

interface Keys {
  readonly name: string
  readonly enabled: string
  readonly range: string
  readonly clusterSize: string
}

export const cidrBooks: Readonly<Record<CidrBookKind, Keys>> = {
  globalnet: {
    name: objectName.globalnetInfo,
    enabled: 'globalnetEnabled',
    range: 'globalnetCidrRange',
    clusterSize: 'globalnetClusterSize',
  },
  clustersetIp: {
    name: objectName.clustersetIpInfo,
    enabled: 'clustersetIPEnabled',
    range: 'clustersetIPCidrRange',
    clusterSize: 'clustersetIPClusterSize',
  },
}

const entriesKey = 'clusterinfo'

export function readCidrBook(kind: CidrBookKind, configMap: ConfigMap): Parsed<CidrBook> {
  const keys = cidrBooks[kind]
  const data: Fields = { values: configMap.data, path: 'data' }
  try {
    const value = {
      isEnabled: readText(data, keys.enabled, 'false') === 'true',
      range: readRange(data, keys.range),
      clusterSize: readSize(data, keys.clusterSize),
      entries: readEntries(data),
    }
    return { ok: true, value }
  } catch (error) {
    if (!(error instanceof FieldError)) throw error
    return problemOf('ConfigMap', { metadata: configMap.meta }, error.message)
  }
}

/** The ConfigMap with the book in it; what else is there stays. */
export function writeCidrBook(kind: CidrBookKind, book: CidrBook, configMap: ConfigMap): ConfigMap {
  const keys = cidrBooks[kind]
  const { isEnabled, range, clusterSize } = book
  // The same key for clusterset IPs.
  const entries = book.entries.map(({ clusterId, cidrs }) => ({
    cluster_id: clusterId,
    global_cidr: cidrs.map(formatPrefix),
  }))
  const data = {
    ...configMap.data,
    [keys.enabled]: String(isEnabled),
    // A book without a range says that it is switched off, and nothing else.
    ...(range && { [keys.range]: JSON.stringify(formatPrefix(range)) }),
    ...(range && { [keys.clusterSize]: String(clusterSize) }),
    ...(entries.length > 0 && { [entriesKey]: JSON.stringify(entries) }),
  }
  return { ...configMap, data }
}

function readRange(data: Fields, name: string): Prefix | undefined {
  const text = readText(data, name, '')
  const value = text.startsWith('"') ? parseJson(text, pathOf(data, name)) : text
  if (typeof value !== 'string') throw invalid(pathOf(data, name), 'expected a string in JSON')
  return value === '' ? undefined : parseAt(value, pathOf(data, name), 'a prefix', parsePrefix)
}

function readSize(data: Fields, name: string): number {
  const text = readText(data, name, '0')
  if (/^\d{1,10}$/.test(text)) return Number(text)
  throw invalid(pathOf(data, name), `${quoted(text)} is not a number of addresses`)
}

function readEntries(data: Fields): CidrBookEntry[] {
  const text = readText(data, entriesKey, '')
  const list = text === '' ? [] : parseJson(text, pathOf(data, entriesKey))
  return readObjects({ values: { [entriesKey]: list }, path: data.path }, entriesKey).map(entry => {
    const clusterId = readText(entry, 'cluster_id')
    if (clusterId === '') throw invalid(pathOf(entry, 'cluster_id'), 'expected a name')
    return { clusterId, cidrs: readPrefixes(entry, 'global_cidr') }
  })
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalid(path, 'not JSON')
  }
}
