// Random Clusters, Endpoints and whole worlds of the control plane: what parses, however little sense it
// makes. Prefixes, ids, addresses and keys come from small pools, so that they meet.

import fc from 'fast-check'
import type { Known } from '../../src/broker/writes.ts'
import type { LinkReport, PingReport, World } from '../../src/control/world.ts'
import { label } from '../../src/kube/names.ts'
import type { ResourceMeta } from '../../src/kube/resource-type.ts'
import type { BackendConfig } from '../../src/kube/resources/backend-config.ts'
import type { Cluster } from '../../src/kube/resources/cluster.ts'
import type { Endpoint, EndpointSpec, FamilyAddresses } from '../../src/kube/resources/endpoint.ts'
import type { Gateway } from '../../src/kube/resources/gateway.ts'
import { newMeta } from '../../src/kube/resources/resource.ts'
import { type Address, maskBytes, type Prefix, parseAddress } from '../../src/net/address.ts'
import {
  brokerNamespace,
  clusterOf,
  endpointOf,
  hostname,
  keyOf,
  localNamespace,
  nowMs,
  ownNode,
  self,
  settings,
  statusOf,
  worldWith,
} from './control-world.ts'

const clusterIds = ['c1', 'c2', 'c3', 'c4', 'C2', 'x'.repeat(63)]
const clusterId = fc.constantFrom(...clusterIds)

const addressTexts = [
  ...['172.18.0.1', '172.18.0.2', '172.18.0.3', '10.18.0.2', '203.0.113.1', '10.2.0.1', '10.1.0.1'],
  ...['0.0.0.0', '224.0.0.1', '255.255.255.255', '127.0.0.1', '::', 'ff02::1', 'fe80::1', '::1'],
  ...['fc00:18::1', 'fc00:18::2', 'fd00:2::1', '::ffff:10.2.0.1'],
]
const address: fc.Arbitrary<Address> = fc.constantFrom(...addressTexts).map(parseAddress)

const families: fc.Arbitrary<FamilyAddresses> = fc.record({
  ipv4: fc.option(
    address.filter(({ family }) => family === 4),
    { nil: undefined },
  ),
  ipv6: fc.option(
    address.filter(({ family }) => family === 6),
    { nil: undefined },
  ),
})

const prefix: fc.Arbitrary<Prefix> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(0, 10, 10, 10, 172, 240, 242),
      fc.nat(4),
      fc.constantFrom(0, 8, 15, 16, 16, 16, 24, 32),
    )
    .map(([first, second, bits]): Prefix => {
      return { family: 4, bytes: maskBytes(Uint8Array.of(first, second, 0, 0), bits), bits }
    }),
  fc.tuple(address, fc.integer({ min: 0, max: 128 })).map(([{ family, bytes }, length]): Prefix => {
    const bits = Math.min(length, bytes.length * 8)
    return { family, bytes: maskBytes(bytes.slice(), bits), bits }
  }),
)
const prefixList = fc.array(prefix, { maxLength: 5 })

const text = fc.oneof(fc.constantFrom('wireguard', 'vxlan', 'libreswan', 'x'), fc.string())
const publicKey = fc.constantFrom(...[0, 1, 2, 2, 3, 77].map(keyOf), undefined)

const backendConfig: fc.Arbitrary<BackendConfig> = fc.record({
  udpPort: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
  nattDiscoveryPort: fc.constantFrom(undefined, 4490),
  isPreferredServer: fc.constantFrom(undefined, true, false),
  preferredServerSinceSeconds: fc.constantFrom(undefined, 1),
  isUsingLoadBalancer: fc.boolean(),
  publicKey,
  interfaceName: fc.option(text, { nil: undefined }),
  cables: fc.option(fc.array(text, { minLength: 1, maxLength: 3 }), { nil: undefined }),
  ciphers: fc.option(fc.array(fc.constantFrom('aes-256-gcm', 'x', 'none'), { minLength: 1 }), {
    nil: undefined,
  }),
  others: fc.dictionary(text, text, { maxKeys: 2 }),
})

const endpointSpec: fc.Arbitrary<EndpointSpec> = fc.record({
  clusterId,
  cableName: text,
  hostname: fc.oneof(fc.constant(hostname), text),
  subnets: prefixList,
  privateIps: families,
  publicIps: families,
  healthCheckIps: families,
  isNatEnabled: fc.boolean(),
  backend: text,
  backendConfig,
})

interface MetaOptions {
  readonly namespace: string
  readonly owner: fc.Arbitrary<string | undefined>
  readonly name: fc.Arbitrary<string>
  readonly age: fc.Arbitrary<number>
}

