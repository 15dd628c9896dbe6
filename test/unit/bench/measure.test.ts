import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Patience, preferSecond } from '../../../bench/measure.ts'

const tries: readonly [
  first: { problems: string[]; foreignCores: number },
  second: { problems: string[]; foreignCores: number },
  second: boolean,
][] = [
  [{ problems: [], foreignCores: 0.4 }, { problems: [], foreignCores: 0.1 }, true],
  [{ problems: [], foreignCores: 0.3 }, { problems: [], foreignCores: 0.5 }, false],
  [{ problems: ['x'], foreignCores: 0 }, { problems: [], foreignCores: 0.5 }, true],
  [{ problems: [], foreignCores: 0.5 }, { problems: ['x'], foreignCores: 0 }, false],
  [{ problems: ['x'], foreignCores: 0.1 }, { problems: ['y'], foreignCores: 0.2 }, false],
]

test('of two tries the valid one is kept, of two valid ones the less disturbed', () => {
  for (const [first, second, expected] of tries) {
    assert.equal(preferSecond(first, second), expected, JSON.stringify([first, second]))
  }
})

test('patience is spent once and never negative', () => {
  const patience = new Patience(10)
  patience.spend(4)
  assert.equal(patience.leftSeconds, 6)
  patience.spend(60)
  assert.equal(patience.leftSeconds, 0)
})
