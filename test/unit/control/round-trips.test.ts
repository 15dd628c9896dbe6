import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoundTrips, windowSamples } from '../../../src/control/round-trips.ts'
import type { Latency } from '../../../src/kube/resources/connection.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

function after(samples: Iterable<number>): Latency | undefined {
  const roundTrips = new RoundTrips()
  for (const sample of samples) roundTrips.add(sample)
  return roundTrips.latency()
}

/** last, min, average, max, standard deviation */
function row(latency: Latency | undefined): readonly number[] {
  if (latency === undefined) return []
  const { lastNs, minNs, averageNs, maxNs, stdDevNs } = latency
  return [lastNs, minNs, averageNs, maxNs, stdDevNs]
}

const vectors: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[], []],
  [[1000], [1000, 1000, 1000, 1000, 0]],
  [
    [1000, 2000],
    [2000, 1000, 1500, 2000, 500],
  ],
  // The textbook's: mean 5, standard deviation 2.
  [
    [2000, 4000, 4000, 4000, 5000, 5000, 7000, 9000],
    [9000, 2000, 5000, 9000, 2000],
  ],
  [
    [404_404, 347_347, 437_437, 311_311],
    [311_311, 311_311, 375_125, 437_437, 48_949],
  ],
  [
    [5, Number.NaN, -1, 5.4],
    [5, 5, 5, 5, 0],
  ],
]

for (const [samples, wanted] of vectors) {
  test(`${samples.length} samples: ${samples.join(', ')}`, () => {
    assert.deepEqual(row(after(samples)), wanted)
  })
}

test('the window slides: what is older than 1000 samples counts no more', () => {
  const old = Array.from({ length: 2500 }, () => 9e9)
  const recent = Array.from({ length: windowSamples }, (_, index) => (index % 2 === 0 ? 100 : 300))
  assert.deepEqual(row(after([...old, ...recent])), [300, 100, 200, 300, 100])
})

test('the same as arithmetic over the last 1000', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const samples = Array.from({ length: 3333 }, () => Math.floor(random() * 1e9))
  const last = samples.slice(-windowSamples)
  const mean = last.reduce((sum, sample) => sum + sample) / last.length
  const variance = last.reduce((sum, sample) => sum + (sample - mean) ** 2, 0) / last.length
  assert.deepEqual(
    row(after(samples)),
    [
      ...[samples[3332], Math.min(...last), Math.round(mean)],
      ...[Math.max(...last), Math.round(Math.sqrt(variance))],
    ],
    `HAWSER_SEED=${seed}`,
  )
})
