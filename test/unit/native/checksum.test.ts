import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadTestNative } from '../../support/native.ts'
import { randomBytes } from '../../support/random-superpackets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { slowChecksum } from '../../support/slow/checksum.ts'

const { checksum } = loadTestNative().test

function check(bytes: Uint8Array, offset: number, length: number, seed?: number): void {
  const expected = slowChecksum(bytes.subarray(offset, offset + length))
  assert.equal(checksum(bytes, offset, length), expected, `${length} @ ${offset}, seed ${seed}`)
}

test('every length to 300 at every alignment', () => {
  const seed = testSeed()
  const bytes = randomBytes(seededRandom(seed), 400)
  for (let length = 0; length <= 300; length++) {
    for (let offset = 0; offset < 64; offset++) check(bytes, offset, length, seed)
  }
})

test('every length to 2 048, and the largest packet', () => {
  const seed = testSeed()
  const bytes = randomBytes(seededRandom(seed), 65_540)
  for (let length = 0; length <= 2048; length++) check(bytes, length & 7, length, seed)
  for (let length = 65_500; length <= 65_535; length++) check(bytes, 3, length, seed)
})

test('all zero and all ones, where the two zeros of the arithmetic meet', () => {
  for (const value of [0, 0xff]) {
    const bytes = new Uint8Array(65_535).fill(value)
    for (const length of [0, 1, 2, 3, 63, 64, 65, 128, 1420, 65_534, 65_535]) {
      check(bytes, 0, length)
    }
  }
})

test('the example of RFC 1071 section 3', () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
  assert.equal(checksum(bytes, 0, 8), 0xffff - 0xddf2)
})
