// What a gateway says of itself: among it stock's endpoint suite (labels and annotations of the Node,
// public addresses) as cases.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeSelf } from '../../../src/control/own-objects.ts'
import { clusterType } from '../../../src/kube/resources/cluster.ts'
import { endpointType, noAddresses } from '../../../src/kube/resources/endpoint.ts'
import type { Node } from '../../../src/kube/resources/node.ts'
import { parseAddress } from '../../../src/net/address.ts'
import {
  endpointOf,
  gatewayOf,
  hostname,
  keyOf,
  known,
  ownNode,
  prefixes,
  self,
  texts,
  unknown,
  type WorldChanges,
  worldWith,
} from '../../support/control-world.ts'

const describe = (changes: WorldChanges = {}) => describeSelf(worldWith(changes))

/** The Node with labels and annotations that begin with `gateway.submariner.io/`. */
function nodeWith(
  labels: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>> = {},
): Node {
  const full = (values: Readonly<Record<string, string>>) =>
    Object.fromEntries(
      Object.entries(values).map(([name, value]) => [`gateway.submariner.io/${name}`, value]),
    )
  const meta = { ...ownNode.meta, labels: full(labels), annotations: full(annotations) }
  return { ...ownNode, meta }
}

test('our Endpoint as others read it', () => {
  const { endpoint, problems } = describe()
  assert.deepEqual(problems, [])
  assert.deepEqual(endpointType.serialize(endpoint), {
    apiVersion: 'submariner.io/v1',
    kind: 'Endpoint',
    metadata: { name: 'c1-submariner-cable-c1-gateway', namespace: 'submariner-operator' },
    spec: {
      cluster_id: 'c1',
      cable_name: 'submariner-cable-c1-gateway',
      hostname,
      subnets: ['10.101.0.0/16', 'fd00:101::/112', '10.1.0.0/16', 'fd00:1::/48'],
      private_ip: '172.18.0.1',
      privateIPs: ['172.18.0.1', 'fc00:18::1'],
      public_ip: '',
      healthCheckIP: '10.1.0.1',
      healthCheckIPs: ['10.1.0.1', 'fd00:1::1'],
      nat_enabled: false,
      backend: 'wireguard',
      backend_config: {
        'udp-port': '4500',
        'preferred-server': 'false',
        publicKey: Buffer.from(keyOf(1)).toString('base64'),
        'interface-name': 'hawser0',
        'hawser-cables': 'wireguard,vxlan',
        'hawser-ciphers': 'aes-256-gcm,chacha20-poly1305',
      },
    },
  })
})

test('our Cluster as others read it', () => {
  assert.deepEqual(clusterType.serialize(describe().cluster), {
    apiVersion: 'submariner.io/v1',
    kind: 'Cluster',
    metadata: { name: 'c1', namespace: 'submariner-operator' },
    spec: {
      cluster_id: 'c1',
      cluster_cidr: ['10.1.0.0/16', 'fd00:1::/48'],
      service_cidr: ['10.101.0.0/16', 'fd00:101::/112'],
      global_cidr: [],
      color_codes: ['blue'],
    },
  })
})

test('beside stock agents the Endpoint has stock’s name', () => {
  const { endpoint } = describe({ settings: { hasStockAgents: true } })
  assert.equal(endpoint.cableName, 'submariner-cable-c1-172-18-0-1')
  assert.equal(endpoint.meta.name, 'c1-submariner-cable-c1-172-18-0-1')
})

test('without WireGuard there is nothing of it in the Endpoint', () => {
  const { backendConfig, backend } = describe({ settings: { drivers: ['vxlan'] } }).endpoint
  const { publicKey, interfaceName, ciphers, cables } = backendConfig
  assert.deepEqual([backend, publicKey, interfaceName, ciphers], ['vxlan', ...Array(3)])
  assert.deepEqual(cables, ['vxlan'])
})

interface NodeCase {
  readonly name: string
  readonly node: Node | undefined
  readonly port: number
  readonly isPreferred?: boolean
  readonly problem?: RegExp
}

const nodeCases: readonly NodeCase[] = [
  { name: 'nothing', node: ownNode, port: 4500 },
  { name: 'a label', node: nodeWith({ 'udp-port': '5501' }), port: 5501 },
  { name: 'an annotation', node: nodeWith({}, { 'udp-port': '5502' }), port: 5502 },
  {
    name: 'both: the annotation wins',
    node: nodeWith({ 'udp-port': '5501' }, { 'udp-port': '5502' }),
    port: 5502,
  },
  {
    name: 'preferred-server',
    node: nodeWith({ 'preferred-server': 'true' }),
    ...{ port: 4500, isPreferred: true },
  },
  {
    name: 'a NAT discovery port, which we do not publish',
    node: nodeWith({ 'natt-discovery-port': '4491' }),
    port: 4500,
  },
  {
    name: 'a key that nobody knows',
    node: nodeWith({ 'udp-port': '5501', wrong: 'x' }),
    ...{ port: 4500, problem: /gateway\.submariner\.io\/wrong: nobody knows it/ },
  },
  {
    name: 'a port that is none',
    node: nodeWith({ 'udp-port': '99999' }),
    ...{ port: 4500, problem: /udp-port: "99999" is not a port/ },
  },
  { name: 'the Node is not known', node: undefined, port: 4500 },
]

