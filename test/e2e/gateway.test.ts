// Gateways that find each other by their API servers alone: `hawser datapath` and `hawser gateway` as
// they are started in a pod, in namespaces, with fake API servers that can be killed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ended } from '../../src/lab/process.ts'
import { east, west } from '../support/e2e/clusters.ts'
import { ControlWorld, type WorldOptions } from '../support/e2e/control.ts'
import type { Gateway } from '../support/e2e/gateway.ts'
import { eventually } from '../support/eventually.ts'

async function startBoth(world: ControlWorld): Promise<void> {
  for (const side of [east, west]) {
    await world.startDatapath(side)
    world.startGateway(side)
  }
  await world.addRoutes(east, west)
  await world.addRoutes(west, east)
  await world.untilPings(east, west)
}

async function untilConnected(world: ControlWorld): Promise<void> {
  for (const side of [east, west]) {
    let last: unknown
    await eventually(
      async () => {
        const connection = await world.connection(side)
        last = connection
        return connection?.status === 'connected' && connection.latencyRTT !== undefined
      },
      () => `${JSON.stringify(last)}\n${world.log(side)}`,
      60_000,
    )
  }
}

const worlds: readonly (readonly [string, WorldOptions])[] = [
  ['wireguard', { driver: 'wireguard' }],
  ['vxlan', { driver: 'vxlan' }],
  ['wireguard over IPv6 alone', { driver: 'wireguard', family: 6 }],
]

for (const [name, options] of worlds) {
  test(`two clusters find each other by their Endpoints: ${name}`, async context => {
    const world = await ControlWorld.start(context, options)
    await startBoth(world)
    await untilConnected(world)
    const endpoints = await world.objects('broker', 'endpoints')
    assert.deepEqual(endpoints.map(({ metadata }) => (metadata as { name: string }).name).sort(), [
      'east-submariner-cable-east-gateway',
      'west-submariner-cable-west-gateway',
    ])
    await eventually(async () => (await world.http(east, '/readyz')) === 'ok\n')
    const metrics = await world.http(east, '/metrics')
    assert.match(
      metrics,
      /^submariner_connections\{.*remote_cluster="west".*status="connected"\} 1$/m,
    )
    assert.match(metrics, /^submariner_connection_latency_seconds\{.*\} 0\.\d+$/m)
    let problems = ''
    await eventually(
      async () => {
        problems = await world.http(east, '/problems')
        return (JSON.parse(problems) as { items: unknown[] }).items.length === 0
      },
      () => problems,
    )
  })
}

test('traffic goes on without a control daemon and without any API, and a cold start forwards', async context => {
  const world = await ControlWorld.start(context, { driver: 'wireguard' })
  const datapaths = new Map<string, Gateway>()
  for (const side of [east, west]) {
    datapaths.set(side.gateway, await world.startDatapath(side))
    world.startGateway(side)
    await world.addRoutes(side, side === east ? west : east)
  }
  await world.untilPings(east, west)
  await untilConnected(world)
  const datapath = datapaths.get(east.gateway)
  assert.ok(datapath)
  const cableBefore = await datapath.cable('west')

  // Killed: the data path forwards by the same session, and nothing is posted when another one comes.
  await world.endGateway(east, 'KILL')
  assert.equal(await world.pings(east, west), true)
  const { generation } = await datapath.status()
  world.startGateway(east)
  await eventually(async () => (await world.http(east, '/readyz')) === 'ok\n')
  assert.equal((await datapath.status()).generation, generation)
  const cableAfter = await datapath.cable('west')
  assert.equal(cableAfter.lastHandshakeMs, cableBefore.lastHandshakeMs)

  // Stopped: its Gateway goes, and nothing else.
  await world.endGateway(east, 'TERM')
  assert.deepEqual(await world.objects('east', 'gateways'), [])
  assert.equal((await world.objects('broker', 'endpoints')).length, 2)
  assert.equal(await world.pings(east, west), true)
  world.startGateway(east)
  await eventually(async () => (await world.http(east, '/readyz')) === 'ok\n')

  world.killApi()
  await eventually(async () => /"api-away"/.test(await world.http(east, '/problems')))
  assert.equal(await world.pings(east, west), true)

  // Everything of east is gone but its disk.
  await world.endGateway(east, 'KILL')
  await datapath.end('KILL')
  await world.startDatapath(east)
  world.startGateway(east)
  await world.untilPings(east, west)
  await eventually(async () => (await world.http(east, '/readyz')) === 'ok\n')
  assert.match(world.log(east), /this gateway is active/)
  assert.doesNotMatch(world.log(east), /passive/)
})

test("the image's entry points stand where those of stock Submariner stood", async context => {
  const world = await ControlWorld.start(context, { driver: 'vxlan' })
  const status = { conditions: [{ type: 'Ready', status: 'False' }] }
  const node = { metadata: { name: 'east-node' }, status }
  await world.create('east', '/api/v1/nodes', node)
  const pods = '/api/v1/namespaces/submariner-operator/pods'
  await world.create('east', pods, { metadata: { name: 'east-pod', labels: { app: 'x' } } })
  const waiting = world.startImage(east, 'await-node-ready.sh')
  await eventually(() => /waiting: Node east-node is not ready/.test(waiting.output()))
  await world.setNodeReady('east')
  assert.equal(await ended(waiting.child), 0, waiting.output())

  const image = world.startImage(east, 'submariner.sh', { HAWSER_STOCK_AGENTS: 'false' })
  await world.startDatapath(west)
  world.startGateway(west)
  await eventually(() => /tables of generation/.test(image.output()), image.output)
  await world.addRoutes(east, west)
  await world.addRoutes(west, east)
  await world.untilPings(east, west)
  const labels = async () => {
    const [pod] = await world.objects('east', 'pods')
    return JSON.stringify((pod['metadata'] as { labels: unknown }).labels)
  }
  await eventually(async () => /gateway.submariner.io\/status":"active"/.test(await labels()))
  const rule = ['ip', 'rule', 'show', 'priority', '100']
  const table = ['ip', 'route', 'show', 'table', '100']
  const route = /^10\.2\.0\.0\/16 dev gw0 .*src 10\.1\.0\.1/m
  await eventually(async () => {
    const { stdout: rules } = await world.spaces.run(east.gateway, rule)
    const { stdout: routes } = await world.spaces.run(east.gateway, table)
    return /lookup 100/.test(rules) && route.test(routes)
  })
  await world.endGateway(east, 'TERM')
  assert.match(await labels(), /status":"passive"/)
  assert.deepEqual(await world.objects('east', 'gateways'), [])

  const uninstall = world.startImage(east, 'submariner.sh', { SUBMARINER_UNINSTALL: 'true' })
  assert.equal(await ended(uninstall.child), 0, uninstall.output())
  for (const plural of ['clusters', 'endpoints', 'gateways'])
    assert.deepEqual(await world.objects('east', plural), [])
  const left = await world.objects('broker', 'endpoints')
  assert.deepEqual(
    left.map(({ spec }) => (spec as { cluster_id: string }).cluster_id),
    ['west'],
  )
  assert.equal(await world.spaces.mustRun(east.gateway, rule), '')
  const links = await world.spaces.mustRun(east.gateway, ['ip', '-o', 'link'])
  assert.doesNotMatch(links, /gw0/)
})
