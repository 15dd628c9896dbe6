// The control loop over fake API servers and a fake data path: what it does when it leads, when it does
// not, and when nobody answers.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Control } from '../../../src/control/control.ts'
import type { CableRoutes } from '../../../src/control/parts.ts'
import type { Looks } from '../../../src/control/self.ts'
import { StateDirectory } from '../../../src/control/state-directory.ts'
import type { ControlSettings } from '../../../src/control/world.ts'
import { type Address, parseAddress, parsePrefix } from '../../../src/net/address.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { controlKinds } from '../../support/control-kinds.ts'
import { eventually } from '../../support/eventually.ts'
import { type FakeApiserver, startFakeApiserver } from '../../support/fake-apiserver.ts'
import { fakeClient } from '../../support/fake-clients.ts'
import { FakePath } from '../../support/fake-path.ts'
import { temporaryDirectory } from '../../support/temporary.ts'
import { testLog } from '../../support/test-log.ts'

const settings: ControlSettings = {
  ...{ clusterId: 'east', namespace: 'ns', brokerNamespace: 'ns', hostname: 'node-1' },
  ...{ version: '1', colorCodes: [], globalCidrs: [] },
  clusterCidrs: [parsePrefix('10.1.0.0/16')],
  serviceCidrs: [parsePrefix('10.101.0.0/16')],
  ...{ drivers: ['wireguard'], missingDriver: undefined, ciphers: ['chacha20-poly1305'] },
  ...{ isNatEnabled: false, isPreferredServer: false, udpPort: 4500, interfaceName: 'gw0' },
  ...{ healthCheck: { isEnabled: false, packetLossMost: 5 }, hasStockAgents: false },
}

/** A start without an API waits for the second; a machine that stalls for so long loses the lease. */
const leaseTimes = { durationMs: 6000, renewDeadlineMs: 2500, retryPeriodMs: 50 }

const quickLooks: Looks = {
  privateIp: async family => (family === 4 ? parseAddress('192.0.2.1') : undefined),
  interfaceAddresses: () => [parseAddress('10.1.0.1')],
}

interface Bench {
  readonly local: FakeApiserver
  readonly broker: FakeApiserver
  readonly path: FakePath
  readonly log: ReturnType<typeof testLog>
  readonly routes: CableRoutes[]
  /** Of the Submariner resource, as the loop has told: its cluster id, or none. */
  readonly seen: (string | undefined)[]
  readonly start: (looks?: Looks) => Control
}

async function setUp(context: TestContext): Promise<Bench> {
  const [local, broker] = await Promise.all(
    [1, 2].map(() => startFakeApiserver(context, { kinds: controlKinds })),
  )
  for (const server of [local, broker]) server.forbids = ({ method }) => method === 'PATCH'
  const directory = join(temporaryDirectory(context), 'state')
  const [path, log, routes] = [new FakePath(), testLog(), [] as CableRoutes[]]
  const seen: (string | undefined)[] = []
  const start = (looks: Looks = quickLooks) =>
    new Control({
      looks,
      ...{ settings, log, clock: systemClock, presharedKey: new Uint8Array(32) },
      ...{ local: fakeClient(local), broker: fakeClient(broker) },
      ...{ state: StateDirectory.open(directory), publicIps: [], problems: [] },
      ...{
        nodeName: undefined,
        podName: undefined,
        submarinerNamespace: 'ns',
        lease: leaseTimes,
        healthCheckIntervalMs: 1000,
      },
      connect: () => path.connect(),
      native: { openIcmp: () => 0, sendEcho: () => 0, receiveEchoes: () => 0 },
      host: {
        bringUp: async () => undefined,
        applyCableRoutes: async wanted => void routes.push(wanted),
      },
      noteSubmariner: submariner => void seen.push(submariner?.clusterId),
    })
  return { local, broker, path, log, routes, seen, start }
}

const kindOf = (server: FakeApiserver, plural: string, version = 'v1') => {
  const group = plural === 'leases' ? 'coordination.k8s.io' : 'submariner.io'
  return server.objects.find(group, version, plural)
}

function names(server: FakeApiserver, plural: string): string[] {
  const all = { namespace: undefined, labelSelector: '', fieldSelector: '' }
  return server.objects.select(kindOf(server, plural), all).map(({ metadata }) => metadata.name)
}

function addWest(broker: FakeApiserver, publicKey = Buffer.alloc(32, 9).toString('base64')): void {
  const labels = { 'submariner-io/clusterID': 'west' }
  const subnets = { cluster_cidr: ['10.2.0.0/16'], service_cidr: [], global_cidr: [] }
  broker.objects.create(kindOf(broker, 'clusters'), 'ns', {
    ...{ metadata: { name: 'west', labels }, spec: { cluster_id: 'west', ...subnets } },
  })
  broker.objects.create(kindOf(broker, 'endpoints'), 'ns', {
    metadata: { name: 'west-cable', labels },
    spec: {
      ...{ cluster_id: 'west', cable_name: 'cable', hostname: 'n', subnets: ['10.2.0.0/16'] },
      ...{ private_ip: '192.0.2.2', public_ip: '', nat_enabled: false, backend: 'wireguard' },
      backend_config: { publicKey },
    },
  })
  broker.deliver()
}

const submariners = (server: FakeApiserver) => kindOf(server, 'submariners', 'v1alpha1')

const submariner = {
  metadata: { name: 'submariner', annotations: { 'hawser.io/broker-trust': 'unenforced' } },
  spec: {
    ...{ broker: 'k8s', brokerK8sApiServer: 'x:1', brokerK8sRemoteNamespace: 'ns' },
    ...{ clusterID: 'east', namespace: 'ns', clusterCIDR: '', serviceCIDR: '' },
    ...{ natEnabled: false, debug: false, ceIPSecDebug: false },
  },
}

