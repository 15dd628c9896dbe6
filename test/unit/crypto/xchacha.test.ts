import assert from 'node:assert/strict'
import { test } from 'node:test'
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { fillRandom, toHex, xchacha } from '../../support/protocol-deps.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

test('libsodium and @noble/ciphers agree, and a changed tag opens nothing', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (let length = 0; length < 100; length++) {
    const key = fillRandom(random, new Uint8Array(32))
    const nonce = fillRandom(random, new Uint8Array(24))
    const additional = fillRandom(random, new Uint8Array(length % 17))
    const plain = fillRandom(random, new Uint8Array(length))
    const sealed = xchacha.seal(key, nonce, additional, plain)
    const expected = xchacha20poly1305(key, nonce, additional).encrypt(plain)
    assert.equal(toHex(sealed), toHex(expected), `seed ${seed}, length ${length}`)
    assert.deepEqual(xchacha.open(key, nonce, additional, sealed), plain)
    sealed[sealed.length - 1] ^= 1
    assert.equal(xchacha.open(key, nonce, additional, sealed), undefined)
  }
})
