import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  defaultDocsFile,
  defaultWires,
  type Options,
  parseOptions,
  UsageError,
  usage,
} from '../../../bench/options.ts'
import { caseNames, contestantNames, wireNames } from '../../../bench/run-record.ts'

const accepted: readonly [text: string, expected: Partial<Options>][] = [
  ['', { contestants: contestantNames, cases: 'planned', wires: defaultWires }],
  ['', { rounds: 3, seconds: 4, pings: 200, jsonFile: null, output: 'table', help: false }],
  ['--quick', { rounds: 1, seconds: 2, wires: ['superpackets'] }],
  ['--quick --rounds 2 --seconds 1', { rounds: 2, seconds: 1 }],
  ['--quick', { cases: 'planned', docsFile: null }],
  ['--quick --wires packets', { wires: ['packets'], cases: caseNames }],
  ['--only hawser,plain', { contestants: ['plain', 'hawser'] }],
  ['--only plain,plain', { contestants: ['plain'] }],
  ['--cases rtt,tcp1', { cases: ['tcp1', 'rtt'] }],
  ['--wires gigabit --cases loaded-rtt', { wires: ['gigabit'], cases: ['loaded-rtt'] }],
  ['--json /tmp/x.json -o json', { jsonFile: '/tmp/x.json', output: 'json' }],
  ['-h', { help: true }],
  ['', { docsFile: defaultDocsFile }],
  ['--rounds 5 --seconds 8 --json /tmp/x.json', { docsFile: defaultDocsFile }],
  ['--rounds 2', { docsFile: null }],
  ['--seconds 3', { docsFile: null }],
  ['--only hawser', { docsFile: null }],
  ['--cases tcp1', { docsFile: null }],
  ['--wires superpackets,packets', { docsFile: null }],
  ['--no-docs', { docsFile: null }],
  ['--quick --docs /tmp/x.md', { docsFile: '/tmp/x.md' }],
]

test('arguments become options; names are put in the order of the lists', () => {
  for (const [text, expected] of accepted) {
    const options: Record<string, unknown> = { ...parseOptions(text.split(' ').filter(Boolean)) }
    for (const [name, value] of Object.entries(expected)) {
      assert.deepEqual(options[name], value, `${text}: ${name}`)
    }
  }
})

const refused: readonly [text: string, words: RegExp][] = [
  ['--only wireguard', /'wireguard' is not one of plain, vxlan/],
  ['--only ', /'' is not one of/],
  ['--cases tcp2', /'tcp2' is not one of tcp1/],
  ['--wires real', /'real' is not one of superpackets, packets/],
  ['--rounds 0', /--rounds: '0'/],
  ['--rounds 1.5', /--rounds: '1.5'/],
  ['--seconds many', /--seconds: 'many'/],
  ['--seconds 3601', /--seconds: '3601'/],
  ['-o yaml', /only table and json/],
  ['--fast', /--fast/],
  ['plain', /plain/],
  ['--docs x.md --no-docs', /which of the two/],
]

test('a wrong argument is a usage error of one line that names it', () => {
  for (const [text, words] of refused) {
    assert.throws(
      () => parseOptions(text.split(' ')),
      (error: unknown) => {
        assert(error instanceof UsageError, text)
        assert.match(error.message, words)
        assert(!error.message.includes('\n'), text)
        return true
      },
    )
  }
})

test('the usage text names every contestant, case and wire', () => {
  for (const name of [...contestantNames, ...caseNames, ...wireNames]) assert(usage.includes(name))
})
