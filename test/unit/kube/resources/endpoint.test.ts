import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownCableName } from '../../../../src/kube/names.ts'
import {
  defaultNattDiscoveryPort,
  defaultUdpPort,
  emptyBackendConfig,
} from '../../../../src/kube/resources/backend-config.ts'
import {
  type Endpoint,
  type EndpointSpec,
  endpointType,
  isSameEndpoint,
  noAddresses,
} from '../../../../src/kube/resources/endpoint.ts'
import { newMeta } from '../../../../src/kube/resources/resource.ts'
import { parseAddress, parsePrefix } from '../../../../src/net/address.ts'
import { goldenObject, parsed, problemWith, withValue } from '../../../support/golden-objects.ts'

const key = Uint8Array.from({ length: 32 }, (_, index) => index)
const ipv4 = (text: string) => ({ ipv4: parseAddress(text), ipv6: undefined })
const both = (v4: string, v6: string) => ({ ipv4: parseAddress(v4), ipv6: parseAddress(v6) })
const metaOf = (name: string, clusterId: string) =>
  newMeta(name, 'submariner-k8s-broker', { 'submariner-io/clusterID': clusterId })

const older: Endpoint = {
  meta: metaOf('c1-submariner-cable-c1-172-18-0-5', 'c1'),
  clusterId: 'c1',
  cableName: 'submariner-cable-c1-172-18-0-5',
  hostname: 'cluster1-worker',
  subnets: ['100.65.0.0/16', '10.129.0.0/16'].map(parsePrefix),
  privateIps: ipv4('172.18.0.5'),
  publicIps: ipv4('203.0.113.10'),
  healthCheckIps: ipv4('10.129.1.1'),
  isNatEnabled: true,
  backend: 'libreswan',
  backendConfig: {
    ...emptyBackendConfig,
    udpPort: defaultUdpPort,
    nattDiscoveryPort: defaultNattDiscoveryPort,
    isPreferredServer: false,
  },
}

const newer: Endpoint = {
  meta: metaOf('c2-submariner-cable-c2-172-18-0-6', 'c2'),
  clusterId: 'c2',
  cableName: 'submariner-cable-c2-172-18-0-6',
  hostname: 'cluster2-worker',
  subnets: [
    ...['100.66.0.0/16', 'fd00:100:66::/112'].map(parsePrefix),
    ...['10.130.0.0/16', 'fd00:10:130::/56'].map(parsePrefix),
  ],
  privateIps: both('172.18.0.6', 'fc00:f853:ccd:e793::6'),
  publicIps: both('203.0.113.20', '2001:db8::20'),
  healthCheckIps: both('10.130.1.1', 'fd00:10:130::1'),
  isNatEnabled: true,
  backend: 'wireguard',
  backendConfig: {
    ...emptyBackendConfig,
    udpPort: defaultUdpPort,
    nattDiscoveryPort: defaultNattDiscoveryPort,
    publicKey: key,
    interfaceName: 'submariner',
    others: { 'public-ip': 'ipv4:203.0.113.20' },
  },
}

const ours: Endpoint = {
  meta: metaOf('c3-submariner-cable-c3-gateway', 'c3'),
  clusterId: 'c3',
  cableName: ownCableName('c3'),
  hostname: 'cluster3-worker',
  subnets: ['100.67.0.0/16', '10.131.0.0/16'].map(parsePrefix),
  privateIps: ipv4('172.18.0.7'),
  publicIps: noAddresses,
  healthCheckIps: ipv4('10.131.1.1'),
  isNatEnabled: false,
  backend: 'wireguard',
  backendConfig: {
    ...emptyBackendConfig,
    udpPort: 4500,
    publicKey: key,
    cables: ['wireguard', 'vxlan'],
    ciphers: ['aes-256-gcm', 'chacha20-poly1305'],
  },
}

test('each shape is read', () => {
  assert.deepEqual(parsed(endpointType, goldenObject('endpoint-0.20')), older)
  assert.deepEqual(parsed(endpointType, goldenObject('endpoint-0.24')), newer)
  assert.deepEqual(parsed(endpointType, goldenObject('endpoint-hawser')), ours)
})

