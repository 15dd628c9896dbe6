// The control loops of two clusters' gateways on real API servers, with the rights that join gives them
// and data paths that take tables and forward nothing: what they publish, what comes back, and what is
// put right. The behaviours of stock's datastore sync, endpoint and Gateway sync (spec 10.4), once more
// where they have to hold.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Control } from '../../src/control/control.ts'
import { StateDirectory } from '../../src/control/state-directory.ts'
import type { ControlSettings } from '../../src/control/world.ts'
import type { KubeClient } from '../../src/kube/client.ts'
import { leaseTimes } from '../../src/kube/lease-record.ts'
import { objectName } from '../../src/kube/names.ts'
import { parseAddress, parsePrefix } from '../../src/net/address.ts'
import { systemClock } from '../../src/net/clock.ts'
import { eventually } from '../support/eventually.ts'
import { FakePath } from '../support/fake-path.ts'
import { longLivedToken } from '../support/kubernetes/accounts.ts'
import type { ApiServer } from '../support/kubernetes/api-server.ts'
import { sharedServers } from '../support/kubernetes/servers.ts'
import { deployed, joined } from '../support/membership.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { testLog } from '../support/test-log.ts'

const servers = sharedServers(['broker', 'east', 'west'])
const { operatorNamespace, brokerNamespace } = objectName

type Side = 'east' | 'west'

const numbers = { east: 1, west: 2 } as const

interface Clients {
  readonly local: KubeClient
  readonly broker: KubeClient
}

/** A gateway that can be started again on its disk. */
class Gateway {
  readonly path = new FakePath()
  readonly log = testLog()
  readonly #side: Side
  readonly #directory: string
  readonly #clients: Clients
  control: Control

  constructor(side: Side, directory: string, clients: Clients) {
    this.#side = side
    this.#directory = directory
    this.#clients = clients
    this.control = this.#open()
  }

  /** Again, after it was stopped. */
  start(): void {
    this.control = this.#open()
  }

  get remotes(): readonly string[] {
    return this.path.tables.cables.map(({ name }) => name)
  }

