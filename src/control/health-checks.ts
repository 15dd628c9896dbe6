// Whom to ping: of each remote cluster with a cable, and of each family that both ends have, the address
// that its Endpoint names for it. An address outside what is accepted of its subnets is not pinged:
// it is not behind the cable.

import type { EndpointSpec } from '../kube/resources/endpoint.ts'
import { type Address, type Family, formatAddress } from '../net/address.ts'
import type { CablePlan } from './cables.ts'
import { problem } from './problems.ts'
import { contains } from './subnets.ts'
import type { PingTarget, Problem, World } from './world.ts'

export interface HealthChecks {
  readonly pings: readonly PingTarget[]
  readonly problems: readonly Problem[]
}

export function planHealthChecks(
  { settings, self, isActive }: World,
  own: EndpointSpec,
  cables: readonly CablePlan[],
): HealthChecks {
  const pings: PingTarget[] = []
  const problems: Problem[] = []
  if (!settings.healthCheck.isEnabled || !isActive) return { pings, problems }
  for (const { clusterId, endpoint, outcome } of cables) {
    if (!outcome.ok) continue
    for (const family of familiesOf(own, endpoint)) {
      const source = addressOf(self.healthCheckIps, family)
      const target = addressOf(endpoint.healthCheckIps, family)
      if (target === undefined) continue
      if (!isWithin(endpoint, target)) {
        const message = `${formatAddress(target)}, to be pinged, is in none of its subnets`
        const object = `endpoints/${endpoint.meta.name}`
        problems.push(problem('foreign-health-check', clusterId, object, message))
      } else if (source !== undefined) {
        pings.push({ key: pingKey(clusterId, family), clusterId, from: source, to: target })
      }
    }
  }
  return { pings, problems }
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

function isWithin({ subnets }: EndpointSpec, { family, bytes }: Address): boolean {
  const whole = { family, bytes, bits: family === 4 ? 32 : 128 }
  return subnets.some(subnet => contains(subnet, whole))
}
