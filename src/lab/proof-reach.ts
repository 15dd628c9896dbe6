// Proofs that pods reach each other: ping on all pairs of nodes of the first two clusters in both
// families, a ping for each pair of clusters when there are more, and a page that tells which
// address it was asked from.

import { labCommandLine } from './hints.ts'
import { forEachOf, type Lab } from './lab.ts'
import { lastWords } from './process.ts'
import type { Outcome, Proof } from './proof.ts'
import { runIn } from './sandbox.ts'
import { type ClusterPlan, type PodPlan, podsOf } from './topology.ts'

/** A pod and the cluster that it is in. */
interface Place {
  readonly cluster: ClusterPlan
  readonly pod: PodPlan
}

export function proveReach(lab: Lab): readonly Proof[] {
  const { clusterPlans } = lab.plan
  const [east, west] = clusterPlans.map(cluster => podsOf(cluster).map(pod => ({ cluster, pod })))
  const pings = east.flatMap(from =>
    west.map(to => ({ title: arrow('ping', from, to), prove: () => ping(lab, from, to) })),
  )
  const mesh = {
    title: 'ping between all clusters',
    prove: () => pingMesh(lab),
  }
  const pages = [
    { from: east[1], to: west[1], prove: () => page(lab, east[1], west[1]) },
    { from: west[0], to: east[1], prove: () => page(lab, west[0], east[1]) },
  ].map(({ from, to, prove }) => ({ title: arrow('page', from, to), prove }))
  return [...pings, ...(clusterPlans.length > 2 ? [mesh] : []), ...pages]
}

/** `east/pod-a`. */
function placeName({ cluster, pod }: Place): string {
  return `${cluster.name}/${pod.name}`
}

function arrow(what: string, from: Place, to: Place): string {
  return `${what} ${placeName(from)} → ${placeName(to)}`
}

async function ping(lab: Lab, from: Place, to: Place): Promise<Outcome> {
  const addresses = [to.pod.address, to.pod.address6]
  const trips = await Promise.all(addresses.map(address => roundTrip(lab, from.pod, address, 3)))
  const figures: string[] = []
  for (const trip of trips) {
    if ('reason' in trip) return unreached(lab, from, trip.reason)
    figures.push(`${trip.address} ${trip.medianMs.toFixed(2)} ms`)
  }
  return { holds: true, figures: figures.join(', ') }
}

async function pingMesh(lab: Lab): Promise<Outcome> {
  const places = lab.plan.clusterPlans.map(cluster => ({ cluster, pod: cluster.podB }))
  const pairs = places.flatMap((from, i) => places.slice(i + 1).map(to => ({ from, to })))
  const trips = await forEachOf(pairs, 8, async ({ from, to }) => {
    const both = [to.pod.address, to.pod.address6]
    const results = await Promise.all(both.map(address => roundTrip(lab, from.pod, address, 1)))
    return { from, failed: results.find(result => 'reason' in result) }
  })
  for (const { from, failed } of trips)
    if (failed !== undefined) return unreached(lab, from, failed.reason)
  return { holds: true, figures: `${pairs.length} pairs, IPv4 and IPv6` }
}

/** Fetches by IPv4 and IPv6; the page must name the address of the pod that asked. */
async function page(lab: Lab, from: Place, to: Place): Promise<Outcome> {
  const trips = [
    { url: `http://${to.pod.address}/`, source: from.pod.address },
    { url: `http://[${to.pod.address6}]/`, source: from.pod.address6 },
  ]
  for (const { url, source } of trips) {
    const result = await runIn(lab.sandbox, from.pod.space, ['curl', '-sS', '-m', '10', url])
    const expected = `this is ${placeName(to)}, you are ${source}`
    if (result.code !== 0) return unreached(lab, from, `${url}: ${lastWords(result)}`)
    if (result.stdout.trim() !== expected)
      return unreached(lab, from, `${url} says "${lastWords(result)}", not "${expected}"`)
  }
  return { holds: true, figures: `it saw ${trips.map(({ source }) => source).join(' and ')}` }
}

type RoundTrip =
  | { readonly address: string; readonly medianMs: number }
  | { readonly address: string; readonly reason: string }

async function roundTrip(
  lab: Lab,
  from: PodPlan,
  address: string,
  count: number,
): Promise<RoundTrip> {
  const command = ['ping', '-n', '-i', '0.2', '-c', String(count), '-w', '8', address]
  const result = await runIn(lab.sandbox, from.space, command)
  const timesMs = [...result.stdout.matchAll(/ time=([\d.]+) ms/g)].map(([, ms]) => Number(ms))
  if (result.code === 0 && timesMs.length === count)
    return { address, medianMs: timesMs.sort((a, b) => a - b)[count >> 1] }
  const said = /\d+ packets transmitted.*/.exec(result.stdout)?.[0] ?? lastWords(result)
  return { address, reason: `${address}: ${said}` }
}

function unreached(lab: Lab, from: Place, reason: string): Outcome {
  const gateway = `${from.cluster.name}/gateway`
  return {
    holds: false,
    reason,
    hint: labCommandLine(lab.plan, 'exec', `${gateway} -- bin/hawser drops`),
  }
}
