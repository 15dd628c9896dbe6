import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorIn, lastWords } from '../../../src/lab/process.ts'

test('what a command of ours said last is its error, and what to try', () => {
  const rows = [
    ['', { error: '' }],
    ['hawser: no such thing\n', { error: 'no such thing' }],
    ['• looking\nhawser: no such thing\ntry: ls\n', { error: 'no such thing', hint: 'ls' }],
    ['try: ls\n', { error: '', hint: 'ls' }],
    ['2026-01-01 error it broke\n', { error: '2026-01-01 error it broke' }],
  ] as const
  for (const [text, expected] of rows) assert.deepEqual(errorIn(text), expected)
})

test('a program that said nothing is known by how it ended', () => {
  assert.equal(lastWords({ code: 7, stdout: '', stderr: '\n' }), 'exit code 7')
  assert.equal(lastWords({ code: 124, stdout: 'a\n', stderr: '' }), 'it did not end in time')
  assert.equal(lastWords({ code: 1, stdout: 'a\n', stderr: 'b\n\n' }), 'b')
})
