// Two gateways with a VXLAN cable on a virtual clock: how they find each other's MAC address, and what
// becomes of it when packets are lost, when the other side changes, and when strangers speak.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ipv4, udp } from '../support/packets.ts'
import { seededRandom, testSeed } from '../support/rng.ts'
import type { SimGateway } from '../support/sim/gateway.ts'
import { arpDatagram, encapsulate, macOf, SimVxlanPair, vni } from '../support/sim/vxlan-pair.ts'

function drops(gateway: SimGateway, cable: string): Readonly<Record<string, number>> {
  return gateway.counters(cable).drops
}

/** A pair that knows each other's MAC. */
function resolved(): SimVxlanPair {
  const pair = new SimVxlanPair(1)
  pair.send('east')
  pair.network.runFor(100)
  pair.send('west')
  pair.network.runFor(100)
  assert.deepEqual([pair.west.received.length, pair.east.received.length], [1, 1])
  pair.arps.length = 0
  pair.east.received.length = 0
  pair.west.received.length = 0
  return pair
}

/** Sends a packet every `everyMs` for `ms`; returns when each that arrived was sent. */
function stream(pair: SimVxlanPair, ms: number, everyMs: number): number[] {
  const arrived: number[] = []
  const endMs = pair.network.nowMs + ms
  while (pair.network.nowMs < endMs) {
    const sentMs = pair.network.nowMs
    pair.send('east')
    pair.network.runFor(everyMs)
    for (const _ of pair.west.received.splice(0)) arrived.push(sentMs)
  }
  return arrived
}

for (const addresses of [
  ['192.0.2.1:4500', '192.0.2.2:4500'],
  ['[2001:db8::1]:4500', '[2001:db8::2]:4500'],
]) {
  test(`from a cold start packets of both families arrive as they were sent, ${addresses[0]}`, () => {
    const pair = new SimVxlanPair(1, addresses)
    const sent = [pair.send('east'), pair.send('east', 6), pair.send('east')]
    pair.network.runFor(100)
    assert.deepEqual(pair.west.received, sent)
    const back = [pair.send('west', 6), pair.send('west')]
    pair.network.runFor(100)
    assert.deepEqual(pair.east.received, back)
    // East asked, west answered, and learned from the question.
    assert.deepEqual(
      pair.arps.map(({ from, isRequest, isBroadcast }) => [from, isRequest, isBroadcast]),
      [
        [addresses[0], true, true],
        [addresses[1], false, false],
      ],
    )
    assert.deepEqual(drops(pair.east, 'west'), {})
    assert.deepEqual(drops(pair.west, 'east'), {})
  })
}

test('both ask at the same moment', () => {
  const pair = new SimVxlanPair(1)
  const [toWest, toEast] = [pair.send('east', 6), pair.send('west')]
  pair.network.runFor(100)
  assert.deepEqual([pair.west.received, pair.east.received], [[toWest], [toEast]])
  assert.deepEqual([drops(pair.east, 'west'), drops(pair.west, 'east')], [{}, {}])
})

test('a question that is lost is asked again after a second, and what waited leaves in order', () => {
  const pair = new SimVxlanPair(1)
  const startMs = pair.network.nowMs
  pair.network.quality.loss = 1
  const sent = [pair.send('east'), pair.send('east', 6)]
  pair.network.runFor(1500)
  pair.network.quality.loss = 0
  sent.push(pair.send('east'))
  pair.network.runFor(1000)
  assert.deepEqual(pair.west.received, sent)
  const asked = pair.arps.filter(({ isRequest }) => isRequest)
  assert.deepEqual(
    asked.map(({ atMs }) => atMs - startMs),
    [0, 1000, 2000],
  )
})

test('after three questions it is given up, and asked anew when there is something to send', () => {
  const pair = new SimVxlanPair(1)
  pair.network.quality.loss = 1
  for (let i = 0; i < 5; i++) pair.send('east')
  pair.network.runFor(2999)
  assert.deepEqual(drops(pair.east, 'west'), {})
  pair.network.runFor(3_600_000)
  assert.deepEqual(drops(pair.east, 'west'), { 'arp-timeout': 5 })
  assert.equal(pair.arps.length, 3)
  pair.network.quality.loss = 0
  const sent = pair.send('east')
  pair.network.runFor(100)
  assert.deepEqual(pair.west.received, [sent])
})

test('no more waits than there is room for; the oldest goes', () => {
  const pair = new SimVxlanPair(1)
  pair.network.quality.loss = 1
  const sent = Array.from({ length: 200 }, () => pair.send('east'))
  assert.deepEqual(drops(pair.east, 'west'), { 'queue-full': 72 })
  pair.network.quality.loss = 0
  pair.network.runFor(1100)
  assert.deepEqual(pair.west.received, sent.slice(72))
})

