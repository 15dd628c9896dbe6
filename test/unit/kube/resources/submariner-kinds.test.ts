// Cluster, Gateway, RouteAgent, Broker and Submariner: what the golden objects say, and what is written.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyBackendConfig } from '../../../../src/kube/resources/backend-config.ts'
import { brokerType } from '../../../../src/kube/resources/broker.ts'
import { clusterType } from '../../../../src/kube/resources/cluster.ts'
import { gatewayType } from '../../../../src/kube/resources/gateway.ts'
import { newMeta } from '../../../../src/kube/resources/resource.ts'
import { routeAgentType } from '../../../../src/kube/resources/route-agent.ts'
import { submarinerType } from '../../../../src/kube/resources/submariner.ts'
import { parseAddress, parsePrefix } from '../../../../src/net/address.ts'
import { goldenObject, parsed, problemWith, withValue } from '../../../support/golden-objects.ts'

const ipv4 = (text: string) => ({ ipv4: parseAddress(text), ipv6: undefined })

test('a Cluster, both ways', () => {
  const raw = goldenObject('cluster')
  const cluster = parsed(clusterType, raw)
  assert.deepEqual(cluster, {
    meta: newMeta('c1', 'submariner-k8s-broker', { 'submariner-io/clusterID': 'c1' }),
    clusterId: 'c1',
    clusterCidrs: [parsePrefix('10.129.0.0/16')],
    serviceCidrs: [parsePrefix('100.65.0.0/16')],
    globalCidrs: [],
    colorCodes: ['blue'],
  })
  assert.deepEqual(clusterType.serialize(cluster), raw)
  const nulls = withValue(withValue(raw, 'spec.color_codes', null), 'spec.global_cidr', null)
  assert.deepEqual(parsed(clusterType, nulls), { ...cluster, colorCodes: [] })
  assert.equal(
    problemWith(clusterType, withValue(raw, 'spec.service_cidr.0', '100.65.0.0/x')),
    'Cluster submariner-k8s-broker/c1: spec.service_cidr[0]: "100.65.0.0/x" is not a prefix',
  )
})

test('an older Gateway is read, with its latencies in nanoseconds', () => {
  const gateway = parsed(gatewayType, goldenObject('gateway-0.20'))
  assert.equal(gateway.version, 'v0.19.0')
  assert.equal(gateway.haState, 'active')
  assert.equal(gateway.failure, '')
  assert.equal(gateway.updatedAtMs, 1_700_000_000_000)
  assert.equal(gateway.globalIp, undefined)
  assert.equal(gateway.localEndpoint.clusterId, 'c1')
  assert.deepEqual(gateway.localEndpoint.privateIps, ipv4('172.18.0.5'))
  assert.equal(gateway.connections.length, 1)
  const [{ endpoint, ...connection }] = gateway.connections
  assert.deepEqual(connection, {
    state: 'connected',
    message: '',
    usingIp: parseAddress('172.18.0.6'),
    isUsingNat: false,
    latency: {
      lastNs: 401_200,
      minNs: 299_100,
      averageNs: 388_079,
      maxNs: 1_200_000,
      stdDevNs: 52_300,
    },
  })
  assert.deepEqual(endpoint, {
    clusterId: 'c2',
    cableName: 'submariner-cable-c2-172-18-0-6',
    hostname: 'cluster2-worker',
    subnets: ['100.66.0.0/16', '10.130.0.0/16'].map(parsePrefix),
    privateIps: ipv4('172.18.0.6'),
    publicIps: ipv4('203.0.113.20'),
    healthCheckIps: ipv4('10.130.1.1'),
    isNatEnabled: true,
    backend: 'libreswan',
    backendConfig: {
      ...emptyBackendConfig,
      udpPort: 4500,
      nattDiscoveryPort: 4490,
      isPreferredServer: false,
    },
  })
})

