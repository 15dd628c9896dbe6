// What gateways and route agents say: in the Gateway and RouteAgent objects that they write to their own
// cluster's API. A lab is whole when each gateway is connected to each other one, and each node has
// routes to each other cluster.

import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from '../kube/resources/connection.ts'
import { type Gateway, gatewayType } from '../kube/resources/gateway.ts'
import { type RouteAgent, routeAgentType } from '../kube/resources/route-agent.ts'
import { formatAddress } from '../net/address.ts'
import { GatewayError } from '../net/errors.ts'
import { objectsOf } from './api.ts'
import { lastWordsOf } from './daemon.ts'
import { forEachOf, gatewayStatus, type Lab } from './lab.ts'
import { isAlive } from './sandbox.ts'
import { mustFindLab } from './state.ts'
import { type ClusterPlan, nodesOf } from './topology.ts'

/**
 * Waits until a lab is whole; gives what is missing when the time is up. Data paths are asked first: that
 * costs next to nothing, and asking an API takes the time from those that are still starting.
 */
export async function waitForConnections(lab: Lab, timeoutMs: number): Promise<readonly string[]> {
  const deadline = performance.now() + timeoutMs
  for (const look of [missingCables, brokenConnections, missingRoutes]) {
    for (;;) {
      // Who is interrupted has no lab to ask any more.
      if (!isAlive(lab.sandbox)) mustFindLab(lab.plan.name)
      const missing = await look(lab)
      if (missing.length === 0) break
      if (performance.now() > deadline) return whatIsSaid(lab, missing)
      await delay(100)
    }
  }
  return []
}

/** The connections that are not as they should be, in words; empty when all of them are. */
export async function brokenConnections(lab: Lab): Promise<readonly string[]> {
  const { clusterPlans } = lab.plan
  const found = await forEachOf(clusterPlans, 4, cluster => brokenOf(lab, cluster))
  return found.flat()
}

/** Gateways know best why something is missing. */
async function whatIsSaid(lab: Lab, missing: readonly string[]): Promise<readonly string[]> {
  const said = await brokenConnections(lab)
  return said.length > 0 ? said : missing
}

/** Cables that no data path has, in words. */
async function missingCables(lab: Lab): Promise<readonly string[]> {
  const { clusterPlans } = lab.plan
  const found = await forEachOf(clusterPlans, 4, async cluster => {
    const { cables } = await gatewayStatus(lab, cluster)
    return clusterPlans
      .filter(({ name }) => name !== cluster.name && !cables.some(cable => cable.name === name))
      .map(({ name }) => `${cluster.name} has no cable to ${name}`)
  })
  return found.flat()
}

/** Nodes without routes to some other cluster, in words. */
async function missingRoutes(lab: Lab): Promise<readonly string[]> {
  const { clusterPlans } = lab.plan
  const found = await forEachOf(clusterPlans, 4, cluster =>
    orWhyNot(async () => {
      const others = clusterPlans.filter(other => other !== cluster)
      const agents = await objectsOf(lab, cluster, routeAgentType)
      return nodesOf(cluster).flatMap(({ hostname }) =>
        missingOn(hostname, agents, namesOf(others)),
      )
    }),
  )
  return found.flat()
}

/** The same for one node, out of the RouteAgents of its cluster. */
export function missingOn(
  node: string,
  agents: readonly RouteAgent[],
  others: readonly string[],
): readonly string[] {
  const agent = agents.find(({ meta }) => meta.name === node)
  if (agent === undefined) return [`no route agent speaks for ${node}`]
  const known = agent.remotes.map(({ endpoint }) => endpoint.clusterId)
  const missing = others.filter(name => !known.includes(name))
  if (missing.length === 0 && agent.failure === '') return []
  const why = agent.failure === '' ? '' : `: ${agent.failure}`
  return [`${node} has no routes to ${(missing.length > 0 ? missing : others).join(', ')}${why}`]
}

async function brokenOf(lab: Lab, cluster: ClusterPlan): Promise<readonly string[]> {
  const others = lab.plan.clusterPlans.filter(other => other !== cluster)
  return orWhyNot(async () => {
    const gateways = await objectsOf(lab, cluster, gatewayType)
    const broken = brokenAmong(cluster.name, gateways, namesOf(others))
    if (gateways.length > 0 || broken.length === 0) return broken
    const said = lastWordsOf(lab.sandbox, cluster.gateway.space, 'gateway')
    return [`${broken[0]}${said === '' ? '' : `; its log ends with: ${said}`}`]
  })
}

/** An API that does not answer, or not in time, is one more thing that is not as it should be. */
export async function orWhyNot(look: () => Promise<readonly string[]>): Promise<readonly string[]> {
  try {
    return await look()
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

function namesOf(clusters: readonly ClusterPlan[]): readonly string[] {
  return clusters.map(({ name }) => name)
}
