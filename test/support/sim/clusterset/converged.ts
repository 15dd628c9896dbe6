// What must be so once nothing goes wrong any more. The first thing that is not, in words.

import { isDeepStrictEqual } from 'node:util'
import { type Body, recordAt, textAt } from '../../../../src/apiserver/body.ts'
import { label } from '../../../../src/kube/names.ts'
import { gatewayType } from '../../../../src/kube/resources/gateway.ts'
import { formatAddress, formatPrefix } from '../../../../src/net/address.ts'
import type { SimCluster } from './cluster.ts'
import type { Clusterset } from './clusterset.ts'
import { isWireguard, textOf } from './datapath.ts'
import { type Liar, liarId, liarSubnet } from './liar.ts'
import type { SimNode } from './node.ts'
import { epochMs } from './server.ts'

/** A Gateway is written every five seconds; the node's clock may have been set meanwhile. */
const gatewayAgeMostMs = 12_000

export function unfinished(set: Clusterset, hasLiar: boolean): string | undefined {
  const active = new Map<string, SimNode>()
  for (const cluster of set.clusters) {
    const [only, ...others] = cluster.activeNodes
    if (only === undefined || others.length > 0) {
      return `${cluster.id} has ${cluster.activeNodes.length} active gateways`
    }
    const { state } = only.process?.election.leadership() ?? {}
    if (state !== 'leader') return `${only.hostname} is active as ${state}`
    active.set(cluster.id, only)
  }
  return (
    brokerProblem(set, active, hasLiar) ??
    first(set.clusters, cluster => copiesProblem(set, cluster, hasLiar)) ??
    first([...active.values()], node => tablesProblem(set, node, active, hasLiar)) ??
    first(set.clusters, cluster => passiveProblem(cluster)) ??
    first(set.clusters, cluster => gatewaysProblem(set, cluster, hasLiar)) ??
    first([...active.values()], node => problemsProblem(set, node, hasLiar))
  )
}

function brokerProblem(
  { broker, clusters }: Clusterset,
  active: ReadonlyMap<string, SimNode>,
  hasLiar: boolean,
): string | undefined {
  const bodies = {
    clusters: broker.bodies(kindOf('clusters')),
    endpoints: broker.bodies(kindOf('endpoints')),
  }
  const count = clusters.length + (hasLiar ? 1 : 0)
  if (bodies.clusters.length !== count) return `the broker has ${bodies.clusters.length} Clusters`
  if (bodies.endpoints.length !== count)
    return `the broker has ${bodies.endpoints.length} Endpoints`
  return first(clusters, ({ id, subnets }) => {
    const isOurs = (body: Body) => textAt(body, 'metadata', 'labels', label.clusterId) === id
    const cluster = bodies.clusters.find(isOurs)
    const endpoint = bodies.endpoints.find(isOurs)
    if (cluster === undefined || endpoint === undefined) return `the broker lacks objects of ${id}`
    const node = active.get(id)
    const spec = recordAt(endpoint, 'spec')
    const isRight =
      spec['hostname'] === node?.hostname &&
      spec['private_ip'] === node?.addressText &&
      textAt(spec, 'backend_config', 'publicKey') === node?.publicKeyText &&
      isDeepStrictEqual([...(spec['subnets'] as string[])], subnets)
    return isRight ? undefined : `the Endpoint of ${id} on the broker is not that of its gateway`
  })
}

function copiesProblem(
  { broker, clusters, liar }: Clusterset,
  { id, server }: SimCluster,
  hasLiar: boolean,
): string | undefined {
  for (const plural of ['clusters', 'endpoints']) {
    const here = server.bodies(kindOf(plural))
    // A copied Endpoint is not believed, and so not copied on.
    const hasCopy = hasLiar && (plural === 'clusters' || isBelieved(liar))
    const count = clusters.length + (hasCopy ? 1 : 0)
    if (here.length !== count) return `${id} has ${here.length} ${plural}`
    for (const original of broker.bodies(kindOf(plural))) {
      const name = textAt(original, 'metadata', 'name')
      if (textAt(original, 'metadata', 'labels', label.clusterId) === liarId) continue
      const copy = here.find(body => textAt(body, 'metadata', 'name') === name)
      if (!isDeepStrictEqual(copy?.['spec'], original['spec'])) {
        return `${id} has not the broker's ${plural}/${name}`
      }
    }
  }
  return undefined
}

