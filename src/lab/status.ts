// What `lab status` tells: the plan's clusters, and what their gateways say: of a connection in the
// Gateway object, of its cable through the data path's socket. A cable appears twice, once from each
// side, because the two may disagree; with `-o json` this value is printed as it is.

import { type Gateway, gatewayType } from '../kube/resources/gateway.ts'
import { formatRemote } from '../net/address.ts'
import type { CipherName } from '../tables/cipher.ts'
import { objectsOf } from './api.ts'
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
   * What the gateway says of its connections to the other cluster, the worst where there is one of each
   * address family; down: its data path does not answer, or it says nothing any more.
   */
  readonly state: 'connected' | 'connecting' | 'error' | 'down'
  /** Why it is not connected, in the gateway's words; empty when it is. */
  readonly message: string
  /** Where its datagrams go now. */
  readonly endpoint: string
  /** ISO 8601, null for never. */
  readonly lastHandshake: string | null
  readonly rxBytes: number
  readonly txBytes: number
}

/** Gateways write every five seconds; what is older than this is of one that is gone. */
const saidFreshMs = 15_000

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
  const gateways = await objectsOf(lab, cluster, gatewayType).catch(() => [])
  const gateway = gateways.find(
    ({ haState, updatedAtMs = 0 }) => haState === 'active' && nowMs - updatedAtMs < saidFreshMs,
  )
  return clusterPlans
    .filter(remote => remote !== cluster)
    .map(remote => {
      const cable = status?.cables.find(({ name }) => name === remote.name)
      const handshakeMs = cable?.lastHandshakeMs ?? 0
      return {
        cluster: cluster.name,
        remote: remote.name,
        driver,
        cipher: cable?.cipher ?? null,
        ...connectionOf(status === undefined ? undefined : gateway, remote),
        endpoint: cable?.remote ? formatRemote(cable.remote) : `${remote.wireAddress}:${cablePort}`,
        lastHandshake: handshakeMs === 0 ? null : new Date(handshakeMs).toISOString(),
        rxBytes: cable?.rxBytes ?? 0,
        txBytes: cable?.txBytes ?? 0,
      }
    })
}

function connectionOf(
  gateway: Gateway | undefined,
  remote: ClusterPlan,
): Pick<LabCable, 'state' | 'message'> {
  if (gateway === undefined) return { state: 'down', message: 'the gateway does not answer' }
  const ours = gateway.connections.filter(({ endpoint }) => endpoint.clusterId === remote.name)
  const worst =
    ours.find(({ state }) => state === 'error') ?? ours.find(({ state }) => state !== 'connected')
  if (worst !== undefined)
    return { state: worst.state === 'error' ? 'error' : 'connecting', message: worst.message }
  if (ours.length > 0) return { state: 'connected', message: '' }
  return { state: 'connecting', message: gateway.failure }
}
