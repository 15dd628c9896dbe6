// Worlds for the control plane's pure core: clusters c1 … cN of a clusterset as the broker has them, seen
// by the active gateway of one of them. Everything can be replaced.

import type { Known } from '../../src/broker/writes.ts'
import type {
  CableKeys,
  ControlSettings,
  PlannedTables,
  SelfFacts,
  World,
} from '../../src/control/world.ts'
import { endpointName, label, ownCableName } from '../../src/kube/names.ts'
import type { ObjectProblem } from '../../src/kube/objects.ts'
import type { ResourceMeta } from '../../src/kube/resource-type.ts'
import { emptyBackendConfig } from '../../src/kube/resources/backend-config.ts'
import type { Cluster } from '../../src/kube/resources/cluster.ts'
import { type Endpoint, noAddresses } from '../../src/kube/resources/endpoint.ts'
import type { Gateway } from '../../src/kube/resources/gateway.ts'
import type { Node } from '../../src/kube/resources/node.ts'
import { newMeta } from '../../src/kube/resources/resource.ts'
import { formatPrefix, type Prefix, parseAddress, parsePrefix } from '../../src/net/address.ts'
import type { DatapathStatus } from '../../src/tables/status.ts'

export const localNamespace = 'submariner-operator'
export const brokerNamespace = 'submariner-k8s-broker'
/** Of all worlds here: 2026-11-28 11:00 UTC. */
export const nowMs = Date.UTC(2026, 10, 28, 11)
export const hostname = 'west-gw'

/** 32 bytes that say whose they are. */
export function keyOf(number: number): Uint8Array {
  return new Uint8Array(32).fill(number)
}

export const keys: CableKeys = {
  privateKey: keyOf(101),
  publicKey: keyOf(1),
  presharedKey: keyOf(200),
}

export const prefixes = (...texts: readonly string[]) => texts.map(parsePrefix)

export const texts = (list: readonly Prefix[]) => list.map(formatPrefix)

export function known<T>(items: readonly T[], problems: readonly ObjectProblem[] = []): Known<T> {
  return { synced: true, items, problems }
}

export const unknown: Known<never> = { synced: false, items: [], problems: [] }

export const settings: ControlSettings = {
  clusterId: 'c1',
  namespace: localNamespace,
  brokerNamespace,
  hostname,
  version: '0.3.0',
  clusterCidrs: prefixes('10.1.0.0/16', 'fd00:1::/48'),
  serviceCidrs: prefixes('10.101.0.0/16', 'fd00:101::/112'),
  globalCidrs: [],
  colorCodes: ['blue'],
  drivers: ['wireguard', 'vxlan'],
  missingDriver: undefined,
  ciphers: 'auto',
  isNatEnabled: false,
  isPreferredServer: false,
  udpPort: 4500,
  interfaceName: 'hawser0',
  healthCheck: { isEnabled: true, packetLossMost: 5 },
  hasStockAgents: false,
}

export const self: SelfFacts = {
  privateIps: { ipv4: parseAddress('172.18.0.1'), ipv6: parseAddress('fc00:18::1') },
  publicIps: noAddresses,
  healthCheckIps: { ipv4: parseAddress('10.1.0.1'), ipv6: parseAddress('fd00:1::1') },
}

/** Metadata as a server gives it; `number` is the age: a lower one is older. */
export function metaOn(
  namespace: string,
  name: string,
  clusterId: string | undefined,
  number: number,
): ResourceMeta {
  const labels = clusterId === undefined ? {} : { [label.clusterId]: clusterId }
  return {
    ...newMeta(name, namespace, labels),
    uid: `uid-${namespace}-${name}`,
    resourceVersion: String(number),
    createdAtMs: nowMs - 10_000_000 + number * 1000,
  }
}

/** Cluster c<number> as the broker has it. */
export function clusterOf(number: number, over: Partial<Cluster> = {}): Cluster {
  const clusterId = over.clusterId ?? `c${number}`
  return {
    meta: metaOn(brokerNamespace, clusterId, clusterId, number),
    clusterId,
    clusterCidrs: prefixes(`10.${number}.0.0/16`, `fd00:${number}::/48`),
    serviceCidrs: prefixes(`10.${100 + number}.0.0/16`, `fd00:${100 + number}::/112`),
    globalCidrs: [],
    colorCodes: [],
    ...over,
  }
}