function metaOf({ namespace, owner, name, age }: MetaOptions): fc.Arbitrary<ResourceMeta> {
  return fc.tuple(owner, name, age).map(([cluster, given, seconds]) => ({
    ...newMeta(given, namespace, cluster === undefined ? {} : { [label.clusterId]: cluster }),
    uid: `uid-${given}`,
    resourceVersion: '1',
    createdAtMs: nowMs - 10_000_000 + seconds * 1000,
  }))
}

export function arbitraryCluster(options: MetaOptions): fc.Arbitrary<Cluster> {
  const cluster = fc.record({
    meta: metaOf(options),
    clusterId,
    clusterCidrs: prefixList,
    serviceCidrs: prefixList,
    globalCidrs: fc.oneof(fc.constant([]), prefixList),
    colorCodes: fc.constant([]),
  })
  return mostlyHonest(cluster)
}

export function arbitraryEndpoint(options: MetaOptions): fc.Arbitrary<Endpoint> {
  return mostlyHonest(
    fc.tuple(metaOf(options), endpointSpec).map(([meta, spec]) => ({ meta, ...spec })),
  )
}

/** Of the cluster that its label names. */
function mostlyHonest<T extends Cluster | Endpoint>(item: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.tuple(item, fc.nat(9)).map(([object, lie]) => {
    const owner = object.meta.labels[label.clusterId]
    return lie === 0 || owner === undefined ? object : { ...object, clusterId: owner }
  })
}

/** On the broker, younger than everything else there, by a cluster that is none of the others. */
export const byLiar: MetaOptions = {
  namespace: brokerNamespace,
  owner: fc.constantFrom('c9', undefined),
  name: fc.constantFrom('liar-1', 'liar-2'),
  age: fc.integer({ min: 5000, max: 9000 }),
}

const anywhere = (namespace: string): MetaOptions => ({
  namespace,
  owner: fc.option(clusterId, { nil: undefined }),
  name: fc.constantFrom(
    'c1',
    'c2',
    'c1-submariner-cable-c1-gateway',
    'a',
    'b',
    'c',
    'z'.repeat(253),
  ),
  age: fc.nat(20),
})

function knownOf<T extends { readonly meta: ResourceMeta }>(
  kind: string,
  items: fc.Arbitrary<readonly T[]>,
): fc.Arbitrary<Known<T>> {
  const problems = fc.array(
    fc.record({
      kind: fc.constant(kind),
      namespace: fc.constant(localNamespace),
      name: text,
      problem: fc.string({ maxLength: 900 }),
    }),
    { maxLength: 2 },
  )
  return fc.record({ synced: fc.nat(9).map(number => number > 0), items, problems })
}

function several<T extends { readonly meta: ResourceMeta }>(
  item: fc.Arbitrary<T>,
): fc.Arbitrary<readonly T[]> {
  return fc.uniqueArray(item, { maxLength: 6, selector: ({ meta }) => meta.name })
}

/** What c2, c3 and c4 would have on the broker, with a thing or two changed, beside any others. */
const likelyClusters: fc.Arbitrary<readonly Cluster[]> = fc
  .tuple(
    fc.subarray(
      [2, 3, 4].map(number => clusterOf(number)),
      { minLength: 2 },
    ),
    fc.array(arbitraryCluster(anywhere(brokerNamespace)), { maxLength: 3 }),
  )
  .map(([usual, others]) => withDistinctNames([...usual, ...others]))

const changes = fc.record(
  {
    backend: text,
    backendConfig,
    privateIps: families,
    publicIps: families,
    healthCheckIps: families,
    isNatEnabled: fc.boolean(),
    subnets: prefixList,
  },
  { requiredKeys: [] },
)

const otherKey = publicKey.map(key => ({
  backendConfig: { ...endpointOf(2).backendConfig, publicKey: key },
}))

const likelyEndpoints: fc.Arbitrary<readonly Endpoint[]> = fc
  .tuple(
    fc.array(
      fc.tuple(fc.integer({ min: 2, max: 4 }), fc.oneof(fc.constant({}), otherKey, changes)),
      {
        minLength: 2,
      },
    ),
    fc.array(arbitraryEndpoint(anywhere(brokerNamespace)), { maxLength: 3 }),
  )
  .map(([usual, others]) => {
    return withDistinctNames([
      ...usual.map(([number, over]) => endpointOf(number, over)),
      ...others,
    ])
  })

