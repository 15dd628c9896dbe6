// Whom to ping: of each remote cluster with a cable, and of each family that both ends have, the address
// that its Endpoint names for it.

import type { EndpointSpec } from '../kube/resources/endpoint.ts'
import type { Address, Family } from '../net/address.ts'
import type { CablePlan } from './cables.ts'
import type { PingTarget, World } from './world.ts'

export function planHealthChecks(
  { settings, self, isActive }: World,
  own: EndpointSpec,
  cables: readonly CablePlan[],
): readonly PingTarget[] {
  if (!settings.healthCheck.isEnabled || !isActive) return []
  return cables.flatMap(({ clusterId, endpoint, outcome }) => {
    if (!outcome.ok) return []
    return familiesOf(own, endpoint).flatMap(family => {
      const from = addressOf(self.healthCheckIps, family)
      const to = addressOf(endpoint.healthCheckIps, family)
      if (from === undefined || to === undefined) return []
      return [{ key: pingKey(clusterId, family), clusterId, from, to }]
    })
  })
}

export function pingKey(clusterId: string, family: Family): string {
  return `${clusterId}/${family}`
}

/** The families in which both have subnets, IPv4 first. */
export function familiesOf(own: EndpointSpec, remote: EndpointSpec): readonly Family[] {
  const has = (spec: EndpointSpec, family: Family) =>
    spec.subnets.some(subnet => subnet.family === family)
  return ([4, 6] as const).filter(family => has(own, family) && has(remote, family))
}

function addressOf(
  { ipv4, ipv6 }: EndpointSpec['healthCheckIps'],
  family: Family,
): Address | undefined {
  return family === 4 ? ipv4 : ipv6
}
