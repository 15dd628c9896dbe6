import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PeerCiphers } from '../../../src/crypto/protocol.ts'
import { drop } from '../../../src/tables/counters.ts'
import { method } from '../../../src/tables/shared.ts'
import { makePair, type Packet, type Party, World } from '../../support/protocol-world.ts'

const second = 1000
const chacha: PeerCiphers = { accepted: ['chacha20-poly1305'], preferred: 'chacha20-poly1305' }
const aes: PeerCiphers = {
  accepted: ['aes-256-gcm', 'chacha20-poly1305'],
  preferred: 'aes-256-gcm',
}
/** Takes AES when the peer begins with it, and begins with ChaCha20-Poly1305 itself. */
const takesAes: PeerCiphers = { ...aes, preferred: 'chacha20-poly1305' }

function methodOf(party: Party, cable = 0): number | undefined {
  return party.current.get(cable)?.method
}

function choose(world: World, party: Party, ciphers: PeerCiphers, cable = 0): void {
  party.protocol.setCiphers(cable, ciphers, world.nowMs)
  party.work()
}

function pairWith(ofA: PeerCiphers, ofB: PeerCiphers) {
  const { world, a, b } = makePair()
  choose(world, a, ofA)
  choose(world, b, ofB)
  return { world, a, b }
}

/** With a session that a has begun, and the 5 s over in which it may begin no other. */
function established(ofA: PeerCiphers, ofB: PeerCiphers) {
  const pair = pairWith(ofA, ofB)
  const { world, a, b } = pair
  a.sendData()
  world.run(6 * second)
  assert.equal(b.received, 1)
  b.received = 0
  a.events.length = 0
  return pair
}

/** Sends every 100 ms both ways; returns how many packets each side sent. */
function talk(world: World, a: Party, b: Party, forMs: number): number {
  let sent = 0
  for (; sent < forMs / 100; sent++) {
    a.sendData()
    b.sendData()
    world.run(100)
  }
  return sent
}

function isInitiation(packet: Packet): boolean {
  return packet.kind === 'handshake' && packet.bytes[0] === 1
}

test('the initiator chooses, the responder answers with the same cipher', () => {
  for (const [ofA, ofB, expected] of [
    [aes, aes, method.aes256Gcm],
    [aes, takesAes, method.aes256Gcm],
    [takesAes, aes, method.chacha20Poly1305],
    [chacha, aes, method.chacha20Poly1305],
  ] as const) {
    const { world, a, b } = pairWith(ofA, ofB)
    a.sendData()
    world.run(second)
    assert.deepEqual([methodOf(a), methodOf(b)], [expected, expected])
    assert.equal(b.received, 1)
    assert.deepEqual([...a.drops, ...b.drops], [])
  }
})

test('a peer that has the cipher not enabled counts it, and is met on the third attempt', () => {
  const { world, a, b } = pairWith(aes, chacha)
  a.sendData()
  world.run(9.9 * second)
  assert.equal(b.received, 0)
  // Nobody else on this device enables it: its construction is not even tried.
  assert.deepEqual(b.drops, [drop.handshakeDecryptFailed, drop.handshakeDecryptFailed])
  world.run(2 * second)
  assert.deepEqual([methodOf(a), methodOf(b)], [method.chacha20Poly1305, method.chacha20Poly1305])
  assert.equal(b.received, 1)
  assert.equal(a.count('initiation'), 3)
})

test('a cipher that another cable enables is told apart from garbage', () => {
  const world = new World()
  const [a, b, c] = ['a', 'b', 'c'].map(name => world.add(name))
  a.addPeer(b)
  b.addPeer(a)
  b.addPeer(c, { cable: 1 })
  choose(world, a, aes)
  choose(world, b, aes, 1)
  a.sendData()
  world.run(second)
  assert.deepEqual(b.drops, [drop.cipherNotEnabled])
  b.protocol.removePeer(1)
  world.run(6 * second)
  assert.deepEqual(b.drops, [drop.cipherNotEnabled, drop.handshakeDecryptFailed])
})

test('every third attempt falls back, the others do not', () => {
  const { world, a, b } = pairWith(aes, aes)
  const isAes: boolean[] = []
  world.loses = packet => isInitiation(packet)
  a.sendData()
  world.run(44 * second)
  // The others are opened by a device of the same keys that knows ChaCha20-Poly1305 alone.
  choose(world, b, chacha)
  for (const bytes of a.handshakes) {
    b.drops.length = 0
    b.protocol.receive(bytes, a.remote, world.nowMs)
    b.protocol.step(world.nowMs, b.wallMs)
    b.work()
    isAes.push(b.drops.length > 0)
    world.run(30)
  }
  const [yes, no] = [true, false]
  assert.deepEqual(isAes, [yes, yes, no, yes, yes, no, yes, yes, no])
})

