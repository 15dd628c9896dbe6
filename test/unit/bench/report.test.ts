import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuFeatures, type Machine } from '../../../bench/machine.ts'
import { progressLine } from '../../../bench/progress.ts'
import {
  formatNumber,
  formatSummary,
  type Result,
  renderReport,
  renderTable,
} from '../../../bench/report.ts'
import type { ContestantName, Figures, RecordedCase, Run } from '../../../bench/run-record.ts'

const machine: Machine = {
  cpu: 'Some CPU',
  cpuFamily: '26',
  cores: 2,
  features: { avx512f: false, vaes: true },
  kernel: '6.18.0',
  node: '24.0.0',
  openssl: '3.5.8',
  iperf: 'iperf 3.12',
  commit: 'abc1234',
  date: '2026-01-02T03:04:05.000Z',
}

function run(
  round: number,
  contestant: ContestantName,
  recordedCase: RecordedCase,
  figures: Figures,
  problems: readonly string[] = [],
): Run {
  const quiet = { foreignCores: 0, waitedSeconds: 0, tries: 1 }
  return {
    round,
    contestant,
    wire: 'superpackets',
    case: recordedCase,
    figures,
    problems,
    ...quiet,
  }
}

function tcp(round: number, contestant: ContestantName, gbit: number, cpu: number): Run {
  return run(round, contestant, 'tcp1', { gbitPerSecond: gbit, cpuSecondsPerGbit: cpu })
}

function resultOf(runs: readonly Run[], absences: Result['absences'] = []): Result {
  return { machine, rounds: 3, seconds: 4, versions: { plain: 'Linux 6.18' }, runs, absences }
}

const numbers: readonly [value: number, text: string][] = [
  [0, '0'],
  [0.0123, '0.012'],
  [0.326, '0.326'],
  [4.874, '4.87'],
  [12.34, '12.3'],
  [226.4, '226'],
  [123456, '123456'],
  [Number.NaN, '–'],
]

test('numbers have about three digits and no exponent', () => {
  for (const [value, text] of numbers) assert.equal(formatNumber(value), text)
  assert.equal(formatSummary({ median: 4.874, min: 4.6, max: 5, count: 3 }), '4.87 (4.60-5.00)')
  assert.equal(formatSummary({ median: 4.874, min: 4.874, max: 4.874, count: 1 }), '4.87')
  assert.equal(formatSummary(null), '–')
})

test('a table is padded Markdown', () => {
  const expected = ['| a   | long |', '| --- | ---: |', '| bcd |    1 |'].join('\n')
  assert.equal(
    renderTable([
      ['a', 'long'],
      ['bcd', '1'],
    ]),
    expected,
  )
})

test('the report shows medians, ratios within rounds, and the goals that were reached', () => {
  const runs = [
    ...[1, 2, 3].map(round => tcp(round, 'wg-debian', 0.5 * round, 2)),
    ...[1, 2, 3].map(round => tcp(round, 'wg-newest', 4, 0.5)),
    ...[1, 2, 3].map(round => tcp(round, 'hawser', 4 * round, 0.4)),
  ]
  const text = renderReport(resultOf(runs))
  assert.match(text, /\| Hawser, WireGuard +\| +8.00 \(4.00-12.0\) \|/)
  assert.match(text, /✓ TCP 1 stream, Hawser to wireguard-go, Debian's: 8.00 \(8.00-8.00\)/)
  assert.match(text, /✓ TCP 1 stream, Hawser to wireguard-go, newest: 2.00 .*at least 1.6 wanted/)
  assert.match(text, /✗ daemon CPU per Gbit, Hawser to .*newest: 0.800 .*at most 0.6 wanted/)
  assert(text.includes('no avx512f, vaes'))
  assert(!text.includes('Round trip'))
})

test('an invalid run counts nowhere and is named with its reason', () => {
  const runs = [
    tcp(1, 'hawser', 5, 0.4),
    run(2, 'hawser', 'tcp1', { gbitPerSecond: 99 }, ['the wire carried nothing']),
  ]
  const text = renderReport(resultOf(runs))
  assert(!text.includes('99'))
  assert.match(text, /invalid: hawser superpackets tcp1 2: the wire carried nothing/)
})

test('disturbed runs count, and are named in one line', () => {
  const runs = [tcp(1, 'plain', 40, 0), { ...tcp(2, 'plain', 30, 0), foreignCores: 0.75 }]
  const text = renderReport(resultOf(runs))
  assert.match(text, /\| plain routing, clear +\| +35.0 \(30.0-40.0\) \|/)
  assert.match(text, /1 of 2 runs were disturbed: .*: plain superpackets tcp1 2 \(0.75\)\./)
})

test('a contestant that cannot be had keeps its row, and the reason stands below', () => {
  const absences = [{ contestant: 'hawser-vxlan', reason: 'not built' }] as const
  const text = renderReport(resultOf([tcp(1, 'plain', 40, 0)], absences))
  assert.match(text, /\| Hawser, VXLAN, clear +\| +– \|/)
  assert.match(text, /Hawser, VXLAN, clear: not measured: not built/)
})

test('a round trip is also shown as what it adds to plain routing', () => {
  const runs = [
    run(1, 'plain', 'rtt', { rttMedianMicros: 40, rttP99Micros: 90 }),
    run(1, 'hawser', 'rtt', { rttMedianMicros: 190, rttP99Micros: 300 }),
  ]
  assert.match(renderReport(resultOf(runs)), /\| Hawser, WireGuard +\| +190 \| +150 \| +300 \|/)
})

test('progress names the run, its figures and what spoils it', () => {
  const line = progressLine(tcp(2, 'hawser', 6.123, 0.3), 3)
  assert.equal(line, '2/3  hawser  superpackets  tcp1  6.12 Gb/s, 0.300 CPU-s/Gbit')
  const disturbed = { ...run(1, 'plain', 'rtt', {}, ['no answer']), foreignCores: 0.25 }
  assert.match(progressLine(disturbed, 1), /others 0.25 core {2}INVALID: no answer$/)
})

test('the noted CPU features are told apart from longer names', () => {
  const features = cpuFeatures('model name\t: x\nflags\t\t: fpu avx512f_x vaes avx2\n')
  assert.equal(features['vaes'], true)
  assert.equal(features['avx2'], true)
  assert.equal(features['avx512f'], false)
})