test('a newer Gateway, both ways', () => {
  const raw = goldenObject('gateway-0.24')
  const gateway = parsed(gatewayType, raw)
  assert.deepEqual(gateway.globalIp, parseAddress('242.0.255.254'))
  const [connection] = gateway.connections
  assert.equal(connection.state, 'error')
  assert.ok(connection.isUsingNat)
  assert.equal(connection.endpoint.backendConfig.others['ReceiveBytes'], '148')
  assert.deepEqual(gatewayType.serialize(gateway), raw)
  // The next writing: the stamp moves, the annotation of Globalnet stays.
  const meta = { ...gateway.meta, annotations: {} }
  const next = gatewayType.serialize({ ...gateway, meta, updatedAtMs: 1_700_000_010_999 }, raw)
  assert.deepEqual(next, withValue(raw, 'metadata.annotations.update-timestamp', '1700000010'))
})

test('a Gateway without a right stamp is read: it has to be deleted', () => {
  const raw = goldenObject('gateway-0.24')
  for (const stamp of [undefined, '', 'now', '1.5', '-1', '99999999999999']) {
    const stamped = withValue(raw, 'metadata.annotations.update-timestamp', stamp)
    assert.equal(parsed(gatewayType, stamped).updatedAtMs, undefined)
  }
})

test('what is wrong in a Gateway is said with its path', () => {
  const raw = goldenObject('gateway-0.24')
  const says = (path: string, value: unknown) =>
    problemWith(gatewayType, withValue(raw, path, value)).replace(/^[^:]*: /, '')
  assert.equal(says('status.haStatus', 'on'), 'status.haStatus: "on" is none of active, passive')
  assert.equal(
    says('status.connections.0.status', ''),
    'status.connections[0].status: "" is none of connected, connecting, error, none',
  )
  assert.equal(
    says('status.connections.0.latencyRTT.max', '5'),
    'status.connections[0].latencyRTT.max: "5" is not a duration like 1.5ms',
  )
  assert.equal(
    says('status.connections.0.endpoint.subnets.0', 'x'),
    'status.connections[0].endpoint.subnets[0]: "x" is not a prefix',
  )
  const globalIp = { 'submariner.io/globalIp': '242.0.0' }
  assert.equal(
    says('metadata.annotations', globalIp),
    'metadata.annotations[submariner.io/globalIp]: "242.0.0" is not an IP address',
  )
})

test('a RouteAgent, both ways', () => {
  const raw = goldenObject('route-agent')
  const agent = parsed(routeAgentType, raw)
  assert.equal(agent.meta.name, 'cluster1-worker2')
  assert.equal(agent.version, 'v0.24.0')
  assert.equal(agent.failure, '')
  const [connected, none] = agent.remotes
  assert.equal(connected.state, 'connected')
  assert.deepEqual(connected.latency, {
    lastNs: 1_796_365,
    minNs: 812_500,
    averageNs: 1_100_000,
    maxNs: 60_500_000_000,
    stdDevNs: 310,
  })
  assert.equal(connected.endpoint.cableName, 'submariner-cable-c2-172-18-0-6')
  assert.equal(none.state, 'none')
  assert.equal(none.latency, undefined)
  assert.deepEqual(none.endpoint.backendConfig, emptyBackendConfig)
  assert.deepEqual(routeAgentType.serialize(agent), raw)
})

test('a Broker, both ways', () => {
  const raw = goldenObject('broker')
  const broker = parsed(brokerType, raw)
  assert.deepEqual(broker, {
    meta: newMeta('submariner-broker', 'submariner-k8s-broker'),
    components: ['service-discovery', 'connectivity'],
    defaultCustomDomains: ['west.example'],
    isGlobalnetEnabled: true,
    globalnetRange: parsePrefix('242.0.0.0/8'),
    globalnetClusterSize: 65_536,
    isClustersetIpEnabled: true,
    clustersetIpRange: parsePrefix('243.0.0.0/8'),
  })
  assert.deepEqual(brokerType.serialize(broker), raw)
  const bare = parsed(brokerType, withValue(raw, 'spec', undefined))
  assert.equal(bare.isGlobalnetEnabled, false)
  assert.deepEqual(brokerType.serialize(bare), withValue(raw, 'spec', {}))
})

