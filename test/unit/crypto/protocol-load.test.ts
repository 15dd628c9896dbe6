// An engine under load: cookies, the rate limit, the full queue.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CookieHolder } from '../../../src/crypto/cookie.ts'
import { implementation } from '../../../src/crypto/messages.ts'
import type { Protocol } from '../../../src/crypto/protocol.ts'
import { drop } from '../../../src/tables/counters.ts'
import { fillRandom, remoteRecord, xchacha } from '../../support/protocol-deps.ts'
import { makePair, type Party, World } from '../../support/protocol-world.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

const second = 1_000

/** A message with a right mac1 and nothing else, as who knows the public key can make. */
function junk(holder: CookieHolder, random: () => number, nowMs: number): Uint8Array {
  const message = fillRandom(random, new Uint8Array(148))
  message.fill(0, 132)
  message.set([1, 0, 0, 0])
  holder.stamp(message, nowMs)
  return message
}

function cookieOf(protocol: Protocol): Uint8Array {
  const action = protocol.actions.pop()
  assert.ok(action?.kind === 'send' && action.cable === -1, 'a cookie reply to a stranger')
  return action.message
}

/** A stranger that has got its cookie. */
function admitted(target: Party, from: Uint8Array, random: () => number, nowMs: number) {
  const holder = new CookieHolder(xchacha, target.publicKey)
  assert.equal(target.protocol.receive(junk(holder, random, nowMs), from, nowMs), drop.none)
  assert.ok(holder.take(cookieOf(target.protocol), nowMs))
  return () => target.protocol.receive(junk(holder, random, nowMs), from, nowMs)
}

function loaded(): { world: World; target: Party; random: () => number } {
  const world = new World()
  const target = world.add('target')
  target.overload()
  target.work()
  return { world, target, random: seededRandom(5) }
}

test('with an eighth of the queue full, a message without a cookie costs no curve operation', () => {
  const { world, target, random } = loaded()
  const holder = new CookieHolder(xchacha, target.publicKey)
  const from = remoteRecord([203, 0, 113, 1], 7)
  const message = junk(holder, random, world.nowMs)
  assert.equal(target.protocol.receive(message, from, world.nowMs), drop.none)
  const reply = target.protocol.actions.at(-1)
  assert.ok(reply?.kind === 'send')
  assert.deepEqual([reply.cable, reply.to, reply.initiation], [-1, from, false])
  assert.equal(reply.message.length, 64)
  assert.deepEqual(reply.message.subarray(4, 8), message.subarray(4, 8))
  let steps = 0
  while (target.protocol.step(world.nowMs, 0)) steps++
  assert.equal(steps, implementation.underLoadQueue)
})

test('the load lasts a second after the queue was last that full', () => {
  const { world, target, random } = loaded()
  while (target.protocol.step(world.nowMs, 0)) target.work()
  const holder = new CookieHolder(xchacha, target.publicKey)
  const from = remoteRecord([203, 0, 113, 1], 7)
  const { nowMs } = world
  target.protocol.receive(junk(holder, random, nowMs), from, nowMs + 999)
  assert.equal(target.protocol.actions.length, 1)
  target.protocol.receive(junk(holder, random, nowMs), from, nowMs + 1_000)
  assert.equal(target.protocol.actions.length, 1, 'queued without a cookie')
  assert.ok(target.protocol.step(nowMs, 0))
})

test('bug catalogue: under load each source has a rate of its own', () => {
  const { world, target, random } = loaded()
  const loud = admitted(target, remoteRecord([203, 0, 113, 1], 7), random, world.nowMs)
  const results = Array.from({ length: 20 }, loud)
  assert.equal(results.filter(reason => reason === drop.none).length, 5)
  assert.equal(results.filter(reason => reason === drop.rateLimited).length, 15)
  const quiet = admitted(target, remoteRecord([203, 0, 113, 2], 7), random, world.nowMs)
  assert.equal(quiet(), drop.none)
})

test('bug catalogue: a cookie for one port does not admit another', () => {
  const { world, target, random } = loaded()
  const holder = new CookieHolder(xchacha, target.publicKey)
  const { nowMs } = world
  target.protocol.receive(junk(holder, random, nowMs), remoteRecord([203, 0, 113, 1], 7), nowMs)
  assert.ok(holder.take(cookieOf(target.protocol), nowMs))
  const again = junk(holder, random, nowMs)
  target.protocol.receive(again, remoteRecord([203, 0, 113, 1], 8), nowMs)
  cookieOf(target.protocol)
})

test('a full queue drops the newest, with a reason', () => {
  const { world, target, random } = loaded()
  let queued = implementation.underLoadQueue
  for (let host = 0; queued < implementation.handshakeQueue; host++) {
    const from = remoteRecord([203, 0, host >> 8, host], 7)
    const send = admitted(target, from, random, world.nowMs)
    for (let i = 0; i < 5 && queued < implementation.handshakeQueue; i++, queued++) {
      assert.equal(send(), drop.none)
    }
  }
  const late = admitted(target, remoteRecord([198, 51, 100, 1], 7), random, world.nowMs)
  assert.equal(late(), drop.handshakeQueueFull)
})

test('bug catalogue: cookies admit the hundredth handshake and those after it', () => {
  const seed = testSeed()
  const { world, a, b } = makePair(seed)
  const rounds = 130
  const done: number[] = []
  for (let round = 0; round < rounds; round++) {
    // Only the message of `a` is worked off: the strangers' cost time and show nothing here.
    b.overload()
    a.restartSession()
    const before = a.count('handshake')
    a.sendData()
    world.run(5.4 * second)
    if (a.count('handshake') > before) done.push(round)
  }
  const late = done.filter(round => round >= 100)
  assert.ok(b.count('cookie') > 5, `${b.count('cookie')} cookies, seed ${seed}`)
  assert.ok(done.length > 110, `${done.length} of ${rounds}, seed ${seed}`)
  assert.ok(late.length >= 25, `rounds ${late.join(' ')}, seed ${seed}`)
})

test('a legitimate peer gets through a flood of strangers', () => {
  const { world, a, b } = makePair(3)
  b.overload()
  a.sendData()
  world.run(100)
  assert.equal(b.received, 0)
  b.overload()
  world.run(4 * second)
  b.overload()
  world.run(2 * second)
  assert.equal(b.received, 1, 'with its cookie, 5 s later')
  assert.equal(a.count('initiation'), 2)
})
