import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quantile, summarize, summarizeRatio } from '../../../bench/statistics.ts'

test('the median of an odd number of values is the middle one, whatever their order', () => {
  assert.deepEqual(summarize([3, 1, 2]), { median: 2, min: 1, max: 3, count: 3 })
})

test('the median of an even number of values lies between the two in the middle', () => {
  assert.deepEqual(summarize([10, 1, 4, 2]), { median: 3, min: 1, max: 10, count: 4 })
})

test('values are compared as numbers, not as text', () => {
  assert.equal(summarize([9, 100, 10])?.median, 10)
})

test('nothing measured gives no summary', () => {
  assert.equal(summarize([]), null)
})

test('one wild round does not move the median', () => {
  assert.equal(summarize([5, 5.1, 0.2])?.median, 5)
})

const quantiles: readonly [values: number[], q: number, expected: number][] = [
  [[7], 0.99, 7],
  [[1, 2, 3, 4, 5], 0, 1],
  [[1, 2, 3, 4, 5], 1, 5],
  [[1, 2, 3, 4, 5], 0.25, 2],
  [[0, 10], 0.99, 9.9],
]

test('a quantile lies between its neighbours', () => {
  for (const [values, q, expected] of quantiles) {
    assert.equal(quantile(values, q), expected, `${q} of ${values}`)
  }
})

test('a ratio is taken within each round, so that a drift of both leaves it alone', () => {
  const above = new Map([
    [1, 10],
    [2, 20],
    [3, 40],
  ])
  const below = new Map([
    [1, 5],
    [2, 10],
    [3, 20],
  ])
  assert.deepEqual(summarizeRatio(above, below), { median: 2, min: 2, max: 2, count: 3 })
})

test('a round that one side lacks is left out of the ratio', () => {
  const above = new Map([
    [1, 10],
    [2, 99],
  ])
  assert.equal(summarizeRatio(above, new Map([[1, 4]]))?.median, 2.5)
  assert.equal(summarizeRatio(above, new Map([[3, 4]])), null)
  assert.equal(summarizeRatio(above, new Map([[1, 0]])), null)
})
