import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuFeatures } from '../../../bench/machine.ts'
import { formatNumber, formatSummary } from '../../../bench/numbers.ts'
import { progressLine } from '../../../bench/progress.ts'
import { renderReport, renderTable } from '../../../bench/report.ts'
import { resultOf, run, tcp } from '../../support/bench-result.ts'

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

test('the report shows medians, ratios within rounds, and the goals', () => {
  const runs = [
    ...[1, 2, 3].map(round => tcp(round, 'wg-debian', 0.5 * round, 2)),
    ...[1, 2, 3].map(round => tcp(round, 'wg-newest', 4, 0.5)),
    ...[1, 2, 3].map(round => tcp(round, 'hawser', 4 * round, 0.4)),
  ]
  const text = renderReport(resultOf(runs))
  assert.match(text, /\| Hawser, WireGuard +\| +8.00 \(4.00-12.0\) \|/)
  assert.match(
    text,
    /Gb\/s to wg-debian[^\n]*\n[^\n]*\n(.*\n)*\| Hawser, WireGuard +\| +8.00 \(8.00/,
  )
  assert.match(text, /### Goals for processors with AVX2 alone\n\n- ✗ .*wg-newest: 2.00/)
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

test('of many disturbed runs the worst are named', () => {
  const runs = Array.from({ length: 9 }, (_, i) => ({
    ...tcp(i + 1, 'plain', 40, 0),
    foreignCores: 0.3 + i / 100,
  }))
  const text = renderReport(resultOf(runs))
  assert.match(text, /9 of 9 runs were disturbed: .*: plain superpackets tcp1 9 \(0.38\), .* 5 \(/)
  assert.doesNotMatch(text, /tcp1 4 \(/)
})

test('a table has the rows of those whose cases it shows', () => {
  const runs = [tcp(1, 'hawser', 5, 0.4), run(1, 'boringtun', 'udp64', { receivedKpps: 70 })]
  const tables = renderReport(resultOf(runs)).split('### ')
  assert.match(tables.find(text => text.startsWith('TCP,')) ?? '', /Hawser, WireGuard/)
  assert.doesNotMatch(tables.find(text => text.startsWith('TCP,')) ?? '', /boringtun/)
  assert.match(tables.find(text => text.startsWith('UDP,')) ?? '', /boringtun/)
})

test('the level of the headings can be chosen', () => {
  assert.match(renderReport(resultOf([tcp(1, 'plain', 40, 0)]), 5), /^##### TCP, a wire/m)
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
