import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderChart } from '../../../bench/chart.ts'
import { resultOf, run, tcp } from '../../support/bench-result.ts'

const runs = [
  ...[30, 40, 20].map((gbit, index) => run(index + 1, 'plain', 'tcp1', { gbitPerSecond: gbit })),
  ...[8, 9, 10].map((gbit, index) => tcp(index + 1, 'hawser', gbit, 0.2)),
  ...[1, 2, 3].map(round => tcp(round, 'wg-debian', 0.6, 2)),
  tcp(1, 'hawser', 5, 0.3, 'packets'),
  tcp(1, 'hawser-noop', 11, 0.1),
]
const chart = renderChart(resultOf(runs))

/** x and width of the bars of a class. */
function barsOf(className: string): { x: number; width: number }[] {
  const pattern = new RegExp(
    `<rect x="([\\d.]+)" y="[\\d.]+" width="([\\d.]+)".*class="${className}"`,
    'g',
  )
  return [...chart.matchAll(pattern)].map(([, x, width]) => ({
    x: Number(x),
    width: Number(width),
  }))
}

test('bars are as long as their medians, on a scale that holds the longest whisker', () => {
  const [plain, debian, debianCpu] = barsOf('other strong')
  assert.equal((plain.width / 30).toFixed(1), (debian.width / 0.6).toFixed(1))
  assert(debianCpu.x > plain.x + (plain.width * 40) / 30)
  const [, hawser, hawserCpu] = barsOf('ours strong')
  assert.equal((hawser.width / 9).toFixed(1), (plain.width / 30).toFixed(1))
  assert.equal((hawserCpu.width / 0.2).toFixed(0), (debianCpu.width / 2).toFixed(0))
})

test('a whisker goes from the smallest to the largest', () => {
  const [{ x, width }] = barsOf('other strong')
  const at = (gbit: number) => (x + (width * gbit) / 30).toFixed(0)
  const lines = [...chart.matchAll(/<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="\2"/g)]
  const ends = lines.map(([, from, , to]) => `${Number(from).toFixed(0)} ${Number(to).toFixed(0)}`)
  assert(ends.includes(`${at(20)} ${at(40)}`), ends.join(', '))
})

test('the other wire has a bar of its own, and only where it was measured', () => {
  // The first is the legend's.
  assert.equal(barsOf('ours faint').length, 1 + 2)
  assert.equal(barsOf('other faint').length, 0)
})

test('it names contestants, machine, date and spread, but not what belongs to a single case', () => {
  for (const words of ["wireguard-go, Debian's", 'Some CPU', '2026-01-02', 'medians of 3 rounds']) {
    assert(chart.includes(words), words)
  }
  assert(!chart.includes('no-op'))
})

test('it is well-formed, and dark where the reader is', () => {
  const withoutStyle = chart.replace(/<style>[\s\S]*<\/style>/, '')
  assert.doesNotMatch(withoutStyle, /NaN|undefined|Infinity/)
  const opened = [...withoutStyle.matchAll(/<(\w+)(?: [^>]*[^/])?>/g)].map(([, name]) => name)
  const closed = [...withoutStyle.matchAll(/<\/(\w+)>/g)].map(([, name]) => name)
  assert.deepEqual(opened.sort(), closed.sort())
  assert.match(chart, /prefers-color-scheme: dark/)
})

test('a result without TCP gives an empty chart, not a broken one', () => {
  const empty = renderChart(resultOf([run(1, 'hawser', 'rtt', { rttMedianMicros: 200 })]))
  assert.doesNotMatch(empty, /NaN|Hawser/)
})