test('a Submariner is read: what the control plane goes by', () => {
  const submariner = parsed(submarinerType, goldenObject('submariner'))
  const { meta, status, ...settings } = submariner
  assert.deepEqual(meta.finalizers, ['controllers.submariner.io/cleanup'])
  assert.deepEqual(settings, {
    clusterId: 'c1',
    componentNamespace: 'submariner-operator',
    broker: {
      apiServer: '172.18.0.2:6443',
      namespace: 'submariner-k8s-broker',
      secretName: 'broker-secret-x7k2p',
      token: 'dG9rZW4',
      ca: 'LS0tLS1CRUdJTi0tLS0t',
      isInsecure: false,
    },
    clusterCidrs: ['10.129.0.0/16', 'fd00:10:129::/56'].map(parsePrefix),
    serviceCidrs: [parsePrefix('100.65.0.0/16')],
    globalCidrs: [],
    cable: {
      driver: 'wireguard',
      driverOptions: {},
      isNatEnabled: true,
      psk: 'AAECAwQFBgc=',
      pskSecretName: 'submariner-ipsec-psk',
      ikePort: undefined,
      nattPort: 4500,
      isPreferredServer: false,
      wantsUdpEncapsulation: false,
      isDebugging: false,
      hasLoadBalancer: false,
    },
    discovery: {
      isEnabled: true,
      isClustersetIpEnabled: false,
      clustersetIpCidr: undefined,
      customDomains: ['west.example'],
    },
    healthCheck: { isEnabled: true, intervalSeconds: 1, packetLossMost: 5 },
    isAirGapped: false,
    isDebugging: false,
    wantsHaltOnCertificateError: false,
    colorCodes: ['blue'],
    repository: 'quay.io/submariner',
    version: '0.24.0',
  })
  assert.equal(status?.networkPlugin, 'generic')
  assert.equal(status?.gateways[0].haState, 'passive')
  assert.deepEqual(status?.clusterCidrs, settings.clusterCidrs)
})

test('a Submariner is written over what the operator keeps in it', () => {
  const raw = goldenObject('submariner')
  const submariner = parsed(submarinerType, raw)
  assert.deepEqual(submarinerType.serialize(submariner, raw), raw)
  const written = submarinerType.serialize({ ...submariner, status: undefined })
  assert.ok(!('status' in written))
  assert.deepEqual(
    written['spec'],
    (withValue(raw, 'spec.imageOverrides', undefined)['spec'] as object) ?? {},
  )
})

test('settings are read though the status is broken, and the status is left alone then', () => {
  const raw = withValue(goldenObject('submariner'), 'status.gateways.0.haStatus', 'both')
  const submariner = parsed(submarinerType, raw)
  assert.equal(submariner.status, undefined)
  assert.deepEqual(submarinerType.serialize(submariner, raw), raw)
  assert.equal(parsed(submarinerType, withValue(raw, 'status', undefined)).status, undefined)
})

test('settings that are absent, and settings that are wrong', () => {
  const raw = goldenObject('submariner')
  const read = (path: string, value: unknown) => parsed(submarinerType, withValue(raw, path, value))
  assert.equal(read('spec.ceIPSecPSK', undefined).cable.psk, undefined)
  assert.equal(read('spec.ceIPSecPSK', '').cable.psk, '')
  assert.deepEqual(read('spec.clusterCIDR', '').clusterCidrs, [])
  assert.equal(read('spec.connectionHealthCheck', undefined).healthCheck, undefined)
  assert.deepEqual(read('spec.connectionHealthCheck', {}).healthCheck, {
    isEnabled: false,
    intervalSeconds: 1,
    packetLossMost: 5,
  })
  const says = (path: string, value: unknown) =>
    problemWith(submarinerType, withValue(raw, path, value)).replace(/^[^:]*: /, '')
  assert.match(says('spec.clusterID', 'C1'), /^spec.clusterID: "C1" is no cluster id: it has 1 to/)
  assert.equal(says('spec.broker', 'etcd'), 'spec.broker: expected k8s')
  assert.equal(says('spec.ceIPSecNATTPort', 70_000), 'spec.ceIPSecNATTPort: 70000 is not a port')
  assert.equal(says('spec.ceIPSecNATTPort', '1'), 'spec.ceIPSecNATTPort: expected a whole number')
  assert.equal(says('spec.serviceCIDR', '10.0.0.0/8, x'), 'spec.serviceCIDR: "x" is not a prefix')
})