function tablesProblem(
  { clusters, liar }: Clusterset,
  node: SimNode,
  active: ReadonlyMap<string, SimNode>,
  hasLiar: boolean,
): string | undefined {
  const { datapath, hostname, cluster, publicKeyText } = node
  const cables = datapath.tables?.cables.filter(isWireguard) ?? []
  if (datapath.publicKey !== publicKeyText) return `${hostname} forwards by another key`
  for (const { id, subnets } of clusters) {
    if (id === cluster.id) continue
    const cable = cables.find(({ name }) => name === id)
    const peer = active.get(id)
    const isRight =
      cable !== undefined &&
      textOf(cable.publicKey) === peer?.publicKeyText &&
      cable.remote !== undefined &&
      formatAddress(cable.remote.address) === peer.addressText &&
      cable.remote.port === 4500 &&
      isDeepStrictEqual(cable.allowedIps.map(formatPrefix), subnets)
    if (!isRight) return `${hostname} has no right cable to ${id}`
    if (!datapath.cables.get(id)?.isPassing) return `nothing passes from ${hostname} to ${id}`
  }
  const liars = cables.filter(({ name }) => name === liarId)
  const count = clusters.length - 1 + liars.length
  if (cables.length !== count) return `${hostname} has ${cables.length} cables`
  const expected = hasLiar && isBelieved(liar) ? [liarSubnet] : []
  const subnets = liars.flatMap(({ allowedIps }) => allowedIps.map(formatPrefix))
  if (!isDeepStrictEqual(subnets, expected)) return `${hostname} believes the liar`
  return undefined
}

function passiveProblem({ aliveNodes }: SimCluster): string | undefined {
  return first(aliveNodes, ({ isActive, datapath, hostname }) => {
    const count = datapath.tables?.cables.length
    return isActive || count === 0 ? undefined : `${hostname} is passive and has ${count} cables`
  })
}

function gatewaysProblem(
  { clusters, timeline }: Clusterset,
  { id, server, nodes }: SimCluster,
  hasLiar: boolean,
): string | undefined {
  const gateways = server.bodies(kindOf('gateways')).map(body => gatewayType.parse(body))
  for (const node of nodes) {
    const found = gateways.find(parsed => parsed.ok && parsed.value.meta.name === node.hostname)
    const gateway = found?.ok ? found.value : undefined
    const { updatedAtMs = 0 } = gateway ?? {}
    const ageMs = epochMs + timeline.nowMs - updatedAtMs
    if (node.isDead) {
      // One that was written in the future can only be named, not told from one that lives.
      if (gateway !== undefined && ageMs > 0) return `${node.hostname} is dead and has a Gateway`
      continue
    }
    if (gateway === undefined) return `${node.hostname} has no Gateway`
    if (Math.abs(ageMs) > gatewayAgeMostMs) return `the Gateway ${node.hostname} is ${ageMs} ms old`
    const haState = node.isActive ? 'active' : 'passive'
    if (gateway.haState !== haState) return `the Gateway ${node.hostname} is ${gateway.haState}`
    const connected = gateway.connections.filter(({ state }) => state === 'connected')
    const ids = connected.map(({ endpoint }) => endpoint.clusterId).filter(name => name !== liarId)
    const count = node.isActive ? clusters.length - 1 : 0
    if (ids.length !== count) return `${node.hostname} says ${ids.length} of ${count} are connected`
    const isListening = gateway.connections.every(
      ({ endpoint, state }) => endpoint.clusterId !== liarId || (hasLiar && state !== 'connected'),
    )
    if (!isListening) return `${id} says that it is connected to the liar`
  }
  return undefined
}

/** Lies are named, and nothing else is wrong. */
function problemsProblem(
  { liar, clusters }: Clusterset,
  { process, hostname, cluster }: SimNode,
  hasLiar: boolean,
): string | undefined {
  const problems = process?.plan?.problems ?? []
  const codes = problems.filter(({ clusterId }) => clusterId === liarId).map(({ code }) => code)
  const lies = liar.lie === 'foreign-subnet' ? ['owned-subnet', 'foreign-subnet'] : [liar.lie]
  const missing = hasLiar && liar.isLying ? lies.filter(code => !codes.includes(code)) : []
  if (missing.length > 0) return `${hostname} does not name ${missing.join()}`
  const hasDead = clusters.some(({ id, nodes }) => id === cluster.id && nodes.some(n => n.isDead))
  const others = problems.filter(
    ({ clusterId, code }) => clusterId !== liarId && !(code === 'clock' && hasDead),
  )
  if (others.length === 0 && process?.writer.failures.size === 0) return undefined
  return `${hostname} has problems: ${process?.describe()}`
}

/** As far as its own subnet goes. */
function isBelieved(liar: Liar): boolean {
  return liar.lie === 'foreign-subnet' || !liar.isLying
}

function first<T>(list: readonly T[], find: (item: T) => string | undefined): string | undefined {
  for (const item of list) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}

function kindOf(plural: string): string {
  return `${plural}.submariner.io`
}
