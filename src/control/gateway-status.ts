// Our Gateway object: who we are, and a connection for each remote cluster and IP family, merged from
// what the data path says of the cable and what pings through it say (spec 4.4).
//
//   cable connected,  pings fail     error, with the words of the pings
//   cable connected,  not known yet  connected, with the words of the pings
//   cable in error,   pings answer   connected: what passes is no error
//   anything else                    what the cable says
//
// A passive gateway has no connections. What is wrong besides is in `statusFailure`, cut short.

import { ensureValidName } from '../kube/names.ts'
import type { Connection } from '../kube/resources/connection.ts'
import type { EndpointSpec, FamilyAddresses } from '../kube/resources/endpoint.ts'
import { type Gateway, gatewayType } from '../kube/resources/gateway.ts'
import { newMeta } from '../kube/resources/resource.ts'
import type { Family } from '../net/address.ts'
import type { CablePlan } from './cables.ts'
import { shownSpec, sizeOf } from './endpoint-spec.ts'
import { familiesOf, pingKey } from './health-checks.ts'
import { cut, problem } from './problems.ts'
import type { LinkReport, PingReport, Problem, World, Write } from './world.ts'

/** A Gateway that was not written for so long is of a gateway that is no more. */
export const gatewayStaleMs = 15_000

/** Of all connections together: a server takes objects of one and a half MB. */
const connectionsMostBytes = 1_000_000
const failureMost = 1024
const failuresMost = 8

export function describeGateway(
  world: World,
  own: EndpointSpec,
  cables: readonly CablePlan[],
  problems: readonly Problem[],
): Gateway {
  const { settings, isActive, local } = world
  const name = ensureValidName(settings.hostname)
  const before = local.gateways.items.find(({ meta }) => meta.name === name)
  const all = isActive ? cables.flatMap(cable => connectionsOf(world, own, cable)) : []
  const connections = fitting(all)
  const hidden = all.length - connections.length
  const failure = failureText(problems)
  const note = `${hidden} connections more than there is room for are not listed`
  return {
    meta: before?.meta ?? newMeta(name, settings.namespace),
    updatedAtMs: world.nowMs,
    globalIp: before?.globalIp,
    version: settings.version,
    haState: isActive ? 'active' : 'passive',
    localEndpoint: shownSpec(own),
    failure: hidden === 0 ? failure : [note, failure].filter(text => text !== '').join('; '),
    connections,
  }
}

function fitting(connections: readonly Connection[]): readonly Connection[] {
  let room = connectionsMostBytes
  const end = connections.findIndex(({ endpoint, message }) => {
    room -= sizeOf(endpoint) + Buffer.byteLength(message)
    return room < 0
  })
  return end < 0 ? connections : connections.slice(0, end)
}

/** Problems in one text, those of our own first. */
function failureText(problems: readonly Problem[]): string {
  const sorted = [...problems].sort(
    (a, b) => Number(a.clusterId !== '') - Number(b.clusterId !== ''),
  )
  const texts = sorted
    .slice(0, failuresMost)
    .map(({ object, message }) => (object === '' ? message : `${object}: ${message}`))
  const more = problems.length - texts.length
  const text = cut(texts.join('; '), failureMost)
  return more > 0 ? `${text}; and ${more} more` : text
}

function connectionsOf(world: World, own: EndpointSpec, cable: CablePlan): readonly Connection[] {
  const families = familiesOf(own, cable.endpoint)
  if (families.length < 2)
    return [connectionOf(world, cable, families[0], shownSpec(cable.endpoint))]
  return families.map(family => connectionOf(world, cable, family, onlyOf(cable.endpoint, family)))
}

function connectionOf(
  world: World,
  { clusterId, outcome }: CablePlan,
  family: Family | undefined,
  endpoint: EndpointSpec,
): Connection {
  if (!outcome.ok) {
    const message = outcome.reason
    return {
      ...{ state: 'error', message, endpoint },
      ...{ usingIp: undefined, isUsingNat: false, latency: undefined },
    }
  }
  const link = linkOf(world, clusterId)
  const ping = family && world.pings.get(pingKey(clusterId, family))
  return {
    ...merged(link, ping),
    endpoint: withTraffic(endpoint, link),
    usingIp: outcome.usingIp,
    isUsingNat: outcome.isUsingNat,
    latency: ping?.latency,
  }
}

