// Proof that clusters need no broker once they know each other: it is killed, and nothing happens to
// what crosses a cable nor to what gateways say of their connections. Started again, it has lost nothing
// and every gateway follows it again.

import { setTimeout as delay } from 'node:timers/promises'
import { gatewayType } from '../kube/resources/gateway.ts'
import { endpointsOfBroker, objectsOf } from './api.ts'
import { brokenConnections, orWhyNot } from './connections.ts'
import { killDaemon } from './daemon.ts'
import { brokerDaemonName, brokerPort, startBroker } from './daemons.ts'
import { labCommandLine } from './hints.ts'
import type { Lab } from './lab.ts'
import type { Outcome, Proof } from './proof.ts'
import { type Place, page, ping, unreached } from './proof-reach.ts'
import { throughput } from './proof-throughput.ts'
import { isAlive, mustRunIn, runIn } from './sandbox.ts'
import { mustFindLab } from './state.ts'
import { brokerAddress, brokerSpace, type ClusterPlan } from './topology.ts'

/** Gateways write what they say every five seconds. */
const saidLimitMs = 15_000
/** They ask a broker that is away less and less often, every minute at last. */
const returnLimitMs = 60_000

export function proveBroker(lab: Lab): Proof {
  return { title: 'nothing happens while the broker is away', prove: () => brokerAway(lab) }
}

async function brokerAway(lab: Lab): Promise<Outcome> {
  const isThere = await killDaemon(lab.sandbox, brokerSpace, brokerDaemonName)
  if (!isThere) return failed(lab, 'there was no broker to stop')
  const stoppedAtMs = Date.now()
  let during: Outcome
  try {
    during = await whileAway(lab, stoppedAtMs)
  } finally {
    // It comes back whatever has been found.
    await startBroker(lab.sandbox)
  }
  if (!during.holds) return during
  const startedAtMs = performance.now()
  const left = await until(lab, () => missingAtBroker(lab), returnLimitMs)
  if (left.length > 0) return failed(lab, `the broker is back, and ${left[0]}`)
  const broken = await until(lab, () => brokenConnections(lab), saidLimitMs)
  if (broken.length > 0) return failed(lab, `after the broker came back: ${broken[0]}`)
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1)
  const figures = `${during.figures}; back again, all gateways follow it after ${seconds} s`
  return { holds: true, figures }
}

async function whileAway(lab: Lab, stoppedAtMs: number): Promise<Outcome> {
  const [east, west] = lab.plan.clusterPlans
  const from: Place = { cluster: east, pod: east.podB }
  const to: Place = { cluster: west, pod: west.podB }
  if (await answers(lab)) return failed(lab, 'the broker was killed and still answers')
  const pinged = await ping(lab, from, to)
  if (!pinged.holds) return pinged
  const fetched = await page(lab, from, to)
  if (!fetched.holds) return fetched
  const flowed = await throughput(lab, 1)
  if (!flowed.holds) return flowed
  const silent = await until(lab, () => silentSince(lab, stoppedAtMs), saidLimitMs)
  if (silent.length > 0)
    return unreached(lab, from, `no gateway of ${silent[0]} has said anything since`)
  const [broken] = await brokenConnections(lab)
  if (broken !== undefined) return failed(lab, broken)
  const count = lab.plan.clusterPlans.length
  return {
    holds: true,
    figures: `ping, page, ${flowed.figures}, ${count} gateways say connected`,
  }
}

async function answers(lab: Lab): Promise<boolean> {
  const [east] = lab.plan.clusterPlans
  const url = `https://${brokerAddress}:${brokerPort}/`
  const curl = ['curl', '-sk', '-o', '/dev/null', '-m', '5', url]
  return (await runIn(lab.sandbox, east.gateway.space, curl)).code === 0
}

/** Clusters whose active gateway has not written its Gateway since then. */
async function silentSince(lab: Lab, sinceMs: number): Promise<readonly string[]> {
  // The time in the object is in whole seconds, and rounded down.
  const isNews = (atMs: number | undefined) => atMs !== undefined && atMs >= sinceMs
  const found = await Promise.all(
    lab.plan.clusterPlans.map(async cluster => {
      const gateways = await objectsOf(lab, cluster, gatewayType)
      const isSaid = gateways.some(
        ({ haState, updatedAtMs }) => haState === 'active' && isNews(updatedAtMs),
      )
      return isSaid ? [] : [cluster.name]
    }),
  )
  return found.flat()
}

/** What is not as it was before: gateways without a connection to it, Endpoints that it has lost. */
async function missingAtBroker(lab: Lab): Promise<readonly string[]> {
  const filter = ['state', 'established', 'sport', '=', `:${brokerPort}`]
  const sockets = await mustRunIn(lab.sandbox, brokerSpace, ['ss', '-Htn', ...filter])
  const isConnected = ({ wireAddress }: ClusterPlan) => sockets.includes(` ${wireAddress}:`)
  const endpoints = await endpointsOfBroker(lab)
  return lab.plan.clusterPlans.flatMap(cluster => {
    const { name } = cluster
    if (!endpoints.some(({ clusterId }) => clusterId === name))
      return [`it has no Endpoint of ${name}`]
    return isConnected(cluster) ? [] : [`the gateway of ${name} has not come back to it`]
  })
}

/** Looks until nothing is left or the time is up; gives what is left. */
async function until(
  { sandbox, plan }: Lab,
  look: () => Promise<readonly string[]>,
  limitMs: number,
): Promise<readonly string[]> {
  const deadline = performance.now() + limitMs
  for (;;) {
    if (!isAlive(sandbox)) mustFindLab(plan.name)
    const left = await orWhyNot(look)
    if (left.length === 0 || performance.now() > deadline) return left
    await delay(100)
  }
}

function failed(lab: Lab, reason: string): Outcome {
  const [east] = lab.plan.clusterPlans
  const hint = labCommandLine(
    lab.plan,
    'exec',
    `${east.name}/gateway -- bin/hawser show connections`,
  )
  return { holds: false, reason, hint }
}
