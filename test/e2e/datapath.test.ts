// Two `hawser datapath` joined by a WireGuard cable, under real traffic: what attaches may come, go and
// die, and what nobody allowed does not come in.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePrefix, parseRemote } from '../../src/net/address.ts'
import { Capture } from '../support/e2e/capture.ts'
import { east, makeClusters, plainWire, stranger, west } from '../support/e2e/clusters.ts'
import { device, hawser, untilDropped } from '../support/e2e/gateway.ts'
import { checksumErrors } from '../support/e2e/kernel-counters.ts'
import {
  exchangeTcp,
  exchangeTrains,
  exchangeUdp,
  ping,
  pingUntilAnswered,
  Steady,
  sendRaw,
  sendUdp,
  startEcho,
} from '../support/e2e/traffic.ts'
import { cableTo as vxlanCableTo, deviceOf as vxlanDeviceOf } from '../support/e2e/vxlan.ts'
import { cableTo, deviceOf, joinByWireguard, port } from '../support/e2e/wireguard.ts'
import { ipv4, ipv6, pattern, udp } from '../support/packets.ts'
import { newKeyPair } from '../support/sim/pair.ts'

const eastToWest = { source: east.podAddress, destination: west.podAddress }

test('traffic of all kinds, both ways, both families, with and without superpackets', async context => {
  const spaces = await makeClusters(context)
  await joinByWireguard(spaces)
  await Promise.all([startEcho(spaces, east.pod), startEcho(spaces, west.pod)])
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
  const train = { bytes: 1200, count: 40, rounds: 20, dontFragment: true }
  for (const plain of [false, true]) {
    if (plain) await plainWire(spaces)
    for (const [from, to] of [
      [east, west],
      [west, east],
    ]) {
      for (const host of [to.podAddress, to.podAddress6]) {
        await exchangeTcp(spaces, from.pod, host, 3_000_000, 3)
        await exchangeUdp(spaces, from.pod, host, 100, 1372)
        await exchangeTrains(spaces, from.pod, host, train)
        await ping(spaces, from.pod, host, '-s', '1300')
      }
    }
  }
  for (const { pod } of [east, west]) {
    assert.deepEqual(await checksumErrors(spaces, pod), { tcp: 0, udp: 0, udp6: 0 })
  }
})

test('a VXLAN cable joins and leaves beside a WireGuard one, on the same port', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
  const { vxlan } = vxlanDeviceOf(east)
  assert.ok(vxlan)
  const north = vxlanCableTo(west, {
    name: 'north',
    remote: parseRemote(`${stranger.address}:${port}`),
    allowedIps: [parsePrefix('10.99.0.0/16')],
  })
  for (let round = 0; round < 3; round++) {
    await gateways.east.apply({ ...deviceOf(east), vxlan }, [cableTo(west), north])
    await ping(spaces, east.pod, west.podAddress)
    await gateways.east.apply(deviceOf(east), [cableTo(west)])
    await ping(spaces, west.pod, east.podAddress)
  }
  const { listenPort, drops } = await gateways.east.client.status()
  assert.equal(listenPort, port)
  assert.equal(drops['send-failed'], undefined)
})

test('clients come, go and die, and the traffic does not notice', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  await startEcho(spaces, west.pod)
  const steady = new Steady(spaces, east.pod, west.podAddress, 100_000)
  await steady.moves()

  for (let i = 0; i < 10; i++) {
    const clients = await Promise.all(Array.from({ length: 5 }, () => gateways.east.connect()))
    const statuses = await Promise.all(clients.map(client => client.status()))
    assert.ok(statuses.every(status => status.cables[0].txBytes > 0))
    await clients[0].onForeign(() => {})
    for (const client of clients) client.close()
  }
  await steady.moves()

  // The same tables again, and a cable more and less: sessions stay.
  const other = cableTo(west, {
    name: 'north',
    publicKey: newKeyPair().publicKey,
    allowedIps: [parsePrefix('10.3.0.0/16')],
  })
  const { handshakes } = (await gateways.east.cable('west')).counters
  for (const cables of [[cableTo(west)], [cableTo(west), other], [cableTo(west)]]) {
    await gateways.east.apply(deviceOf(east), cables)
    await steady.moves()
  }
  assert.equal((await gateways.east.cable('west')).counters['handshakes'], handshakes)

  for (const command of [
    ['status', '--watch', '-o', 'json'],
    ['drops', '--follow', '-o', 'json'],
  ]) {
    const attached = spaces.start(east.gateway, [hawser, ...command, '--interface', device])
    await new Promise(resolve => attached.stdout?.once('data', resolve))
    attached.kill('SIGKILL')
    await steady.moves()
  }
  // One that says what nobody understands.
  const path = `/run/hawser/${device}.sock`
  const lines = ['import socket', 's = socket.socket(socket.AF_UNIX)', `s.connect("${path}")`]
  const talk = [...lines, 's.sendall(b"GET / HTTP/1.1" * 1000)', 'print(s.recv(99))'].join('; ')
  await spaces.run(east.gateway, ['python3', '-c', talk])
  await steady.moves()
  assert.equal((await gateways.east.status()).up, true)
  assert.equal((await gateways.east.cable('west')).counters['handshakes'], handshakes)
})