test('a changed cipher re-keys at once while the session goes on', () => {
  const { world, a, b } = established(chacha, chacha)
  talk(world, a, b, 10 * second)
  choose(world, b, takesAes)
  choose(world, a, aes)
  assert.equal(a.count('initiation'), 0, 'not in the same call: a tick makes it')
  world.run(10)
  assert.equal(a.count('initiation'), 1)
  assert.equal(b.count('initiation'), 0, 'what it begins with has not changed')
  assert.deepEqual([methodOf(a), methodOf(b)], [method.aes256Gcm, method.aes256Gcm])
  talk(world, a, b, 10 * second)
  // And back, asked for by the other side.
  choose(world, b, chacha)
  talk(world, a, b, 10 * second)
  assert.deepEqual([methodOf(a), methodOf(b)], [method.chacha20Poly1305, method.chacha20Poly1305])
  assert.deepEqual([a.received, b.received], [300, 300])
  assert.deepEqual([...a.drops, ...b.drops], [])
})

test('changes in quick succession keep initiations 5 s apart and end with the last one', () => {
  const { world, a, b } = established(chacha, takesAes)
  for (let change = 0; change < 20; change++) {
    choose(world, a, change % 2 === 0 ? chacha : aes)
    talk(world, a, b, 500)
  }
  talk(world, a, b, 12 * second)
  assert.deepEqual([methodOf(a), methodOf(b)], [method.aes256Gcm, method.aes256Gcm])
  const times = a.times('initiation')
  for (let i = 1; i < times.length; i++) assert.ok(times[i] - times[i - 1] >= 5 * second)
  assert.equal(a.received, b.received)
  assert.deepEqual([...a.drops, ...b.drops], [])
})

test('a change while a handshake is under way is followed by one with the new cipher', () => {
  const { world, a, b } = pairWith(chacha, takesAes)
  a.sendData()
  choose(world, a, aes)
  world.run(1000)
  assert.equal(methodOf(a), method.chacha20Poly1305, 'what was begun is finished')
  talk(world, a, b, 6 * second)
  assert.equal(methodOf(a), method.aes256Gcm)
  assert.equal(a.count('initiation'), 2)
})

test("a change is not forgotten over the peer's own handshake", () => {
  const { world, a, b } = established(chacha, takesAes)
  world.loses = (packet, from) => from === a && isInitiation(packet)
  choose(world, a, aes)
  world.run(second)
  b.protocol.wantHandshake(0, world.nowMs, b.wallMs)
  talk(world, a, b, 2 * second)
  assert.equal(methodOf(a), method.chacha20Poly1305)
  assert.ok(b.count('initiation') > 0)
  world.loses = () => false
  talk(world, a, b, 6 * second)
  assert.deepEqual([methodOf(a), methodOf(b)], [method.aes256Gcm, method.aes256Gcm])
})

test('a change that the peer does not follow ends with the fallback, and is not asked for again', () => {
  const { world, a, b } = established(chacha, chacha)
  choose(world, a, aes)
  talk(world, a, b, 60 * second)
  assert.equal(a.count('initiation'), 3)
  assert.deepEqual([methodOf(a), methodOf(b)], [method.chacha20Poly1305, method.chacha20Poly1305])
  assert.deepEqual([a.received, b.received], [600, 600])
})

test('both ends change at the same time to different wishes: it settles', () => {
  const { world, a, b } = established(chacha, chacha)
  choose(world, a, aes)
  choose(world, b, takesAes)
  talk(world, a, b, 60 * second)
  assert.ok(a.count('initiation') + b.count('initiation') <= 4)
  assert.deepEqual([a.received, b.received], [600, 600])
})

test('a cipher that is taken away while in use is replaced, whoever began with it', () => {
  const { world, a, b } = established(aes, takesAes)
  assert.equal(methodOf(b), method.aes256Gcm)
  choose(world, b, chacha)
  talk(world, a, b, 6 * second)
  assert.deepEqual([methodOf(a), methodOf(b)], [method.chacha20Poly1305, method.chacha20Poly1305])
  // The peer still believes in AES at its next re-key; nothing is lost over it.
  talk(world, a, b, 300 * second)
  assert.equal(a.received, b.received)
  assert.equal(a.received, 3060)
})

test('the limits of the new key follow the MTU', () => {
  const { world, a } = pairWith(aes, aes)
  a.protocol.setMtu(0, 8920)
  a.sendData()
  world.run(second)
  assert.equal(a.current.get(0)?.rejectAfterMessages, 2 ** 26)
})

test('either role re-keys on the message count of AES-256-GCM', () => {
  for (const counter of [2 ** 27 - 1, 2 ** 27]) {
    const { world, a, b } = pairWith(aes, aes)
    a.sendData()
    world.run(6 * second)
    const keypair = b.current.get(0)
    assert.ok(keypair && !keypair.initiator)
    b.protocol.authenticated(keypair, true, world.nowMs, counter)
    b.work()
    world.run(second)
    assert.equal(b.count('initiation'), counter < 2 ** 27 ? 0 : 1)
  }
})
