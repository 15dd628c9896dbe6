import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { evict, leave } from '../../../src/broker/leave.ts'
import type { BrokerInfo } from '../../../src/kube/broker-info.ts'
import { submarinerType } from '../../../src/kube/resources/submariner.ts'
import { formatPrefix, parsePrefix } from '../../../src/net/address.ts'
import { GatewayError } from '../../../src/net/errors.ts'
import type { SeenRequest } from '../../support/fake-apiserver.ts'
import {
  controlPod,
  type FakeCluster,
  node,
  serviceCidr,
  startFakeCluster,
} from '../../support/fake-cluster.ts'
import { deployed, joined, SeenProgress } from '../../support/membership.ts'
import {
  clusterObject,
  endpointObject,
  importObject,
  sliceObject,
} from '../../support/trust/world.ts'

const operatorNamespace = 'submariner-operator'
const namespace = 'submariner-k8s-broker'

async function startBroker(context: TestContext, more: Parameters<typeof deployed>[1] = {}) {
  const broker = await startFakeCluster(context)
  const info = await deployed(broker.client, more)
  return { broker, info }
}

const member = (context: TestContext, services = '10.96.0.0/16', pods = '10.1.0.0/24') =>
  startFakeCluster(context, [node('node-1', pods), serviceCidr(services)])

function clientsOf(local: FakeCluster, broker: FakeCluster) {
  return { local: local.client, broker: broker.client }
}

async function settingsOf({ client }: FakeCluster) {
  const where = { name: 'submariner', namespace: operatorNamespace }
  return (await client.get(submarinerType, where)).value
}

test('a second deploy-broker writes nothing and hands out the same file', async context => {
  const { broker, info } = await startBroker(context)
  const isWrite = ({ method }: SeenRequest) => method !== 'GET'
  const before = broker.server.requests.filter(isWrite).length
  const dump = broker.dump()
  assert.deepEqual(await deployed(broker.client), info)
  assert.equal(broker.server.requests.filter(isWrite).length, before)
  assert.deepEqual(broker.dump(), dump)
  assert.equal(info.psk?.length, 48)
  assert.deepEqual(broker.names('validatingadmissionpolicybindings'), [
    `hawser-broker-imports-${namespace}`,
    `hawser-broker-owned-${namespace}`,
  ])
})

test('an old server has no policies, and deploy-broker says what that means', async context => {
  const broker = await startFakeCluster(context)
  broker.minor = '29+'
  const info = await deployed(broker.client)
  assert.deepEqual(broker.names('validatingadmissionpolicies'), [])
  const east = await member(context)
  const progress = new SeenProgress()
  const result = await joined(info, 'east', clientsOf(east, broker), {}, progress)
  assert.equal(result.brokerTrust, 'unenforced')
  assert.match(progress.of('warning').join(), /brokerTrust: unenforced/)
  const { meta } = await settingsOf(east)
  assert.equal(meta.annotations['hawser.io/broker-trust'], 'unenforced')
})

test('a member has its own account, role and token, and no secret in its settings', async context => {
  const { broker, info } = await startBroker(context)
  const east = await member(context)
  const { plan, gatewayNodes } = await joined(info, 'east', clientsOf(east, broker))
  assert.deepEqual(plan.subnets.map(formatPrefix), ['10.96.0.0/16', '10.1.0.0/24'])
  assert.deepEqual(gatewayNodes, ['node-1'])
  assert.ok(broker.names('serviceaccounts').includes('cluster-east'))
  assert.ok(broker.names('roles').includes('cluster-east'))
  assert.ok(broker.names('secrets').includes('cluster-east-token'))
  const settings = await settingsOf(east)
  assert.equal(settings.clusterId, 'east')
  assert.deepEqual(
    [settings.broker.token, settings.broker.ca, settings.cable.psk],
    ['', '', undefined],
  )
  assert.equal(settings.cable.pskSecretName, 'submariner-ipsec-psk')
  const secrets = [...east.names('secrets')].sort()
  const expected = ['hawser-wireguard-key', 'submariner-broker-secret', 'submariner-ipsec-psk']
  assert.deepEqual(secrets, expected)
})

