import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Keypair, KeypairPlaces } from '../../../src/crypto/keypair.ts'
import { method } from '../../../src/tables/shared.ts'

function make(
  localIndex: number,
  initiator: boolean,
  methodCode: number = method.chacha20Poly1305,
  mtuBytes = 1420,
) {
  return new Keypair({
    cable: 3,
    localIndex,
    remoteIndex: 2,
    initiator,
    method: methodCode,
    mtuBytes,
    createdMs: 1_000,
    sendKey: new Uint8Array(32).fill(0xab),
    receiveKey: new Uint8Array(32).fill(0xcd),
  })
}

test('bug catalogue: message limits are beyond 32 bits, where a short counter would wrap', () => {
  const keypair = make(1, true)
  assert.equal(keypair.rekeyAtMessages, 2 ** 52)
  assert.equal(keypair.rejectAfterMessages, 2 ** 53)
  assert.equal(BigInt(keypair.rejectAfterMessages), 2n ** 53n)
})

test('AES-256-GCM has its own message limits, by the size of packets (RFC 9001 B.1.1)', () => {
  for (const [mtuBytes, messages] of [
    [68, 2 ** 28],
    [1420, 2 ** 28],
    [2048, 2 ** 28],
    [2049, 2 ** 26],
    [9216, 2 ** 26],
    [9217, 2 ** 23],
    [65_535, 2 ** 23],
  ]) {
    const keypair = make(1, false, method.aes256Gcm, mtuBytes)
    assert.equal(keypair.rejectAfterMessages, messages, `${mtuBytes}`)
    assert.equal(keypair.rekeyAtMessages, messages / 2, `${mtuBytes}`)
  }
  assert.equal(make(1, false, method.chacha20Poly1305, 65_535).rejectAfterMessages, 2 ** 53)
})

test('both ends reject after 180 s, the initiator alone renews after 120 s', () => {
  assert.equal(make(1, true).rekeyAtMs, 121_000)
  assert.equal(make(1, false).rekeyAtMs, Number.POSITIVE_INFINITY)
  assert.equal(make(1, false).rejectAtMs, 181_000)
  const places = new KeypairPlaces()
  places.takeInitiated(make(1, true))
  assert.ok(places.usable(180_999))
  assert.equal(places.usable(181_000), undefined)
})

function placesOf({ previous, current, next, older }: KeypairPlaces) {
  return [previous, current, next, ...older].map(keypair => keypair?.localIndex ?? 0)
}

test('an initiated keypair is current at once, and the one before is previous', () => {
  const places = new KeypairPlaces()
  const [a, b, c, d] = [1, 2, 3, 4].map(index => make(index, true))
  assert.deepEqual(places.takeInitiated(a), [])
  assert.deepEqual(places.takeInitiated(b), [])
  assert.deepEqual(places.takeInitiated(c), [])
  assert.deepEqual(placesOf(places), [2, 3, 0, 1])
  assert.deepEqual(places.takeInitiated(d), [a])
  assert.deepEqual(placesOf(places), [3, 4, 0, 2])
  assert.deepEqual(places.dropOlder(), [b])
  assert.ok(!places.has(b) && places.has(c))
})

test('an answered keypair waits as next, and drops the next before it', () => {
  const places = new KeypairPlaces()
  const [a, b, c, d] = [make(1, true), make(2, true), make(3, false), make(4, false)]
  places.takeInitiated(a)
  places.takeInitiated(b)
  assert.deepEqual(places.takeAnswered(c), [])
  assert.deepEqual(places.takeAnswered(d), [c])
  assert.deepEqual(placesOf(places), [1, 2, 4])
  assert.deepEqual(places.promote(), [])
  assert.deepEqual(placesOf(places), [2, 4, 0, 1])
  assert.deepEqual(places.promote(), [a])
})

test('handshakes that cross keep all that either side may still be sending with', () => {
  const places = new KeypairPlaces()
  const [a, b, c] = [make(1, true), make(2, false), make(3, true)]
  places.takeInitiated(a)
  places.takeAnswered(b)
  assert.deepEqual(places.takeInitiated(c), [])
  assert.deepEqual(placesOf(places), [2, 3, 0, 1])
  // They cross again: the peer sends with 2, which it began, until it has seen the new ones.
  const [d, e] = [make(4, false), make(5, true)]
  places.takeAnswered(d)
  assert.deepEqual(places.takeInitiated(e), [a])
  assert.deepEqual(placesOf(places), [4, 5, 0, 3, 2])
  assert.deepEqual(places.clear(), [c, b, d, e])
  assert.deepEqual(placesOf(places), [0, 0, 0])
})

test('keys are not printed, and wiping clears both', () => {
  const keypair = make(1, true)
  for (const text of [inspect(keypair), JSON.stringify(keypair), inspect({ keypair })]) {
    assert.doesNotMatch(text, /171|205|abab|cdcd|Key:/, text)
  }
  keypair.wipe()
  assert.ok([...keypair.sendKey, ...keypair.receiveKey].every(byte => byte === 0))
})
