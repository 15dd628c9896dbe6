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
export interface Place {
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
export function placeName({ cluster, pod }: Place): string {
  return `${cluster.name}/${pod.name}`
}

function arrow(what: string, from: Place, to: Place): string {
  return `${what} ${placeName(from)} → ${placeName(to)}`
}

export async function ping(lab: Lab, from: Place, to: Place): Promise<Outcome> {
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
export async function page(lab: Lab, from: Place, to: Place): Promise<Outcome> {
  const urls = urlsOf([to.pod.address, to.pod.address6])
  const fetched = await fetchPages(lab, from, urls, [to])
  if ('holds' in fetched) return fetched
  return { holds: true, figures: `it saw ${from.pod.address} and ${from.pod.address6}` }
}

/** Of IPv4 and IPv6 addresses. */
export function urlsOf(addresses: readonly string[]): readonly string[] {
  return addresses.map(host => `http://${host.includes(':') ? `[${host}]` : host}/`)
}

/**
 * Fetches a page by each URL. Whoever answers must be one of those that may, and must have seen the
 * address of the pod that asked. Gives who answered.
 */
export async function fetchPages(
  lab: Lab,
  from: Place,
  urls: readonly string[],
  answerers: readonly Place[],
): Promise<Outcome | readonly Place[]> {
  const answered: Place[] = []
  for (const url of urls) {
    const result = await runIn(lab.sandbox, from.pod.space, ['curl', '-sS', '-m', '10', url])
    if (result.code !== 0) return unreached(lab, from, `${url}: ${lastWords(result)}`)
    const source = url.includes('[') ? from.pod.address6 : from.pod.address
    const expected = answerers.map(to => `this is ${placeName(to)}, you are ${source}`)
    const index = expected.indexOf(result.stdout.trim())
    if (index < 0) {
      const wanted = expected.map(text => `"${text}"`).join(' or ')
      return unreached(lab, from, `${url} says "${lastWords(result)}", not ${wanted}`)
    }
    answered.push(answerers[index])
  }
  return answered
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

export function unreached(lab: Lab, from: Place, reason: string): Outcome {
  const gateway = `${from.cluster.name}/gateway`
  return {
    holds: false,
    reason,
    hint: labCommandLine(lab.plan, 'exec', `${gateway} -- bin/hawser drops`),
  }
}
