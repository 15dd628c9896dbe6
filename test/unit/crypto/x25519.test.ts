import assert from 'node:assert/strict'
import { test } from 'node:test'
import { x25519 } from '@noble/curves/ed25519.js'
import {
  agree,
  importPrivateKey,
  importPublicKey,
  publicKeyOf,
} from '../../../src/crypto/x25519.ts'
import { fillRandom, fromHex, toHex } from '../../support/protocol-deps.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

function agreeBytes(secret: Uint8Array, point: Uint8Array): Uint8Array | undefined {
  return agree(importPrivateKey(secret), importPublicKey(point))
}

test('RFC 7748 section 5.2: one and a thousand iterations from the base point', () => {
  let k: Uint8Array = Uint8Array.of(9, ...new Uint8Array(31))
  let u: Uint8Array = k
  for (let i = 0; i < 1000; i++) {
    const next = agreeBytes(k, u)
    assert.ok(next !== undefined, `iteration ${i}`)
    u = k
    k = next
    if (i === 0) {
      const once = '422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079'
      assert.equal(toHex(k), once)
    }
  }
  assert.equal(toHex(k), '684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51')
})

test('public keys and secrets equal those of @noble/curves', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (let round = 0; round < 20; round++) {
    const a = fillRandom(random, new Uint8Array(32))
    const b = fillRandom(random, new Uint8Array(32))
    const publicB = publicKeyOf(importPrivateKey(b))
    assert.equal(toHex(publicB), toHex(x25519.getPublicKey(b)), `seed ${seed}`)
    const secret = agreeBytes(a, publicB)
    assert.ok(secret)
    assert.equal(toHex(secret), toHex(x25519.getSharedSecret(a, publicB)), `seed ${seed}`)
  }
})

test('points of low order are refused', () => {
  const points = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ]
  for (const point of points) {
    assert.equal(agreeBytes(new Uint8Array(32).fill(0x42), fromHex(point)), undefined, point)
  }
})
