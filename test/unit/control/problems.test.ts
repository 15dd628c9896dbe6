import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bounded, cut, listed, problem, problemsMost } from '../../../src/control/problems.ts'

test('texts that others wrote are cut', () => {
  const { object, message } = problem('x', 'c2', 'o'.repeat(1000), 'm'.repeat(1000))
  assert.equal(object.length, 400)
  assert.equal(message.length, 400)
  assert.equal(cut('abcdef', 4), 'abc…')
  assert.equal(cut('abcd', 4), 'abcd')
})

test('many problems are the first ones and a number', () => {
  const many = Array.from({ length: problemsMost + 7 }, (_, index) =>
    problem('x', '', '', `${index}`),
  )
  const kept = bounded(many)
  assert.equal(kept.length, problemsMost + 1)
  assert.deepEqual(kept[problemsMost], problem('more', '', '', 'and 7 more problems'))
  assert.equal(bounded(kept.slice(1)).length, problemsMost)
})

test('a list names the first five', () => {
  assert.equal(listed(['a', 'b']), 'a, b')
  assert.equal(listed(['a', 'b', 'c', 'd', 'e', 'f', 'g']), 'a, b, c, d, e and 2 more')
})
