import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatTable, shorten } from '../../../src/cli/table.ts'
import { testSeed } from '../../support/rng.ts'

const columns = [{ title: 'CABLE' }, { title: 'REMOTE' }, { title: 'RX', align: 'right' }] as const
const rows = [
  ['west', '192.0.2.1:4500', '7'],
  ['the-cluster-in-the-far-north', '-', '12345'],
]

test('columns line up, three spaces apart, without spaces at the end', () => {
  assert.equal(
    formatTable(columns, rows),
    [
      'CABLE                          REMOTE              RX',
      'west                           192.0.2.1:4500       7',
      'the-cluster-in-the-far-north   -                12345',
      '',
    ].join('\n'),
  )
  assert.equal(formatTable([{ title: 'A' }, { title: 'B' }], [['x', '']]), 'A   B\nx\n')
})

test('on a terminal the widest column loses its middle', () => {
  assert.equal(
    formatTable(columns, rows, 42),
    [
      'CABLE               REMOTE              RX',
      'west                192.0.2.1:4500       7',
      'the-clus…ar-north   -                12345',
      '',
    ].join('\n'),
  )
})

test('no line is wider than the terminal, unless all columns are at their narrowest', () => {
  const cell = fc.string({ maxLength: 40, unit: 'grapheme-ascii' })
  fc.assert(
    fc.property(
      fc.array(fc.array(cell, { minLength: 4, maxLength: 4 }), { maxLength: 5 }),
      fc.integer({ min: 4 * 8 + 9, max: 200 }),
      (cells, width) => {
        const titles = ['A', 'B', 'C', 'D'].map(title => ({ title }))
        for (const line of formatTable(titles, cells, width).split('\n'))
          assert.ok([...line].length <= width)
      },
    ),
    { seed: testSeed() },
  )
})

test('both ends of a shortened text stay', () => {
  const cases: readonly [string, number, string][] = [
    ['abcdefghij', 10, 'abcdefghij'],
    ['abcdefghij', 9, 'abcd…ghij'],
    ['abcdefghij', 8, 'abcd…hij'],
    ['äöüäöüäöü', 5, 'äö…öü'],
  ]
  for (const [text, width, expected] of cases) assert.equal(shorten(text, width), expected)
})
