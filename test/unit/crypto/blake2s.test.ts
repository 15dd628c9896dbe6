import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blake2s } from '@noble/hashes/blake2.js'
import { expand, extract } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import {
  equalMac,
  hashInto,
  hmacInto,
  kdf1,
  kdf2,
  kdf3,
  macInto,
  wipeScratch,
} from '../../../src/crypto/blake2s.ts'
import { fillRandom, toHex } from '../../support/protocol-deps.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

function hash(bytes: Uint8Array, outBytes = 32): Uint8Array {
  const out = new Uint8Array(outBytes)
  hashInto(out, bytes)
  return out
}

function mac(key: Uint8Array, bytes: Uint8Array, outBytes = 32): Uint8Array {
  const out = new Uint8Array(outBytes)
  macInto(out, key, bytes)
  return out
}

test('RFC 7693 appendix B: the hash of "abc"', () => {
  assert.equal(
    toHex(hash(Buffer.from('abc'))),
    '508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982',
  )
})

test('RFC 7693 appendix E: the self-test over lengths and keys', () => {
  function sequence(bytes: number, seed: number): Uint8Array {
    let a = Math.imul(0xdead4bad, seed)
    let b = 1
    return Uint8Array.from({ length: bytes }, () => {
      const sum = (a + b) | 0
      a = b
      b = sum
      return sum >>> 24
    })
  }
  const digests: Uint8Array[] = []
  for (const outBytes of [16, 20, 28, 32]) {
    for (const inBytes of [0, 3, 64, 65, 255, 1024]) {
      const input = sequence(inBytes, inBytes)
      digests.push(hash(input, outBytes), mac(sequence(outBytes, outBytes), input, outBytes))
    }
  }
  assert.equal(
    toHex(hash(Buffer.concat(digests))),
    '6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe',
  )
})

test('hash, MAC, HMAC and key derivation equal those of @noble/hashes', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (let round = 0; round < 300; round++) {
    const where = `seed ${seed}, round ${round}`
    const input = fillRandom(random, new Uint8Array(Math.floor(random() * 300)))
    const key = fillRandom(random, new Uint8Array(32))
    const cut = Math.floor(random() * input.length)
    const [head, tail] = [input.subarray(0, cut), input.subarray(cut)]
    const out = new Uint8Array(32)
    hashInto(out, head, tail)
    assert.equal(toHex(out), toHex(blake2s(input)), where)
    const short = new Uint8Array(16)
    macInto(short, key, head, tail)
    assert.equal(toHex(short), toHex(blake2s(input, { key, dkLen: 16 })), where)
    hmacInto(out, key, head, tail)
    assert.equal(toHex(out), toHex(hmac(blake2s, key, input)), where)
    const derived = expand(blake2s, extract(blake2s, input, key), new Uint8Array(0), 96)
    const [t1, t2, t3] = [new Uint8Array(32), new Uint8Array(32), new Uint8Array(32)]
    kdf3(t1, t2, t3, key, input)
    assert.equal(toHex(Buffer.concat([t1, t2, t3])), toHex(derived), where)
  }
})

test('the outputs of a key derivation may overwrite its key', () => {
  const key = new Uint8Array(32).fill(7)
  const input = Buffer.from('input')
  const [one, two] = [new Uint8Array(32), new Uint8Array(32)]
  kdf2(one, two, key, input)
  const [chain, second] = [key.slice(), new Uint8Array(32)]
  kdf2(chain, second, chain, input)
  assert.deepEqual([chain, second], [one, two])
  const only = key.slice()
  kdf1(only, only, input)
  assert.deepEqual(only, one)
})

test('wiping between two hashes does not disturb the second', () => {
  const before = toHex(hash(Buffer.from('abc')))
  wipeScratch()
  assert.equal(toHex(hash(Buffer.from('abc'))), before)
})

test('MACs compare by all of their bytes and their length', () => {
  const a = new Uint8Array(16).fill(1)
  assert.ok(equalMac(a, a.slice()))
  for (let i = 0; i < 16; i++) {
    const b = a.slice()
    b[i] ^= 0x80
    assert.ok(!equalMac(a, b), `byte ${i}`)
  }
  assert.ok(!equalMac(a, a.subarray(1)))
})
