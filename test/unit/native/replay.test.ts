import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REPLAY } from '../../../src/tables/shared.ts'
import { loadTestNative } from '../../support/native.ts'
import { below, pick } from '../../support/random-superpackets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { replayWindow, SlowReplay } from '../../support/slow/replay.ts'

const { acceptCounter } = loadTestNative().test

// The sequences of the Linux driver's self-test (src/selftest/counter.c), with our limit. The limit
// itself is checked by the caller, before anything is decrypted.
const reject = 2 ** 53
const lim = replayWindow + 1

type Case = readonly [counter: number, accepted: boolean]

const single: readonly Case[] = [
  [0, true],
  [1, true],
  [1, false],
  [9, true],
  [8, true],
  [7, true],
  [7, false],
  [lim, true],
  [lim - 1, true],
  [lim - 1, false],
  [lim - 2, true],
  [2, true],
  [2, false],
  [lim + 16, true],
  [3, false],
  [lim + 16, false],
  [lim * 4, true],
  [lim * 4 - (lim - 1), true],
  [10, false],
  [lim * 4 - lim, false],
  [lim * 4 - (lim + 1), false],
  [lim * 4 - (lim - 2), true],
  [lim * 4 + 1 - lim, false],
  [0, false],
  [reject, false],
  [reject - 1, true],
  [reject, false],
  [reject - 1, false],
  [reject - 2, true],
  [reject + 2, false],
  [reject + 4, false],
  [reject - 2, false],
  [reject - 3, true],
  [0, false],
]

function upFrom(first: number, last: number): Case[] {
  return Array.from({ length: last - first + 1 }, (_, i) => [first + i, true] as const)
}

function downTo(last: number, first: number): Case[] {
  return upFrom(last, first).reverse()
}

const sequences: readonly [string, readonly Case[]][] = [
  ['34 single cases', single],
  ['the window upwards, then its lower end', [...upFrom(1, lim - 1), [0, true], [0, false]]],
  ['the window upwards from 2', [...upFrom(2, lim), [1, true], [0, false]]],
  ['the window downwards', downTo(0, lim - 1)],
  ['one more downwards', [...downTo(1, lim), [0, false]]],
  ['downwards, then one above', [...downTo(1, lim - 1), [lim, true], [0, false]]],
  ['downwards, then both ends', [...downTo(1, lim - 1), [0, true], [lim, true]]],
]

function accept(window: Uint8Array, counter: number): boolean {
  return counter < reject && acceptCounter(window, BigInt(counter))
}

for (const [what, cases] of sequences) {
  test(`counter.c: ${what}`, () => {
    const window = new Uint8Array(REPLAY.BYTES)
    cases.forEach(([counter, accepted], i) => {
      assert.equal(accept(window, counter), accepted, `step ${i + 1}, counter ${counter}`)
    })
  })
}

test('random counters as a set would judge them', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (let round = 0; round < 40; round++) {
    const window = new Uint8Array(REPLAY.BYTES)
    const twin = new SlowReplay()
    let newest = BigInt(pick(random, [0, 1, 8127, 8128, 8192, 2 ** 32 - 5, 2 ** 53]))
    const spread = pick(random, [4, 64, 8000, 8140, 20_000])
    for (let i = 0; i < 3000; i++) {
      const step = BigInt(below(random, spread)) - BigInt(Math.floor(spread * 0.6))
      const counter = newest + step < 0n ? 0n : newest + step
      const accepted = twin.accept(counter)
      assert.equal(acceptCounter(window, counter), accepted, `${counter}, seed ${seed}`)
      if (counter > newest) newest = counter
    }
  }
})

test('a leap forgets everything, and the window still holds', () => {
  for (const leap of [63n, 64n, 65n, 8127n, 8128n, 8129n, 8191n, 8192n, 8193n, 2n ** 40n]) {
    const window = new Uint8Array(REPLAY.BYTES)
    const twin = new SlowReplay()
    for (const counter of [0n, 5n, leap, leap - 1n, 5n, 0n, leap - 8128n, leap - 8129n]) {
      if (counter < 0n) continue
      assert.equal(acceptCounter(window, counter), twin.accept(counter), `${leap}: ${counter}`)
    }
  }
})

test('the largest counters do not wrap', () => {
  const window = new Uint8Array(REPLAY.BYTES)
  assert.equal(acceptCounter(window, 2n ** 64n - 2n), true)
  assert.equal(acceptCounter(window, 2n ** 64n - 1n), false)
  assert.equal(acceptCounter(window, 2n ** 64n - 2n), false)
  assert.equal(acceptCounter(window, 0n), false)
})
