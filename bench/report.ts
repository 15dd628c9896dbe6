// The result as tables for people, padded Markdown that can go into docs/performance.md as it is.
// Every figure is a median over the valid rounds with the smallest and largest in parentheses; a
// dash stands for what does not apply or was not measured, and the notes below say why.

import { type ColumnGroup, columnGroups } from './columns.ts'
import { contestants } from './contestants.ts'
import { boundColumn, goalLines } from './goals.ts'
import { machineLine } from './machine.ts'
import { disturbedCores } from './meter.ts'
import { formatNumber, formatSummary } from './numbers.ts'
import {
  type ContestantName,
  contestantNamesOf,
  type Figure,
  type RecordedCase,
  type Result,
  valuesByRound,
  type WireName,
  wireNames,
} from './run-record.ts'
import { type Summary, summarize, summarizeRatio } from './statistics.ts'

const wireTitles: Record<WireName, string> = {
  superpackets: 'a wire that passes superpackets whole',
  packets: 'a wire that carries packets of at most 1 500 bytes',
  gigabit: 'a wire of 1 Gb/s',
}
const worstShown = 5
const peerNames: readonly ContestantName[] = ['wg-debian', 'wg-newest', 'wg-tailscale']

/** Headings have `level` hashes: 3 where the report stands alone. */
export function renderReport(result: Result, level = 3): string {
  const heading = '#'.repeat(level)
  const parts = [
    machineLine(result.machine),
    result.rounds === 1
      ? `One round of ${result.seconds} s: a smoke test, not a figure to quote.`
      : `Medians of ${result.rounds} interleaved rounds of ${result.seconds} s (smallest-largest).`,
  ]
  const add = (title: string, body: string) => {
    if (body !== '') parts.push(`${heading} ${title}\n\n${body}`)
  }
  for (const wire of wireNames) {
    if (!result.runs.some(run => run.wire === wire && run.case !== 'memory')) continue
    for (const group of columnGroups) {
      add(`${group.title}, ${wireTitles[wire]}`, figureTable(result, wire, group))
    }
    add(`Ratios, TCP 1 stream, ${wireTitles[wire]}`, ratioTable(result, wire))
  }
  const column = boundColumn(result.machine) === 'avx512' ? 'AVX-512' : 'AVX2 alone'
  add(`Goals for processors with ${column}`, goalLines(result).join('\n'))
  add('Notes', noteLines(result).join('\n'))
  return `${parts.join('\n\n')}\n`
}

/** Rows of cells as a Markdown table, the first column to the left, the others to the right. */
export function renderTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length), 3))
  const line = (cells: readonly string[]) => {
    const padded = cells.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
    )
    return `| ${padded.join(' | ')} |`
  }
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  )
  return [line(rows[0]), `| ${rule.join(' | ')} |`, ...rows.slice(1).map(line)].join('\n')
}

function figureTable(result: Result, wire: WireName, group: ColumnGroup): string {
  const columns = group.columns.filter(column =>
    result.runs.some(run => run.wire === wire && run.case === column.case),
  )
  if (columns.length === 0) return ''
  const summaryOf = (name: ContestantName, recordedCase: RecordedCase, figure: Figure) =>
    summarize(valuesByRound(result.runs, name, wire, recordedCase, figure).values())
  const rows = rowNames(
    result,
    wire,
    columns.map(column => column.case),
  ).map(name => [
    titleOf(name),
    ...columns.map(column => {
      const summary = summaryOf(name, column.case, column.figure)
      if (column.abovePlain !== true) return formatSummary(summary)
      const plain = summaryOf('plain', column.case, column.figure)
      if (name === 'plain' || summary === null || plain === null) return '–'
      return formatNumber(summary.median - plain.median)
    }),
  ])
  return renderTable([['', ...columns.map(column => column.title)], ...rows])
}

function ratioTable(result: Result, wire: WireName): string {
  const peers = peerNames.filter(peer => ratio(result, wire, peer, peer, 'gbitPerSecond') !== null)
  if (peers.length === 0) return ''
  const rows = rowNames(result, wire, ['tcp1']).map(name => [
    titleOf(name),
    ...peers.map(peer => formatSummary(ratio(result, wire, name, peer, 'gbitPerSecond'))),
    ...peers.map(peer => formatSummary(ratio(result, wire, name, peer, 'cpuSecondsPerGbit'))),
  ])
  const header = [
    '',
    ...peers.map(peer => `Gb/s to ${peer}`),
    ...peers.map(peer => `CPU per Gbit to ${peer}`),
  ]
  return renderTable([header, ...rows])
}

function ratio(
  result: Result,
  wire: WireName,
  name: ContestantName,
  peer: ContestantName,
  figure: 'gbitPerSecond' | 'cpuSecondsPerGbit',
): Summary | null {
  const of = (who: ContestantName) => valuesByRound(result.runs, who, wire, 'tcp1', figure)
  return summarizeRatio(of(name), of(peer))
}

function noteLines(result: Result): string[] {
  const versions = Object.entries(result.versions).map(([name, version]) => `${name} ${version}`)
  const lines = [`- Versions: ${versions.join('; ')}.`]
  for (const absence of result.absences) {
    lines.push(`- ${titleOf(absence.contestant)}: not measured: ${absence.reason}`)
  }
  for (const run of result.runs) {
    if (run.problems.length === 0) continue
    const where = `${run.contestant} ${run.wire} ${run.case} ${run.round}`
    lines.push(`- invalid: ${where}: ${run.problems.join('; ')}`)
  }
  return [...lines, ...disturbedLines(result)]
}

/** How many, and the worst of them; the JSON has all. */
function disturbedLines({ runs }: Result): string[] {
  const disturbed = runs
    .filter(run => run.problems.length === 0 && run.foreignCores > disturbedCores)
    .toSorted((a, b) => b.foreignCores - a.foreignCores)
  if (disturbed.length === 0) return []
  const worst = disturbed
    .slice(0, worstShown)
    .map(
      run =>
        `${run.contestant} ${run.wire} ${run.case} ${run.round} (${run.foreignCores.toFixed(2)})`,
    )
  return [
    `- ${disturbed.length} of ${runs.length} runs were disturbed: others used more than ` +
      `${disturbedCores} of a core; the worst (the round, and how much): ${worst.join(', ')}.`,
  ]
}

/** Who was measured in one of the cases on this wire, and who should have been and is absent. */
function rowNames(
  result: Result,
  wire: WireName,
  cases: readonly RecordedCase[],
): readonly ContestantName[] {
  const { runs, absences } = result
  const wasMeasured = (name: ContestantName) =>
    runs.some(run => run.contestant === name && run.wire === wire && cases.includes(run.case))
  const isAbsent = (name: ContestantName) => absences.some(({ contestant }) => contestant === name)
  return contestantNamesOf(result).filter(name => wasMeasured(name) || isAbsent(name))
}

export function titleOf(name: ContestantName): string {
  return contestants.find(contestant => contestant.name === name)?.title ?? name
}
