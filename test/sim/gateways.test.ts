// Whole gateways on a virtual clock over links that lose, repeat and reorder: hours of their time in
// seconds of ours, each run from one seed (HAWSER_SEED=<seed> repeats it).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testSeed } from '../support/rng.ts'
import { newKeyPair, numbersOf, SimPair, westAddress } from '../support/sim/pair.ts'

const second = 1000
const hour = 3600 * second

/** Runs a test from a seed that is told when it fails. */
function seeded(name: string, body: (seed: number) => void): void {
  test(name, () => {
    const seed = testSeed()
    try {
      body(seed)
    } catch (error) {
      throw new Error(`HAWSER_SEED=${seed}`, { cause: error })
    }
  })
}

/** Traffic both ways, a packet each way every `everyMs`. */
function talk(pair: SimPair, forMs: number, everyMs: number): number {
  let sent = 0
  for (const endMs = pair.network.nowMs + forMs; pair.network.nowMs < endMs; sent++) {
    pair.sendEast()
    pair.sendWest()
    pair.network.runFor(everyMs)
  }
  return sent
}

function assertOnce(numbers: readonly number[]): void {
  assert.equal(new Set(numbers).size, numbers.length, 'a packet was delivered twice')
}

seeded('a clean link: every packet arrives once, in order, over six hours of re-keys', seed => {
  const pair = new SimPair(seed, { westKnowsEast: true })
  const sent = talk(pair, 6 * hour, second)
  pair.network.runFor(second)
  const atWest = numbersOf(pair.west.received)
  assert.equal(atWest.length, sent)
  assert.deepEqual(
    atWest,
    atWest.toSorted((a, b) => a - b),
  )
  assert.equal(numbersOf(pair.east.received).length, sent)
  const { counters, drops } = pair.east.counters('west')
  const handshakes = counters['handshakes'] ?? 0
  assert.ok(handshakes >= (6 * 3600) / 125 && handshakes <= (6 * 3600) / 115, `${handshakes}`)
  assert.deepEqual(drops, {})
})

seeded('a bad link: lost, repeated and reordered, but never twice and never for long', seed => {
  const pair = new SimPair(seed, { westKnowsEast: true })
  pair.network.quality = { loss: 0.1, duplicate: 0.05, delayMs: 20, jitterMs: 400 }
  const sent = talk(pair, 3 * hour, 100)
  pair.network.runFor(second)
  for (const gateway of [pair.east, pair.west]) {
    const numbers = numbersOf(gateway.received)
    assertOnce(numbers)
    assert.ok(numbers.length > sent * 0.88, `${numbers.length} of ${sent}`)
  }
  const { drops } = pair.west.counters('east')
  assert.ok((drops['replayed'] ?? 0) > 0, 'the link repeated datagrams and none was noticed')
  assert.equal(drops['authentication-failed'], undefined)
})

seeded('roaming: both ends follow, and nobody follows an unauthenticated datagram', seed => {
  const pair = new SimPair(seed)
  talk(pair, 10 * second, second)
  pair.east.move('198.51.100.9:1234')
  talk(pair, 10 * second, second)
  pair.west.received.length = 0
  pair.east.received.length = 0
  talk(pair, 10 * second, second)
  pair.network.runFor(second)
  assert.equal(numbersOf(pair.east.received).length, 10)
  assert.equal(numbersOf(pair.west.received).length, 10)

  let copied: Uint8Array | undefined
  pair.network.taps.push(datagram => {
    if (datagram.bytes[0] === 4 && datagram.to === westAddress) copied = datagram.bytes
  })
  talk(pair, 5 * second, second)
  assert.ok(copied)
  // A replay and a forgery from elsewhere.
  const forged = copied.slice()
  forged[forged.length - 1] ^= 1
  for (const bytes of [copied, forged]) {
    pair.network.inject({ from: '203.0.113.66:6666', to: westAddress, bytes, tos: 0 })
  }
  pair.network.runFor(second)
  pair.east.received.length = 0
  talk(pair, 5 * second, second)
  pair.network.runFor(second)
  assert.equal(numbersOf(pair.east.received).length, 5)
})

seeded('a restarted peer: traffic is back within the timers', seed => {
  const pair = new SimPair(seed)
  talk(pair, 30 * second, second)
  pair.restartWest()
  // East notices after 15 s without an answer; west has no remote for east until then.
  talk(pair, 25 * second, second)
  pair.west.received.length = 0
  talk(pair, 10 * second, second)
  pair.network.runFor(second)
  assert.equal(numbersOf(pair.west.received).length, 10)
})