test('the MAC is confirmed each minute while there is traffic, by unicast, and never without', () => {
  const pair = resolved()
  for (let second = 0; second < 600; second++) {
    pair.send('east')
    pair.send('west')
    pair.network.runFor(1000)
  }
  const asked = pair.arps.filter(({ isRequest }) => isRequest)
  assert.ok(asked.length >= 18 && asked.length <= 22, `${asked.length} questions in 10 minutes`)
  assert.ok(asked.every(({ isBroadcast }) => !isBroadcast))
  pair.network.runFor(60_000)
  pair.arps.length = 0
  pair.network.runFor(24 * 3_600_000)
  assert.deepEqual(pair.arps, [])
  // After the silence the old address is used, and confirmed.
  const sent = pair.send('east')
  pair.network.runFor(100)
  assert.deepEqual(pair.west.received.at(-1), sent)
  assert.deepEqual(
    pair.arps.map(({ isBroadcast }) => isBroadcast),
    [false, false],
  )
})

test('west starts again with another MAC and sends: east follows at once', () => {
  const pair = resolved()
  pair.restartWest(macOf(9))
  pair.send('west')
  pair.network.runFor(50)
  const sent = pair.send('east')
  pair.network.runFor(50)
  assert.deepEqual(pair.west.received, [sent])
  assert.deepEqual(drops(pair.west, 'east'), {})
})

test('west starts again with another MAC and is silent: east finds it out in 12 s', () => {
  const pair = resolved()
  pair.restartWest(macOf(9))
  const startMs = pair.network.nowMs
  const [first] = stream(pair, 30_000, 100)
  assert.ok(first - startMs <= 12_000, `after ${first - startMs} ms`)
  assert.ok(drops(pair.west, 'east')['vxlan-wrong-mac'] > 0)
  assert.equal(stream(pair, 1000, 100).length, 10)
})

test('west is away for so long that east gives up, and comes back with another MAC', () => {
  const pair = resolved()
  pair.west.stop()
  assert.deepEqual(stream(pair, 60_000, 100), [])
  assert.ok(drops(pair.east, 'west')['arp-timeout'] > 0)
  pair.restartWest(macOf(9))
  const startMs = pair.network.nowMs
  const [first] = stream(pair, 10_000, 100)
  assert.ok(first - startMs <= 3000, `after ${first - startMs} ms`)
})

test('one-way traffic keeps its MAC, at a question every few seconds', () => {
  const pair = resolved()
  assert.equal(stream(pair, 60_000, 100).length, 600)
  const asked = pair.arps.filter(({ isRequest }) => isRequest)
  assert.ok(asked.length >= 8 && asked.length <= 24, `${asked.length} questions in a minute`)
  assert.ok(asked.every(({ isBroadcast }) => !isBroadcast))
})

test('our own MAC changes with a snapshot: nothing of the cable is lost but a few seconds', () => {
  const pair = resolved()
  const { east, eastSide, westSide } = pair
  east.apply(pair.tables(eastSide, westSide, macOf(7)))
  const startMs = pair.network.nowMs
  for (let i = 0; pair.east.received.length === 0 && i < 300; i++) {
    pair.send('west')
    pair.network.runFor(100)
  }
  assert.ok(pair.network.nowMs - startMs <= 12_000)
  assert.equal(stream(pair, 1000, 100).length, 10)
})

test('a stranger cannot take a tunnel address over, nor can the remote take another one', () => {
  const pair = resolved()
  const { east, eastSide, westSide } = pair
  const spoof = macOf(0x66)
  for (const isRequest of [true, false]) {
    const claim = arpDatagram(isRequest, spoof, westSide.tunnelAddress, eastSide.tunnelAddress)
    pair.inject('192.0.2.66:4500', claim)
    pair.inject(westSide.address, arpDatagram(isRequest, spoof, '241.0.2.9', '241.0.2.1'))
  }
  pair.network.runFor(100)
  assert.deepEqual(pair.arps, [], 'nobody was answered')
  assert.equal(east.globalCounters.drops['vxlan-wrong-remote'], 2)
  assert.deepEqual(drops(east, 'west'), { 'vxlan-wrong-remote': 2 })
  const sent = pair.send('east')
  pair.network.runFor(100)
  assert.deepEqual(pair.west.received, [sent])
  assert.deepEqual(drops(pair.west, 'east'), {})
})

test('who asks for another address is not answered, but known from then on', () => {
  const pair = new SimVxlanPair(1)
  const { eastSide, westSide } = pair
  const question = arpDatagram(true, macOf(2), westSide.tunnelAddress, '241.0.2.200')
  pair.inject(westSide.address, question)
  pair.network.runFor(100)
  assert.deepEqual(pair.arps, [])
  pair.inject(westSide.address.replace(':4500', ':50123'), question)
  const sent = pair.send('east')
  pair.network.runFor(100)
  assert.deepEqual(pair.west.received, [sent])
  assert.deepEqual(pair.arps, [], `${eastSide.name} need not ask`)
})

