// Datagrams on the cable's port that are no cable packet: they reach whoever attached, with their
// address, and are answered from that port. NAT discovery, STUN and IKE will live on this.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatRemote } from '../../src/net/address.ts'
import type { ForeignDatagram } from '../../src/tables/status.ts'
import { east, makeClusters, stranger, west } from '../support/e2e/clusters.ts'
import { untilDropped } from '../support/e2e/gateway.ts'
import { askUdp, ping, pingUntilAnswered, sendUdp } from '../support/e2e/traffic.ts'
import { joinByWireguard, port } from '../support/e2e/wireguard.ts'
import { eventually } from '../support/eventually.ts'
import { pattern } from '../support/packets.ts'

/** RFC 8489: binding request, and a binding response, whose first byte is that of a handshake. */
const stunRequest = Uint8Array.of(0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...pattern(12))
const stunResponse = Uint8Array.of(1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...pattern(12, 2))
/** RFC 3948 2.2: four zero bytes, then an IKE header. */
const ike = Uint8Array.of(0, 0, 0, 0, ...pattern(8, 3), ...new Uint8Array(8), 33, 0x20, 34, 8)
const natKeepalive = Uint8Array.of(0xff)

const kinds = [
  ['a STUN request', stunRequest],
  ['a STUN response', stunResponse],
  ['IKE', ike],
  ['a NAT keepalive', natKeepalive],
] as const

test('they arrive as they were sent, and are answered from the same port', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  const client = await gateways.east.connect()
  context.after(() => client.close())
  const seen: ForeignDatagram[] = []
  await client.onForeign(datagram => {
    seen.push(datagram)
    const answer = datagram.bytes.slice().reverse()
    void client.sendForeign(datagram.from, answer)
  })
  for (const [gateway, from] of [
    [east.address, stranger.address],
    [east.address6, stranger.address6],
  ]) {
    for (const [name, bytes] of kinds) {
      seen.length = 0
      const sentAtMs = Date.now()
      const answer = await askUdp(spaces, stranger.space, gateway, port, bytes)
      const expected = Buffer.from(bytes.slice().reverse()).toString('hex')
      assert.deepEqual(answer, { from: gateway, port, hex: expected }, name)
      assert.deepEqual(Uint8Array.from(seen[0].bytes), bytes, name)
      const text = formatRemote(seen[0].from)
      assert.ok(text.startsWith(from) || text.startsWith(`[${from}]`), text)
      assert.ok(seen[0].receivedAtMs >= sentAtMs - 1 && seen[0].receivedAtMs <= Date.now())
    }
  }
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
})

test('with nobody attached they are counted, and a flood of them costs no ping', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
  const count = async () => {
    const { drops } = await gateways.east.status()
    return (drops['foreign-unread'] ?? 0) + (drops['foreign-rate-limited'] ?? 0)
  }
  await sendUdp(spaces, stranger.space, east.address, port, [stunRequest])
  await eventually(async () => (await count()) === 1)

  const flood = Array.from({ length: 1000 }, () => stunRequest)
  await Promise.all([
    sendUdp(spaces, stranger.space, east.address, port, flood),
    ping(spaces, east.pod, west.podAddress, '-c', '20'),
  ])
  await untilDropped(gateways.east, 'foreign-rate-limited', undefined, 1)
  await eventually(async () => (await count()) === 1001)
})
