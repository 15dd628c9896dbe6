// What gateways say of their connections: in their Gateway objects, which each of them writes to its own
// cluster's API. A connection is there when the gateway's pings come back through the cable.

import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from '../kube/resources/connection.ts'
import type { Gateway } from '../kube/resources/gateway.ts'
import { formatAddress } from '../net/address.ts'
import { GatewayError } from '../net/errors.ts'
import { gatewaysOf } from './api.ts'
import { lastWordsOf } from './daemon.ts'
import { forEachOf, type Lab } from './lab.ts'
import type { ClusterPlan } from './topology.ts'

/**
 * Waits until every gateway says that it is connected to every other one, which it does when pings of
 * its own come back; gives what is not so in time.
 */
export async function waitForConnections(lab: Lab, timeoutMs: number): Promise<readonly string[]> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const broken = await brokenConnections(lab)
    if (broken.length === 0 || performance.now() > deadline) return broken
    await delay(100)
  }
}

/** The connections that are not as they should be, in words; empty when all of them are. */
export async function brokenConnections(lab: Lab): Promise<readonly string[]> {
  const { clusterPlans } = lab.plan
  const found = await forEachOf(clusterPlans, 4, cluster => brokenOf(lab, cluster))
  return found.flat()
}

async function brokenOf(lab: Lab, cluster: ClusterPlan): Promise<readonly string[]> {
  const others = lab.plan.clusterPlans.filter(other => other !== cluster)
  try {
    const gateways = await gatewaysOf(lab, cluster)
    const broken = brokenAmong(cluster.name, gateways, names(others))
    if (gateways.length > 0 || broken.length === 0) return broken
    const said = lastWordsOf(lab.sandbox, cluster.gateway.space, 'gateway')
    return [`${broken[0]}${said === '' ? '' : `; its log ends with: ${said}`}`]
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return [error.message]
  }
}

/** The same for one cluster, out of its Gateways: it should be connected to each of the others. */
export function brokenAmong(
  own: string,
  gateways: readonly Gateway[],
  others: readonly string[],
): readonly string[] {
  const active = gateways.find(({ haState }) => haState === 'active')
  if (active === undefined) return [`${own} has no active gateway`]
  const why = active.failure === '' ? '' : `: ${active.failure}`
  return others.flatMap(name => {
    const ours = active.connections.filter(({ endpoint }) => endpoint.clusterId === name)
    if (ours.length === 0) return [`${own} has no connection to ${name}${why}`]
    return ours.filter(({ state }) => state !== 'connected').map(each => described(own, each))
  })
}

function described(own: string, { state, message, usingIp, endpoint }: Connection): string {
  const by = usingIp === undefined ? '' : ` by ${formatAddress(usingIp)}`
  const why = message === '' ? '' : `, ${message}`
  return `${own} to ${endpoint.clusterId}${by}: ${state}${why}`
}

function names(clusters: readonly ClusterPlan[]): readonly string[] {
  return clusters.map(({ name }) => name)
}
