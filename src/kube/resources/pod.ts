// v1 Pod, as far as its addresses. A write changes its labels and annotations alone.

import type { Address } from '../../net/address.ts'
import { parseAddress } from '../../net/address.ts'
import type { Resource, ResourceType } from '../resource-type.ts'
import {
  type Fields,
  has,
  parseAt,
  pathOf,
  readAddress,
  readObjectOr,
  readObjects,
  readText,
} from './fields.ts'
import { parseResource, writeResource } from './resource.ts'

export interface Pod extends Resource {
  /** Empty until it has a node. */
  readonly nodeName: string
  /** At most one of each family; none until it runs. */
  readonly ips: readonly Address[]
}

const place = {
  group: '',
  version: 'v1',
  plural: 'pods',
  kind: 'Pod',
  namespaced: true,
} as const

export const podType: ResourceType<Pod> = {
  ...place,
  parse: raw =>
    parseResource(place, raw, (root, meta) => ({
      meta,
      nodeName: readText(readObjectOr(root, 'spec'), 'nodeName', ''),
      ips: readIps(readObjectOr(root, 'status')),
    })),
  serialize: ({ meta }, base) => writeResource(place, meta, {}, base),
}

function readIps(status: Fields): Address[] {
  if (has(status, 'podIPs')) {
    return readObjects(status, 'podIPs').map(entry =>
      parseAt(readText(entry, 'ip'), pathOf(entry, 'ip'), 'an IP address', parseAddress),
    )
  }
  const single = readAddress(status, 'podIP')
  return single === undefined ? [] : [single]
}
