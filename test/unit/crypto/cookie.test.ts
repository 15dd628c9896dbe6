import assert from 'node:assert/strict'
import { test } from 'node:test'
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { blake2s } from '@noble/hashes/blake2.js'
import { CookieChecker, CookieHolder } from '../../../src/crypto/cookie.ts'
import { fillRandom, remoteRecord, toHex, xchacha } from '../../support/protocol-deps.ts'
import { seededRandom } from '../../support/rng.ts'

const publicKey = new Uint8Array(32).fill(5)
const remote = remoteRecord([192, 0, 2, 1], 51820)
const second = 1_000

function makeBoth(): { checker: CookieChecker; holder: CookieHolder } {
  const random = seededRandom(7)
  const checker = new CookieChecker(xchacha, bytes => fillRandom(random, bytes))
  checker.setPublicKey(publicKey)
  return { checker, holder: new CookieHolder(xchacha, publicKey) }
}

function initiation(): Uint8Array {
  return fillRandom(seededRandom(11), new Uint8Array(148)).fill(0, 116)
}

/** A holder that has the checker's cookie for `remote`. */
function withCookie(nowMs: number) {
  const both = makeBoth()
  const message = initiation()
  both.holder.stamp(message, nowMs)
  assert.ok(both.holder.take(both.checker.reply(message, 9, remote, nowMs), nowMs))
  return both
}

test('mac1 is the keyed hash of everything before it, mac2 is zero without a cookie', () => {
  const { checker, holder } = makeBoth()
  const message = initiation()
  holder.stamp(message, 0)
  const key = blake2s(Buffer.concat([Buffer.from('mac1----'), publicKey]))
  const expected = blake2s(message.subarray(0, 116), { key, dkLen: 16 })
  assert.equal(toHex(message.subarray(116, 132)), toHex(expected))
  assert.equal(toHex(message.subarray(132)), '00'.repeat(16))
  assert.ok(checker.hasMac1(message))
  assert.ok(!checker.hasMac2(message, remote, 0))
})

test('a changed byte anywhere before mac2 breaks mac1', () => {
  const { checker, holder } = makeBoth()
  const message = initiation()
  holder.stamp(message, 0)
  for (let i = 0; i < 132; i++) {
    message[i] ^= 1
    assert.ok(!checker.hasMac1(message), `byte ${i}`)
    message[i] ^= 1
  }
})

test('a cookie reply is what the whitepaper says, sealed by @noble', () => {
  const { checker, holder } = makeBoth()
  const message = initiation()
  holder.stamp(message, 0)
  const reply = checker.reply(message, 0x01020304, remote, 0)
  assert.equal(toHex(reply.subarray(0, 8)), '0300000004030201')
  const key = blake2s(Buffer.concat([Buffer.from('cookie--'), publicKey]))
  const mac1 = message.subarray(116, 132)
  const cookie = xchacha20poly1305(key, reply.subarray(8, 32), mac1).decrypt(reply.subarray(32))
  assert.equal(cookie.length, 16)
  assert.ok(holder.take(reply, 0))
  const next = initiation()
  holder.stamp(next, 5 * second)
  const mac2 = blake2s(next.subarray(0, 132), { key: cookie, dkLen: 16 })
  assert.equal(toHex(next.subarray(132)), toHex(mac2))
  assert.ok(checker.hasMac2(next, remote, 5 * second))
})

test('bug catalogue: a cookie is bound to the port, not to the address alone', () => {
  const { checker, holder } = withCookie(0)
  const message = initiation()
  holder.stamp(message, 0)
  assert.ok(checker.hasMac2(message, remote, 0))
  for (const port of [51821, 51820 ^ 0x100]) {
    assert.ok(!checker.hasMac2(message, remoteRecord([192, 0, 2, 1], port), 0), `port ${port}`)
  }
  assert.ok(!checker.hasMac2(message, remoteRecord([192, 0, 2, 2], 51820), 0))
})

test('all sixteen bytes of an IPv6 address count', () => {
  const { checker, holder } = makeBoth()
  const address = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
  const from = remoteRecord(address, 1)
  const message = initiation()
  holder.stamp(message, 0)
  assert.ok(holder.take(checker.reply(message, 9, from, 0), 0))
  holder.stamp(message, 0)
  assert.ok(checker.hasMac2(message, from, 0))
  assert.ok(!checker.hasMac2(message, remoteRecord([...address.slice(0, 15), 2], 1), 0))
})

test('the receiver forgets its secret after 120 s', () => {
  const { checker, holder } = withCookie(0)
  const message = initiation()
  holder.stamp(message, 100 * second)
  assert.ok(checker.hasMac2(message, remote, 119 * second))
  assert.ok(!checker.hasMac2(message, remote, 120 * second))
})

test('the sender stops using a cookie 5 s before that', () => {
  const { holder } = withCookie(0)
  const message = initiation()
  holder.stamp(message, 114 * second)
  assert.notEqual(toHex(message.subarray(132)), '00'.repeat(16))
  const later = initiation()
  holder.stamp(later, 115 * second)
  assert.equal(toHex(later.subarray(132)), '00'.repeat(16))
})

test('a reply is taken once, unchanged, and for the last message only', () => {
  const { checker, holder } = makeBoth()
  const message = initiation()
  assert.ok(!holder.take(checker.reply(message, 9, remote, 0), 0), 'nothing was sent')
  holder.stamp(message, 0)
  const reply = checker.reply(message, 9, remote, 0)
  for (let i = 8; i < 64; i++) {
    const forged = reply.slice()
    forged[i] ^= 1
    assert.ok(!holder.take(forged, 0), `byte ${i}`)
  }
  const other = initiation()
  other[9] ^= 1
  holder.stamp(other, 0)
  assert.ok(!holder.take(reply, 0), 'it answers the message before')
  const right = checker.reply(other, 9, remote, 0)
  assert.ok(holder.take(right, 0))
  assert.ok(!holder.take(right, 0), 'twice')
})