/** Its Endpoint, of a Hawser. */
export function endpointOf(number: number, over: Partial<Endpoint> = {}): Endpoint {
  const clusterId = over.clusterId ?? `c${number}`
  const cableName = over.cableName ?? ownCableName(clusterId)
  const { clusterCidrs, serviceCidrs } = clusterOf(number)
  const name = endpointName(clusterId, cableName)
  return {
    meta: metaOn(brokerNamespace, name, clusterId, number + 1000),
    clusterId,
    cableName,
    hostname: `gw-${number}`,
    subnets: [...serviceCidrs, ...clusterCidrs],
    privateIps: {
      ipv4: parseAddress(`172.18.0.${number}`),
      ipv6: parseAddress(`fc00:18::${number}`),
    },
    publicIps: noAddresses,
    healthCheckIps: {
      ipv4: parseAddress(`10.${number}.0.1`),
      ipv6: parseAddress(`fd00:${number}::1`),
    },
    isNatEnabled: false,
    backend: 'wireguard',
    backendConfig: {
      ...emptyBackendConfig,
      udpPort: 4500,
      isPreferredServer: false,
      publicKey: keyOf(number),
      interfaceName: 'hawser0',
      cables: ['wireguard', 'vxlan'],
      ciphers: ['aes-256-gcm', 'chacha20-poly1305'],
    },
    ...over,
  }
}

export const ownNode: Node = {
  meta: metaOn('', hostname, undefined, 1),
  internalIps: [],
  podCidrs: [],
  isReady: true,
}

export interface WorldChanges extends Partial<Omit<World, 'settings' | 'self'>> {
  readonly settings?: Partial<ControlSettings>
  readonly self?: Partial<SelfFacts>
  /** Of the broker, in place of those of c2 and c3. */
  readonly clusters?: readonly Cluster[]
  readonly endpoints?: readonly Endpoint[]
}

/** The gateway of c1 is active; c2 and c3 are on the broker; nothing has been written yet. */
export function worldWith(changes: WorldChanges = {}): World {
  const { clusters, endpoints, ...rest } = changes
  return {
    nowMs,
    keys,
    isActive: true,
    node: ownNode,
    local: {
      clusters: known([]),
      endpoints: known([]),
      gateways: known([]),
      submariner: undefined,
    },
    broker: {
      clusters: known(clusters ?? [2, 3].map(number => clusterOf(number))),
      endpoints: known(endpoints ?? [2, 3].map(number => endpointOf(number))),
    },
    remembered: { clusters: [], endpoints: [] },
    datapath: undefined,
    posted: undefined,
    links: new Map(),
    pings: new Map(),
    ...rest,
    settings: { ...settings, ...changes.settings },
    self: { ...self, ...changes.self },
  }
}

export function gatewayOf(name: string, over: Partial<Gateway> = {}): Gateway {
  const { meta: _, ...localEndpoint } = endpointOf(1)
  return {
    meta: metaOn(localNamespace, name, undefined, 1),
    updatedAtMs: nowMs - 5000,
    globalIp: undefined,
    version: '0.3.0',
    haState: 'passive',
    localEndpoint,
    failure: '',
    connections: [],
    ...over,
  }
}

/** A data path that has the cables of these tables and has seen nothing yet. */
export function statusOf(tables: PlannedTables): DatapathStatus {
  return {
    interfaceName: 'hawser0',
    up: true,
    mtuBytes: 1420,
    generation: 1,
    listenPort: tables.device.listenPort,
    fwmark: 0,
    pid: 1,
    pairs: 1,
    startedAtMs: nowMs,
    offloads: {
      ...{ tunTso: true, tunUso: true, udpSegmentation: true, udpGro: true },
      reasons: {},
    },
    aead: { speeds: [], forms: [] },
    receiveBufferBytes: 0,
    sendBufferBytes: 0,
    cables: tables.cables.map(({ name, driver }) => ({
      ...{ name, driver, lastHandshakeMs: 0, rxBytes: 0, txBytes: 0, counters: {}, drops: {} },
    })),
    counters: {},
    drops: {},
  }
}
