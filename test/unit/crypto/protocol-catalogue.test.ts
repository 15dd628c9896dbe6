// The bugs that other userspace implementations of WireGuard had and fixed, each as a test, and what
// belongs beside them: live changes of settings, and who is refused for which reason.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CookieHolder } from '../../../src/crypto/cookie.ts'
import { chachaSuite, writeInitiation } from '../../../src/crypto/noise.ts'
import { Protocol } from '../../../src/crypto/protocol.ts'
import {
  agree,
  importPrivateKey,
  importPublicKey,
  publicKeyOf,
} from '../../../src/crypto/x25519.ts'
import { drop } from '../../../src/tables/counters.ts'
import {
  nobleAead,
  protocolDeps,
  remoteRecord,
  toHex,
  xchacha,
} from '../../support/protocol-deps.ts'
import { makePair, type Packet, World } from '../../support/protocol-world.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

const second = 1_000

function established(seed = 1) {
  const pair = makePair(seed)
  pair.a.sendData()
  pair.world.run(6 * second)
  assert.equal(pair.b.received, 1)
  return pair
}

function isType(packet: Packet, type: number): boolean {
  return packet.kind === 'handshake' && packet.bytes[0] === type
}

test('bug catalogue: a response older than 250 ms is accepted', () => {
  for (const lateMs of [251, 2_000, 4_900]) {
    const { world, a, b } = makePair()
    const held: Packet[] = []
    world.loses = packet => isType(packet, 2) && held.push(packet) > 0
    a.sendData()
    world.run(lateMs)
    world.loses = () => false
    a.deliver(held[0], b)
    world.run(100)
    assert.equal(b.received, 1, `${lateMs} ms`)
    assert.equal(a.count('initiation'), 1, `${lateMs} ms`)
  }
})

test('bug catalogue: a clock that goes backwards does not stop handshakes', () => {
  const { world, a, b } = established()
  for (const clockMs of [-3_600_000, -1_000_000_000, 5 * second]) {
    a.clockMs = clockMs
    a.restartSession()
    world.run(5 * second)
    a.sendData()
    world.run(second)
  }
  assert.equal(b.received, 4)
  assert.deepEqual(b.drops, [])
})

test('bug catalogue: a new preshared key holds from the next handshake, the session goes on', () => {
  const { world, a, b } = established()
  const key = new Uint8Array(32).fill(9)
  a.protocol.setPresharedKey(0, key)
  b.protocol.setPresharedKey(0, key)
  a.sendData()
  world.run(second)
  assert.equal(b.received, 2, 'the session was not touched')
  a.restartSession()
  a.sendData()
  world.run(second)
  assert.equal(b.received, 3, 'both have the new key')
  b.protocol.setPresharedKey(0, undefined)
  world.run(6 * second)
  a.restartSession()
  a.sendData()
  world.run(second)
  assert.equal(b.received, 3, 'one has it no more')
  assert.deepEqual(a.drops, [drop.presharedKeyMismatch])
  a.protocol.setPresharedKey(0, undefined)
  world.run(6 * second)
  assert.equal(b.received, 4, 'the retry succeeds')
})

test('bug catalogue: indices are random words, not a sequence', () => {
  const seed = testSeed()
  const { world, a } = makePair(seed)
  world.loses = () => true
  a.sendData()
  for (let i = 0; i < 40; i++) {
    a.sendData()
    world.run(5.4 * second)
  }
  const indices = a.handshakes.map(bytes => Buffer.from(bytes).readUInt32LE(4))
  assert.ok(indices.length >= 40, `seed ${seed}`)
  assert.equal(new Set(indices).size, indices.length, `seed ${seed}`)
  assert.ok(new Set(indices.map(index => index >>> 24)).size > 20, `seed ${seed}`)
  const steps = new Set(indices.slice(1).map((index, i) => index - indices[i]))
  assert.equal(steps.size, indices.length - 1, `seed ${seed}`)
})

