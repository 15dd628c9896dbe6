// What `lab status` tells: the plan's clusters and what their gateways say of their cables. A cable
// appears twice, once from each side, because the two may disagree; with `-o json` this value is
// printed as it is.

import { formatRemote } from '../net/address.ts'
import type { CipherName } from '../tables/cipher.ts'
import { forEachOf, gatewayStatus, type Lab } from './lab.ts'
import { addressesOf, type ClusterPlan, type Driver, nodesOf, podsOf } from './topology.ts'

export interface LabStatus {
  readonly clusters: readonly {
    readonly name: string
    readonly nodes: readonly { readonly name: string; readonly addresses: readonly string[] }[]
    readonly pods: readonly {
      readonly name: string
      readonly node: string
      readonly address: string
    }[]
  }[]
  /** Each cable twice: once as each of its two gateways sees it. */
  readonly cables: readonly LabCable[]
}

export interface LabCable {
  readonly cluster: string
  readonly remote: string
  readonly driver: Driver
  /** What its packets are sealed with now, null without a session. */
  readonly cipher: CipherName | null
  /**
   * connected: a handshake within the last three minutes, or a driver that has none;
   * connecting: none yet or none for so long; down: the gateway does not answer.
   */
  readonly state: 'connected' | 'connecting' | 'down'
  /** Where its datagrams go now. */
  readonly endpoint: string
  /** ISO 8601, null for never. */
  readonly lastHandshake: string | null
  readonly rxBytes: number
  readonly txBytes: number
}

/** WireGuard's REJECT_AFTER_TIME: a session is of no use any more (whitepaper 6.1). */
const handshakeFreshMs = 180_000

export async function labStatus(lab: Lab, nowMs: number): Promise<LabStatus> {
  const { clusterPlans } = lab.plan
  const cables = await forEachOf(clusterPlans, 4, cluster => cablesOf(lab, cluster, nowMs))
  return { clusters: clusterPlans.map(describe), cables: cables.flat() }
}

function describe(cluster: ClusterPlan): LabStatus['clusters'][number] {
  return {
    name: cluster.name,
    nodes: nodesOf(cluster).map(node => ({
      name: node.name,
      addresses: addressesOf(cluster, node),
    })),
    pods: podsOf(cluster).map(({ name, node, address }) => ({ name, node, address })),
  }
}

async function cablesOf(lab: Lab, cluster: ClusterPlan, nowMs: number): Promise<LabCable[]> {
  const { clusterPlans, driver, cablePort } = lab.plan
  const status = await gatewayStatus(lab, cluster).catch(() => undefined)
  return clusterPlans
    .filter(remote => remote !== cluster)
    .map(remote => {
      const cable = status?.cables.find(({ name }) => name === remote.name)
      const handshakeMs = cable?.lastHandshakeMs ?? 0
      const fresh = driver === 'vxlan' || nowMs - handshakeMs < handshakeFreshMs
      return {
        cluster: cluster.name,
        remote: remote.name,
        driver,
        cipher: cable?.cipher ?? null,
        state: cable === undefined ? 'down' : fresh ? 'connected' : 'connecting',
        endpoint: cable?.remote ? formatRemote(cable.remote) : `${remote.wireAddress}:${cablePort}`,
        lastHandshake: handshakeMs === 0 ? null : new Date(handshakeMs).toISOString(),
        rxBytes: cable?.rxBytes ?? 0,
        txBytes: cable?.txBytes ?? 0,
      }
    })
}
