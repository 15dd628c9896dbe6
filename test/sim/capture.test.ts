// A capture of both halves of a gateway beside what its pods and the network have seen.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RECORD, stage } from '../../src/capture/record.ts'
import { type Ring, readRing } from '../../src/capture/ring.ts'
import { packetsOf, recordsOf, storedOf, wordsOf } from '../../src/capture/segments.ts'
import { parsePrefix } from '../../src/net/address.ts'
import { drop } from '../../src/tables/counters.ts'
import { ipv4, udp } from '../support/packets.ts'
import { testSeed } from '../support/rng.ts'
import { eastPod, numbersOf, SimPair, westPod } from '../support/sim/pair.ts'

interface Seen {
  readonly stage: number
  readonly isOutbound: boolean
  readonly drop: number
  readonly cable: number
  readonly bytes: Uint8Array
}

function seenIn(ring: Ring): Seen[] {
  const bytes = readRing(ring, 1 << 30)
  return recordsOf(bytes).flatMap(word => {
    const words = wordsOf(bytes)
    const facts = {
      stage: words[word + RECORD.STAGE],
      isOutbound: words[word + RECORD.OUTBOUND] === 1,
      drop: words[word + RECORD.DROP],
      cable: words[word + RECORD.CABLE],
    }
    if (facts.stage === stage.secret) return [{ ...facts, bytes: storedOf(bytes, word) }]
    return packetsOf(bytes, word, 65_535).map(packet => ({ ...facts, bytes: packet.bytes }))
  })
}

test('a capture shows what pods sent and received, and the datagrams of both', () => {
  const seed = testSeed()
  const pair = new SimPair(seed)
  const sent: Uint8Array[] = []
  const came: Uint8Array[] = []
  pair.network.taps.push(({ from, bytes }) =>
    (from === pair.east.address ? sent : came).push(bytes),
  )
  const rings = pair.east.capture()
  const numbers: number[] = []
  for (let round = 0; round < 20; round++) {
    numbers.push(pair.sendEast(100 + round * 60))
    pair.sendWest()
    pair.network.runFor(50)
  }
  const seen = [...seenIn(rings.outbound), ...seenIn(rings.inbound)]
  const bytesOf = (code: number, isOutbound: boolean) =>
    seen
      .filter(other => other.stage === code && other.isOutbound === isOutbound)
      .map(({ bytes }) => bytes)
  assert.deepEqual(numbersOf(bytesOf(stage.inner, true)), numbers, `seed ${seed}`)
  assert.deepEqual(bytesOf(stage.inner, false), pair.east.received, `seed ${seed}`)
  const payloads = (packets: readonly Uint8Array[]) =>
    packets.map(packet => Buffer.from(packet.subarray(28)).toString('hex')).sort()
  const hex = (list: readonly Uint8Array[]) =>
    list.map(bytes => Buffer.from(bytes).toString('hex')).sort()
  assert.deepEqual(payloads(bytesOf(stage.wire, true)), hex(sent), `seed ${seed}`)
  assert.deepEqual(payloads(bytesOf(stage.wire, false)), hex(came), `seed ${seed}`)
  assert.ok(seen.every(({ cable }) => cable === 0))
  assert.ok(sent.length >= 20 && came.length >= 20)
})

test('what is dropped is shown with its reason, on either way', () => {
  const seed = testSeed()
  const pair = new SimPair(seed)
  pair.sendEast()
  pair.network.runFor(1000)
  const inner = { wire: false, inner: true }
  const east = pair.east.capture(inner)
  const west = pair.west.capture(inner)
  pair.east.send(ipv4({ source: eastPod, destination: '203.0.113.1' }, udp()))
  // West does not believe in this source.
  pair.east.send(ipv4({ source: '203.0.113.9', destination: westPod }, udp()))
  pair.network.runFor(1000)
  const drops = (ring: Ring) => seenIn(ring).map(seen => seen.drop)
  assert.deepEqual(drops(west.inbound), [drop.sourceNotAllowed], `seed ${seed}`)
  const [lost, answer, passed] = seenIn(east.outbound).sort((a, b) => b.drop - a.drop)
  assert.equal(lost.drop, drop.noRoute, `seed ${seed}`)
  // The ICMP error that its sender gets.
  const icmp = [answer, passed].find(({ isOutbound }) => !isOutbound)
  assert.deepEqual([icmp?.bytes[9], icmp?.bytes[20]], [1, 3], `seed ${seed}`)
})

