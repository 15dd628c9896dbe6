// Members that lie, with the rights that a member has. One has no gateway and goes on lying to the end:
// it lists subnets of others as its own, or shows another's key. Ordinary members lie now and then,
// about clusters older than themselves, and their own gateways put that right. What no member may
// write at all is tried, too.

import {
  endpointName,
  label,
  memberAccountName,
  objectName,
  ownCableName,
} from '../../../../src/kube/names.ts'
import { withMeta } from '../../../../src/kube/objects.ts'
import { emptyBackendConfig } from '../../../../src/kube/resources/backend-config.ts'
import { clusterType } from '../../../../src/kube/resources/cluster.ts'
import {
  type Endpoint,
  endpointType,
  noAddresses,
} from '../../../../src/kube/resources/endpoint.ts'
import { newMeta } from '../../../../src/kube/resources/resource.ts'
import { equalBytes, parseAddress, parsePrefix } from '../../../../src/net/address.ts'
import type { SimCluster } from './cluster.ts'
import type { SimServer } from './server.ts'

export const liarId = 'liar'
export const liarSubnet = '10.200.0.0/16'

export type Lie = 'foreign-subnet' | 'copied-endpoint'

const namespace = objectName.brokerNamespace
const root = `/apis/submariner.io/v1/namespaces/${namespace}`

export class Liar {
  readonly lie: Lie
  readonly victim: SimCluster
  readonly #broker: SimServer
  readonly #token: string
  #copied: Uint8Array | undefined

  constructor(broker: SimServer, lie: Lie, victim: SimCluster) {
    this.#broker = broker
    this.lie = lie
    this.victim = victim
    this.#token = broker.account(namespace, memberAccountName(liarId))
  }

  /** Whether it could. */
  speak(): boolean {
    if (!this.#broker.isUp || this.#victimEndpoint() === undefined) return false
    const meta = newMeta(liarId, namespace, { [label.clusterId]: liarId })
    const foreign = this.lie === 'foreign-subnet' ? this.victim.subnets : []
    const cluster = clusterType.serialize({
      ...{ meta, clusterId: liarId, serviceCidrs: [], globalCidrs: [], colorCodes: [] },
      clusterCidrs: [liarSubnet, ...foreign].map(parsePrefix),
    })
    const endpoint = endpointType.serialize(this.#endpoint(foreign))
    this.#write('POST', 'clusters', cluster)
    this.#write('POST', 'endpoints', endpoint)
    return true
  }

  /** Whether its lies have to be named: a key that nobody else shows any more is its own. */
  get isLying(): boolean {
    if (this.lie !== 'copied-endpoint') return true
    const key = this.#victimEndpoint()?.backendConfig.publicKey
    return key !== undefined && this.#copied !== undefined && equalBytes(key, this.#copied)
  }

  /** What the trust rule must refuse: the statuses of the answers. */
  overreach(): readonly number[] {
    const { victim } = this
    const meta = newMeta(victim.endpointName, namespace, { [label.clusterId]: victim.id })
    const names = { clusterId: victim.id, cableName: ownCableName(victim.id) }
    const body = endpointType.serialize({ ...this.#endpoint(victim.subnets), ...names, meta })
    const found = this.#victimEndpoint()?.meta
    const stolen = withMeta(body, { resourceVersion: found?.resourceVersion, uid: found?.uid })
    return [
      this.#write('PUT', `endpoints/${victim.endpointName}`, stolen),
      this.#write('DELETE', `endpoints/${victim.endpointName}`, undefined),
      this.#write('DELETE', `clusters/${victim.id}`, undefined),
    ]
  }

  #endpoint(foreign: readonly string[]): Endpoint {
    const name = endpointName(liarId, ownCableName(liarId))
    const isCopy = this.lie === 'copied-endpoint'
    const own = new Uint8Array(32).fill(9)
    const publicKey = isCopy ? this.#victimEndpoint()?.backendConfig.publicKey : own
    this.#copied ??= publicKey
    return {
      meta: newMeta(name, namespace, { [label.clusterId]: liarId }),
      ...{ clusterId: liarId, cableName: ownCableName(liarId), hostname: 'liar' },
      subnets: [liarSubnet, ...foreign].map(parsePrefix),
      privateIps: { ...noAddresses, ipv4: parseAddress('172.18.200.1') },
      ...{ publicIps: noAddresses, healthCheckIps: noAddresses, isNatEnabled: false },
      backend: 'wireguard',
      backendConfig: { ...emptyBackendConfig, udpPort: 4500, publicKey, cables: ['wireguard'] },
    }
  }

  #victimEndpoint(): Endpoint | undefined {
    const key = `${namespace}/${this.victim.endpointName}`
    const found = this.#broker.api.store.get('endpoints.submariner.io', key)
    const parsed = found && endpointType.parse(found.body)
    return parsed?.ok ? parsed.value : undefined
  }

  #write(method: string, path: string, body: unknown): number {
    return write(this.#broker, this.#token, method, path, body)
  }
}

/** A member changes its own Endpoint: it says that it has what an older cluster has. */
export function lieAsMember(cluster: SimCluster, victim: SimCluster): void {
  const { broker } = cluster
  const key = `${namespace}/${cluster.endpointName}`
  const found = broker.api.store.get('endpoints.submariner.io', key)
  if (found === undefined || !broker.isUp) return
  const body = structuredClone(found.body) as { spec: { subnets: string[] } }
  body.spec.subnets = [...body.spec.subnets, ...victim.subnets]
  write(broker, cluster.brokerToken, 'PUT', `endpoints/${cluster.endpointName}`, body)
}

function write(
  broker: SimServer,
  authorization: string,
  method: string,
  path: string,
  body: unknown,
): number {
  const answer = broker.handle({
    ...{ method, path: `${root}/${path}`, query: new URLSearchParams(), accept: '' },
    ...{ contentType: body === undefined ? '' : 'application/json', authorization },
    body: body === undefined ? '' : JSON.stringify(body),
  })
  return answer.kind === 'text' ? answer.status : 0
}
