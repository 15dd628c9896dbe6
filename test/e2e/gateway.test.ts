// Gateways that find each other by their API servers alone: `hawser datapath` and `hawser gateway` as
// they are started in a pod, in namespaces, with fake API servers that can be killed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { east, west } from '../support/e2e/clusters.ts'
import { ControlWorld, type WorldOptions } from '../support/e2e/control.ts'
import { eventually } from '../support/eventually.ts'

async function startBoth(world: ControlWorld): Promise<void> {
  for (const side of [east, west]) {
    await world.startDatapath(side)
    world.startGateway(side)
  }
  await world.addRoutes(east, west)
  await world.addRoutes(west, east)
  await world.untilPings(epod, wpod)
}

const [epod, wpod] = [east, west]

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
