import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLater, Stamps } from '../../../src/crypto/tai64n.ts'
import { toHex } from '../../support/protocol-deps.ts'

function next(stamps: Stamps, wallMs: number): Uint8Array {
  const out = new Uint8Array(12)
  stamps.next(wallMs, out)
  return out
}

test('a stamp is TAI64N with whitened nanoseconds', () => {
  // 1 s + 17 ms: 17 000 000 ns is one step of 2^24 and a bit.
  assert.equal(toHex(next(new Stamps(), 1_017)), '400000000000000b01000000')
  assert.equal(toHex(next(new Stamps(), 0)), '400000000000000a00000000')
  // After 2106, when seconds no longer fit 32 bits.
  assert.equal(toHex(next(new Stamps(), 2 ** 32 * 1000)), '400000010000000a00000000')
})

test('stamps tell no more than 17 ms of the clock', () => {
  for (let ms = 0; ms < 1000; ms += 7) {
    const stamp = next(new Stamps(), 5_000 + ms)
    assert.equal(toHex(stamp.subarray(9)), '000000', `${ms} ms`)
  }
})

test('bug catalogue: a clock that goes backwards does not make an older stamp', () => {
  const stamps = new Stamps()
  let before = next(stamps, 1_700_000_000_123)
  for (const wallMs of [1_700_000_000_123, 1_600_000_000_000, 0, 1_700_000_000_000]) {
    for (let i = 0; i < 100; i++) {
      const after = next(stamps, wallMs)
      assert.ok(isLater(after, before), `${wallMs}, ${i}`)
      assert.ok(!isLater(before, after))
      before = after
    }
  }
  const caughtUp = next(stamps, 1_700_001_000_000)
  assert.equal(toHex(caughtUp), toHex(next(new Stamps(), 1_700_001_000_000)))
})

test('equal stamps are not later', () => {
  const stamp = next(new Stamps(), 77)
  assert.ok(!isLater(stamp, stamp.slice()))
})
