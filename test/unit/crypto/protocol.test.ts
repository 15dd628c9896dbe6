// Two engines on a virtual clock: sessions, their renewal and their end, timer by timer.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drop } from '../../../src/tables/counters.ts'
import { makePair, type Packet, type Party, World } from '../../support/protocol-world.ts'
import { testSeed } from '../../support/rng.ts'

const second = 1_000

function isHandshake(type: number): (packet: Packet) => boolean {
  return packet => packet.kind === 'handshake' && packet.bytes[0] === type
}

/** Data every `everyMs` in each direction that is named. */
function talk(world: World, parties: readonly Party[], forMs: number, everyMs = second): void {
  for (let ms = 0; ms < forMs; ms += everyMs) {
    for (const party of parties) party.sendData()
    world.run(everyMs)
  }
}

/** A session that `a` initiated, with nothing pending. */
function established(seed = 1) {
  const pair = makePair(seed)
  pair.a.sendData()
  pair.world.run(second)
  assert.equal(pair.b.received, 1)
  return pair
}

test('one packet makes a session: initiation, response, the packet and a keepalive', () => {
  const { a, b } = established()
  assert.deepEqual([a.count('initiation'), a.count('response')], [1, 0])
  assert.deepEqual([b.count('initiation'), b.count('response')], [0, 1])
  assert.deepEqual([a.count('handshake'), b.count('handshake')], [1, 1])
  assert.equal(b.keepalivesReceived, 1, 'key confirmation')
  assert.equal(a.current.get(0)?.initiator, true)
  assert.equal(b.current.get(0)?.initiator, false)
  assert.equal(b.count('promoted'), 1)
  assert.deepEqual([...a.drops, ...b.drops], [])
})

test('the responder does not send with its keys before the initiator has', () => {
  const { world, a, b } = makePair()
  world.loses = packet => packet.kind === 'data'
  a.sendData()
  world.run(second)
  assert.equal(b.installed.size, 1)
  assert.equal(b.current.size, 0)
  b.sendData()
  assert.equal(b.waiting.get(0), 1)
})

test('with the same preshared key there is a session, with another one there is none', () => {
  for (const [mine, theirs, works] of [
    [7, 7, true],
    [7, 8, false],
    [7, undefined, false],
  ] as const) {
    const world = new World()
    const [a, b] = [world.add('a'), world.add('b')]
    a.addPeer(b, { presharedKey: new Uint8Array(32).fill(mine) })
    b.addPeer(a, theirs === undefined ? {} : { presharedKey: new Uint8Array(32).fill(theirs) })
    a.sendData()
    world.run(second)
    assert.equal(b.received, works ? 1 : 0)
    assert.deepEqual(a.drops, works ? [] : [drop.presharedKeyMismatch])
  }
})

test('the initiator renews at 120 s when it sends, and nothing is lost', () => {
  const { world, a, b } = established()
  talk(world, [a, b], 119 * second - second)
  assert.equal(a.count('initiation'), 1)
  talk(world, [a, b], 4 * second)
  assert.equal(a.count('initiation'), 2)
  assert.equal(b.count('initiation'), 0, 'the responder leaves it to the initiator')
  assert.equal(b.received, 1 + 122)
  assert.equal(a.received, 122)
  talk(world, [a, b], 600 * second)
  assert.equal(b.received, 1 + 722)
  assert.deepEqual([...a.drops, ...b.drops], [])
  assert.ok(a.installed.size <= 2 && b.installed.size <= 2, 'old keypairs are retired')
})

test('an initiator that only receives renews in the last minute, once', () => {
  const { world, a, b } = established()
  world.run(163 * second)
  b.sendData()
  world.run(100)
  assert.equal(a.count('initiation'), 1, 'not before 165 s')
  world.run(second)
  world.loses = isHandshake(1)
  b.sendData()
  world.run(100)
  assert.equal(a.count('initiation'), 2)
  talk(world, [b], 4 * second, 100)
  assert.equal(a.count('initiation'), 2, 'not for every packet')
  world.loses = () => false
  talk(world, [b], 40 * second)
  assert.equal(b.count('initiation'), 0)
  assert.equal(a.received, 2 + 40 + 40)
})

