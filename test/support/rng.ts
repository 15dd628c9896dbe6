// The one source of randomness in tests. A random test takes its seed from testSeed(), prints it when
// it fails, and repeats with HAWSER_SEED=<seed>.

import { randomInt } from 'node:crypto'

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** HAWSER_SEED, or a random one. */
export function testSeed(): number {
  const given = process.env['HAWSER_SEED']
  return given === undefined ? randomInt(2 ** 31) : Number(given)
}

/** Rounds of a test over random input. HAWSER_FEWER=10 leaves a tenth, where a round takes long. */
export function rounds(usual: number): number {
  const given = process.env['HAWSER_FEWER'] ?? '1'
  const fewer = Number(given)
  // Anything else would leave a test without a round, or without an end.
  if (!(fewer >= 1)) throw new Error(`HAWSER_FEWER=${given}: a number from 1 on is needed`)
  return Math.ceil(usual / fewer)
}
