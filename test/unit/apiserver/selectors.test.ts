// Selectors that do not parse, values with signs in them, and ages.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { podKind, secretKind } from '../../../src/apiserver/builtin-kinds.ts'
import { age } from '../../../src/apiserver/columns.ts'
import { parseSelectors, selectedName } from '../../../src/apiserver/selectors.ts'

const body = {
  metadata: { name: 'a', namespace: 'n', labels: { 'x.io/a-b': '1_2.c', in: 'in' } },
  type: 'a,b=c\\d',
  spec: { hostNetwork: true },
}

test('labels', () => {
  const matching = [
    '',
    ' ',
    'x.io/a-b=1_2.c',
    'x.io/a-b in (0,1_2.c)',
    'in',
    'in in (in)',
    ' in , !out ',
  ]
  const other = [
    'x.io/a-b=1',
    'x.io/a-b!=1_2.c',
    '!in',
    'in notin (in)',
    'constructor',
    'toString=x',
  ]
  const wrong = ['=', 'a=b=c', 'a b', '!a=b', 'a in', 'a in b', 'a in (b', '-a', ',a', 'a,,b']
  const matches = (text: string) => parseSelectors(secretKind, text, '').matches(body)
  for (const text of matching) assert.equal(matches(text), true, text)
  for (const text of other) assert.equal(matches(text), false, text)
  for (const text of wrong) assert.throws(() => matches(text), { code: 400 }, text)
})

test('fields', () => {
  const matches = (text: string, kind = secretKind) => parseSelectors(kind, '', text).matches(body)
  for (const text of [
    '',
    'metadata.name=a',
    'metadata.name==a,metadata.namespace!=x',
    'type=a\\,b\\=c\\\\d',
  ]) {
    assert.equal(matches(text), true, text)
  }
  assert.equal(matches('type=a'), false)
  assert.equal(matches('spec.hostNetwork=true', podKind), true)
  for (const text of ['data.x=1', 'metadata.uid=1', 'metadata.name', '=x']) {
    assert.throws(() => matches(text), { code: 400 }, text)
  }
})

test('the name that a selector lets through', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['metadata.name=a', 'a'],
    ['metadata.namespace=n,metadata.name==a', 'a'],
    ['metadata.name!=a', ''],
    ['metadata.namespace!=x\\,metadata.name=a', ''],
    ['', ''],
  ]
  for (const [text, name] of rows) assert.equal(selectedName(secretKind, text), name, text)
})

test('ages are written as kubectl writes them', () => {
  const rows: readonly (readonly [number, string])[] = [
    [-5, '<invalid>'],
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [130, '2m10s'],
    [10 * 60 + 5, '10m'],
    [3 * 3600 - 1, '179m'],
    [3 * 3600 + 60, '3h1m'],
    [8 * 3600, '8h'],
    [47 * 3600, '47h'],
    [48 * 3600, '2d'],
    [50 * 3600, '2d2h'],
    [100 * 24 * 3600, '100d'],
    [800 * 24 * 3600, '2y70d'],
    [9 * 365 * 24 * 3600, '9y'],
  ]
  const time = '2026-11-28T12:00:00Z'
  for (const [seconds, text] of rows) {
    assert.equal(age(time, Date.parse(time) + seconds * 1000), text)
  }
  assert.equal(age('', 0), '<unknown>')
})