test('wg shows the cable and may not change it', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  await pingUntilAnswered(spaces, west.pod, east.podAddress)
  const shown = await spaces.mustRun(east.gateway, ['wg', 'show', device])
  assert.match(shown, /listening port: 4500/)
  assert.match(shown, /endpoint: 192\.0\.2\.2:4500/)
  assert.match(shown, /allowed ips: 10\.2\.0\.0\/16, fd00:2::\/32/)
  assert.match(shown, /latest handshake: /)
  const dump = await spaces.mustRun(east.gateway, ['wg', 'show', device, 'transfer'])
  const [, rxBytes, txBytes] = dump.trim().split('\t').map(Number)
  assert.ok(rxBytes > 0 && txBytes > 0, dump)
  const peer = Buffer.from(cableTo(west).publicKey).toString('base64')
  for (const change of [
    ['listen-port', '4501'],
    ['peer', peer, 'remove'],
    ['peer', peer, 'allowed-ips', '0.0.0.0/0'],
  ]) {
    const { code, stderr } = await spaces.run(east.gateway, ['wg', 'set', device, ...change])
    assert.equal(code, 1)
    assert.match(stderr, /Operation not permitted/)
  }
  const tables = await gateways.east.client.readTables()
  assert.deepEqual(tables.cables, [cableTo(west)])
  await ping(spaces, east.pod, west.podAddress)
})

test('what a stranger sends to the cable’s port is counted and comes nowhere', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  const wire = await Capture.start(spaces, west.gateway, 'wire')
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
  const message = udp({ destinationPort: 9, payload: pattern(300) })
  await sendRaw(spaces, east.pod, [ipv4(eastToWest, message)])
  const fromEast = (type: number, bytes: number) => (packet: { payload: Uint8Array }) =>
    packet.payload[8] === type && packet.payload.length > bytes
  const [data] = await wire.until(1, fromEast(4, 300))
  const [initiation] = wire.packets(fromEast(1, 100))
  wire.stop()
  const pod = await Capture.start(spaces, west.pod, 'eth0')

  const sealed = data.packet.payload.subarray(8)
  const opening = initiation.packet.payload.subarray(8)
  const changed = (bytes: Uint8Array, at: number) => {
    const copy = bytes.slice()
    copy[at] ^= 1
    return copy
  }
  await sendUdp(spaces, stranger.space, west.address, port, [
    sealed,
    sealed,
    changed(sealed, sealed.length - 1),
    changed(sealed, 40),
    changed(sealed, 5),
    opening,
    changed(opening, 60),
    Uint8Array.of(4, 0, 0, 0, ...pattern(60)),
  ])
  await untilDropped(gateways.west, 'replayed', 'east', 2)
  await untilDropped(gateways.west, 'authentication-failed', 'east', 2)
  await untilDropped(gateways.west, 'unknown-index', undefined, 2)
  await untilDropped(gateways.west, 'replayed-timestamp', 'east', 1)
  await untilDropped(gateways.west, 'bad-mac1', undefined, 1)

  // It still answers to where east is, and nothing but the ping reaches the pod.
  await ping(spaces, west.pod, east.podAddress)
  const { remote, counters } = await gateways.west.cable('east')
  assert.deepEqual(remote, cableTo(east).remote)
  assert.equal(counters['handshakes'], 1)
  assert.deepEqual(
    pod.packets(({ protocol }) => protocol === 17),
    [],
  )
})

test('an inner source that belongs to another cable is dropped, and counted for the one it came by', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  const north = cableTo(west, {
    name: 'north',
    publicKey: newKeyPair().publicKey,
    allowedIps: ['10.3.0.0/16', 'fd00:3::/32'].map(parsePrefix),
  })
  await gateways.west.apply(deviceOf(west), [cableTo(east), north])
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
  const pod = await Capture.start(spaces, west.pod, 'eth0')
  const message = udp({ destinationPort: 9, payload: pattern(30) })
  const forged = ['10.3.0.9', '10.9.0.9', '10.2.0.9'].map(source =>
    ipv4({ ...eastToWest, source }, message),
  )
  const forged6 = ipv6({ source: 'fd00:3::9', destination: west.podAddress6 }, message)
  const honest = ipv4(eastToWest, udp({ destinationPort: 10, payload: pattern(30) }))
  await sendRaw(spaces, east.pod, [...forged, forged6, honest])
  await pod.until(1, ({ protocol, payload }) => protocol === 17 && payload[3] === 10)
  await untilDropped(gateways.west, 'source-not-allowed', 'east', 4)
  assert.deepEqual((await gateways.west.cable('north')).drops, {})
  assert.equal(
    pod.packets(({ protocol, payload }) => protocol === 17 && payload[3] === 9).length,
    0,
  )
})
