// What happens to single packets on their way through two gateways: routes, sizes, ECN, answers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRemote } from '../../src/net/address.ts'
import { verifyTransportChecksum } from '../../src/packet/checksum.ts'
import { PacketView } from '../../src/packet/packet-view.ts'
import {
  checkPacket,
  checksumsHold,
  fromTo,
  icmp,
  inSlab,
  ipv4,
  ipv6,
  mssOption,
  pattern,
  TCP_FLAG,
  type Transport,
  tcp,
  udp,
} from '../support/packets.ts'
import type { SimGateway } from '../support/sim/gateway.ts'
import {
  eastPod,
  eastPod6,
  newKeyPair,
  SimPair,
  westAddress,
  westPod,
  westPod6,
} from '../support/sim/pair.ts'
import { reassemble } from '../support/slow/reassemble.ts'

/** A pair whose session stands. */
function joined(): SimPair {
  const pair = new SimPair(1, { westKnowsEast: true })
  pair.sendEast()
  pair.network.runFor(1000)
  pair.east.received.length = 0
  pair.west.received.length = 0
  return pair
}

function sendThrough(pair: SimPair, packet: Uint8Array): Uint8Array[] {
  pair.east.send(packet)
  pair.network.runFor(1000)
  return pair.west.received.splice(0)
}

const eastToWest = { source: eastPod, destination: westPod }
const eastToWest6 = { source: eastPod6, destination: westPod6 }
const big = (bytes: number): Transport => udp({ payload: pattern(bytes) })

function dropsOf(gateway: SimGateway, reason: string): number {
  const cable = gateway.tables.cables[0]?.name ?? ''
  const own = gateway.counters(cable).drops[reason] ?? 0
  return own + (gateway.globalCounters.drops[reason] ?? 0)
}

test('packets of every size and both families come out as they went in', () => {
  const pair = joined()
  for (const bytes of [0, 1, 15, 16, 17, 500, 1419 - 28, 1420 - 28]) {
    const packet = ipv4(eastToWest, big(bytes))
    assert.deepEqual(sendThrough(pair, packet), [packet], `IPv4, ${bytes} bytes`)
  }
  for (const bytes of [0, 1, 1420 - 48]) {
    const packet = ipv6(eastToWest6, big(bytes))
    assert.deepEqual(sendThrough(pair, packet), [packet], `IPv6, ${bytes} bytes`)
  }
})

test('a wrong inner checksum leaves as it came', () => {
  const pair = joined()
  const packet = ipv4(eastToWest, big(100))
  packet[20 + 6] ^= 0x55
  assert.deepEqual(sendThrough(pair, packet), [packet])
})

test('no route: host unreachable, from the address that was asked for', () => {
  const pair = joined()
  pair.east.send(ipv4({ source: eastPod, destination: '172.16.0.9' }, big(10)))
  const [answer] = pair.east.received
  checkPacket(answer, fromTo('172.16.0.9', eastPod), checksumsHold)
  assert.deepEqual([answer[20], answer[21]], [3, 1])
  assert.equal(dropsOf(pair.east, 'no-route'), 1)
})

test('no route, IPv6: address unreachable', () => {
  const pair = joined()
  pair.east.send(ipv6({ source: eastPod6, destination: '2001:db8::9' }, big(10)))
  const [answer] = pair.east.received
  checkPacket(answer, fromTo('2001:db8::9', eastPod6), checksumsHold)
  assert.deepEqual([answer[40], answer[41]], [1, 3])
})

test('a peer without a remote: host unreachable', () => {
  const pair = joined()
  const keys = newKeyPair()
  const [cable] = pair.westTables().cables
  assert.ok(cable.driver === 'wireguard')
  const lost = { ...cable, name: 'lost', publicKey: keys.publicKey, remoteSerial: 0 }
  pair.west.apply({
    ...pair.westTables(),
    cables: [{ ...lost, allowedIps: [{ family: 4, bytes: Uint8Array.of(10, 9, 0, 0), bits: 16 }] }],
  })
  pair.west.apply({
    ...pair.west.tables,
    generation: 99,
    cables: pair.west.tables.cables.map(({ remote: _, ...rest }) => ({ ...rest, name: 'nowhere' })),
  })
  pair.west.send(ipv4({ source: westPod, destination: '10.9.0.1' }, big(10)))
  const answer = pair.west.received.at(-1)
  assert.ok(answer)
  assert.deepEqual([answer[20], answer[21]], [3, 1])
  assert.equal(dropsOf(pair.west, 'no-remote'), 1)
})

