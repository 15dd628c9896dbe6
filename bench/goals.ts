// What Hawser has to reach, as ratios to others in the same round, and whether a run reached it. Two
// columns: processors with AVX-512 (IFMA, vector AES and carry-less multiplication) and those with
// AVX2 alone, since our AEADs are faster against everybody else's on the former. Nothing here fails a
// run: a goal is printed as reached or not.

import type { Machine } from './machine.ts'
import { formatSummary } from './numbers.ts'
import {
  type CaseName,
  type ContestantName,
  contestantNamesOf,
  type Figure,
  type Result,
  valuesByRound,
  type WireName,
} from './run-record.ts'
import { type ByRound, type Summary, summarize } from './statistics.ts'

/** A figure of one contestant, divided by that of another, in every round and on every wire. */
export interface Claim {
  readonly case: CaseName
  readonly figure: Figure
  readonly wires: readonly WireName[]
  readonly of: ContestantName
  /** The best of these in the round. */
  readonly to: readonly ContestantName[]
  /** Of what each adds to plain routing, not of the figures themselves. */
  readonly abovePlain?: boolean
  readonly bound: Bound
}

interface Bound {
  readonly relation: 'at least' | 'at most' | 'below'
  readonly avx512: number
  readonly avx2: number
}

/** Reached when one of its claims holds. */
export type Goal = readonly Claim[]

const superpackets = ['superpackets'] as const
const packets = ['packets'] as const
const tcp1 = { case: 'tcp1', figure: 'gbitPerSecond', wires: superpackets } as const
const tcp1Packets = { ...tcp1, wires: packets } as const
const tcp4 = { ...tcp1, case: 'tcp4' } as const
const cpu = { ...tcp1, figure: 'cpuSecondsPerGbit' } as const
const udp64 = { case: 'udp64', figure: 'receivedKpps', wires: superpackets, of: 'hawser' } as const
const udp1372 = { ...udp64, case: 'udp1372' } as const
const rtt = { case: 'rtt', figure: 'rttMedianMicros', wires: superpackets } as const
const loaded = { case: 'loaded-rtt', figure: 'rttP99Micros', wires: superpackets } as const
/** The same command, cable and cipher, but for one thing; both wires, for twice the ratios. */
const variant = { case: 'tcp1', wires: ['superpackets', 'packets'] } as const
const verdict = { ...variant, figure: 'gbitPerSecond' } as const
const capture = { ...variant, figure: 'cpuSecondsPerGbit' } as const

const peers = ['wg-debian', 'wg-newest', 'wg-tailscale', 'boringtun', 'gotatun'] as const

export const goals: readonly Goal[] = [
  [{ ...tcp1, of: 'hawser', to: ['wg-tailscale'], bound: atLeast(2, 1.7) }],
  [{ ...tcp1, of: 'hawser-aes', to: ['wg-tailscale'], bound: atLeast(2.8, 2.1) }],
  [{ ...tcp4, of: 'hawser', to: ['wg-tailscale'], bound: atLeast(1.7, 1.5) }],
  [{ ...tcp4, of: 'hawser-aes', to: ['wg-tailscale'], bound: atLeast(2.2, 1.8) }],
  [{ ...tcp1, of: 'hawser', to: ['wg-newest'], bound: atLeast(3, 2.5) }],
  [{ ...tcp1, of: 'hawser-aes', to: ['wg-newest'], bound: atLeast(4, 3) }],
  [{ ...tcp1, of: 'hawser', to: ['wg-debian'], bound: atLeast(13, 11) }],
  [{ ...tcp1, of: 'hawser-aes', to: ['wg-debian'], bound: atLeast(18, 14) }],
  [{ ...cpu, of: 'hawser', to: ['wg-tailscale'], bound: atMost(0.48, 0.58) }],
  [{ ...cpu, of: 'hawser-aes', to: ['wg-tailscale'], bound: atMost(0.32, 0.44) }],
  [{ ...tcp1, of: 'hawser-aes', to: ['plain'], bound: atLeast(0.28, 0.25) }],
  [{ ...tcp1Packets, of: 'hawser-aes', to: ['plain'], bound: atLeast(0.6, 0.5) }],
  [{ ...tcp1, of: 'hawser-aes', to: ['vxlan'], bound: atLeast(0.6, 0.4) }],
  [{ ...tcp1Packets, of: 'hawser-aes', to: ['vxlan'], bound: atLeast(1.1, 0.9) }],
  [{ ...tcp1, of: 'hawser-vxlan', to: ['vxlan'], bound: atLeast(0.65, 0.5) }],
  [{ ...tcp1Packets, of: 'hawser-vxlan', to: ['vxlan'], bound: atLeast(1.15, 1) }],
  [
    { ...udp64, to: peers, bound: atLeast(2, 1.7) },
    { ...udp64, to: ['plain'], bound: atLeast(0.9, 0.9) },
  ],
  [
    { ...udp1372, to: peers, bound: atLeast(2, 1.7) },
    { ...udp1372, to: ['plain'], bound: atLeast(0.9, 0.9) },
  ],
  [{ ...udp64, figure: 'cpuMicrosPerPacketReceived', to: peers, bound: atMost(0.5, 0.6) }],
  [{ ...rtt, of: 'hawser', to: ['wg-newest'], abovePlain: true, bound: atMost(0.6, 0.6) }],
  [{ ...rtt, of: 'hawser', to: ['boringtun'], abovePlain: true, bound: atMost(1.1, 1.1) }],
  [{ ...loaded, of: 'hawser', to: ['wg-newest'], bound: below(1, 1) }],
  [{ ...loaded, of: 'hawser', to: ['wg-tailscale'], bound: below(1, 1) }],
  [{ ...verdict, of: 'hawser-aes', to: ['hawser-noop'], bound: atLeast(0.92, 0.92) }],
  [{ ...capture, of: 'hawser-capture', to: ['hawser-aes'], bound: below(1.05, 1.05) }],
]