test('joining again changes nothing, the key of the cables least', async context => {
  const { broker, info } = await startBroker(context)
  const east = await member(context)
  await joined(info, 'east', clientsOf(east, broker))
  const keyOf = () =>
    east.all('secrets').find(each => each.metadata.name === 'hawser-wireguard-key')
  const [before, key] = [[east.dump(), broker.dump()], keyOf()]
  await joined(info, 'east', clientsOf(east, broker))
  assert.deepEqual([east.dump(), broker.dump()], before)
  assert.deepEqual(keyOf(), key)
})

interface Refusal {
  readonly what: string
  readonly code: string
  readonly message: RegExp
  readonly more?: Parameters<typeof joined>[3]
  readonly prepare?: (east: FakeCluster, broker: FakeCluster, info: BrokerInfo) => unknown
}

const refusals: readonly Refusal[] = [
  {
    what: 'an id that another cluster has claimed',
    code: 'ID_TAKEN',
    message: /another cluster has joined this broker as "east"/,
    prepare: (_, broker) =>
      broker.add({
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'cluster-east', namespace, annotations: { 'hawser.io/member': 'x' } },
      }),
  },
  {
    what: 'an id whose Cluster a stock member has written',
    code: 'ID_TAKEN',
    message: /another cluster/,
    prepare: (_, broker) => broker.add(clusterObject('east')),
  },
  {
    what: 'subnets of another member, both named',
    code: 'CIDR_OVERLAP',
    message: /10\.1\.0\.0\/24 of the cluster east overlaps with 10\.1\.0\.0\/16 of the cluster c1/,
    prepare: (_, broker) => broker.add(clusterObject('c1')),
  },
  {
    what: 'subnets that another member has claimed, and not written yet',
    code: 'CIDR_OVERLAP',
    message:
      /10\.96\.0\.0\/16 of the cluster east overlaps with 10\.96\.0\.0\/12 of the cluster west/,
    prepare: (_, broker) =>
      broker.add({
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: {
          ...{ name: 'cluster-west', namespace },
          annotations: { 'hawser.io/member-subnets': '10.96.0.0/12' },
        },
      }),
  },
  {
    what: 'pods and Services that meet',
    code: 'CIDR_OVERLAP',
    message: /\(pods\) overlaps with .* \(Services\)/,
    more: { clusterCidrs: [parsePrefix('10.96.1.0/24')] },
  },
  {
    what: 'a global CIDR without Globalnet',
    code: 'NO_GLOBALNET',
    message: /no Globalnet/,
    more: { globalCidr: parsePrefix('242.0.0.0/16') },
  },
  {
    what: 'an old Kubernetes',
    code: 'OLD_KUBERNETES',
    message: /is Kubernetes 1\.29/,
    prepare: east => {
      east.minor = '29'
    },
  },
  {
    what: 'a gateway node that is none',
    code: 'ENOENT',
    message: /there is no node "node-9"/,
    more: { gateway: { kind: 'node', name: 'node-9' } },
  },
  {
    what: 'a broker without a Broker',
    code: 'NO_BROKER',
    message: /there is no Broker/,
    prepare: (_, broker) =>
      broker.client.delete(
        { ...submarinerType, plural: 'brokers', kind: 'Broker' },
        { name: 'submariner-broker', namespace },
      ),
  },
  {
    what: 'no rights on the broker',
    code: 'FORBIDDEN',
    message: /cannot create serviceaccounts .*cluster-east/,
    prepare: (_, broker) => {
      broker.server.forbids = ({ method }) => method === 'POST'
    },
  },
]

for (const { what, code, message, more = {}, prepare } of refusals) {
  test(`refused: ${what}`, async context => {
    const { broker, info } = await startBroker(context)
    const east = await member(context)
    await prepare?.(east, broker, info)
    await assert.rejects(joined(info, 'east', clientsOf(east, broker), more), (error: unknown) => {
      assert.ok(error instanceof GatewayError, String(error))
      assert.equal(error.code, code, error.message)
      assert.match(error.message, message)
      assert.ok(error.hint !== undefined && error.hint !== '')
      return true
    })
  })
}

test('a broker that subctl made has a role to bind, and join says that nothing is enforced', async context => {
  const { broker, info } = await startBroker(context)
  broker.server.forbids = ({ path }) => path.endsWith('/roles')
  const [found] = broker.all('brokers')
  const kind = broker.server.objects.find('submariner.io', 'v1alpha1', 'brokers')
  const { annotations: _, ...metadata } = found.metadata
  broker.server.objects.update(kind, namespace, 'submariner-broker', { ...found, metadata }, 'main')
  const east = await member(context)
  const { brokerTrust } = await joined(info, 'east', clientsOf(east, broker))
  assert.equal(brokerTrust, 'unenforced')
  const binding = broker.all('rolebindings').find(each => each.metadata.name.includes('east'))
  const roleRef = binding?.['roleRef'] as { readonly name: string }
  assert.equal(roleRef.name, 'submariner-k8s-broker-cluster')
})