test('an index that is taken is not given again', () => {
  const world = new World()
  const [, one, two] = [world.add('own'), world.add('one'), world.add('two')]
  const deps = protocolDeps(seededRandom(3))
  let words = 0
  const random = (bytes: Uint8Array): void => {
    deps.random(bytes)
    // Jitter and index alternate; the first words are all the same.
    if (bytes.length === 4) bytes.fill(words++ < 6 ? 0x11 : words)
  }
  const protocol = new Protocol({ ...deps, random })
  protocol.setPrivateKey(new Uint8Array(32).fill(1), 0)
  protocol.addPeer(0, { publicKey: one.publicKey, keepaliveSeconds: 0 }, 0)
  protocol.addPeer(1, { publicKey: two.publicKey, keepaliveSeconds: 0 }, 0)
  protocol.wantHandshake(0, 0, 0)
  protocol.wantHandshake(1, 0, 0)
  const indices = protocol.actions.flatMap(action =>
    action.kind === 'send' ? [toHex(action.message.subarray(4, 8))] : [],
  )
  assert.equal(indices.length, 2)
  assert.equal(indices[0], '11111111')
  assert.notEqual(indices[0], indices[1])
})

test('bug catalogue: adding a peer that is there updates it and keeps its session', () => {
  const { world, a, b } = established()
  a.addPeer(b, { keepaliveSeconds: 20, presharedKey: new Uint8Array(32).fill(1) })
  a.sendData()
  world.run(100)
  assert.equal(b.received, 2)
  assert.equal(a.count('retired'), 0)
  const before = a.count('keepalive')
  // The new interval begins with b's second passive keepalive, 20 s after its first data.
  world.run(33 * second)
  assert.equal(a.count('keepalive'), before)
  world.run(2 * second)
  assert.equal(a.count('keepalive'), before + 1)
})

test('another public key makes it another peer: the session ends', () => {
  const { world, a, b } = established()
  const c = world.add('c')
  c.addPeer(a)
  a.addPeer(c)
  assert.equal(a.installed.size, 0)
  a.sendData()
  world.run(second)
  assert.deepEqual([b.received, c.received], [1, 1])
})

test('a public key that moves to another cable leaves the first', () => {
  const { a, b } = established()
  a.addPeer(b, { cable: 7 })
  assert.equal(a.installed.size, 0)
  a.protocol.wantHandshake(0, 2_000_000, 0)
  assert.deepEqual(a.protocol.actions, [])
  a.protocol.wantHandshake(7, 2_000_000, 0)
  assert.equal(a.protocol.actions.length, 1)
})

test('a removed peer is forgotten at once', () => {
  const { world, a, b } = established()
  b.protocol.removePeer(0)
  b.work()
  assert.equal(b.installed.size, 0)
  assert.equal(b.protocol.nextDeadlineMs(), Number.POSITIVE_INFINITY)
  a.restartSession()
  a.sendData()
  world.run(second)
  assert.deepEqual(b.drops, [drop.unknownPeer])
})

test('a new private key ends all sessions, and holds in the next', () => {
  const { world, a, b } = established()
  const old = a.publicKey
  a.setSecret(new Uint8Array(32).fill(0x77))
  assert.equal(a.installed.size, 0)
  assert.notDeepEqual(a.publicKey, old)
  a.sendData()
  world.run(second)
  assert.deepEqual(b.drops, [drop.unknownPeer])
  b.addPeer(a)
  world.run(6 * second)
  assert.equal(b.received, 2)
})

test('the same private key again changes nothing', () => {
  const { a } = established()
  a.setSecret(new Uint8Array(32).fill(1))
  assert.equal(a.installed.size, 1)
})

test('without a private key nothing is sent or accepted; with one, what waits begins at once', () => {
  const { world, a, b } = makePair()
  a.protocol.setPrivateKey(undefined, world.nowMs)
  assert.equal(a.protocol.publicKey, undefined)
  a.sendData()
  b.sendData()
  world.run(2 * second)
  assert.equal(a.count('initiation'), 0)
  assert.deepEqual(a.drops, [drop.badMac1])
  a.setSecret(new Uint8Array(32).fill(1))
  world.run(100)
  assert.equal(b.received, 1)
})

test('a peer with our own key is never spoken with', () => {
  const world = new World()
  const a = world.add('a')
  a.addPeer(a, { keepaliveSeconds: 25 })
  a.sendData()
  world.run(200 * second)
  assert.equal(a.count('initiation'), 0)
  assert.equal(a.count('send'), 0)
})