for (const { name, node, port, isPreferred = false, problem } of nodeCases) {
  test(`the Node says: ${name}`, () => {
    const { endpoint, udpPort, problems } = describe({ node })
    assert.equal(udpPort, port)
    assert.equal(endpoint.backendConfig.udpPort, port)
    assert.equal(endpoint.backendConfig.isPreferredServer, isPreferred)
    assert.equal(endpoint.backendConfig.nattDiscoveryPort, undefined)
    assert.equal(problems.length, problem === undefined ? 0 : 1)
    if (problem !== undefined) assert.match(problems[0].message, problem)
  })
}

test('while the Node is not known or not understood, what was published last holds', () => {
  const last = endpointOf(1, {
    hostname,
    backendConfig: { ...endpointOf(1).backendConfig, udpPort: 5501, isPreferredServer: true },
  })
  const remembered = { clusters: [], endpoints: [last] }
  for (const node of [undefined, nodeWith({ wrong: 'x' })]) {
    const { endpoint } = describe({ node, remembered })
    assert.equal(endpoint.backendConfig.udpPort, 5501)
    assert.equal(endpoint.backendConfig.isPreferredServer, true)
  }
  assert.equal(describe({ remembered }).udpPort, 4500)
  const otherNode = { clusters: [], endpoints: [{ ...last, hostname: 'other' }] }
  assert.equal(describe({ node: undefined, remembered: otherNode }).udpPort, 4500)
})

interface NatCase {
  readonly name: string
  readonly world: WorldChanges
  readonly isNat: boolean
  readonly publicIp: string
}

const found = { publicIps: { ipv4: parseAddress('203.0.113.1'), ipv6: undefined } }
const natEnabled = { isNatEnabled: true }
const natCases: readonly NatCase[] = [
  { name: 'off', world: { self: found }, isNat: false, publicIp: '203.0.113.1' },
  {
    name: 'on, and an address is found',
    world: { settings: natEnabled, self: found },
    isNat: true,
    publicIp: '203.0.113.1',
  },
  { name: 'on, and none is found', world: { settings: natEnabled }, isNat: false, publicIp: '' },
  {
    name: 'on, and the Node says one',
    world: { settings: natEnabled, node: nodeWith({}, { 'public-ip': 'ipv4:198.51.100.7' }) },
    ...{ isNat: true, publicIp: '198.51.100.7' },
  },
  {
    name: 'the Node’s wins over what is found',
    world: {
      settings: natEnabled,
      self: found,
      node: nodeWith({ 'public-ip': 'lb:gw, ipv4:198.51.100.7' }),
    },
    ...{ isNat: true, publicIp: '198.51.100.7' },
  },
  {
    name: 'what the Node says has to be looked up',
    world: { settings: natEnabled, self: found, node: nodeWith({ 'public-ip': 'dns:gw.example' }) },
    ...{ isNat: true, publicIp: '203.0.113.1' },
  },
  {
    name: 'what the Node says is no address',
    world: { settings: natEnabled, node: nodeWith({ 'public-ip': 'ipv4:fd00::1' }) },
    ...{ isNat: false, publicIp: '' },
  },
]

for (const { name, world, isNat, publicIp } of natCases) {
  test(`NAT: ${name}`, () => {
    const { spec } = endpointType.serialize(describe(world).endpoint)
    const { nat_enabled, public_ip } = spec as Record<string, unknown>
    assert.deepEqual([nat_enabled, public_ip], [isNat, publicIp])
  })
}

test('with Globalnet: global CIDRs in place of IPv4, and the Gateway’s global IP is pinged', () => {
  const globalCidrs = prefixes('242.1.0.0/16')
  const gateway = gatewayOf(hostname, { globalIp: parseAddress('242.1.0.9') })
  const withIp = (gateways: readonly (typeof gateway)[]) => {
    const local = {
      ...worldWith().local,
      gateways: known(gateways),
    }
    return describe({ settings: { globalCidrs }, local }).endpoint
  }
  assert.deepEqual(texts(withIp([gateway]).subnets), [
    ...['242.1.0.0/16', 'fd00:101::/112', 'fd00:1::/48'],
  ])
  assert.deepEqual(withIp([gateway]).healthCheckIps, {
    ipv4: parseAddress('242.1.0.9'),
    ipv6: self.healthCheckIps.ipv6,
  })
  assert.equal(withIp([]).healthCheckIps.ipv4, undefined)
})

test('without a private address it is not to be published', () => {
  const { isReachable, problems } = describe({ self: { privateIps: noAddresses } })
  assert.equal(isReachable, false)
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['no-private-ip'],
  )
})

test('a driver that we do not have is a problem, and the others go on', () => {
  const { problems, endpoint } = describe({ settings: { missingDriver: 'libreswan' } })
  assert.match(problems[0].message, /no cable driver "libreswan"; in use: wireguard, vxlan/)
  assert.equal(endpoint.backend, 'wireguard')
})

test('all of it is there without any API', () => {
  const nothing = { clusters: unknown, endpoints: unknown }
  const local = { ...nothing, gateways: unknown, submariner: undefined }
  assert.equal(describe({ node: undefined, broker: nothing, local }).isReachable, true)
})
