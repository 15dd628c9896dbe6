// The result as tables for people, padded Markdown that can go into docs/performance.md as it is.
// Every figure is a median over the valid rounds with the smallest and largest in parentheses; a
// dash stands for what does not apply or was not measured, and the notes below say why.

import { type ColumnGroup, columnGroups } from './columns.ts'
import { contestants } from './contestants.ts'
import { type Machine, machineLine } from './machine.ts'
import { disturbedCores } from './meter.ts'
import {
  type Absence,
  type ContestantName,
  type Run,
  valuesByRound,
  type WireName,
  wireNames,
} from './run-record.ts'
import { type Summary, summarize, summarizeRatio } from './statistics.ts'

export interface Result {
  readonly machine: Machine
  readonly rounds: number
  readonly seconds: number
  readonly versions: Partial<Record<ContestantName, string>>
  readonly runs: readonly Run[]
  readonly absences: readonly Absence[]
}

const wireTitles: Record<WireName, string> = {
  superpackets: 'a wire that passes superpackets whole',
  packets: 'a wire that carries packets of at most 1 500 bytes',
  gigabit: 'a wire of 1 Gb/s',
}
const peerNames: readonly ContestantName[] = ['wg-debian', 'wg-newest', 'wg-tailscale']

/** What Hawser with OpenSSL's ChaCha20-Poly1305 has to reach, one stream on a superpacket wire. */
const goals = [
  { figure: 'gbitPerSecond', peer: 'wg-debian', atLeast: 7 },
  { figure: 'gbitPerSecond', peer: 'wg-newest', atLeast: 1.6 },
  { figure: 'gbitPerSecond', peer: 'wg-tailscale', atLeast: 1.15 },
  { figure: 'cpuSecondsPerGbit', peer: 'wg-newest', atMost: 0.6 },
] as const

export function renderReport(result: Result): string {
  const parts = [
    machineLine(result.machine),
    result.rounds === 1
      ? `One round of ${result.seconds} s: a smoke test, not a figure to quote.`
      : `Medians of ${result.rounds} interleaved rounds of ${result.seconds} s (smallest-largest).`,
  ]
  for (const wire of wireNames) {
    if (!result.runs.some(run => run.wire === wire && run.case !== 'memory')) continue
    for (const group of columnGroups) {
      const table = figureTable(result, wire, group)
      if (table !== '') parts.push(`### ${group.title}, ${wireTitles[wire]}\n\n${table}`)
    }
    const ratios = ratioTable(result, wire)
    if (ratios !== '') parts.push(`### Ratios, TCP 1 stream, ${wireTitles[wire]}\n\n${ratios}`)
  }
  const goalText = goalLines(result)
  if (goalText.length > 0) parts.push(`### Goals\n\n${goalText.join('\n')}`)
  const notes = noteLines(result)
  if (notes.length > 0) parts.push(`### Notes\n\n${notes.join('\n')}`)
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

/** A number with about three significant digits, never in exponents. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value === 0) return '0'
  const digits = 2 - Math.floor(Math.log10(Math.abs(value)))
  return value.toFixed(Math.min(3, Math.max(0, digits)))
}

export function formatSummary(summary: Summary | null): string {
  if (summary === null) return '–'
  if (summary.count === 1) return formatNumber(summary.median)
  const spread = `${formatNumber(summary.min)}-${formatNumber(summary.max)}`
  return `${formatNumber(summary.median)} (${spread})`
}

function figureTable(result: Result, wire: WireName, group: ColumnGroup): string {
  const columns = group.columns.filter(column =>
    result.runs.some(run => run.wire === wire && run.case === column.case),
  )
  if (columns.length === 0) return ''
  const rows = measuredNames(result).map(name => [
    titleOf(name),
    ...columns.map(column => {
      const summary = summarize(
        valuesByRound(result.runs, name, wire, column.case, column.figure).values(),
      )
      const plain = summarize(
        valuesByRound(result.runs, 'plain', wire, column.case, column.figure).values(),
      )
      if (column.abovePlain !== true) return formatSummary(summary)
      if (name === 'plain' || summary === null || plain === null) return '–'
      return formatNumber(summary.median - plain.median)
    }),
  ])
  return renderTable([['', ...columns.map(column => column.title)], ...rows])
}

function ratioTable(result: Result, wire: WireName): string {
  const peers = peerNames.filter(peer => ratio(result, wire, peer, peer, 'gbitPerSecond') !== null)
  if (peers.length === 0) return ''
  const rows = measuredNames(result).map(name => [
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

function goalLines(result: Result): string[] {
  const lines: string[] = []
  for (const goal of goals) {
    const reached = ratio(result, 'superpackets', 'hawser', goal.peer, goal.figure)
    if (reached === null) continue
    const what = goal.figure === 'gbitPerSecond' ? 'TCP 1 stream' : 'daemon CPU per Gbit'
    const isReached =
      'atLeast' in goal ? reached.median >= goal.atLeast : reached.median <= goal.atMost
    const bound = 'atLeast' in goal ? `at least ${goal.atLeast}` : `at most ${goal.atMost}`
    lines.push(
      `- ${isReached ? '✓' : '✗'} ${what}, Hawser to ${titleOf(goal.peer)}: ` +
        `${formatSummary(reached)}, ${bound} wanted`,
    )
  }
  return lines
}

function noteLines(result: Result): string[] {
  const versions = Object.entries(result.versions).map(([name, version]) => `${name} ${version}`)
  const lines = [`- Versions: ${versions.join('; ')}.`]
  for (const absence of result.absences) {
    lines.push(`- ${titleOf(absence.contestant)}: not measured: ${absence.reason}`)
  }
  const disturbed: string[] = []
  for (const run of result.runs) {
    const where = `${run.contestant} ${run.wire} ${run.case} ${run.round}`
    if (run.problems.length > 0) lines.push(`- invalid: ${where}: ${run.problems.join('; ')}`)
    else if (run.foreignCores > disturbedCores) {
      disturbed.push(`${where} (${run.foreignCores.toFixed(2)})`)
    }
  }
  if (disturbed.length > 0) {
    lines.push(
      `- ${disturbed.length} of ${result.runs.length} runs were disturbed: others used more than ` +
        `${disturbedCores} of a core (the round, and how much): ${disturbed.join(', ')}.`,
    )
  }
  return lines
}

/** All that took part or should have, in the order of the list. */
function measuredNames(result: Result): ContestantName[] {
  return contestants
    .map(contestant => contestant.name)
    .filter(
      name =>
        result.runs.some(run => run.contestant === name) ||
        result.absences.some(absence => absence.contestant === name),
    )
}

function titleOf(name: ContestantName): string {
  return contestants.find(contestant => contestant.name === name)?.title ?? name
}
