// A gateway of ours and one of stock Submariner in one clusterset, joined by Endpoints alone: wireguard-go
// at the other end, set up and driven as Submariner's WireGuard driver does it.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { east, west } from '../support/e2e/clusters.ts'
import { ControlWorld } from '../support/e2e/control.ts'
import { eventually } from '../support/eventually.ts'

test('a stock gateway and ours find each other, and again after each has started anew', async context => {
  const world = await ControlWorld.start(context, { driver: 'wireguard' })
  await world.startStock(west)
  const datapath = await world.startDatapath(east)
  world.startGateway(east)
  await world.addRoutes(east, west)
  await world.untilPings(east, west)
  assert.equal(await world.pings(west, east), true)
  await untilConnected(world)
  assert.equal((await datapath.cable('west')).cipher, 'chacha20-poly1305')

  const peer = await stockPeer(world)
  assert.equal(peer.presharedKey, createHash('sha256').update('a secret of all').digest('base64'))
  assert.equal(peer.endpoint, `${east.address}:4500`)
  assert.deepEqual(peer.allowedIps.sort(), ['10.1.0.0/16', '10.101.0.0/16', 'fd00:1::/32'])
  assert.equal(peer.keepalive, '10')
  assert.notEqual(peer.latestHandshake, 0)

  // Ours starts anew with the key that it had: the stock driver would not look at another address.
  await world.endGateway(east, 'KILL')
  await datapath.end('KILL')
  await world.startDatapath(east)
  world.startGateway(east)
  await world.untilPings(east, west)
  assert.equal((await stockPeer(world)).publicKey, peer.publicKey)

  // Stock starts anew with another key.
  await world.endGateway(west, 'TERM')
  await world.startStock(west)
  await world.untilPings(west, east)
  await untilConnected(world)
})

interface StockPeer {
  readonly publicKey: string
  readonly presharedKey: string
  readonly endpoint: string
  readonly allowedIps: string[]
  readonly latestHandshake: number
  readonly keepalive: string
}

/** The one peer that the stock gateway has, by `wg show dump`. */
async function stockPeer(world: ControlWorld): Promise<StockPeer> {
  const command = ['wg', 'show', 'submariner', 'dump']
  const dump = await world.spaces.mustRun(west.gateway, command)
  const [, line, ...others] = dump.trimEnd().split('\n')
  assert.deepEqual(others, [], dump)
  const [publicKey, presharedKey, endpoint, allowed, handshake, , , keepalive] = line.split('\t')
  return {
    ...{ publicKey, presharedKey, endpoint, keepalive },
    allowedIps: allowed.split(','),
    latestHandshake: Number(handshake),
  }
}

/** With a latency: the stock gateway answers our pings. */
async function untilConnected(world: ControlWorld): Promise<void> {
  let last: unknown
  await eventually(
    async () => {
      const connection = await world.connection(east)
      last = connection
      return connection?.status === 'connected' && connection.latencyRTT !== undefined
    },
    () => `${JSON.stringify(last)}\n${world.log(east)}\n${world.log(west)}`,
    60_000,
  )
}