  #open(): Control {
    const number = numbers[this.#side]
    const settings: ControlSettings = {
      ...{ clusterId: this.#side, namespace: operatorNamespace, brokerNamespace },
      ...{ hostname: `${this.#side}-1`, version: '1', colorCodes: [], globalCidrs: [] },
      clusterCidrs: [parsePrefix(`10.1${number}.0.0/16`)],
      serviceCidrs: [parsePrefix(servers.get(this.#side).serviceCidr)],
      ...{ drivers: ['wireguard'], missingDriver: undefined, ciphers: 'auto' },
      ...{ isNatEnabled: false, isPreferredServer: false, udpPort: 4500, interfaceName: 'gw0' },
      ...{ healthCheck: { isEnabled: false, packetLossMost: 5 }, hasStockAgents: false },
    }
    return new Control({
      ...{ settings, log: this.log, clock: systemClock, presharedKey: new Uint8Array(32) },
      ...this.#clients,
      ...{ state: StateDirectory.open(this.#directory), publicIps: [], problems: [] },
      submarinerNamespace: operatorNamespace,
      ...{ nodeName: `${this.#side}-1`, podName: undefined, lease: leaseTimes },
      healthCheckIntervalMs: 1000,
      connect: () => this.path.connect(),
      native: { openIcmp: () => 0, sendEcho: () => 0, receiveEchoes: () => 0 },
      host: { bringUp: async () => undefined, applyCableRoutes: async () => undefined },
      noteSubmariner: () => undefined,
      looks: {
        privateIp: async family => (family === 4 ? parseAddress(`192.0.2.${number}`) : undefined),
        interfaceAddresses: () => [parseAddress(`10.1${number}.0.1`)],
      },
    })
  }
}

/** Joins the cluster and starts its gateway, with the accounts that join made for it. */
async function begin(
  context: TestContext,
  side: Side,
  info: Awaited<ReturnType<typeof deployed>>,
): Promise<Gateway> {
  const [server, broker] = [servers.get(side), servers.get('broker')]
  const number = numbers[side]
  const node = {
    metadata: { name: `${side}-1` },
    spec: { podCIDR: `10.1${number}.0.0/24`, podCIDRs: [`10.1${number}.0.0/24`] },
  }
  assert.equal((await server.raw('POST', '/api/v1/nodes', { body: node })).status, 201)
  const cidr = parsePrefix(`10.1${number}.0.0/16`)
  const admin = { local: server.client(), broker: broker.client() }
  await joined(info, side, admin, { clusterCidrs: [cidr] })
  const local = await longLivedToken(server, operatorNamespace, objectName.gatewayAccount)
  const secret = await secretOf(server, objectName.brokerSecret)
  const clients = {
    local: server.client({ token: local.token }),
    broker: broker.client({ token: Buffer.from(secret['token'], 'base64').toString() }),
  }
  const gateway = new Gateway(side, join(temporaryDirectory(context), 'state'), clients)
  context.after(() => gateway.control.stop())
  return gateway
}

async function secretOf(server: ApiServer, name: string): Promise<Record<string, string>> {
  const path = `/api/v1/namespaces/${operatorNamespace}/secrets/${name}`
  const { text } = await server.raw('GET', path)
  return (JSON.parse(text) as { data: Record<string, string> }).data
}

const placeOf = (name: 'broker' | Side, plural: string) => {
  const namespace = name === 'broker' ? brokerNamespace : operatorNamespace
  return `/apis/submariner.io/v1/namespaces/${namespace}/${plural}`
}

async function names(name: 'broker' | Side, plural: string): Promise<readonly string[]> {
  const { text } = await servers.get(name).raw('GET', placeOf(name, plural))
  const { items } = JSON.parse(text) as { items: { metadata: { name: string } }[] }
  return items.map(({ metadata }) => metadata.name).sort()
}

async function untilNames(
  name: 'broker' | Side,
  plural: string,
  wanted: readonly string[],
): Promise<void> {
  let found: readonly string[] = []
  await eventually(
    async () => {
      found = await names(name, plural)
      return found.join() === wanted.join()
    },
    () => `${plural} of ${name}: ${found.join()}, not ${wanted.join()}`,
    60_000,
  )
}

const endpoints = ['east-submariner-cable-east-gateway', 'west-submariner-cable-west-gateway']

interface Clusterset {
  readonly broker: ApiServer
  readonly east: Gateway
  readonly west: Gateway
}

/** Waits until the data paths have these cables. */
async function untilCables({ east, west }: Clusterset, ofEast: string, ofWest: string) {
  await eventually(
    () => east.remotes.join() === ofEast && west.remotes.join() === ofWest,
    () => `${east.log.lines.join('\n')}\n${west.log.lines.join('\n')}`,
    60_000,
  )
}

async function create(server: ApiServer, path: string, body: object): Promise<void> {
  const { status, text } = await server.raw('POST', path, { body })
  assert.equal(status, 201, text)
}

const behaviours: Readonly<Record<string, (clusterset: Clusterset) => Promise<void>>> = {
  'another Endpoint of our cluster gives way, and ours stays': async clusterset => {
    const { broker } = clusterset
    const { text } = await broker.raw('GET', `${placeOf('broker', 'endpoints')}/${endpoints[0]}`)
    const ours = JSON.parse(text) as { spec: object }
    const metadata = {
      name: 'east-submariner-cable-east-192-0-2-99',
      labels: { 'submariner-io/clusterID': 'east' },
    }
    const spec = { ...ours.spec, cable_name: 'submariner-cable-east-192-0-2-99' }
    await create(broker, placeOf('broker', 'endpoints'), { ...ours, metadata, spec })
    await untilNames('broker', 'endpoints', endpoints)
    await untilCables(clusterset, 'west', 'east')
  },

  'a copy that somebody deletes comes back, and one of nobody goes': async () => {
    const server = servers.get('east')
    await server.raw('DELETE', `${placeOf('east', 'endpoints')}/${endpoints[1]}`)
    await create(server, placeOf('east', 'clusters'), clusterNamed('north', []))
    await untilNames('east', 'endpoints', endpoints)
    await untilNames('east', 'clusters', ['east', 'west'])
    // None of it went to the broker.
    assert.deepEqual(await names('broker', 'clusters'), ['east', 'west'])
  },

  'a Gateway that nobody writes any more is deleted': async () => {
    const server = servers.get('east')
    const { text } = await server.raw('GET', `${placeOf('east', 'gateways')}/east-1`)
    const metadata = { name: 'east-2', annotations: { 'update-timestamp': '1700000000' } }
    const gateway = { ...(JSON.parse(text) as object), metadata }
    await create(server, placeOf('east', 'gateways'), gateway)
    await untilNames('east', 'gateways', ['east-1'])
  },

  'an object that does not parse is named, and changes nothing': async ({ broker, east, west }) => {
    await create(broker, placeOf('broker', 'clusters'), clusterNamed('c9', ['nonsense']))
    const isNamed = () =>
      east.control.problems.some(
        ({ code, object }) => code === 'malformed-object' && object === 'clusters/c9',
      )
    await eventually(isNamed, () => JSON.stringify(east.control.problems))
    assert.deepEqual([east.remotes, west.remotes], [['west'], ['east']])
    await broker.raw('DELETE', `${placeOf('broker', 'clusters')}/c9`)
    await eventually(() => !isNamed())
  },

  'who is gone from the broker has no cable, and one when it is back': async clusterset => {
    const { broker, east, west } = clusterset
    await west.control.stop()
    await broker.raw('DELETE', `${placeOf('broker', 'endpoints')}/${endpoints[1]}`)
    await eventually(() => east.remotes.length === 0, undefined, 60_000)
    await untilNames('east', 'endpoints', endpoints.slice(0, 1))
    west.start()
    await untilCables(clusterset, 'west', 'east')
    await untilNames('east', 'endpoints', endpoints)
  },

  'a broker that was away: nothing happens, and then what it missed': async ({ broker, east }) => {
    const { generation } = east.path.tables
    const isAway = () => east.control.problems.some(({ code }) => code === 'broker-away')
    await broker.kill()
    await eventually(isAway, undefined, 60_000)
    assert.deepEqual([east.remotes, east.path.tables.generation], [['west'], generation])
    await broker.start()
    await eventually(() => !isAway(), undefined, 60_000)
    await untilNames('broker', 'endpoints', endpoints)
    assert.equal(east.path.tables.generation, generation)
  },
}

function clusterNamed(id: string, cidrs: readonly string[]): object {
  return {
    ...{ apiVersion: 'submariner.io/v1', kind: 'Cluster' },
    metadata: { name: id, labels: { 'submariner-io/clusterID': id } },
    spec: { cluster_id: id, cluster_cidr: cidrs, service_cidr: [], global_cidr: [] },
  }
}

test('gateways publish, find each other and put right what others change', async context => {
  const broker = servers.get('broker')
  const info = await deployed(broker.client())
  const east = await begin(context, 'east', info)
  const west = await begin(context, 'west', info)
  const clusterset = { broker, east, west }
  await untilCables(clusterset, 'west', 'east')
  for (const name of ['broker', 'east', 'west'] as const) {
    await untilNames(name, 'endpoints', endpoints)
    await untilNames(name, 'clusters', ['east', 'west'])
  }
  await untilNames('east', 'gateways', ['east-1'])
  await eventually(() => east.control.unready === undefined && east.control.problems.length === 0)
  for (const [name, check] of Object.entries(behaviours)) {
    await context.test(name, () => check(clusterset))
  }
})
