// v1 Service and discovery.k8s.io/v1 EndpointSlice, as far as whoever balances Services has to know
// them. Read only.

import type { Resource, ResourceType } from '../kube/resource-type.ts'
import {
  type Fields,
  parseAt,
  pathOf,
  readCount,
  readFlag,
  readObjectOr,
  readObjects,
  readText,
  readTexts,
} from '../kube/resources/fields.ts'
import { parseResource, writeResource } from '../kube/resources/resource.ts'
import { type Address, parseAddress } from '../net/address.ts'

export interface Service extends Resource {
  /** Empty for a headless one. */
  readonly clusterIps: readonly Address[]
  readonly ports: readonly ServicePort[]
}

export interface ServicePort {
  /** Empty when the Service has one port and no name for it. */
  readonly name: string
  readonly port: number
  readonly protocol: string
}

export interface ServiceSlice extends Resource {
  readonly service: string
  readonly ports: readonly { readonly name: string; readonly port: number }[]
  /** Of endpoints that are ready. */
  readonly addresses: readonly Address[]
}

const servicePlace = {
  group: '',
  version: 'v1',
  plural: 'services',
  kind: 'Service',
  namespaced: true,
} as const

const slicePlace = {
  group: 'discovery.k8s.io',
  version: 'v1',
  plural: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
} as const

export const serviceType: ResourceType<Service> = {
  ...servicePlace,
  parse: raw =>
    parseResource(servicePlace, raw, (root, meta) => {
      const spec = readObjectOr(root, 'spec')
      return {
        meta,
        clusterIps: addressesIn(spec, 'clusterIPs'),
        ports: readObjects(spec, 'ports').map(port => ({
          name: readText(port, 'name', ''),
          port: readCount(port, 'port', 0),
          protocol: readText(port, 'protocol', 'TCP'),
        })),
      }
    }),
  serialize: ({ meta }, base) => writeResource(servicePlace, meta, {}, base),
}

export const sliceType: ResourceType<ServiceSlice> = {
  ...slicePlace,
  parse: raw =>
    parseResource(slicePlace, raw, (root, meta) => ({
      meta,
      service: meta.labels['kubernetes.io/service-name'] ?? '',
      ports: readObjects(root, 'ports').map(port => ({
        name: readText(port, 'name', ''),
        port: readCount(port, 'port', 0),
      })),
      addresses: readObjects(root, 'endpoints')
        .filter(endpoint => readFlag(readObjectOr(endpoint, 'conditions'), 'ready', true))
        .flatMap(endpoint => addressesIn(endpoint, 'addresses')),
    })),
  serialize: ({ meta }, base) => writeResource(slicePlace, meta, {}, base),
}

function addressesIn(fields: Fields, name: string): Address[] {
  return readTexts(fields, name)
    .filter(text => text !== 'None' && text !== '')
    .map(text => parseAt(text, pathOf(fields, name), 'an IP address', parseAddress))
}