test('a session is rejected after 180 s: nothing is opened or sent under it any more', () => {
  const { world, a, b } = established()
  world.run(179 * second - 1)
  const keypair = a.current.get(0)
  assert.ok(keypair)
  assert.ok(world.nowMs >= keypair.rejectAtMs - second)
  world.run(second)
  world.loses = isHandshake(1)
  a.sendData()
  assert.equal(a.waiting.get(0), 1, 'no usable key')
  world.run(10)
  assert.equal(b.received, 1)
})

test('data that nobody answers is answered with a keepalive after 10 s', () => {
  const { world, a, b } = established()
  const before = a.keepalivesReceived
  world.run(8.9 * second)
  assert.equal(a.keepalivesReceived, before)
  world.run(0.3 * second)
  assert.equal(a.keepalivesReceived, before + 1)
  world.run(60 * second)
  assert.equal(a.keepalivesReceived, before + 1)
  assert.equal(b.count('keepalive'), 1)
})

test('data within these 10 s earns another keepalive 10 s later', () => {
  const { world, a, b } = established()
  world.run(5 * second)
  a.sendData()
  world.run(60 * second)
  assert.equal(b.count('keepalive'), 2)
})

test('data sent the other way is answer enough', () => {
  const { world, b } = established()
  world.run(second)
  b.sendData()
  world.run(60 * second)
  assert.equal(b.count('keepalive'), 0)
})

test('bug catalogue: keepalives do not answer keepalives', () => {
  const { world, a, b } = established()
  world.run(11 * second)
  const total = a.count('keepalive') + b.count('keepalive')
  world.run(160 * second)
  assert.equal(a.count('keepalive') + b.count('keepalive'), total)
})

test('a silent peer is handshaken with after 15 s and up to 334 ms', () => {
  const { world, a } = established()
  world.run(20 * second)
  a.sendData()
  const sentMs = world.nowMs
  world.loses = () => true
  world.run(30 * second)
  const [, secondInitiation] = a.times('initiation')
  assert.ok(secondInitiation >= sentMs + 15 * second, `after ${secondInitiation - sentMs} ms`)
  assert.ok(secondInitiation <= sentMs + 15.334 * second, `after ${secondInitiation - sentMs} ms`)
  assert.ok(a.count('clearSource') > 0)
})

test('a peer that answers is left alone', () => {
  const { world, a, b } = established()
  talk(world, [a, b], 100 * second, 5 * second)
  assert.equal(a.count('initiation') + b.count('initiation'), 1)
})

test('initiations are retried every 5 s until 90 s have passed, then given up', () => {
  const { world, a } = makePair()
  world.loses = () => true
  a.sendData()
  const startMs = world.nowMs
  world.run(300 * second)
  const times = a.times('initiation')
  assert.ok(times.length >= 17 && times.length <= 18, `${times.length} initiations`)
  for (const [i, atMs] of times.slice(1).entries()) {
    const spacing = atMs - times[i]
    assert.ok(spacing >= 5 * second && spacing < 5.334 * second, `${spacing} ms`)
  }
  assert.deepEqual(a.times('gaveUp'), [startMs + 90 * second])
  assert.equal(a.waiting.size, 0)
  assert.equal(a.count('clearSource'), times.length - 1, 'each retry lets the kernel choose anew')
})

test('bug catalogue: retries carry jitter', () => {
  const { world, a } = makePair()
  world.loses = () => true
  a.sendData()
  world.run(80 * second)
  const times = a.times('initiation')
  const spacings = new Set(times.slice(1).map((atMs, i) => atMs - times[i]))
  assert.ok(spacings.size >= times.length / 2, `${[...spacings]}`)
})

test('packets that are still coming extend the 90 s', () => {
  const { world, a } = makePair()
  world.loses = () => true
  talk(world, [a], 200 * second)
  assert.equal(a.count('gaveUp'), 0)
  world.run(89 * second)
  assert.equal(a.count('gaveUp'), 1)
})

test('after giving up, the next packet begins anew', () => {
  const { world, a, b } = makePair()
  world.loses = () => true
  a.sendData()
  world.run(120 * second)
  world.loses = () => false
  a.sendData()
  world.run(second)
  assert.equal(b.received, 1)
})