function linkOf({ datapath, links }: World, clusterId: string): LinkReport {
  const traffic = undefined
  if (datapath === undefined) {
    return { state: 'error', message: 'the data path does not answer', traffic }
  }
  const message = 'the data path does not have this cable yet'
  return links.get(clusterId) ?? { state: 'connecting', message, traffic }
}

function merged(
  { state, message }: LinkReport,
  ping: PingReport | undefined,
): Pick<Connection, 'state' | 'message'> {
  if (state === 'connected' && ping?.state === 'failed') {
    return { state: 'error', message: ping.message }
  }
  if (state === 'connected' && ping?.state === 'unknown' && ping.message !== '') {
    return { state, message: ping.message }
  }
  if (state === 'error' && ping?.state === 'ok') return { state: 'connected', message: '' }
  return { state, message }
}

/** The Endpoint as far as one family goes. */
function onlyOf(endpoint: EndpointSpec, family: Family): EndpointSpec {
  const { ipv4, ipv6 } = endpoint.healthCheckIps
  const healthCheckIps: FamilyAddresses =
    family === 4 ? { ipv4, ipv6: undefined } : { ipv4: undefined, ipv6 }
  const subnets = endpoint.subnets.filter(subnet => subnet.family === family)
  return { ...shownSpec(endpoint), subnets, healthCheckIps }
}

/** Counters where stock's driver has them. */
function withTraffic(endpoint: EndpointSpec, { traffic }: LinkReport): EndpointSpec {
  if (traffic === undefined) return endpoint
  const others = {
    ...endpoint.backendConfig.others,
    LastChecked: String(Math.floor(traffic.checkedAtMs)),
    TransmitBytes: String(traffic.txBytes),
    ReceiveBytes: String(traffic.rxBytes),
  }
  return { ...endpoint, backendConfig: { ...endpoint.backendConfig, others } }
}

/** Gateways of nodes that are no more; the active gateway deletes them. */
export function staleGateways({ isActive, local, settings, nowMs }: World): readonly Write[] {
  if (!isActive || !local.gateways.synced) return []
  const ownName = ensureValidName(settings.hostname)
  return local.gateways.items
    .filter(({ meta, updatedAtMs }) => {
      return meta.name !== ownName && !meta.isDeleting && isStale(updatedAtMs, nowMs)
    })
    .map(({ meta, updatedAtMs }) => ({
      verb: 'delete',
      server: 'local',
      key: `${gatewayType.kind}/${meta.name}`,
      type: gatewayType,
      ...{ name: meta.name, namespace: meta.namespace, uid: meta.uid },
      reason:
        updatedAtMs === undefined
          ? 'nobody can tell when it was written'
          : `it was last written ${Math.round((nowMs - updatedAtMs) / 1000)} s ago`,
    }))
}

/** Gateways that were written in what is our future: their nodes' clocks, or ours, are wrong. */
export function clockProblems({ local, nowMs }: World): readonly Problem[] {
  return local.gateways.items.flatMap(({ meta, updatedAtMs = 0 }) => {
    if (updatedAtMs - nowMs <= gatewayStaleMs) return []
    const seconds = Math.round((updatedAtMs - nowMs) / 1000)
    const message =
      `it was written ${seconds} s ahead of this node's clock; gateways that seem old are deleted: ` +
      'set the clocks of both nodes'
    return [problem('clock', '', `gateways/${meta.name}`, message)]
  })
}

export function isStale(updatedAtMs: number | undefined, nowMs: number): boolean {
  return updatedAtMs === undefined || nowMs - updatedAtMs > gatewayStaleMs
}

/**
 * Whether a Gateway says something that is not to wait for the next round of writing: anything but
 * counters, round trip times and the time.
 */
export function hasNews(before: Gateway | undefined, now: Gateway): boolean {
  return before === undefined || newsOf(before) !== newsOf(now)
}

/** Objects are never changed; each is compared many times. */
const news = new WeakMap<Gateway, string>()

function newsOf(gateway: Gateway): string {
  const found = news.get(gateway)
  if (found !== undefined) return found
  const { haState, version, failure, localEndpoint, connections } = gateway
  const shown = connections.map(({ state, endpoint, usingIp, isUsingNat }) => {
    const { clusterId, cableName, hostname, subnets } = endpoint
    return [state, clusterId, cableName, hostname, subnets, usingIp, isUsingNat]
  })
  const text = JSON.stringify([haState, version, failure, localEndpoint, shown])
  news.set(gateway, text)
  return text
}