test('datagrams that are dropped are shown on the wire, as they came and with their reason', () => {
  const seed = testSeed()
  const pair = new SimPair(seed, { westKnowsEast: true })
  const data: Uint8Array[] = []
  pair.network.taps.push(({ from, bytes }) => {
    if (from === pair.east.address && bytes[0] === 4 && bytes.length > 32) data.push(bytes)
  })
  pair.sendEast()
  pair.network.runFor(1000)
  const { inbound } = pair.west.capture({ filter: { kind: 'drop', reason: 0 } })
  pair.sendEast()
  const replayed = data[0]
  const forged = data[0].with(40, data[0][40] ^ 1)
  const stranger = data[0].with(4, data[0][4] ^ 1)
  const noInitiation = new Uint8Array(148).with(0, 1)
  const sent = [replayed, forged, stranger, noInitiation]
  for (const bytes of sent) {
    pair.network.inject({ from: pair.east.address, to: pair.west.address, bytes, tos: 0 })
    pair.network.runFor(1000)
  }
  const seen = seenIn(inbound)
  assert.deepEqual(
    seen.map(other => [other.stage, other.drop]),
    [drop.replayed, drop.authenticationFailed, drop.unknownIndex, drop.badMac1].map(reason => [
      stage.wire,
      reason,
    ]),
    `seed ${seed}`,
  )
  assert.deepEqual(
    seen.map(({ bytes }) => Buffer.from(bytes.subarray(28))),
    sent.map(Buffer.from),
  )
})

test('a capture with keys gets a new session and the key of its handshake, on both sides', () => {
  const seed = testSeed()
  const pair = new SimPair(seed, { westKnowsEast: true })
  pair.sendEast()
  pair.network.runFor(10_000)
  const handshakes = () => pair.east.counters('west').counters['handshakes']
  const before = handshakes()
  const west = pair.west.capture({ keys: true })
  const east = pair.east.capture({ keys: true }, true)
  pair.network.runFor(1000)
  assert.equal(handshakes(), before + 1, `seed ${seed}`)
  for (const ring of [west.inbound, east.inbound]) {
    const seen = seenIn(ring)
    const secret = seen.findIndex(other => other.stage === stage.secret)
    assert.ok(secret >= 0, `seed ${seed}`)
    assert.equal(seen[secret].bytes.length, 32)
    // In front of the message that it made: initiation or response.
    const isMessage = ({ stage: of, bytes }: (typeof seen)[number]) =>
      of !== stage.secret && [1, 2].includes(bytes[28])
    const made = seen.findIndex(other => other.isOutbound && isMessage(other))
    assert.ok(secret < made, `seed ${seed}: ${secret} ${made}`)
  }
  const later = pair.east.capture({ keys: false })
  pair.network.runFor(200_000)
  pair.sendEast()
  pair.network.runFor(1000)
  const codes = seenIn(later.inbound).map(seen => seen.stage)
  assert.ok(codes.length > 0 && !codes.includes(stage.secret), `seed ${seed}`)
})

test('a cable that is not captured is not shown', () => {
  const seed = testSeed()
  const pair = new SimPair(seed)
  const rings = pair.east.capture({ cables: [7] })
  const filtered = pair.west.capture({
    filter: { kind: 'net', side: 'src', ...parsePrefix('10.1.0.0/16') },
  })
  pair.sendEast()
  pair.network.runFor(1000)
  assert.deepEqual([...seenIn(rings.outbound), ...seenIn(rings.inbound)], [], `seed ${seed}`)
  const seen = seenIn(filtered.inbound)
  assert.deepEqual(
    seen.map(other => [other.stage, other.isOutbound]),
    [[stage.inner, false]],
    `seed ${seed}`,
  )
})