/** The column of a processor. */
export function boundColumn(machine: Machine): 'avx512' | 'avx2' {
  const needed = ['avx512ifma', 'vaes', 'vpclmulqdq']
  return needed.every(name => machine.features[name] === true) ? 'avx512' : 'avx2'
}

/**
 * One line for each goal whose case and contestants were part of the run. What should have been
 * measured and could not be is not reached.
 */
export function goalLines(result: Result): string[] {
  const column = boundColumn(result.machine)
  const lines: string[] = []
  for (const goal of goals) {
    if (!goal.some(claim => wasAsked(result, claim))) continue
    const reached = goal.map(claim => ({ claim, ratio: ratioOf(result, claim) }))
    const isReached = reached.some(
      ({ claim, ratio }) => ratio !== null && holds(claim, ratio, column),
    )
    const texts = reached.map(({ claim, ratio }) => claimText(result, claim, ratio, column))
    lines.push(`- ${isReached ? '✓' : '✗'} ${subjectOf(result, goal[0])}: ${texts.join('; or ')}`)
  }
  return lines
}

/** The ratios of a claim over all rounds and wires that have both sides, or null of none. */
export function ratioOf(result: Result, claim: Claim): Summary | null {
  const ratios: number[] = []
  for (const wire of claim.wires) {
    const valuesOf = (name: ContestantName): ByRound =>
      valuesByRound(result.runs, name, wire, claim.case, claim.figure)
    const plain = claim.abovePlain === true ? valuesOf('plain') : null
    const others = claim.to.map(valuesOf)
    for (const [round, value] of valuesOf(claim.of)) {
      const base = plain === null ? 0 : plain.get(round)
      const best = bestOf(
        others.flatMap(values => values.get(round) ?? []),
        claim.figure,
      )
      if (base !== undefined && best - base > 0) ratios.push((value - base) / (best - base))
    }
  }
  return summarize(ratios)
}

/** NaN of none. */
function bestOf(values: readonly number[], figure: Figure): number {
  if (values.length === 0) return Number.NaN
  const isMoreBetter = figure === 'gbitPerSecond' || figure === 'receivedKpps'
  return isMoreBetter ? Math.max(...values) : Math.min(...values)
}

function holds({ bound }: Claim, { median }: Summary, column: 'avx512' | 'avx2'): boolean {
  if (bound.relation === 'at least') return median >= bound[column]
  return bound.relation === 'at most' ? median <= bound[column] : median < bound[column]
}

/** Whether the run was about it at all. */
function wasAsked({ runs, absences }: Result, claim: Claim): boolean {
  const isMeasured = runs.some(
    run => run.case === claim.case && claim.wires.some(wire => wire === run.wire),
  )
  const names = contestantNamesOf({ runs, absences })
  return isMeasured && names.includes(claim.of) && claim.to.some(name => names.includes(name))
}

function subjectOf({ runs }: Result, { case: name, figure, wires, abovePlain }: Claim): string {
  const what = `${figureWords[figure] ?? figure}${abovePlain === true ? ' above plain' : ''}`
  const measured = wires.filter(wire => runs.some(run => run.case === name && run.wire === wire))
  return `${caseWords[name]}, ${what}, wire of ${measured.join(' and of ')}`
}

function claimText(
  { runs }: Result,
  { case: name, of, to, bound }: Claim,
  ratio: Summary | null,
  column: 'avx512' | 'avx2',
): string {
  const measured = to.filter(peer => runs.some(run => run.contestant === peer && run.case === name))
  const others = to.length === 1 ? to[0] : `the best of ${measured.join(', ')}`
  const value = ratio === null ? 'not measured' : formatSummary(ratio)
  return `${of} to ${others}: ${value}, ${bound.relation} ${bound[column]} wanted`
}

const caseWords: Readonly<Record<CaseName, string>> = {
  tcp1: 'TCP 1 stream',
  tcp4: 'TCP 4 streams',
  udp64: 'UDP 64 B',
  udp1372: 'UDP 1372 B',
  rtt: 'round trip, idle',
  idle: 'idle',
  'loaded-rtt': 'round trip under load',
}

const figureWords: Readonly<Partial<Record<Figure, string>>> = {
  gbitPerSecond: 'Gb/s',
  cpuSecondsPerGbit: 'daemon CPU per Gbit',
  receivedKpps: 'packets received',
  cpuMicrosPerPacketReceived: 'daemon CPU per packet received',
  rttMedianMicros: 'median',
  rttP99Micros: 'p99',
}

function atLeast(avx512: number, avx2: number): Bound {
  return { relation: 'at least', avx512, avx2 }
}

function atMost(avx512: number, avx2: number): Bound {
  return { relation: 'at most', avx512, avx2 }
}

function below(avx512: number, avx2: number): Bound {
  return { relation: 'below', avx512, avx2 }
}
