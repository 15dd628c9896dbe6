import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Hole, HoleCounter } from '../../../bench/holes.ts'

const travelMs = 0.5

function countHoles(arrivals: readonly (readonly [number: number, atMs: number])[]) {
  const holes: Hole[] = []
  const counter = new HoleCounter(hole => holes.push(hole))
  for (const [number, atMs] of arrivals) counter.take(number, atMs - travelMs, atMs)
  const times = holes.map(({ sinceMs, seenMs }) => [sinceMs, seenMs])
  return { holes: holes.map(({ lost, gapMs }) => [lost, gapMs]), times, ...counter.summary() }
}

test('a whole row has no hole', () => {
  const { holes, received, lost, longestGapMs, highest } = countHoles([
    [0, 10],
    [1, 11],
    [2, 15],
  ])
  assert.deepEqual([holes, received, lost, longestGapMs, highest], [[], 3, 0, 4, 2])
})

test('a hole has its size, and the time in which nothing came', () => {
  const { holes, received, lost } = countHoles([
    [0, 10],
    [4, 30],
    [5, 31],
    [7, 32],
  ])
  assert.deepEqual(holes, [
    [3, 20],
    [1, 1],
  ])
  assert.deepEqual([received, lost], [4, 4])
})

test('a hole lasts from the sending of the one before to the arrival of the one behind', () => {
  const { times } = countHoles([
    [0, 10],
    [4, 30],
  ])
  assert.deepEqual(times, [[9.5, 30]])
  assert.deepEqual(countHoles([[5, 1]]).times, [[0.5, 1]])
})

test('what comes late was not lost', () => {
  const { lost, late, received } = countHoles([
    [0, 1],
    [2, 2],
    [1, 3],
    [3, 4],
  ])
  assert.deepEqual([lost, late, received], [0, 1, 4])
})

test('what is missing before the first is lost too', () => {
  assert.equal(countHoles([[5, 1]]).lost, 5)
})