function withDistinctNames<T extends { readonly meta: ResourceMeta }>(items: readonly T[]): T[] {
  return [...new Map(items.map(item => [item.meta.name, item])).values()]
}

const gateway: fc.Arbitrary<Gateway> = fc.record({
  meta: metaOf({ ...anywhere(localNamespace), name: fc.constantFrom(hostname, 'other') }),
  updatedAtMs: fc.option(fc.integer({ min: nowMs - 60_000, max: nowMs + 60_000 }), {
    nil: undefined,
  }),
  globalIp: fc.option(address, { nil: undefined }),
  version: text,
  haState: fc.constantFrom('active', 'passive'),
  localEndpoint: endpointSpec,
  failure: text,
  connections: fc.constant([]),
})

const latency = fc.constantFrom(undefined, {
  ...{ lastNs: 1, minNs: 1, averageNs: 1, maxNs: 1, stdDevNs: 0 },
})
const ping: fc.Arbitrary<PingReport> = fc.record({
  state: fc.constantFrom('ok', 'failed', 'unknown'),
  message: text,
  latency,
})
const link: fc.Arbitrary<LinkReport> = fc.record({
  state: fc.constantFrom('connected', 'connecting', 'error'),
  message: text,
  traffic: fc.constantFrom(undefined, { checkedAtMs: 1, txBytes: 2, rxBytes: 3 }),
})

const drivers = fc.constantFrom<World['settings']['drivers']>(
  ['wireguard', 'vxlan'],
  ['vxlan', 'wireguard'],
  ['wireguard'],
  ['vxlan'],
)

const node = fc
  .record({
    labels: fc.dictionary(text, text, { maxKeys: 1 }),
    annotations: fc.dictionary(
      fc.constantFrom('udp-port', 'public-ip', 'preferred-server', 'x'),
      fc.constantFrom('4501', 'true', 'ipv4:203.0.113.1', 'ipv4:', 'dns:a,ipv6:::1'),
      { maxKeys: 2 },
    ),
  })
  .map(({ labels, annotations }) => ({
    ...ownNode,
    meta: {
      ...ownNode.meta,
      labels,
      annotations: Object.fromEntries(
        Object.entries(annotations).map(([name, value]) => [
          `gateway.submariner.io/${name}`,
          value,
        ]),
      ),
    },
  }))

/** Any world at all. */
export const arbitraryWorld: fc.Arbitrary<World> = fc
  .record({
    isActive: fc.nat(9).map(number => number > 0),
    hasStockAgents: fc.boolean(),
    isNatEnabled: fc.boolean(),
    drivers,
    globalCidrs: fc.oneof(fc.constant([]), prefixList),
    clusterCidrs: fc.oneof(fc.constant(settings.clusterCidrs), prefixList),
    privateIps: fc.oneof(fc.constant(self.privateIps), families),
    healthCheckIps: families,
    node: fc.option(node, { nil: undefined }),
    localClusters: knownOf('Cluster', several(arbitraryCluster(anywhere(localNamespace)))),
    localEndpoints: knownOf('Endpoint', several(arbitraryEndpoint(anywhere(localNamespace)))),
    gateways: knownOf('Gateway', several(gateway)),
    clusters: knownOf('Cluster', likelyClusters),
    endpoints: knownOf('Endpoint', likelyEndpoints),
    rememberedClusters: likelyClusters,
    rememberedEndpoints: likelyEndpoints,
    hasDatapath: fc.boolean(),
    links: fc.dictionary(clusterId, link),
    pings: fc.dictionary(fc.constantFrom('c2/4', 'c2/6', 'c3/4'), ping),
  })
  .map(random => {
    const { isActive, hasStockAgents, isNatEnabled, globalCidrs, clusterCidrs } = random
    return worldWith({
      isActive,
      node: random.node,
      settings: {
        ...{ hasStockAgents, isNatEnabled, globalCidrs, clusterCidrs },
        drivers: random.drivers,
      },
      self: { privateIps: random.privateIps, healthCheckIps: random.healthCheckIps },
      local: {
        clusters: random.localClusters,
        endpoints: random.localEndpoints,
        gateways: random.gateways,
        submariner: undefined,
      },
      broker: { clusters: random.clusters, endpoints: random.endpoints },
      remembered: { clusters: random.rememberedClusters, endpoints: random.rememberedEndpoints },
      datapath: random.hasDatapath
        ? statusOf({ device: { listenPort: 4500, fwmark: 0 }, cables: [] })
        : undefined,
      links: new Map(Object.entries(random.links)),
      pings: new Map(Object.entries(random.pings)),
    })
  })