test('everything is forgotten 540 s after the last session', () => {
  const { world, a, b } = established()
  world.run(538 * second)
  assert.deepEqual([a.installed.size, b.installed.size], [1, 1])
  world.run(2 * second)
  assert.deepEqual([a.installed.size, b.installed.size], [0, 0])
  assert.deepEqual([a.current.size, b.current.size], [0, 0])
  world.run(3_600 * second)
  assert.equal(a.protocol.nextDeadlineMs(), Number.POSITIVE_INFINITY, 'an idle peer costs nothing')
  a.sendData()
  world.run(second)
  assert.equal(b.received, 2)
})

test('both sides initiate at the same moment: both sessions work at once', () => {
  const seed = testSeed()
  const { world, a, b } = makePair(seed)
  a.sendData()
  b.sendData()
  world.run(second)
  assert.deepEqual([a.received, b.received], [1, 1], `seed ${seed}`)
  talk(world, [a, b], 300 * second)
  assert.deepEqual([a.received, b.received], [301, 301], `seed ${seed}`)
})

test('a peer that restarted is found again, whoever speaks first', () => {
  const { world, a, b } = established()
  world.run(30 * second)
  b.restart()
  b.sendData()
  world.run(second)
  assert.equal(a.received, 1)
  a.restart()
  world.run(60 * second)
  talk(world, [b], 30 * second)
  assert.ok(a.received > 10, `${a.received} after the restart`)
})

test('persistent keepalive: at once, then after each quiet interval, in renewed sessions', () => {
  const { world, a, b } = makePair()
  a.protocol.setKeepalive(0, 25, world.nowMs)
  world.run(10)
  assert.equal(a.count('handshake'), 1, 'switching it on sends at once')
  const before = b.keepalivesReceived
  world.run(250 * second)
  assert.equal(
    b.keepalivesReceived - before,
    12,
    '10 intervals, and two new sessions with their own',
  )
  assert.ok(a.count('initiation') >= 2, 'the session is renewed for keepalives too')
  a.protocol.setKeepalive(0, 0, world.nowMs)
  const off = b.keepalivesReceived
  world.run(100 * second)
  assert.equal(b.keepalivesReceived, off)
})

test('persistent keepalive is put off by traffic in either direction', () => {
  const { world, a, b } = makePair()
  a.protocol.setKeepalive(0, 25, world.nowMs)
  world.run(10)
  const before = a.count('keepalive')
  talk(world, [a], 50 * second)
  talk(world, [b], 5 * second)
  world.run(19 * second)
  // Passive keepalives for b's first data and for the data after it, no persistent one.
  assert.equal(a.count('keepalive'), before + 2)
})

test('a device that is down does nothing, and speaks to keepalive peers when it comes up', () => {
  const { world, a, b } = established()
  a.protocol.setKeepalive(0, 5, world.nowMs)
  a.protocol.suspend()
  a.work()
  assert.equal(a.installed.size, 0)
  assert.equal(a.protocol.nextDeadlineMs(), Number.POSITIVE_INFINITY)
  const initiations = a.count('initiation')
  a.protocol.wantHandshake(0, world.nowMs, a.wallMs)
  world.run(60 * second)
  assert.equal(a.count('initiation'), initiations)
  // What a peer asks for meanwhile is not answered, and not taken for a wrong key.
  b.protocol.wantHandshake(0, world.nowMs, b.wallMs)
  b.work()
  world.run(second)
  assert.equal(a.drops.at(-1), drop.deviceDown)
  assert.equal(a.count('response'), 0)
  a.protocol.resume(world.nowMs)
  world.run(second)
  assert.equal(a.count('initiation'), initiations + 1)
  assert.equal(b.installed.size, 2)
})

test('a tick makes at most one initiation, and the others follow', () => {
  const world = new World()
  const hub = world.add('hub')
  for (let cable = 0; cable < 20; cable++) {
    const peer = world.add(`peer ${cable}`)
    peer.addPeer(hub)
    hub.protocol.addPeer(cable, { publicKey: peer.publicKey, keepaliveSeconds: 25 }, world.nowMs)
  }
  for (let made = 1; made <= 20; made++) {
    assert.ok(hub.protocol.nextDeadlineMs() <= world.nowMs)
    hub.protocol.tick(world.nowMs, hub.wallMs)
    const sends = hub.protocol.actions.filter(({ kind }) => kind === 'send')
    assert.equal(sends.length, made)
  }
  assert.ok(hub.protocol.nextDeadlineMs() > world.nowMs)
})