test('what nobody needs to be told about: router solicitations, multicast, broadcast', () => {
  const pair = joined()
  pair.east.send(ipv6({ source: 'fe80::1', destination: 'ff02::2' }, big(8)))
  pair.east.send(ipv4({ source: eastPod, destination: '224.0.0.251' }, big(8)))
  pair.east.send(ipv4({ source: eastPod, destination: '255.255.255.255' }, big(8)))
  assert.equal(pair.east.received.length, 0)
  assert.equal(dropsOf(pair.east, 'link-local'), 3)
})

test('too big with DF: fragmentation needed, with the MTU of the cable', () => {
  const pair = joined()
  pair.east.apply(pair.eastTables({ mtuBytes: 1300 }))
  const packet = ipv4({ ...eastToWest, dontFragment: true }, big(1301 - 28))
  assert.deepEqual(sendThrough(pair, packet), [])
  const [answer] = pair.east.received
  checkPacket(answer, fromTo(westPod, eastPod), checksumsHold)
  assert.deepEqual([answer[20], answer[21]], [3, 4])
  assert.equal(new DataView(answer.buffer, answer.byteOffset).getUint16(26), 1300)
  assert.equal(sendThrough(pair, ipv4({ ...eastToWest, dontFragment: true }, big(1272))).length, 1)
})

test('too big in IPv6: packet too big', () => {
  const pair = joined()
  pair.east.apply(pair.eastTables({ mtuBytes: 1300 }))
  assert.deepEqual(sendThrough(pair, ipv6(eastToWest6, big(1301 - 48))), [])
  const [answer] = pair.east.received
  checkPacket(answer, fromTo(westPod6, eastPod6), checksumsHold)
  assert.equal(answer[40], 2)
  assert.equal(new DataView(answer.buffer, answer.byteOffset).getUint32(44), 1300)
})

test('too big without DF: fragments that make the same packet again', () => {
  const pair = joined()
  pair.east.apply(pair.eastTables({ mtuBytes: 600 }))
  const packet = ipv4(eastToWest, big(1380))
  const fragments = sendThrough(pair, packet)
  assert.ok(fragments.length >= 3)
  assert.ok(fragments.every(fragment => fragment.length <= 600))
  assert.deepEqual(Uint8Array.from(reassemble(fragments).payload), packet.slice(20))
})

test('too big without DF and no key yet: it waits in its place and goes out in fragments', () => {
  const pair = new SimPair(1, { westKnowsEast: true })
  pair.east.apply(pair.eastTables({ mtuBytes: 600 }))
  const sizes = [100, 1380, 500, 572, 573]
  const packets = sizes.map((bytes, i) => ipv4({ ...eastToWest, identification: i }, big(bytes)))
  for (const packet of packets) pair.east.send(packet)
  pair.network.runFor(1000)
  const identification = (packet: Uint8Array) => packet[5]
  const received = pair.west.received
  assert.deepEqual(received.map(identification), [0, 1, 1, 1, 2, 3, 4, 4])
  assert.ok(received.every(fragment => fragment.length <= 600))
  packets.forEach((packet, i) => {
    const parts = received.filter(part => identification(part) === i)
    assert.deepEqual(Uint8Array.from(reassemble(parts).payload), packet.slice(20))
  })
  assert.deepEqual(pair.east.counters('west').drops, {})
})

test('too big with DF since it began to wait: fragmentation needed', () => {
  const pair = new SimPair(1, { westKnowsEast: true })
  pair.east.send(ipv4({ ...eastToWest, dontFragment: true }, big(1000)))
  pair.east.apply(pair.eastTables({ mtuBytes: 600 }))
  pair.network.runFor(1000)
  const [answer] = pair.east.received
  checkPacket(answer, fromTo(westPod, eastPod), checksumsHold)
  assert.deepEqual([answer[20], answer[21]], [3, 4])
  assert.equal(new DataView(answer.buffer, answer.byteOffset).getUint16(26), 600)
  assert.equal(pair.west.received.length, 0)
  assert.deepEqual(pair.east.counters('west').drops, { 'too-big': 1 })
})

for (const [name, syn, mtu, wanted] of [
  ['IPv4', (t: Transport) => ipv4(eastToWest, t), 1300, 1260],
  ['IPv6', (t: Transport) => ipv6(eastToWest6, t), 1300, 1240],
] as const) {
  test(`the MSS of a SYN is clamped to the cable, ${name}`, () => {
    const pair = joined()
    pair.east.apply(pair.eastTables({ mtuBytes: mtu }))
    const packet = syn(tcp({ flags: TCP_FLAG.SYN, options: mssOption(1460) }))
    const [out] = sendThrough(pair, packet)
    const slab = inSlab(out)
    const view = new PacketView(slab)
    assert.ok(view.decode(64, out.length))
    const option = view.transportOffset + 20
    assert.deepEqual([slab[option], (slab[option + 2] << 8) | slab[option + 3]], [2, wanted])
    assert.ok(verifyTransportChecksum(view))
  })
}

