// Ten clusters, a broker and the ways between them, from one seed. A second's traffic goes over every
// cable each second; and each second it is looked whether something happens that must never happen.

import { brokerKinds, labKinds } from '../../../../src/apiserver/kinds.ts'
import { objectName } from '../../../../src/kube/names.ts'
import { formatAddress } from '../../../../src/net/address.ts'
import { seededRandom } from '../../rng.ts'
import { SimCluster } from './cluster.ts'
import type { CableState } from './datapath.ts'
import { Liar, liarId, liarSubnet } from './liar.ts'
import type { SimNode } from './node.ts'
import { SimServer } from './server.ts'
import { Timeline } from './timeline.ts'

export const clusterCount = 10

/** Two active gateways that both reach their API: the old one looks at the lease within that. */
const twoActiveMostMs = 12_000
/** A lease that nobody renews, and what a standby takes to notice and to take it. */
const noneActiveMostMs = 40_000

const kinds = { broker: brokerKinds(), lab: labKinds() }

export class Violation extends Error {
  override readonly name = 'Violation'
}

export class Clusterset {
  readonly timeline = new Timeline()
  readonly random: () => number
  readonly broker: SimServer
  readonly clusters: readonly SimCluster[]
  readonly liar: Liar
  readonly adminToken: string
  /** Ways between data paths that are cut. */
  readonly cutPaths = new Set<string>()
  readonly #byAddress = new Map<string, SimNode>()
  readonly #violated = (what: string): never => {
    throw new Violation(`${(this.timeline.nowMs / 1000).toFixed(1)} s: ${what}`)
  }

  constructor(seed: number) {
    const random = seededRandom(seed)
    const { timeline } = this
    this.random = random
    const changesMost = this.oneIn(3) ? 6 : 10_000
    const historyLimits = { changesMost, bytesMost: 1 << 25 }
    const server = (list: typeof kinds.broker) =>
      new SimServer({ timeline, random, kinds: list, historyLimits })
    this.broker = server(kinds.broker)
    const namespace = objectName.brokerNamespace
    this.broker.ensure('namespaces', '', {
      ...{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    })
    this.adminToken = this.broker.account(namespace, objectName.brokerAdminAccount)
    this.clusters = Array.from({ length: clusterCount }, (_, number) => {
      return new SimCluster({
        ...{ number, timeline, random, broker: this.broker, server: server(kinds.lab) },
        nodes: this.oneIn(2) ? 2 : 1,
        violated: this.#violated,
        subnetsOf: id => this.#subnetsOf(id),
        isExpected: id => this.#isExpected(id),
      })
    })
    for (const node of this.nodes) this.#byAddress.set(node.addressText, node)
    const lie = this.oneIn(2) ? 'foreign-subnet' : 'copied-endpoint'
    this.liar = new Liar(this.broker, lie, this.pick(this.clusters))
    this.#tick()
  }

  get nodes(): readonly SimNode[] {
    return this.clusters.flatMap(({ nodes }) => nodes)
  }

  oneIn(count: number): boolean {
    return this.random() * count < 1
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]
  }

  between(least: number, most: number): number {
    return least + (most - least) * this.random()
  }

  violated(what: string): never {
    return this.#violated(what)
  }

  #subnetsOf(clusterId: string): readonly string[] {
    if (clusterId === liarId) return [liarSubnet]
    return this.clusters.find(({ id }) => id === clusterId)?.subnets ?? []
  }

  #isExpected(clusterId: string): boolean {
    const found = this.clusters.find(({ id }) => id === clusterId)
    return found !== undefined && found.trustedFromMs <= this.timeline.nowMs
  }

  #tick(): void {
    this.timeline.after(1000, () => this.#tick())
    for (const node of this.nodes) {
      for (const state of node.datapath.cables.values()) {
        const peer = this.#peerOf(node, state)
        node.datapath.pass(state, peer?.datapath, this.timeline.nowMs, node.wallMs)
      }
    }
    for (const cluster of this.clusters) {
      this.#checkLeaders(cluster)
      this.#checkPresence(cluster)
    }
  }

  /** Who answers on this cable: the node that it points at, or one that points here. */
  #peerOf(node: SimNode, { cable, publicKey }: CableState): SimNode | undefined {
    const { remote } = cable
    const there = remote && this.#byAddress.get(formatAddress(remote.address))
    const cluster = this.clusters.find(({ id }) => id === cable.name)
    const candidates = [...(there === undefined ? [] : [there]), ...(cluster?.nodes ?? [])]
    return candidates.find(peer => {
      if (peer.datapath.publicKey !== publicKey || this.#isCut(node, peer)) return false
      const back = peer.datapath.cables.get(node.cluster.id)
      if (back === undefined || back.publicKey !== node.datapath.publicKey) return false
      const isSentHere = back.cable.remote
      const knowsUs = isSentHere && formatAddress(isSentHere.address) === node.addressText
      return peer === there || knowsUs
    })
  }

  #isCut(a: SimNode, b: SimNode): boolean {
    return this.cutPaths.has(pathKey(a, b))
  }

  #checkLeaders(cluster: SimCluster): void {
    const { nowMs } = this.timeline
    const isWell = (node: SimNode) => cluster.server.isWell && node.localLink.state === 'up'
    const active = cluster.activeNodes
    const isTwo = active.length > 1 && active.every(isWell)
    cluster.twoSinceMs = isTwo ? Math.min(cluster.twoSinceMs, nowMs) : Number.POSITIVE_INFINITY
    if (nowMs - cluster.twoSinceMs > twoActiveMostMs) {
      this.#violated(`${cluster.id} has had two active gateways for too long`)
    }
    const ready = cluster.aliveNodes.filter(
      node => node.process !== undefined && node.datapath.isRunning && isWell(node),
    )
    const isNone = active.length === 0 && ready.length > 0
    cluster.noneSinceMs = isNone ? Math.min(cluster.noneSinceMs, nowMs) : Number.POSITIVE_INFINITY
    if (nowMs - cluster.noneSinceMs > noneActiveMostMs) {
      this.#violated(`${cluster.id} has had no active gateway for too long`)
    }
  }

  /** What a cluster has published is there, at the broker and in every cluster, whatever happens. */
  #checkPresence(cluster: SimCluster): void {
    if (cluster.trustedFromMs > this.timeline.nowMs) return
    const places = [
      { server: this.broker, namespace: objectName.brokerNamespace, where: 'the broker' },
      ...this.clusters
        .filter(({ trustedFromMs }) => trustedFromMs <= this.timeline.nowMs)
        .map(({ server, id }) => ({ server, namespace: objectName.operatorNamespace, where: id })),
    ]
    for (const { server, namespace, where } of places) {
      const { store } = server.api
      const has = (kind: string, name: string) =>
        store.get(`${kind}.submariner.io`, `${namespace}/${name}`) !== undefined
      if (has('clusters', cluster.id) && has('endpoints', cluster.endpointName)) continue
      this.#violated(`${where} has lost the Cluster or the Endpoint of ${cluster.id}`)
    }
  }
}

export function pathKey(a: SimNode, b: SimNode): string {
  return [a.hostname, b.hostname].sort().join()
}
