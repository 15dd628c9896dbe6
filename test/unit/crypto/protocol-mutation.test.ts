// Whatever arrives is dropped for a reason or answered, never thrown for: each byte of each message
// changed, every length, and noise.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CookieHolder } from '../../../src/crypto/cookie.ts'
import { drop } from '../../../src/tables/counters.ts'
import { fillRandom, xchacha } from '../../support/protocol-deps.ts'
import { makePair, type Party, type World } from '../../support/protocol-world.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

const mac2Bytes = 16

/** The reason for which a message went no further; `none` if it did. */
function judge(party: Party, from: Party, world: World, message: Uint8Array): number {
  const reason = party.protocol.receive(message, from.remote, world.nowMs)
  if (reason !== drop.none) return reason
  if (!party.protocol.step(world.nowMs, party.wallMs)) return drop.none
  return party.protocol.dropped.splice(0)[0]?.reason ?? drop.none
}

/** An initiation of `a` that has not arrived. */
function initiationUnderWay() {
  const pair = makePair()
  pair.world.loses = () => true
  pair.a.sendData()
  const [message] = pair.a.handshakes
  return { ...pair, message }
}

/** A response of `b` that has not arrived. */
function responseUnderWay() {
  const pair = makePair()
  pair.world.loses = (_, from) => from === pair.b
  pair.a.sendData()
  pair.world.run(10)
  const [message] = pair.b.handshakes
  return { ...pair, message }
}

function mutants(message: Uint8Array, end: number, from = 0): { at: number; bytes: Uint8Array }[] {
  const made = []
  for (let at = from; at < end; at++) {
    for (const bit of [0x01, 0x80, 0xff]) {
      const bytes = message.slice()
      bytes[at] ^= bit
      made.push({ at, bytes })
    }
  }
  return made
}

test('an initiation with any byte changed is dropped, and the true one still works', () => {
  const { world, a, b, message } = initiationUnderWay()
  for (const { at, bytes } of mutants(message, message.length - mac2Bytes)) {
    const expected = at < 4 ? drop.malformedDatagram : drop.badMac1
    assert.equal(judge(b, a, world, bytes), expected, `byte ${at}`)
  }
  assert.equal(judge(b, a, world, message), drop.none)
  b.work()
  assert.equal(b.installed.size, 1)
})

test('with its mac1 made right again, it is dropped by the handshake', () => {
  const { world, a, b, message } = initiationUnderWay()
  const holder = new CookieHolder(xchacha, b.publicKey)
  for (const { at, bytes } of mutants(message, 116, 8)) {
    holder.stamp(bytes, world.nowMs)
    assert.equal(judge(b, a, world, bytes), drop.handshakeDecryptFailed, `byte ${at}`)
  }
  assert.equal(judge(b, a, world, message), drop.none)
})

test('a response with any byte changed is dropped, and the true one still works', () => {
  const { world, a, b, message } = responseUnderWay()
  for (const { at, bytes } of mutants(message, message.length - mac2Bytes)) {
    const expected = at < 4 ? drop.malformedDatagram : drop.badMac1
    assert.equal(judge(a, b, world, bytes), expected, `byte ${at}`)
  }
  const holder = new CookieHolder(xchacha, a.publicKey)
  for (const { at, bytes } of mutants(message, 60, 8)) {
    holder.stamp(bytes, world.nowMs)
    const expected = at < 12 ? drop.unknownIndex : drop.presharedKeyMismatch
    assert.equal(judge(a, b, world, bytes), expected, `byte ${at}`)
  }
  assert.equal(judge(a, b, world, message), drop.none)
  a.work()
  assert.equal(a.current.size, 1)
})

test('a cookie reply with any byte changed is dropped, and the true one still works', () => {
  const { world, a, b, message } = initiationUnderWay()
  b.overload()
  b.work()
  assert.equal(b.protocol.receive(message, a.remote, world.nowMs), drop.none)
  const action = b.protocol.actions.pop()
  assert.ok(action?.kind === 'send')
  const reply = action.message
  for (const { at, bytes } of mutants(reply, reply.length)) {
    const inBody = at < 8 ? drop.unknownIndex : drop.badCookieReply
    const expected = at < 4 ? drop.malformedDatagram : inBody
    assert.equal(judge(a, b, world, bytes), expected, `byte ${at}`)
  }
  assert.equal(judge(a, b, world, reply), drop.none)
})

test('bug catalogue: every length but the right one is malformed, up to the largest datagram', () => {
  const { world, a, b } = makePair()
  for (const [type, right] of [
    [1, 148],
    [2, 92],
    [3, 64],
    [4, -1],
    [0, -1],
  ]) {
    for (let bytes = 0; bytes < 400; bytes++) {
      if (bytes === right) continue
      const message = new Uint8Array(bytes)
      if (bytes > 0) message[0] = type
      assert.equal(judge(b, a, world, message), drop.malformedDatagram, `${type}, ${bytes} bytes`)
    }
    const largest = new Uint8Array(65_507)
    largest[0] = type
    assert.equal(judge(b, a, world, largest), drop.malformedDatagram)
  }
})

test('noise is dropped, also when it carries a right mac1', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const { world, a, b } = makePair(seed)
  const holder = new CookieHolder(xchacha, b.publicKey)
  for (let round = 0; round < 600; round++) {
    const type = 1 + (round % 3)
    const message = fillRandom(random, new Uint8Array([148, 92, 64][type - 1]))
    message.set([type, 0, 0, 0])
    const isStamped = type !== 3 && random() < 0.5
    if (isStamped) holder.stamp(message, world.nowMs)
    const reason = judge(b, a, world, message)
    assert.notEqual(reason, drop.none, `seed ${seed}, round ${round}`)
    assert.equal(reason === drop.badMac1, type !== 3 && !isStamped, `seed ${seed}, round ${round}`)
  }
  a.sendData()
  world.run(100)
  assert.equal(b.received, 1)
})
