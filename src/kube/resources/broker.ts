// submariner.io/v1alpha1 Broker: what a clusterset has and hands out, in the namespace of the broker.

import type { Prefix } from '../../net/address.ts'
import type { Resource, ResourceType } from '../resource-type.ts'
import { readCount, readFlag, readObjectOr, readPrefix, readTexts } from './fields.ts'
import {
  listOrNone,
  overlay,
  parseResource,
  partOf,
  trueOrNone,
  writeResource,
} from './resource.ts'
import { prefixText } from './submariner-status.ts'

export interface Broker extends Resource {
  /** `service-discovery`, `connectivity`. */
  readonly components: readonly string[]
  readonly defaultCustomDomains: readonly string[]
  readonly isGlobalnetEnabled: boolean
  /** What members get their global CIDRs from. */
  readonly globalnetRange: Prefix | undefined
  /** In addresses; undefined: the default. */
  readonly globalnetClusterSize: number | undefined
  readonly isClustersetIpEnabled: boolean
  readonly clustersetIpRange: Prefix | undefined
}

const place = {
  group: 'submariner.io',
  version: 'v1alpha1',
  plural: 'brokers',
  kind: 'Broker',
  namespaced: true,
} as const

export const brokerType: ResourceType<Broker> = {
  ...place,
  parse: raw =>
    parseResource(place, raw, (root, meta) => {
      const spec = readObjectOr(root, 'spec')
      return {
        meta,
        components: readTexts(spec, 'components'),
        defaultCustomDomains: readTexts(spec, 'defaultCustomDomains'),
        isGlobalnetEnabled: readFlag(spec, 'globalnetEnabled', false),
        globalnetRange: readPrefix(spec, 'globalnetCIDRRange'),
        globalnetClusterSize: readCount(spec, 'defaultGlobalnetClusterSize', 0) || undefined,
        isClustersetIpEnabled: readFlag(spec, 'clustersetIPEnabled', false),
        clustersetIpRange: readPrefix(spec, 'clustersetIPCIDRRange'),
      }
    }),
  serialize: (broker, base) => {
    const spec = overlay(partOf(base, 'spec'), {
      components: listOrNone(broker.components),
      defaultCustomDomains: listOrNone(broker.defaultCustomDomains),
      globalnetEnabled: trueOrNone(broker.isGlobalnetEnabled),
      globalnetCIDRRange: prefixText(broker.globalnetRange),
      defaultGlobalnetClusterSize: broker.globalnetClusterSize,
      clustersetIPEnabled: trueOrNone(broker.isClustersetIpEnabled),
      clustersetIPCIDRRange: prefixText(broker.clustersetIpRange),
    })
    return writeResource(place, broker.meta, { spec }, base)
  },
}