const cables = ({ path }: Bench) => path.tables.cables.map(({ name }) => name)

test('who leads publishes itself and forwards to the others; who loses the lease does neither', async context => {
  const bench = await setUp(context)
  const { local, broker, start, log } = bench
  addWest(broker)
  const control = start()
  await eventually(() => cables(bench).length === 1 && control.unready === undefined)
  assert.deepEqual(cables(bench), ['west'])
  assert.deepEqual(names(broker, 'endpoints'), ['east-submariner-cable-east-gateway', 'west-cable'])
  await eventually(() => names(local, 'clusters').join() === 'east,west')
  await eventually(() => control.problems.length === 0)
  const lease = local.objects.get(kindOf(local, 'leases'), 'ns', 'submariner-gateway-lock')
  const spec = { ...(lease['spec'] as object), holderIdentity: 'node-2', leaseTransitions: 9 }
  local.objects.update(
    kindOf(local, 'leases'),
    'ns',
    lease.metadata.name,
    { ...lease, spec },
    'main',
  )
  await eventually(() => cables(bench).length === 0 && control.unready === undefined)
  assert.equal(control.isActive, false)
  await eventually(() => {
    const gateway = local.objects.get(kindOf(local, 'gateways'), 'ns', 'node-1')
    return (gateway['status'] as { haStatus: string }).haStatus === 'passive'
  })
  assert.deepEqual(
    log.lines.filter(line => line.includes('this gateway is')),
    ['info this gateway is active', 'info this gateway is passive'],
  )
  await control.stop()
  assert.deepEqual(names(local, 'gateways'), [])
})

test('a cluster that leaves: the settings go, and the cables with them', async context => {
  const bench = await setUp(context)
  const { local, broker, seen, start } = bench
  addWest(broker)
  local.objects.create(submariners(local), 'ns', submariner)
  local.deliver()
  const control = start()
  await eventually(() => cables(bench).length === 1 && seen.length === 1)
  await eventually(() => control.problems.some(({ code }) => code === 'broker-trust-unenforced'))
  // One that cannot be read is not gone.
  const read = local.objects.get(submariners(local), 'ns', 'submariner')
  const spec = { ...submariner.spec, clusterCIDR: 'all of it' }
  local.objects.update(submariners(local), 'ns', 'submariner', { ...read, spec }, 'main')
  local.deliver()
  await eventually(() => control.problems.some(({ code }) => code === 'malformed-object'))
  assert.deepEqual(seen, ['east'])
  local.objects.delete(submariners(local), 'ns', 'submariner')
  local.deliver()
  await eventually(() => seen.length === 2)
  assert.deepEqual(seen, ['east', undefined])
  await control.stop({ leaves: true })
  assert.deepEqual(cables(bench), [])
  assert.deepEqual(names(local, 'gateways'), [])
})

test('a restart without any API: what was remembered is forwarded by, and nothing before it is sure', async context => {
  const bench = await setUp(context)
  const { local, broker, path, start, log } = bench
  addWest(broker)
  const first = start()
  await eventually(() => cables(bench).length === 1 && first.unready === undefined)
  await first.stop()
  const posts = path.applied.length
  await Promise.all([local.close(), broker.close()])
  // Only the daemon was started again: the tables stay as they are.
  const second = start()
  await eventually(() => second.isActive && second.unready === undefined)
  assert.equal(path.applied.length, posts)
  await second.stop()
  // The data path as well: it gets them.
  path.end()
  path.tables = { generation: 0, device: { listenPort: 0, fwmark: 0 }, cables: [] }
  const third = start()
  context.after(() => third.stop())
  await eventually(() => cables(bench).length === 1)
  // One line for each server, however long it lasts.
  const said = log.lines.filter(line => /^error (?:api|broker)-away/.test(line))
  assert.equal(said.length, 4, said.join('\n'))
  await Promise.all([local.open(), broker.open()])
  await eventually(() => third.problems.length === 0 && third.unready === undefined)
  await eventually(() => cables(bench).join() === 'west')
})

test('settings that went while nobody looked: it is told once the API has been read', async context => {
  const { seen, start } = await setUp(context)
  const control = start()
  context.after(() => control.stop())
  await eventually(() => seen.length > 0)
  assert.deepEqual(seen, [undefined])
})

test('before this machine has been looked at, no tables are made', async context => {
  const bench = await setUp(context)
  const { broker, path, start } = bench
  addWest(broker)
  const address = Promise.withResolvers<Address>()
  const control = start({
    privateIp: async family => (family === 4 ? address.promise : undefined),
    interfaceAddresses: () => [],
  })
  context.after(() => control.stop())
  await eventually(() => control.isActive && control.datapath !== undefined)
  const turns = control.figures.turns
  await eventually(() => control.figures.turns > turns)
  assert.equal(path.applied.length, 0)
  address.resolve(parseAddress('192.0.2.1'))
  await eventually(() => path.applied.length > 0 && cables(bench).length === 1)
})

test('a bad object is a problem, and the others are forwarded to', async context => {
  const bench = await setUp(context)
  const { broker, start } = bench
  addWest(broker)
  const labels = { 'submariner-io/clusterID': 'north' }
  const bad = { metadata: { name: 'north-cable', labels }, spec: { cluster_id: 7 } }
  broker.objects.create(kindOf(broker, 'endpoints'), 'ns', bad)
  const control = start()
  context.after(() => control.stop())
  await eventually(() => cables(bench).length === 1)
  await eventually(() => control.problems.length === 1)
  assert.deepEqual(
    control.problems.map(({ code, object }) => [code, object]),
    [['malformed-object', 'endpoints/north-cable']],
  )
})
