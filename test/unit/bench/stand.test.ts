import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeMachine } from '../../../bench/machine.ts'
import { UsageError } from '../../../bench/options.ts'
import { type BenchProgram, parseFlags, textOf, usageOf } from '../../../bench/stand.ts'

const program: BenchProgram<'peers' | 'rounds', number> = {
  name: 'demo',
  about: 'About it.',
  programs: [],
  numbers: {
    peers: { help: 'peers', usual: 1000, quick: 10, most: 2000 },
    rounds: { help: 'rounds', usual: 7, quick: 1, most: 99 },
  },
  measure: () => Promise.reject(new Error('not measured here')),
  render: result => `result ${result}`,
}

test('numbers have their usual values, those of --quick, or what is given', () => {
  const numbers = (...argv: string[]) => parseFlags(program, argv).numbers
  assert.deepEqual(numbers(), { peers: 1000, rounds: 7 })
  assert.deepEqual(numbers('--quick'), { peers: 10, rounds: 1 })
  assert.deepEqual(numbers('--quick', '--peers', '2000'), { peers: 2000, rounds: 1 })
})

test('a wrong argument is named', () => {
  for (const [argv, said] of [
    [['--peers', '0'], /--peers: '0'/],
    [['--peers', '2001'], /from 1 to 2000/],
    [['--peers', '1.5'], /whole number/],
    [['--rounds'], /rounds/],
    [['--frob'], /frob/],
    [['-o', 'xml'], /-o xml/],
    [['more'], /more/],
  ] as const) {
    assert.throws(
      () => parseFlags(program, argv),
      (error: Error) => error instanceof UsageError && said.test(error.message),
    )
  }
})

test('the help names every number with its values', () => {
  const text = usageOf(program)
  assert.match(text, /npm run bench:demo/)
  assert.match(text, /--peers N +peers \(1000; quick 10\)/)
  assert.match(text, /--rounds N +rounds \(7; quick 1\)/)
})

test('goals are shown as reached, missed or reported', () => {
  const goal = { what: 'x', wanted: 'at most 2', measured: '3' }
  const text = textOf(program, describeMachine(), {
    result: 5,
    goals: [
      { ...goal, isReached: false },
      { ...goal, isReached: true },
      { what: 'y', wanted: '', measured: '4' },
    ],
    notes: ['a note'],
  })
  assert.match(text, /result 5/)
  assert.match(text, /- ✗ x: 3, at most 2 wanted\n- ✓ x: 3, at most 2 wanted\n- · y: 4\n/)
  assert.match(text, /- a note\n/)
})