test('the newer form is written as stock writes it, and ours as it should be', () => {
  assert.deepEqual(endpointType.serialize(newer), goldenObject('endpoint-0.24'))
  assert.deepEqual(endpointType.serialize(ours), goldenObject('endpoint-hawser'))
})

test('what was read in the older shape is written in both', () => {
  const raw = goldenObject('endpoint-0.20')
  const lists = [
    ['privateIPs', ['172.18.0.5']],
    ['publicIPs', ['203.0.113.10']],
    ['healthCheckIPs', ['10.129.1.1']],
  ] as const
  let expected = raw
  for (const [name, list] of lists) expected = withValue(expected, `spec.${name}`, list)
  assert.deepEqual(endpointType.serialize(older), expected)
  assert.deepEqual(endpointType.serialize(older, raw), expected)
})

test('an old reader, and an old schema, find a text in both single fields', () => {
  const bare: Endpoint = { ...ours, privateIps: noAddresses, healthCheckIps: noAddresses }
  const spec = endpointType.serialize(bare)['spec'] as Record<string, unknown>
  assert.equal(spec['private_ip'], '')
  assert.equal(spec['public_ip'], '')
  for (const name of ['privateIPs', 'publicIPs', 'healthCheckIP', 'healthCheckIPs']) {
    assert.ok(!(name in spec), name)
  }
})

test('the single field stands in for IPv4 alone, and lists go first', () => {
  const read = (path: string, value: unknown, raw: unknown = goldenObject('endpoint-0.24')) =>
    parsed(endpointType, withValue(raw, path, value)).privateIps
  const only4 = ipv4('172.18.0.6')
  assert.deepEqual(read('spec.private_ip', '9.9.9.9'), newer.privateIps)
  assert.deepEqual(read('spec.privateIPs', ['fd00::1']), both('172.18.0.6', 'fd00::1'))
  assert.deepEqual(read('spec.privateIPs', []), only4)
  assert.deepEqual(read('spec.privateIPs', null), only4)
  // Stock 0.21 puts an empty text for an address that it does not know.
  assert.deepEqual(read('spec.privateIPs', ['']), only4)
  const old = goldenObject('endpoint-0.20')
  assert.deepEqual(read('spec.private_ip', 'fd00::1', old), noAddresses)
  assert.deepEqual(read('spec.private_ip', '', old), noAddresses)
  assert.deepEqual(read('spec.private_ip', undefined, old), noAddresses)
})

test('what we do not know stays, what we leave out goes', () => {
  const grown = [
    ['metadata.labels.foreign', 'kept'],
    ['metadata.annotations', { 'example.com/note': 'kept' }],
    ['metadata.finalizers', ['example.com/hold']],
    ['metadata.uid', 'u-1'],
    ['metadata.resourceVersion', '7'],
    ['metadata.managedFields', [{ manager: 'subctl' }]],
    ['spec.future', { deep: [1] }],
    ['spec.backend_config.future', 'kept'],
    ['extra', true],
  ] as const
  let raw = goldenObject('endpoint-0.24')
  for (const [path, value] of grown) raw = withValue(raw, path, value)
  const value = parsed(endpointType, raw)
  assert.deepEqual(endpointType.serialize(value, raw), raw)
  // Laid over by one that was made afresh, the frame stays and the content is ours.
  const fresh: Endpoint = {
    ...ours,
    meta: { ...newMeta(newer.meta.name, 'x'), finalizers: ['a/b'] },
  }
  const written = endpointType.serialize(fresh, raw)
  assert.deepEqual(written['extra'], true)
  const metadata = written['metadata'] as Record<string, unknown>
  assert.deepEqual(metadata, {
    ...raw.metadata,
    namespace: 'x',
    finalizers: ['example.com/hold', 'a/b'],
  })
  const spec = written['spec'] as Record<string, unknown>
  assert.deepEqual(spec['future'], { deep: [1] })
  assert.ok(!('publicIPs' in spec))
  // Compared as a whole by stock, so nothing of the old one may stay.
  const golden = goldenObject('endpoint-hawser')['spec'] as Record<string, unknown>
  assert.deepEqual(spec['backend_config'], golden['backend_config'])
})

