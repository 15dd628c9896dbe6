// The status of the `submariner` resource, which `subctl show` reads: the active gateway fills it. Its
// gateways are those that the server has, ours as it was last written: so it changes no more often
// than they do.

import { isDeepStrictEqual } from 'node:util'
import { type Submariner, submarinerType } from '../kube/resources/submariner.ts'
import {
  type SubmarinerStatus,
  writeSubmarinerStatus,
} from '../kube/resources/submariner-status.ts'
import { isStale } from './gateway-status.ts'
import type { World, Write } from './world.ts'

/** What is said of the network plugin while none is looked for. */
const anyPlugin = 'generic'

export function planSubmarinerStatus(world: World): readonly Write[] {
  const { submariner, gateways } = world.local
  if (!world.isActive || submariner === undefined || !gateways.synced) return []
  const status = statusOf(world, submariner)
  const object: Submariner = { ...submariner, status }
  const before = submariner.status && writeSubmarinerStatus(submariner.status, undefined)
  if (isDeepStrictEqual(before, writeSubmarinerStatus(status, undefined))) return []
  return [
    {
      verb: 'update',
      server: 'local',
      key: `${submarinerType.kind}/${submariner.meta.name}`,
      type: submarinerType,
      object,
      status: true,
      reason: 'what the gateways say',
    },
  ]
}

function statusOf(
  { settings, local, nowMs }: World,
  { status, isAirGapped, discovery }: Submariner,
): SubmarinerStatus {
  return {
    clusterId: settings.clusterId,
    isNatEnabled: settings.isNatEnabled,
    isAirGapped,
    clusterCidrs: settings.clusterCidrs,
    serviceCidrs: settings.serviceCidrs,
    globalCidrs: settings.globalCidrs,
    clustersetIpCidr: discovery.clustersetIpCidr,
    colorCodes: settings.colorCodes,
    networkPlugin: status?.networkPlugin || anyPlugin,
    version: settings.version,
    gateways: local.gateways.items.filter(({ updatedAtMs }) => !isStale(updatedAtMs, nowMs)),
  }
}