test('a cluster that is a member cannot join under another id', async context => {
  const { broker, info } = await startBroker(context)
  const east = await member(context)
  await joined(info, 'east', clientsOf(east, broker))
  await assert.rejects(joined(info, 'west', clientsOf(east, broker)), /has joined as east/)
})

test('with Globalnet the same subnets are no matter, and each has a block of its own', async context => {
  const range = { isEnabled: true, range: parsePrefix('242.0.0.0/8'), clusterSize: 65_536 }
  const { broker, info } = await startBroker(context, { globalnet: range })
  const given: string[] = []
  for (const id of ['east', 'west']) {
    const local = await member(context)
    const { plan } = await joined(info, id, clientsOf(local, broker))
    given.push(...plan.globalCidrs.map(formatPrefix))
    assert.deepEqual((await settingsOf(local)).globalCidrs.map(formatPrefix), [given.at(-1)])
  }
  assert.deepEqual(given, ['242.0.0.0/16', '242.1.0.0/16'])
})

test('subnets are found: flags of the control plane, then what the server refuses', async context => {
  const { broker, info } = await startBroker(context)
  const flags = await startFakeCluster(context, [
    node('node-1', '10.1.0.0/24'),
    controlPod('kube-apiserver', '--service-cluster-ip-range=10.50.0.0/16'),
    controlPod('kube-controller-manager', '--cluster-cidr=10.51.0.0/16'),
  ])
  const first = await joined(info, 'flags', clientsOf(flags, broker))
  assert.deepEqual(first.plan.subnets.map(formatPrefix), ['10.50.0.0/16', '10.51.0.0/16'])
  const asked = await startFakeCluster(context, [
    node('node-1', '10.2.0.0/24'),
    node('node-2', '10.2.1.0/24'),
  ])
  asked.serviceRefusal =
    'Service "x" is invalid: spec.clusterIPs: Invalid value: ["1.1.1.1"]: failed to allocate IP ' +
    '1.1.1.1: the provided IP is not in the valid range. The range of valid IPs is 10.60.0.0/16'
  const second = await joined(info, 'asked', clientsOf(asked, broker))
  assert.deepEqual(second.plan.subnets.map(formatPrefix), ['10.60.0.0/16', '10.2.0.0/23'])
})

/**
 * Fails the write of this number, counted over both servers. A read that fails leaves what the failure of
 * the next write leaves.
 */
function failAt(number: number, ...clusters: readonly FakeCluster[]): () => boolean {
  let seen = 0
  for (const cluster of clusters) {
    cluster.fault = ({ method }) =>
      method !== 'GET' && ++seen === number ? { kind: 'status', status: 500 } : undefined
  }
  return () => seen >= number
}

function heal(...clusters: readonly FakeCluster[]): void {
  for (const cluster of clusters) cluster.fault = () => undefined
}

test('join after a failure at any write comes to the same end', async context => {
  const { broker, info } = await startBroker(context)
  const whole = await member(context)
  await joined(info, 'east', clientsOf(whole, broker))
  const [expected, expectedBroker] = [whole.dump(), broker.dump()]
  for (let number = 1; ; number++) {
    const { broker: other, info: file } = await startBroker(context)
    const east = await member(context)
    const wasReached = failAt(number, east, other)
    const outcome = await joined(file, 'east', clientsOf(east, other)).then(
      () => 'done',
      () => 'failed',
    )
    const isPast = !wasReached()
    heal(east, other)
    assert.equal(outcome, isPast ? 'done' : 'failed', `write ${number}`)
    await joined(file, 'east', clientsOf(east, other))
    const withoutUrl = (dump: object, cluster: FakeCluster) =>
      JSON.parse(JSON.stringify(dump).replaceAll(cluster.server.url.replace('https://', ''), 'URL'))
    assert.deepEqual(
      withoutUrl(east.dump(), other),
      withoutUrl(expected, broker),
      `write ${number}`,
    )
    assert.deepEqual(other.dump(), expectedBroker, `write ${number}`)
    if (isPast) {
      assert.ok(number > 30, `only ${number} writes`)
      return
    }
  }
})