const wrong: readonly (readonly [path: string, value: unknown, says: string])[] = [
  ['spec', undefined, 'spec: expected an object'],
  ['spec.subnets.1', '10.130.0.0/33', 'spec.subnets[1]: "10.130.0.0/33" is not a prefix'],
  ['spec.subnets.0', '', 'spec.subnets[0]: "" is not a prefix'],
  ['spec.subnets.0', 7, 'spec.subnets[0]: expected a string'],
  ['spec.subnets', '10.0.0.0/8', 'spec.subnets: expected a list'],
  ['spec.privateIPs.0', '172.18.0', 'spec.privateIPs[0]: "172.18.0" is not an IP address'],
  ['spec.cluster_id', undefined, 'spec.cluster_id: expected a string'],
  ['spec.cluster_id', 'a b', 'spec.cluster_id: "a b" is no cluster id'],
  ['spec.cable_name', '', 'spec.cable_name: expected a name'],
  ['spec.nat_enabled', 'true', 'spec.nat_enabled: expected true or false'],
  ['spec.backend', null, 'spec.backend: expected a string'],
  [
    'spec.backend_config.udp-port',
    '0',
    'spec.backend_config[udp-port]: "0" is not a port from 1 to 65535',
  ],
  [
    'spec.backend_config.natt-discovery-port',
    '65536',
    'spec.backend_config[natt-discovery-port]: "65536" is not a port from 1 to 65535',
  ],
  [
    'spec.backend_config.preferred-server',
    'yes',
    'spec.backend_config[preferred-server]: "yes" is not true or false',
  ],
  [
    'spec.backend_config.publicKey',
    'c2VjcmV0',
    'spec.backend_config.publicKey: expected 32 bytes as 44 characters of base64',
  ],
  ['spec.backend_config.other', 1, 'spec.backend_config.other: expected a string'],
  ['metadata.name', '', 'metadata.name: expected a name'],
  ['metadata.namespace', undefined, 'metadata.namespace: expected a name'],
  [
    'metadata.creationTimestamp',
    'now',
    'metadata.creationTimestamp: "now" is not a time of RFC 3339',
  ],
  ['metadata.labels.x', 1, 'metadata.labels.x: expected a string'],
  ['kind', 'Cluster', 'kind: "Cluster" is not Endpoint'],
]

test('a problem names the object and the field', () => {
  const raw = goldenObject('endpoint-0.24')
  for (const [path, value, says] of wrong) {
    const problem = problemWith(endpointType, withValue(raw, path, value))
    const { name, namespace } = withValue(raw, path, value).metadata
    const where =
      namespace === undefined ? name : name === '' ? 'without a name' : `${namespace}/${name}`
    assert.equal(problem, `Endpoint ${where}: ${says}`)
  }
  for (const nothing of [null, undefined, 7, 'x', []]) {
    assert.equal(problemWith(endpointType, nothing), 'Endpoint without a name: expected an object')
  }
  const long = problemWith(endpointType, withValue(raw, 'spec.subnets.0', 'x'.repeat(1e6)))
  assert.ok(long.length < 250, `${long.length} characters`)
})

test('a list item of the server has no kind', () => {
  const item = withValue(
    withValue(goldenObject('endpoint-0.24'), 'kind', undefined),
    'apiVersion',
    undefined,
  )
  assert.deepEqual(parsed(endpointType, item), newer)
})

const config = (values: Partial<EndpointSpec['backendConfig']>) => ({
  backendConfig: { ...older.backendConfig, ...values },
})

