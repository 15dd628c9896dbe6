// A cluster of the simulated clusterset: its API server, one or two nodes for gateways, and what it has
// to be believed for. What it may do at the broker hangs on its token, which it loses when it leaves.

import { setUpLab } from '../../../../src/apiserver/lab-setup.ts'
import type { ControlSettings, PlannedTables } from '../../../../src/control/world.ts'
import {
  endpointName,
  memberAccountName,
  memberTokenName,
  objectName,
  ownCableName,
} from '../../../../src/kube/names.ts'
import { formatPrefix, parsePrefix } from '../../../../src/net/address.ts'
import { SimNode } from './node.ts'
import type { SimServer } from './server.ts'
import type { Timeline } from './timeline.ts'

export interface ClusterParts {
  readonly number: number
  readonly nodes: number
  readonly server: SimServer
  readonly broker: SimServer
  readonly timeline: Timeline
  readonly random: () => number
  readonly violated: (what: string) => void
  /** What is behind cables of that name, and nothing else. */
  readonly subnetsOf: (clusterId: string) => readonly string[]
  /** Whether a gateway that knew this cluster must have a cable to it. */
  readonly isExpected: (clusterId: string) => boolean
}

export class SimCluster {
  readonly id: string
  readonly server: SimServer
  readonly broker: SimServer
  readonly nodes: readonly SimNode[]
  readonly subnets: readonly string[]
  localToken: string
  brokerToken = ''
  hasLeft = false
  /** From when on its objects have to be everywhere, whatever happens. */
  trustedFromMs = Number.POSITIVE_INFINITY
  /** Since when there were two active gateways, or none, without an excuse. */
  twoSinceMs = Number.POSITIVE_INFINITY
  noneSinceMs = Number.POSITIVE_INFINITY
  readonly #parts: ClusterParts

  constructor(parts: ClusterParts) {
    const { number, server, broker } = parts
    this.#parts = parts
    this.id = `c${number}`
    this.server = server
    this.broker = broker
    const clusterCidrs = [parsePrefix(`10.${10 + number}.0.0/16`)]
    const serviceCidrs = [parsePrefix(`10.${110 + number}.0.0/16`)]
    this.subnets = [...serviceCidrs, ...clusterCidrs].map(formatPrefix)
    this.localToken = `Bearer ${setUpLab(server.api, []).component}`
    const names = ['a', 'b'].slice(0, parts.nodes).map(letter => `${this.id}-${letter}`)
    this.nodes = names.map((hostname, index) => {
      const labels = { 'submariner.io/gateway': 'true' }
      const metadata = { name: hostname, labels }
      server.ensure('nodes', '', { apiVersion: 'v1', kind: 'Node', metadata })
      return new SimNode({
        cluster: this,
        ...{ timeline: parts.timeline, random: parts.random, violated: parts.violated, hostname },
        settings: { ...commonSettings, clusterId: this.id, hostname, clusterCidrs, serviceCidrs },
        privateIp: `172.18.${number}.${index + 1}`,
        healthCheckIp: `10.${10 + number}.${index}.1`,
      })
    })
  }

  get endpointName(): string {
    return endpointName(this.id, ownCableName(this.id))
  }

  get aliveNodes(): readonly SimNode[] {
    return this.nodes.filter(({ isDead }) => !isDead)
  }

  get activeNodes(): readonly SimNode[] {
    return this.nodes.filter(({ isActive }) => isActive)
  }

  join(): void {
    const { broker } = this.#parts
    this.brokerToken = broker.account(objectName.brokerNamespace, memberAccountName(this.id))
    this.hasLeft = false
    for (const node of this.aliveNodes) {
      if (!node.datapath.isRunning) node.datapath.restart()
      node.start()
    }
  }

  /** As an admin does it: the token first, so that nothing is written any more. */
  leave(adminToken: string): void {
    this.hasLeft = true
    this.trustedFromMs = Number.POSITIVE_INFINITY
    for (const node of this.nodes) {
      node.kill()
      node.datapath.stop()
      node.loseDisk()
    }
    const root = `/namespaces/${objectName.brokerNamespace}`
    for (const path of [
      `/api/v1${root}/secrets/${memberTokenName(this.id)}`,
      `/apis/submariner.io/v1${root}/endpoints/${this.endpointName}`,
      `/apis/submariner.io/v1${root}/clusters/${this.id}`,
      `/api/v1${root}/serviceaccounts/${memberAccountName(this.id)}`,
    ]) {
      this.broker.handle({
        ...{ method: 'DELETE', path, query: new URLSearchParams(), accept: '', contentType: '' },
        ...{ authorization: adminToken, body: '' },
      })
    }
  }

  /** What is about to come into force on one of its nodes. */
  checkTables(node: SimNode, { cables }: PlannedTables): void {
    const { violated, subnetsOf, isExpected } = this.#parts
    for (const { name, allowedIps } of cables) {
      const own = subnetsOf(name)
      const foreign = allowedIps.map(formatPrefix).filter(subnet => !own.includes(subnet))
      if (foreign.length > 0) violated(`${node.hostname} sends ${foreign.join()} to ${name}`)
    }
    if (!node.isActive) return
    const names = new Set(cables.map(({ name }) => name))
    for (const { clusterId } of node.disk.remembered.endpoints) {
      if (clusterId === this.id || names.has(clusterId) || !isExpected(clusterId)) continue
      violated(`${node.hostname} is active and has dropped its cable to ${clusterId}`)
    }
  }
}

const commonSettings: Omit<
  ControlSettings,
  'clusterId' | 'hostname' | 'clusterCidrs' | 'serviceCidrs'
> = {
  namespace: objectName.operatorNamespace,
  brokerNamespace: objectName.brokerNamespace,
  version: '1.0.0',
  globalCidrs: [],
  colorCodes: [],
  drivers: ['wireguard'],
  missingDriver: undefined,
  ciphers: ['chacha20-poly1305', 'aes-256-gcm'],
  isNatEnabled: false,
  isPreferredServer: false,
  udpPort: 4500,
  interfaceName: 'hawser0',
  healthCheck: { isEnabled: true, packetLossMost: 5 },
  hasStockAgents: false,
}