test('an initiation in our own name is refused', () => {
  const world = new World()
  const [a, thief] = [world.add('a'), world.add('thief')]
  const privateKey = importPrivateKey(new Uint8Array(32).fill(1))
  const publicKey = publicKeyOf(privateKey)
  assert.deepEqual(publicKey, a.publicKey)
  const publicKeyObject = importPublicKey(publicKey)
  const staticStatic = agree(privateKey, publicKeyObject)
  assert.ok(staticStatic)
  const peer = { publicKey, publicKeyObject, staticStatic }
  const message = new Uint8Array(148)
  message.set([1, 0, 0, 0, 5, 6, 7, 8])
  writeInitiation(
    nobleAead,
    chachaSuite,
    { privateKey, publicKey },
    peer,
    new Uint8Array(32).fill(5),
    new Uint8Array(12).fill(1),
    message.subarray(8, 116),
  )
  new CookieHolder(xchacha, publicKey).stamp(message, world.nowMs)
  a.deliver({ kind: 'handshake', bytes: message }, thief)
  assert.deepEqual(a.drops, [drop.ownKey])
})

test('a peer whose key is a point of low order is kept, and never spoken with', () => {
  const { world, a } = makePair()
  a.protocol.addPeer(1, { publicKey: new Uint8Array(32), keepaliveSeconds: 5 }, world.nowMs)
  world.run(100 * second)
  assert.equal(a.count('initiation'), 0)
})

test('bug catalogue: no roaming on a cookie reply, but on handshake messages', () => {
  const { world, a, b } = makePair()
  a.sendData()
  world.run(second)
  assert.deepEqual(a.roamedTo, [b.remote])
  b.remote = remoteRecord([198, 51, 100, 7], 99)
  b.restartSession()
  world.run(6 * second)
  b.sendData()
  world.run(second)
  assert.deepEqual(a.roamedTo.at(-1), b.remote)
  assert.equal(a.received, 1, 'the response went to the new address')
  const roamed = a.roamedTo.length
  b.overload()
  world.run(5 * second)
  a.restartSession()
  a.sendData()
  world.run(10)
  assert.equal(b.count('cookie') > 0, true)
  assert.equal(a.roamedTo.length, roamed)
  assert.equal(a.count('initiation'), 2, 'and it does not trigger a resend')
})

test('a replayed initiation is refused by its timestamp', () => {
  const { world, a, b } = established()
  const [initiation] = a.handshakes
  b.deliver({ kind: 'handshake', bytes: initiation }, a)
  assert.deepEqual(b.drops, [drop.replayedTimestamp])
  assert.equal(b.installed.size, 1)
  a.sendData()
  world.run(10)
  assert.equal(b.received, 2)
})

test('initiations within 20 ms of each other are a flood', () => {
  const { world, a, b } = established()
  a.restart()
  a.sendData()
  world.run(5)
  a.restart()
  a.clockMs = 50
  a.sendData()
  world.run(5)
  assert.deepEqual(b.drops, [drop.initiationFlood])
  world.run(6 * second)
  assert.equal(b.received, 3, 'the retry is in time')
})

test('a replayed response finds no handshake', () => {
  const { world, a, b } = established()
  const [response] = b.handshakes
  a.deliver({ kind: 'handshake', bytes: response }, b)
  assert.deepEqual(a.drops, [drop.responseMismatch])
  a.restart()
  a.deliver({ kind: 'handshake', bytes: response }, b)
  assert.deepEqual(a.drops, [drop.responseMismatch, drop.unknownIndex])
  world.run(second)
})

test('either side asks for new keys when the messages received reach their number', () => {
  const { world, a, b } = established()
  const keypair = b.current.get(0)
  assert.ok(keypair)
  b.protocol.authenticated(keypair, true, world.nowMs, 2 ** 52 - 1)
  world.run(100)
  assert.equal(b.count('initiation'), 0)
  b.protocol.authenticated(keypair, true, world.nowMs, 2 ** 52)
  world.run(6 * second)
  assert.equal(b.count('initiation'), 1)
  assert.equal(a.count('response'), 1)
})

test('secrets are wiped: every random key that was drawn, and the keys of retired keypairs', () => {
  const drawn: Uint8Array[] = []
  const { world, a, b } = makePair()
  a.watchRandom(bytes => drawn.push(bytes))
  b.watchRandom(bytes => drawn.push(bytes))
  a.sendData()
  world.run(second)
  const ephemerals = drawn.filter(bytes => bytes.length === 32)
  assert.equal(ephemerals.length, 2)
  for (const bytes of ephemerals) assert.ok(bytes.every(byte => byte === 0))
  const keypairs = [a, b].flatMap(party => [...party.installed.values()])
  world.run(600 * second)
  assert.equal(keypairs.length, 2)
  for (const { keypair } of keypairs) {
    assert.ok([...keypair.sendKey, ...keypair.receiveKey].every(byte => byte === 0))
  }
})
