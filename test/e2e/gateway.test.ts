// Gateways that find each other by their API servers alone: `hawser datapath` and `hawser gateway` as
// they are started in a pod, in namespaces, with fake API servers that can be killed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
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
    assert.equal(await world.http(east, '/readyz'), 'ok\n')
    const metrics = await world.http(east, '/metrics')
    assert.match(
      metrics,
      /^submariner_connections\{.*remote_cluster="west".*status="connected"\} 1$/m,
    )
    assert.match(metrics, /^submariner_connection_latency_seconds\{.*\} 0\.\d+$/m)
    const problems = JSON.parse(await world.http(east, '/problems')) as { items: unknown[] }
    assert.deepEqual(problems.items, [])
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
  assert.equal(await world.http(east, '/readyz'), 'ok\n')
  assert.match(world.log(east), /this gateway is active/)
  assert.doesNotMatch(world.log(east), /passive/)
})
