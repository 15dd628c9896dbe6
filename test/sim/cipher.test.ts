// The cipher of a cable, by whole gateways on a virtual clock: how two ends agree on it, also while
// only one of them has heard of a change, and that a swap under traffic loses and reorders nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CipherName, type CipherTable, cipherOf } from '../../src/tables/cipher.ts'
import { method, SLOT } from '../../src/tables/shared.ts'
import { testSeed } from '../support/rng.ts'
import type { SimGateway } from '../support/sim/gateway.ts'
import { numbersOf, SimPair } from '../support/sim/pair.ts'

const second = 1000
const chachaName = 'chacha20-poly1305'
const aesName = 'aes-256-gcm'
const every = [aesName, chachaName] as const

/** Begins with AES where the remote takes it. */
const aes: CipherTable = { enabled: every, remote: every }
/** Begins with ChaCha20-Poly1305, and takes either. */
const chacha: CipherTable = { enabled: [chachaName, aesName], remote: every }

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

function pairWith(
  seed: number,
  ofEast: CipherTable | undefined,
  ofWest: CipherTable | undefined,
  westKnowsEast = true,
): SimPair {
  const pair = new SimPair(seed, { westKnowsEast })
  if (ofEast !== undefined) pair.east.apply(pair.eastTables({ ciphers: ofEast }))
  if (ofWest !== undefined) pair.west.apply(pair.westTables({ ciphers: ofWest }))
  return pair
}

function cipherIn(gateway: SimGateway): CipherName | undefined {
  return gateway.status().cipher
}

function assertCipher(pair: SimPair, expected: CipherName): void {
  assert.deepEqual([cipherIn(pair.east), cipherIn(pair.west)], [expected, expected])
}

/** A packet each way every `everyMs`. */
function talk(pair: SimPair, forMs: number, everyMs = 20): void {
  for (const endMs = pair.network.nowMs + forMs; pair.network.nowMs < endMs; ) {
    pair.sendEast()
    pair.sendWest()
    pair.network.runFor(everyMs)
  }
}

/** Every packet since the last look has arrived once and in order; how many there were. */
function assertWhole(pair: SimPair, sentByEach: number): void {
  for (const gateway of [pair.east, pair.west]) {
    const numbers = numbersOf(gateway.received)
    assert.equal(numbers.length, sentByEach)
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    )
    gateway.received.length = 0
  }
}

seeded('both ends enable AES: the first session has it, and nobody drops a thing', seed => {
  for (const ciphers of [aes, { enabled: 'auto', remote: every } as const]) {
    const pair = pairWith(seed, ciphers, ciphers)
    talk(pair, 10 * second)
    assertCipher(pair, aesName)
    assertWhole(pair, 500)
    for (const drops of [pair.east.counters('west').drops, pair.west.counters('east').drops]) {
      assert.deepEqual(drops, {})
    }
  }
})

seeded('a plain peer gets ChaCha20-Poly1305 from the first message on', seed => {
  const pair = pairWith(seed, { enabled: 'auto' }, undefined)
  talk(pair, 300 * second, 500)
  assertCipher(pair, chachaName)
  assertWhole(pair, 600)
  const { counters, drops } = pair.west.counters('east')
  assert.deepEqual(drops, {})
  assert.equal(
    counters['handshakes-received'],
    pair.east.counters('west').counters['handshakes-sent'],
  )
})

seeded('only the initiator has heard of it: the old session serves until the fallback', seed => {
  const pair = pairWith(seed, undefined, undefined)
  talk(pair, 6 * second)
  pair.east.apply(pair.eastTables({ ciphers: aes }))
  talk(pair, 30 * second)
  assertCipher(pair, chachaName)
  // Now the other end hears of it too, and asks for it.
  pair.west.apply(pair.westTables({ ciphers: aes }))
  talk(pair, 30 * second)
  assertCipher(pair, aesName)
  assertWhole(pair, 66 * 50)
})

seeded('only the responder has heard of it: nothing changes until the initiator does', seed => {
  const pair = pairWith(seed, undefined, undefined)
  talk(pair, 6 * second)
  pair.west.apply(pair.westTables({ ciphers: { enabled: every } }))
  talk(pair, 10 * second)
  assertCipher(pair, chachaName)
  pair.east.apply(pair.eastTables({ ciphers: aes }))
  talk(pair, second)
  assertCipher(pair, aesName)
  assertWhole(pair, 17 * 50)
})

seeded('ends that never hear of each other go on re-keying for an hour', seed => {
  const pair = pairWith(seed, aes, undefined, false)
  talk(pair, 12 * second, 100)
  assertCipher(pair, chachaName)
  pair.east.received.length = 0
  pair.west.received.length = 0
  talk(pair, 3600 * second, 100)
  pair.network.runFor(second)
  assertWhole(pair, 36_000)
  const { drops } = pair.west.counters('east')
  assert.equal(drops['cipher-not-enabled'], undefined, 'what no cable enables is not tried')
  assert.ok((pair.west.globalCounters.drops['handshake-decrypt-failed'] ?? 0) >= 2)
})

