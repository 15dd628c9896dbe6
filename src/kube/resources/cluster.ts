// submariner.io/v1 Cluster: the subnets of one member. A subnet belongs to the oldest Cluster that
// lists it.

import { formatPrefix, type Prefix } from '../../net/address.ts'
import type { Resource, ResourceType } from '../resource-type.ts'
import { readClusterId } from './endpoint.ts'
import { readObject, readPrefixes, readTexts } from './fields.ts'
import { listOrNone, overlay, parseResource, partOf, writeResource } from './resource.ts'

export interface Cluster extends Resource {
  readonly clusterId: string
  readonly clusterCidrs: readonly Prefix[]
  readonly serviceCidrs: readonly Prefix[]
  /** Empty without Globalnet. */
  readonly globalCidrs: readonly Prefix[]
  /** Nobody acts on them. */
  readonly colorCodes: readonly string[]
}

const place = {
  group: 'submariner.io',
  version: 'v1',
  plural: 'clusters',
  kind: 'Cluster',
  namespaced: true,
} as const

export const clusterType: ResourceType<Cluster> = {
  ...place,
  parse: raw =>
    parseResource(place, raw, (root, meta) => {
      const spec = readObject(root, 'spec')
      return {
        meta,
        clusterId: readClusterId(spec),
        clusterCidrs: readPrefixes(spec, 'cluster_cidr'),
        serviceCidrs: readPrefixes(spec, 'service_cidr'),
        globalCidrs: readPrefixes(spec, 'global_cidr'),
        colorCodes: readTexts(spec, 'color_codes'),
      }
    }),
  serialize: (cluster, base) => {
    const spec = overlay(partOf(base, 'spec'), {
      cluster_id: cluster.clusterId,
      cluster_cidr: cluster.clusterCidrs.map(formatPrefix),
      service_cidr: cluster.serviceCidrs.map(formatPrefix),
      // Required, if only as an empty list.
      global_cidr: cluster.globalCidrs.map(formatPrefix),
      color_codes: listOrNone(cluster.colorCodes),
    })
    return writeResource(place, cluster.meta, { spec }, base)
  },
}
