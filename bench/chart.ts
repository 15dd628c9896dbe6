// The chart of docs/performance.md: TCP with one stream, throughput on the left and CPU time of the
// daemons per Gbit on the right, one row for each contestant and in it one bar for each wire. A bar is
// the median, its whisker the smallest and the largest round. SVG as text, readable in light and dark.

import { shortMachine } from './machine.ts'
import { formatNumber } from './numbers.ts'
import { onlyTcp1 } from './plan.ts'
import { titleOf } from './report.ts'
import {
  type ContestantName,
  contestantNamesOf,
  type Figure,
  type Result,
  valuesByRound,
  type WireName,
} from './run-record.ts'
import { type Summary, summarize } from './statistics.ts'

interface Panel {
  readonly figure: Figure
  readonly title: string
  /** Where its bars begin, and how long the longest whisker is. */
  readonly x: number
  readonly widthPx: number
}

const wires: readonly { name: WireName; title: string; tone: string }[] = [
  { name: 'superpackets', title: 'wire that passes superpackets', tone: 'strong' },
  { name: 'packets', title: 'wire of 1 500-byte packets', tone: 'faint' },
]
const panels: readonly Panel[] = [
  { figure: 'gbitPerSecond', title: 'Gb/s, more is better', x: 190, widthPx: 270 },
  {
    figure: 'cpuSecondsPerGbit',
    title: 'daemon CPU-s per Gbit, less is better',
    x: 550,
    widthPx: 230,
  },
]
const size = { widthPx: 840, topPx: 84, rowPx: 38, barPx: 12, gapPx: 3, bottomPx: 30 } as const

const style = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 }
  .value { font-size: 11px }
  .note { font-size: 11px; fill: #59636e }
  .other { fill: #8c959f }
  .ours { fill: #0969da }
  .faint { opacity: .5 }
  .whisker { stroke: #1f2328; stroke-width: 1 }
  .axis { stroke: #d1d9e0; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note { fill: #9198a1 }
    .other { fill: #6e7681 }
    .ours { fill: #4493f8 }
    .whisker { stroke: #e6edf3 }
    .axis { stroke: #3d444d }
  }
`

export function renderChart(result: Result): string {
  // What is measured beside one of ours only, to see what one thing costs, is in the tables.
  const names = contestantNamesOf(result).filter(
    name => !onlyTcp1.includes(name) && panels.some(panel => largestOf(result, [name], panel) > 0),
  )
  const heightPx = size.topPx + names.length * size.rowPx + size.bottomPx
  const shapes = [
    ...legend(),
    ...panels.flatMap(panel => panelShapes(result, names, panel)),
    ...names.map((name, row) => text(8, middleOf(row) + 4, titleOf(name), '')),
    text(8, heightPx - 10, noteOf(result), 'note'),
  ]
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.widthPx} ${heightPx}" ` +
    `width="${size.widthPx}" height="${heightPx}" role="img">\n` +
    `<title>TCP with one stream</title>\n<style>${style}</style>\n${shapes.join('\n')}\n</svg>\n`
  )
}

function legend(): string[] {
  const shapes = [text(8, 22, 'TCP, one stream', 'title')]
  wires.forEach(({ title, tone }, index) => {
    const x = panels[0].x + index * 250
    shapes.push(rect(x, 12, 24, size.barPx, `ours ${tone}`), text(x + 32, 22, title, 'note'))
  })
  return shapes
}

function panelShapes(result: Result, names: readonly ContestantName[], panel: Panel): string[] {
  const largest = largestOf(result, names, panel)
  const lengthOf = (value: number) => (value / largest) * panel.widthPx
  const shapes = [text(panel.x, size.topPx - 24, panel.title, 'title')]
  names.forEach((name, row) => {
    const owner = name.startsWith('hawser') ? 'ours' : 'other'
    const bars = wires
      .map(({ name: wire, tone }) => ({ tone, summary: summaryOf(result, name, wire, panel) }))
      .filter(bar => bar.summary !== null)
    bars.forEach(({ tone, summary }, index) => {
      if (summary === null) return
      const y = middleOf(row) + (index - bars.length / 2) * (size.barPx + size.gapPx) + 1
      shapes.push(
        rect(panel.x, y, lengthOf(summary.median), size.barPx, `${owner} ${tone}`),
        ...whisker(panel.x + lengthOf(summary.min), panel.x + lengthOf(summary.max), y),
        text(
          panel.x + lengthOf(summary.max) + 6,
          y + size.barPx - 2,
          formatNumber(summary.median),
          'value',
        ),
      )
    })
  })
  const end = size.topPx + names.length * size.rowPx
  shapes.push(line(panel.x, size.topPx - 10, panel.x, end, 'axis'))
  return shapes
}

function whisker(from: number, to: number, y: number): string[] {
  const [top, middle, bottom] = [y + 3, y + size.barPx / 2, y + size.barPx - 3]
  return [
    line(from, middle, to, middle, 'whisker'),
    line(from, top, from, bottom, 'whisker'),
    line(to, top, to, bottom, 'whisker'),
  ]
}

/** The largest value of a panel, 0 of none. */
function largestOf(result: Result, names: readonly ContestantName[], panel: Panel): number {
  const summaries = names.flatMap(name =>
    wires.map(({ name: wire }) => summaryOf(result, name, wire, panel)),
  )
  return Math.max(0, ...summaries.map(summary => summary?.max ?? 0))
}

function summaryOf(
  result: Result,
  name: ContestantName,
  wire: WireName,
  { figure }: Panel,
): Summary | null {
  return summarize(valuesByRound(result.runs, name, wire, 'tcp1', figure).values())
}

function noteOf({ machine, rounds, seconds }: Result): string {
  const spread =
    rounds === 1 ? 'one round' : `medians of ${rounds} rounds, whiskers smallest-largest`
  return `${shortMachine(machine)}; ${machine.date.slice(0, 10)}; ${spread}, ${seconds} s each`
}

function middleOf(row: number): number {
  return size.topPx + row * size.rowPx + size.rowPx / 2
}

function text(x: number, y: number, words: string, className: string): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  const attribute = className === '' ? '' : ` class="${className}"`
  return `<text x="${round(x)}" y="${round(y)}"${attribute}>${escaped}</text>`
}

function rect(x: number, y: number, width: number, height: number, className: string): string {
  const box = `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${height}"`
  return `<rect ${box} class="${className}"/>`
}

function line(x1: number, y1: number, x2: number, y2: number, className: string): string {
  const ends = `x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"`
  return `<line ${ends} class="${className}"/>`
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10)
}