test('a packet for the remote itself is a loop', () => {
  const pair = joined()
  pair.east.apply({
    ...pair.eastTables(),
    cables: pair.eastTables().cables.map(cable => ({
      ...cable,
      allowedIps: [{ family: 4, bytes: new Uint8Array(4), bits: 0 }],
    })),
  })
  const remote = parseRemote(westAddress)
  const inner = udp({ destinationPort: remote.port, payload: pattern(20) })
  pair.east.send(ipv4({ source: eastPod, destination: '192.0.2.2' }, inner))
  assert.equal(dropsOf(pair.east, 'routing-loop'), 1)
  const other = udp({ destinationPort: remote.port + 1, payload: pattern(20) })
  pair.east.send(ipv4({ source: eastPod, destination: '192.0.2.2' }, other))
  assert.equal(dropsOf(pair.east, 'routing-loop'), 1)
})

test('a source that is not the cable’s is dropped, also when a wider prefix would allow it', () => {
  const pair = joined()
  for (const source of ['10.3.0.1', '10.2.0.9']) {
    assert.deepEqual(sendThrough(pair, ipv4({ source, destination: westPod }, big(8))), [])
  }
  assert.equal(dropsOf(pair.west, 'source-not-allowed'), 2)
})

for (const [inner, onWire] of [
  [0, 0],
  [1, 1],
  [2, 2],
  [3, 3],
] as const) {
  test(`ECN ${inner} goes out as ${onWire}, the DSCP does not`, () => {
    const pair = joined()
    let seen = -1
    pair.network.taps.push(datagram => {
      if (datagram.bytes[0] === 4) seen = datagram.tos
    })
    sendThrough(pair, ipv4({ ...eastToWest, tos: 0xb8 | inner }, big(10)))
    assert.equal(seen, onWire)
  })
}

test('congestion marked on the wire arrives inside, or drops what cannot carry it', () => {
  const pair = joined()
  // The network marks every datagram from here on.
  const { send } = pair.network
  pair.network.send = datagram => send.call(pair.network, { ...datagram, tos: 3 })
  const [marked] = sendThrough(pair, ipv4({ ...eastToWest, tos: 0xb8 | 2 }, big(10)))
  assert.equal(marked[1], 0xb8 | 3)
  checkPacket(marked, checksumsHold)
  assert.deepEqual(sendThrough(pair, ipv4({ ...eastToWest, tos: 0xb8 }, big(10))), [])
  assert.equal(dropsOf(pair.west, 'ecn-not-capable'), 1)
})

test('handshakes go out as AF41', () => {
  const pair = new SimPair(2)
  const seen: number[] = []
  pair.network.taps.push(datagram => {
    if (datagram.bytes[0] !== 4) seen.push(datagram.tos)
  })
  pair.sendEast()
  pair.network.runFor(1000)
  assert.deepEqual(seen, [0x88, 0x88])
})

test('datagrams that are no cable packet are handed over, at a bounded rate', () => {
  const pair = joined()
  const stun = Uint8Array.of(0x01, 0x01, 0, 0, 1, 2, 3, 4)
  const inject = (bytes: Uint8Array) => {
    pair.network.inject({ from: '203.0.113.5:3478', to: westAddress, bytes, tos: 0 })
    pair.network.runFor(10)
  }
  inject(stun)
  inject(new Uint8Array(28))
  assert.deepEqual(pair.west.foreign, [stun, new Uint8Array(28)])
  pair.network.quality.delayMs = 0
  for (let i = 0; i < 2000; i++) {
    pair.network.inject({ from: '203.0.113.5:3478', to: westAddress, bytes: stun, tos: 0 })
  }
  pair.network.runFor(1)
  assert.ok(pair.west.foreign.length < 300)
  assert.ok(dropsOf(pair.west, 'foreign-rate-limited') > 1700)
})

test('ICMP errors are not answered with ICMP errors', () => {
  const pair = joined()
  const error = icmp(3, 1, ipv4(eastToWest, big(8)))
  pair.east.send(ipv4({ source: eastPod, destination: '172.16.0.9' }, error))
  assert.equal(pair.east.received.length, 0)
})

test('garbage from the device is counted and harms nothing', () => {
  const pair = joined()
  for (const bytes of [new Uint8Array(1), new Uint8Array(19), pattern(40), pattern(1400, 9)]) {
    pair.east.send(bytes)
  }
  assert.equal(dropsOf(pair.east, 'malformed-packet'), 4)
  const packet = ipv4(eastToWest, big(8))
  assert.deepEqual(sendThrough(pair, packet), [packet])
})