/** What a member has on the broker besides its account. */
function addWorld(broker: FakeCluster): void {
  for (const id of ['east', 'west']) {
    broker.add(clusterObject(id))
    broker.add(endpointObject(id))
    broker.add(sliceObject(id))
  }
  broker.add(importObject('web', ['east', 'west']))
  broker.add(importObject('solo', ['east']))
}

const left = { operatorNamespace, info: undefined, isWithoutBroker: false }

async function leaveFrom(local: FakeCluster, broker: FakeCluster): Promise<SeenProgress> {
  const progress = new SeenProgress()
  await leave(local.client, left, ({ token }) => broker.clientOf(token), progress)
  return progress
}

test('leaving takes everything of the cluster off the broker, and leaves it as it was before', async context => {
  const { broker, info } = await startBroker(context)
  const before = broker.dump()
  const east = await member(context)
  const untouched = east.dump()
  await joined(info, 'east', clientsOf(east, broker))
  addWorld(broker)
  await leaveFrom(east, broker)
  broker.settle()
  assert.deepEqual(east.dump(), untouched)
  for (const plural of ['clusters', 'endpoints', 'endpointslices']) {
    const names = broker.names(plural)
    assert.ok(names.length === 1 && names[0].includes('west'), `${plural}: ${names}`)
  }
  assert.deepEqual(broker.names('serviceimports'), ['web-default'])
  const [web] = broker.all('serviceimports')
  assert.deepEqual(web['status'], { clusters: [{ cluster: 'west' }] })
  for (const plural of ['serviceaccounts', 'roles', 'rolebindings', 'secrets']) {
    const expected = Object.keys(before).filter(key => key.startsWith(`${plural}/`))
    assert.deepEqual(
      broker.names(plural).map(name => `${plural}/${namespace}/${name}`),
      expected,
    )
  }
})

test('leave after a failure at any write comes to the same end', async context => {
  for (let number = 1; ; number++) {
    const { broker, info } = await startBroker(context)
    const east = await member(context)
    const untouched = east.dump()
    await joined(info, 'east', clientsOf(east, broker))
    addWorld(broker)
    const wasReached = failAt(number, east, broker)
    await leaveFrom(east, broker).catch(() => undefined)
    const isPast = !wasReached()
    heal(east, broker)
    await leaveFrom(east, broker)
    east.settle()
    broker.settle()
    assert.deepEqual(east.dump(), untouched, `write ${number}`)
    assert.deepEqual(broker.names('clusters'), ['west'], `write ${number}`)
    assert.ok(!broker.names('serviceaccounts').includes('cluster-east'), `write ${number}`)
    if (isPast) {
      assert.ok(number > 30, `only ${number} writes`)
      return
    }
  }
})

test('a node that had the label before keeps it', async context => {
  const { broker, info } = await startBroker(context)
  const label = { 'submariner.io/gateway': 'true' }
  const east = await startFakeCluster(context, [
    node('node-1', '10.1.0.0/24'),
    node('node-2', '10.1.1.0/24', label),
    serviceCidr('10.96.0.0/16'),
  ])
  const { gatewayNodes } = await joined(info, 'east', clientsOf(east, broker))
  assert.deepEqual(gatewayNodes, ['node-2'])
  await leaveFrom(east, broker)
  assert.deepEqual(
    east.all('nodes').map(each => each.metadata.labels ?? {}),
    [{}, label],
  )
})

test('an admin evicts a member that died, and a second time there is none', async context => {
  const { broker, info } = await startBroker(context)
  const east = await member(context)
  await joined(info, 'east', clientsOf(east, broker))
  addWorld(broker)
  await evict(broker.client, namespace, 'east', new SeenProgress())
  assert.deepEqual(broker.names('clusters'), ['west'])
  assert.ok(!broker.names('roles').includes('cluster-east'))
  await assert.rejects(
    evict(broker.client, namespace, 'east', new SeenProgress()),
    (error: GatewayError) => error.code === 'ENOENT' && error.hint === 'one of west',
  )
  // The id is free again.
  await joined(info, 'east', clientsOf(await member(context), broker))
  // It is a member before its gateway has written a Cluster.
  await assert.rejects(
    evict(broker.client, namespace, 'north', new SeenProgress()),
    (error: GatewayError) => error.hint === 'one of east, west',
  )
})