seeded(
  'ten swaps under traffic, over a link that delays: nothing lost, nothing reordered',
  seed => {
    const pair = pairWith(seed, chacha, chacha)
    pair.network.quality = { loss: 0, duplicate: 0, delayMs: 40, jitterMs: 0 }
    talk(pair, 6 * second, 10)
    for (let swap = 0; swap < 10; swap++) {
      const wanted = swap % 2 === 0 ? aes : chacha
      const apply = [
        () => pair.west.apply(pair.westTables({ ciphers: wanted })),
        () => pair.east.apply(pair.eastTables({ ciphers: wanted })),
      ]
      // In the same moment, so that the handshakes cross; or one side first.
      const apartMs = [0, 10, 500][swap % 3]
      if (swap % 4 > 1) apply.reverse()
      apply[0]()
      talk(pair, apartMs, 10)
      apply[1]()
      talk(pair, 6 * second - apartMs, 10)
      assertCipher(pair, swap % 2 === 0 ? aesName : chachaName)
    }
    pair.network.runFor(second)
    assertWhole(pair, 66 * 100)
    for (const drops of [pair.east.counters('west').drops, pair.west.counters('east').drops]) {
      assert.deepEqual(drops, {})
    }
  },
)

seeded('swaps over a bad link lose no more than the link does, and end where they should', seed => {
  const pair = pairWith(seed, chacha, chacha)
  pair.network.quality = { loss: 0.2, duplicate: 0.05, delayMs: 20, jitterMs: 50 }
  talk(pair, 60 * second, 50)
  for (let swap = 0; swap < 10; swap++) {
    const ciphers = swap % 2 === 0 ? aes : chacha
    pair.east.apply(pair.eastTables({ ciphers }))
    pair.west.apply(pair.westTables({ ciphers }))
    talk(pair, 30 * second, 50)
  }
  pair.network.runFor(second)
  pair.network.quality = { loss: 0, duplicate: 0, delayMs: 20, jitterMs: 0 }
  for (const gateway of [pair.east, pair.west]) {
    const numbers = numbersOf(gateway.received)
    assert.equal(new Set(numbers).size, numbers.length, 'a packet was delivered twice')
    assert.ok(numbers.length > 7200 * 0.75, `${numbers.length}`)
    gateway.received.length = 0
  }
  // With the link healed, one re-key brings what both prefer.
  talk(pair, 130 * second, 100)
  pair.network.runFor(second)
  assertCipher(pair, chachaName)
  assertWhole(pair, 1300)
})

seeded('a swap in the middle of a handshake is done after it', seed => {
  for (const afterMs of [0, 1, 4, 5, 9, 10, 14, 15, 20]) {
    const pair = pairWith(seed, chacha, chacha)
    pair.sendEast()
    pair.network.runFor(afterMs)
    pair.east.apply(pair.eastTables({ ciphers: aes }))
    talk(pair, 7 * second)
    pair.network.runFor(second)
    assertCipher(pair, aesName)
    assert.equal(numbersOf(pair.west.received).length, 351)
  }
})

seeded('a peer that stops offering AES, or comes back without it, is met with ChaCha', seed => {
  const pair = pairWith(seed, aes, aes)
  talk(pair, 6 * second)
  assertCipher(pair, aesName)
  pair.west.apply(pair.westTables())
  talk(pair, 6 * second)
  assertCipher(pair, chachaName)
  talk(pair, 250 * second, 100)
  pair.network.runFor(second)
  assertWhole(pair, 600 + 2500)
  // Another process without a session and without AES: the third attempt reaches it.
  pair.west.apply(pair.westTables({ ciphers: aes }))
  talk(pair, 12 * second, 100)
  assertCipher(pair, aesName)
  pair.restartWest()
  talk(pair, 40 * second, 100)
  pair.west.received.length = 0
  pair.east.received.length = 0
  talk(pair, 10 * second, 100)
  pair.network.runFor(second)
  assertCipher(pair, chachaName)
  assertWhole(pair, 100)
})

test('an AES session near its limit is renewed by the message count, and refuses beyond it', () => {
  const pair = pairWith(1, aes, aes)
  talk(pair, 6 * second, 100)
  const { east } = pair
  const handshakes = () => east.counters('west').counters['handshakes'] ?? 0
  const before = handshakes()
  const slot = east.currentSlot()
  const view = new DataView(east.memory.slots.buffer, slot * SLOT.BYTES, SLOT.BYTES)
  assert.equal(view.getUint32(SLOT.METHOD, true), method.aes256Gcm)
  assert.equal(cipherOf(method.aes256Gcm), aesName)
  view.setBigUint64(SLOT.SEND_COUNTER, 2n ** 27n - 2n, true)
  pair.sendEast()
  pair.network.runFor(second)
  assert.equal(handshakes(), before, 'not before the 2^27th message')
  pair.sendEast()
  pair.network.runFor(second)
  assert.equal(handshakes(), before + 1)
  // A new key does not come in time: what is beyond the limit is a counted drop, not a packet.
  pair.network.quality.loss = 1
  const next = new DataView(east.memory.slots.buffer, east.currentSlot() * SLOT.BYTES, SLOT.BYTES)
  next.setBigUint64(SLOT.SEND_COUNTER, 2n ** 28n - 1n, true)
  pair.sendEast()
  pair.sendEast()
  pair.network.runFor(second)
  assert.equal(east.counters('west').drops['key-exhausted'], 1)
})
