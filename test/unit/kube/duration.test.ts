import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatGoDuration, parseGoDuration } from '../../../src/kube/duration.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

/** What Go 1.26 prints for time.Duration(ns). */
const printed: readonly (readonly [ns: number, text: string])[] = [
  [0, '0s'],
  [1, '1ns'],
  [999, '999ns'],
  [1_000, '1\u00b5s'],
  [1_100, '1.1\u00b5s'],
  [388_079, '388.079\u00b5s'],
  [401_200, '401.2\u00b5s'],
  [999_999, '999.999\u00b5s'],
  [1_000_000, '1ms'],
  [1_796_365, '1.796365ms'],
  [10_000_000, '10ms'],
  [100_000_001, '100.000001ms'],
  [1_000_000_000, '1s'],
  [10_000_000_000, '10s'],
  [59_999_999_999, '59.999999999s'],
  [60_000_000_000, '1m0s'],
  [90_500_000_000, '1m30.5s'],
  [600_000_000_000, '10m0s'],
  [3_600_000_000_000, '1h0m0s'],
  [3_723_000_000_001, '1h2m3.000000001s'],
  [360_000_000_000_000, '100h0m0s'],
  [Number.MAX_SAFE_INTEGER, '2501h59m59.254740991s'],
  [-1_500_000_000, '-1.5s'],
]

test('durations are written as Go writes them', () => {
  for (const [ns, text] of printed) {
    assert.equal(formatGoDuration(ns), text)
    assert.equal(parseGoDuration(text), ns, text)
  }
})

const understood: readonly (readonly [text: string, ns: number])[] = [
  ['0', 0],
  ['+0', 0],
  ['-0s', 0],
  ['1.s', 1_000_000_000],
  ['.5s', 500_000_000],
  ['1us', 1_000],
  ['1\u03bcs', 1_000],
  ['1m1h', 3_660_000_000_000],
  ['0.0000000019s', 1],
  ['1h1h', 7_200_000_000_000],
  ['+5ms', 5_000_000],
]

test('whatever Go reads is read', () => {
  for (const [text, ns] of understood) assert.equal(parseGoDuration(text), ns, text)
})

test('what Go does not read is not read, nor what is beyond our numbers', () => {
  const wrong = ['', '3', '-', 's', '.s', '1 s', '1S', '1d', '1e3s', '1ms2', '--1s', '1s-1s', ' 1s']
  for (const text of [...wrong, '00', '2502h', `${'9'.repeat(90)}h`, '0s'.repeat(100)]) {
    assert.equal(parseGoDuration(text), undefined, text)
  }
})

test('every duration comes back', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (let run = 0; run < 2000; run++) {
    const ns = Math.floor(random() * 10 ** Math.floor(random() * 16))
    assert.equal(parseGoDuration(formatGoDuration(ns)), ns, `HAWSER_SEED=${seed}`)
  }
})