seeded('an outage of an hour: waiting packets are given up, and it heals by itself', seed => {
  const pair = new SimPair(seed)
  talk(pair, 5 * second, second)
  pair.network.quality.loss = 1
  // Traffic alone keeps the attempts going; the queue stays bounded meanwhile.
  talk(pair, hour, 2 * second)
  assert.ok((pair.east.counters('west').drops['queue-full'] ?? 0) > 0)
  pair.network.runFor(100 * second)
  assert.equal(pair.east.counters('west').drops['handshake-timeout'], 128)
  pair.network.quality.loss = 0
  talk(pair, 12 * second, second)
  pair.east.received.length = 0
  talk(pair, 10 * second, second)
  pair.network.runFor(second)
  assert.equal(numbersOf(pair.east.received).length, 10)
})

seeded('silence: keys are gone after nine minutes, and an idle pair sends nothing', seed => {
  const pair = new SimPair(seed)
  talk(pair, 5 * second, second)
  pair.network.runFor(60 * second)
  let datagrams = 0
  pair.network.taps.push(() => datagrams++)
  pair.network.runFor(5 * hour)
  assert.equal(datagrams, 0)
  assert.ok(
    pair.east.memory.slots.every(byte => byte === 0),
    'a key is left in the slots',
  )
})

seeded('persistent keepalive holds a mapping open from the quiet side', seed => {
  const pair = new SimPair(seed, { keepaliveSeconds: 25, westKnowsEast: true })
  let largestGapMs = 0
  pair.network.runFor(10 * second)
  let lastMs = pair.network.nowMs
  pair.network.taps.push(() => {
    largestGapMs = Math.max(largestGapMs, pair.network.nowMs - lastMs)
    lastMs = pair.network.nowMs
  })
  pair.network.runFor(hour)
  assert.ok(largestGapMs > 0 && largestGapMs <= 26 * second, `${largestGapMs} ms`)
})

seeded('table swaps under traffic: the session outlives what does not touch it', seed => {
  const pair = new SimPair(seed)
  const presharedKey = newKeyPair().privateKey
  talk(pair, 5 * second, second)
  const before = pair.east.counters('west').counters['handshakes']
  for (let round = 0; round < 20; round++) {
    pair.east.apply(pair.eastTables({ keepaliveSeconds: round % 3 }))
    talk(pair, second, 200)
  }
  assert.equal(pair.east.counters('west').counters['handshakes'], before)
  // A preshared key takes effect with the next handshake, on both sides.
  pair.east.apply(pair.eastTables({ presharedKey }))
  pair.west.apply(pair.westTables({ presharedKey }))
  pair.west.received.length = 0
  const sent = talk(pair, 300 * second, second)
  pair.network.runFor(second)
  assert.equal(numbersOf(pair.west.received).length, sent)
  assert.equal(pair.east.counters('west').drops['preshared-key-mismatch'], undefined)
})

seeded('a removed cable goes, with its keys; a new one takes nothing over', seed => {
  const pair = new SimPair(seed)
  talk(pair, 5 * second, second)
  pair.east.apply({ ...pair.eastTables(), cables: [] })
  pair.west.received.length = 0
  talk(pair, 5 * second, second)
  assert.equal(numbersOf(pair.west.received).length, 0)
  pair.network.runFor(second)
  assert.ok((pair.east.globalCounters.drops['no-route'] ?? 0) >= 5)
  pair.east.apply(pair.eastTables())
  talk(pair, 10 * second, second)
  pair.west.received.length = 0
  const sent = talk(pair, 5 * second, second)
  pair.network.runFor(second)
  assert.equal(numbersOf(pair.west.received).length, sent)
})

seeded('a wrong preshared key is named, and nothing gets through', seed => {
  const pair = new SimPair(seed)
  pair.west.apply(pair.westTables({ presharedKey: newKeyPair().privateKey }))
  talk(pair, 30 * second, second)
  assert.equal(numbersOf(pair.west.received).length, 0)
  assert.ok((pair.east.counters('west').drops['preshared-key-mismatch'] ?? 0) > 0)
})

seeded('down and up again: sessions end with the device and come back with traffic', seed => {
  const pair = new SimPair(seed)
  talk(pair, 5 * second, second)
  pair.east.suspend()
  assert.ok(pair.east.memory.cables[0] === -1, 'a key is still published')
  pair.network.runFor(20 * second)
  pair.east.resume()
  pair.west.received.length = 0
  pair.sendEast()
  pair.network.runFor(10 * second)
  assert.equal(numbersOf(pair.west.received).length, 1)
})

seeded('a clock that went back an hour: initiations stay later than those before', seed => {
  const pair = new SimPair(seed)
  talk(pair, 130 * second, second)
  pair.east.wallOffsetMs -= hour
  pair.west.received.length = 0
  const sent = talk(pair, 300 * second, second)
  pair.network.runFor(second)
  assert.equal(numbersOf(pair.west.received).length, sent)
  assert.equal(pair.west.counters('east').drops['replayed-timestamp'], undefined)
})
