// networking.k8s.io/v1 ServiceCIDR: what Services get their addresses from. Read only.

import { formatPrefix, type Prefix } from '../../net/address.ts'
import type { Resource, ResourceType } from '../resource-type.ts'
import { readObjectOr, readPrefixes } from './fields.ts'
import { overlay, parseResource, partOf, writeResource } from './resource.ts'

export interface ServiceCidr extends Resource {
  readonly cidrs: readonly Prefix[]
}

const place = {
  group: 'networking.k8s.io',
  version: 'v1',
  plural: 'servicecidrs',
  kind: 'ServiceCIDR',
  namespaced: false,
} as const

export const serviceCidrType: ResourceType<ServiceCidr> = {
  ...place,
  parse: raw =>
    parseResource(place, raw, (root, meta) => ({
      meta,
      cidrs: readPrefixes(readObjectOr(root, 'spec'), 'cidrs'),
    })),
  serialize: ({ meta, cidrs }, base) => {
    const spec = overlay(partOf(base, 'spec'), { cidrs: cidrs.map(formatPrefix) })
    return writeResource(place, meta, { spec }, base)
  },
}
