// The objects that the loop looks at, and whether their servers are there. Of a server that is away or
// refuses us there is one problem, however many watches it has: that of the watch which has failed for
// longest.

import type { KubeClient, Scope } from '../kube/client.ts'
import { objectName } from '../kube/names.ts'
import type { Resource, ResourceType } from '../kube/resource-type.ts'
import { type Cluster, clusterType } from '../kube/resources/cluster.ts'
import { type Endpoint, endpointType } from '../kube/resources/endpoint.ts'
import { type Gateway, gatewayType } from '../kube/resources/gateway.ts'
import { type Node, nodeType } from '../kube/resources/node.ts'
import { type Submariner, submarinerType } from '../kube/resources/submariner.ts'
import type { Signal } from '../kube/signal.ts'
import { Watch } from '../kube/watch.ts'
import type { Clock } from '../net/clock.ts'
import { malformed } from './problems.ts'
import type { Known, Problem, World } from './world.ts'

export interface WatchesParts {
  readonly local: KubeClient
  readonly broker: KubeClient
  readonly namespace: string
  readonly submarinerNamespace: string
  readonly brokerNamespace: string
  /** Of our own Node; undefined: it is not looked at. */
  readonly nodeName: string | undefined
  readonly clock: Clock
  readonly changed: Signal
}

export class Watches {
  readonly #clusters: Watch<Cluster>
  readonly #endpoints: Watch<Endpoint>
  readonly #gateways: Watch<Gateway>
  readonly #node: Watch<Node> | undefined
  /** Stock gateways may not read it: that is no problem by itself. */
  readonly #submariner: Watch<Submariner>
  readonly #brokerClusters: Watch<Cluster>
  readonly #brokerEndpoints: Watch<Endpoint>

  constructor({
    local,
    broker,
    namespace,
    submarinerNamespace,
    brokerNamespace,
    nodeName,
    clock,
    changed,
  }: WatchesParts) {
    const watch = <T extends Resource>(client: KubeClient, type: ResourceType<T>, scope: Scope) =>
      new Watch({ client, type, scope, clock, changed })
    this.#clusters = watch(local, clusterType, { namespace })
    this.#endpoints = watch(local, endpointType, { namespace })
    this.#gateways = watch(local, gatewayType, { namespace })
    this.#node =
      nodeName === undefined
        ? undefined
        : watch(local, nodeType, { fieldSelector: `metadata.name=${nodeName}` })
    const fieldSelector = `metadata.name=${objectName.submariner}`
    this.#submariner = watch(local, submarinerType, {
      namespace: submarinerNamespace,
      fieldSelector,
    })
    this.#brokerClusters = watch(broker, clusterType, { namespace: brokerNamespace })
    this.#brokerEndpoints = watch(broker, endpointType, { namespace: brokerNamespace })
  }

  get local(): World['local'] {
    return {
      clusters: knownOf(this.#clusters),
      endpoints: knownOf(this.#endpoints),
      gateways: knownOf(this.#gateways),
      submariner: this.submariner,
    }
  }

  get broker(): World['broker'] {
    return {
      clusters: knownOf(this.#brokerClusters),
      endpoints: knownOf(this.#brokerEndpoints),
    }
  }

  get node(): Node | undefined {
    return this.#node?.list()[0]
  }

  get submariner(): Submariner | undefined {
    return this.#submariner.list()[0]
  }

  /** There is none: it is not one that cannot be read, nor one that nobody has asked for yet. */
  get hasNoSubmariner(): boolean {
    const { synced } = this.#submariner
    return synced && this.submariner === undefined && this.#submariner.problems().length === 0
  }

  /** Whether an API server fails us now, the local one or the broker. */
  get isAway(): boolean {
    return [...this.#localWatches(), ...this.#brokerWatches()].some(
      ({ state }) => state === 'retrying',
    )
  }

  problems(): readonly Problem[] {
    return [
      ...problemOf('api-away', this.#localWatches()),
      ...problemOf('broker-away', this.#brokerWatches()),
      ...[this.#node, this.#submariner].flatMap(watch => watch?.problems() ?? []).map(malformed),
    ]
  }

  async stop(): Promise<void> {
    const all = [
      ...[this.#clusters, this.#endpoints, this.#gateways, this.#submariner],
      ...[this.#brokerClusters, this.#brokerEndpoints],
      ...(this.#node === undefined ? [] : [this.#node]),
    ]
    await Promise.all(all.map(watch => watch.stop()))
  }

  #brokerWatches() {
    return [this.#brokerClusters.status(), this.#brokerEndpoints.status()]
  }

  #localWatches() {
    const needed = [this.#clusters, this.#endpoints, this.#gateways, this.#node]
    return needed.flatMap(watch => (watch === undefined ? [] : [watch.status()]))
  }
}

type Status = ReturnType<Watch<Resource>['status']>

function problemOf(code: string, statuses: readonly Status[]): Problem[] {
  const failing = statuses.flatMap(status => (status.state === 'retrying' ? [status] : []))
  if (failing.length === 0) return []
  const first = failing.reduce((a, b) => (b.sinceMs < a.sinceMs ? b : a))
  const hint = first.hint === undefined ? '' : `; try: ${first.hint}`
  return [{ code, clusterId: '', object: '', message: `${first.error}${hint}` }]
}

function knownOf<T extends Resource>(watch: Watch<T>): Known<T> {
  return { synced: watch.synced, items: watch.list(), problems: watch.problems() }
}