test('data of another source, VNI, MAC or inner source is counted and goes nowhere', () => {
  const pair = resolved()
  const { east, eastSide, westSide } = pair
  const packet = (source: string) => ipv4({ source, destination: eastSide.pod }, udp())
  const frame = (inner: Uint8Array, to = macOf(1), type = 0x0800) =>
    Uint8Array.from([...to, ...macOf(2), type >> 8, type & 255, ...inner])
  const honest = encapsulate(frame(packet(westSide.pod)))
  pair.inject('192.0.2.66:4500', honest)
  pair.inject(westSide.address, encapsulate(frame(packet(westSide.pod)), vni + 1))
  pair.inject(westSide.address, encapsulate(frame(packet(westSide.pod), macOf(3))))
  pair.inject(westSide.address, encapsulate(frame(packet('10.3.0.9'))))
  pair.inject(westSide.address, encapsulate(frame(packet(westSide.pod), macOf(1), 0x86dd)))
  pair.inject(westSide.address, encapsulate(frame(Uint8Array.of(0x45, 0, 0, 200))))
  pair.network.runFor(100)
  assert.equal(east.globalCounters.drops['vxlan-wrong-remote'], 1)
  assert.deepEqual(drops(east, 'west'), {
    'malformed-inner': 1,
    'source-not-allowed': 1,
    'vxlan-header': 2,
    'vxlan-wrong-mac': 1,
  })
  assert.deepEqual(east.received, [])
  // The port of the remote is entropy and may be any.
  pair.inject(westSide.address.replace(':4500', ':50123'), honest)
  pair.network.runFor(100)
  assert.deepEqual(east.received, [packet(westSide.pod)])
})

test('a remote that moves is followed by a snapshot, and its old address is a stranger’s', () => {
  const pair = resolved()
  const { east, west, eastSide, westSide } = pair
  const moved = { ...westSide, address: '198.51.100.2:4500' }
  west.move(moved.address)
  east.apply(pair.tables(eastSide, moved, macOf(1), { remoteSerial: 2 }))
  const sent = pair.send('east')
  pair.network.runFor(100)
  assert.deepEqual(west.received, [sent])
  const inner = ipv4({ source: westSide.pod, destination: eastSide.pod }, udp())
  const datagram = encapsulate(Uint8Array.from([...macOf(1), ...macOf(2), 8, 0, ...inner]))
  pair.inject(westSide.address, datagram)
  pair.network.runFor(100)
  assert.equal(east.globalCounters.drops['vxlan-wrong-remote'], 1)
  pair.inject(moved.address, datagram)
  pair.network.runFor(100)
  assert.deepEqual(east.received, [inner])
})

test('a cable that is removed and made again starts from nothing', () => {
  const pair = resolved()
  const { east, eastSide, westSide } = pair
  const tables = pair.tables(eastSide, westSide, macOf(1))
  east.apply({ ...tables, cables: [] })
  pair.send('west')
  pair.network.runFor(100)
  assert.equal(east.globalCounters.drops['vxlan-wrong-remote'], 1)
  east.apply(pair.tables(eastSide, westSide, macOf(1)))
  const sent = pair.send('east')
  pair.network.runFor(100)
  assert.deepEqual(pair.west.received, [sent])
  assert.deepEqual(east.counters('west').drops, {})
})

test('on a bad network nothing comes that was not sent, and the cable recovers', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const pair = new SimVxlanPair(seed)
  Object.assign(pair.network.quality, { loss: 0.3, duplicate: 0.1, delayMs: 20, jitterMs: 30 })
  const sent = new Set<string>()
  const text = (packet: Uint8Array) => Buffer.from(packet).toString('hex')
  for (let i = 0; i < 3000; i++) {
    sent.add(text(pair.send(random() < 0.5 ? 'east' : 'west', random() < 0.5 ? 4 : 6)))
    pair.network.runFor(random() * 200)
    if (random() < 0.005) pair.restartWest(macOf(2 + Math.floor(random() * 3)))
  }
  for (const packet of [...pair.east.received, ...pair.west.received])
    assert.ok(sent.has(text(packet)), `seed ${seed}`)
  assert.ok(pair.east.received.length > 500, `seed ${seed}: ${pair.east.received.length}`)
  pair.network.quality.loss = 0
  const arrived = stream(pair, 20_000, 100)
  assert.ok(arrived.length > 50, `seed ${seed}: ${arrived.length} of 200`)
})