const changes: readonly (readonly [what: Partial<EndpointSpec>, isSame: boolean])[] = [
  [{}, true],
  [{ clusterId: 'c9' }, false],
  [{ cableName: 'x' }, false],
  [{ hostname: 'x' }, false],
  [{ backend: 'vxlan' }, false],
  [config({ udpPort: 4501 }), false],
  [config({ isPreferredServer: undefined }), false],
  [config({ preferredServerSinceSeconds: 1 }), false],
  [config({ publicKey: key }), false],
  [config({ cables: ['vxlan'] }), false],
  [config({ others: { 'public-ip': 'ipv4:1.2.3.4' } }), false],
  [config({ isUsingLoadBalancer: true }), false],
  // Addresses, subnets and NAT come with an update.
  [{ subnets: [] }, true],
  [{ privateIps: noAddresses }, true],
  [{ publicIps: noAddresses }, true],
  [{ healthCheckIps: noAddresses }, true],
  [{ isNatEnabled: false }, true],
]

test('what makes another Endpoint of it, as stock sees it', () => {
  for (const [change, isSame] of changes) {
    const other = { ...older, ...change }
    assert.equal(isSameEndpoint(older, other), isSame, JSON.stringify(change))
    assert.equal(isSameEndpoint(other, older), isSame, JSON.stringify(change))
  }
  const balanced = { ...older, ...config({ isUsingLoadBalancer: true }) }
  const moved = {
    ...config({ isUsingLoadBalancer: true, preferredServerSinceSeconds: 5, udpPort: 1 }),
  }
  assert.ok(isSameEndpoint(balanced, { ...older, ...moved }))
})

test('a key that means something else to JavaScript is a key like any other', () => {
  const odd = JSON.parse('{"__proto__": "x", "constructor": "y"}') as Record<string, string>
  let raw = withValue(goldenObject('endpoint-0.24'), 'spec.backend_config', odd)
  raw = withValue(raw, 'metadata.labels', odd)
  const endpoint = parsed(endpointType, raw)
  assert.deepEqual(Object.entries(endpoint.meta.labels), Object.entries(odd))
  assert.deepEqual(Object.entries(endpoint.backendConfig.others), Object.entries(odd))
  assert.deepEqual(endpointType.serialize(endpoint), raw)
  assert.ok(!isSameEndpoint(endpoint, { ...endpoint, backendConfig: emptyBackendConfig }))
})

test('the config: every key both ways, empty ones absent', () => {
  const raw = withValue(goldenObject('endpoint-0.24'), 'spec.backend_config', {
    'udp-port': '4501',
    'natt-discovery-port': '0',
    'preferred-server': 'TRUE',
    'preferred-server-timestamp': '1700000000',
    'using-loadbalancer': 'true',
    publicKey: '',
    'interface-name': '',
    'hawser-cables': ' vxlan, wireguard,,later ',
    'hawser-ciphers': 'chacha20-poly1305,aes-256-gcm',
    LastChecked: '',
  })
  const { backendConfig } = parsed(endpointType, raw)
  assert.deepEqual(backendConfig, {
    udpPort: 4501,
    nattDiscoveryPort: undefined,
    isPreferredServer: true,
    preferredServerSinceSeconds: 1_700_000_000,
    isUsingLoadBalancer: true,
    publicKey: undefined,
    interfaceName: undefined,
    cables: ['vxlan', 'wireguard', 'later'],
    ciphers: ['chacha20-poly1305', 'aes-256-gcm'],
    others: { LastChecked: '' },
  })
  const written = endpointType.serialize({ ...newer, backendConfig })['spec'] as typeof raw
  assert.deepEqual(written['backend_config'], {
    'udp-port': '4501',
    'preferred-server': 'true',
    'preferred-server-timestamp': '1700000000',
    'using-loadbalancer': 'true',
    'hawser-cables': 'vxlan,wireguard,later',
    'hawser-ciphers': 'aes-256-gcm,chacha20-poly1305',
    LastChecked: '',
  })
  const bare = parsed(endpointType, withValue(raw, 'spec.backend_config', undefined))
  assert.deepEqual(bare.backendConfig, emptyBackendConfig)
})
