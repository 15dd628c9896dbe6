import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMicroTime, formatTime, parseTime } from '../../../src/kube/time.ts'

const ms = Date.UTC(2026, 10, 28, 7, 0, 5, 125)

test('times are read in the forms that a server sends', () => {
  assert.equal(parseTime('2026-11-28T07:00:05.125000Z'), ms)
  assert.equal(parseTime('2026-11-28T07:00:05.125999999Z'), ms)
  assert.equal(parseTime('2026-11-28T08:00:05.125+01:00'), ms)
  assert.equal(parseTime('2026-11-28T07:00:05Z'), ms - 125)
})

test('what is no time is none', () => {
  const wrong = ['', 'now', '2026-11-28', '2026-11-28 07:00:05Z', '2026-11-28T07:00:05']
  for (const text of [...wrong, '2026-13-28T07:00:05Z', '1764313205', 'Sat Nov 28 2026']) {
    assert.equal(parseTime(text), undefined, text)
  }
})

test('times are written in whole seconds, and with six digits', () => {
  assert.equal(formatTime(ms), '2026-11-28T07:00:05Z')
  assert.equal(formatMicroTime(ms), '2026-11-28T07:00:05.125000Z')
  assert.equal(parseTime(formatMicroTime(ms)), ms)
})
