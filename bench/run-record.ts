// What is measured, and the record of one measurement. Everything that the other files of the bench
// say to each other is here: names of contestants, wires and cases, and a Run, which is also what
// the JSON holds, one object for each (round, contestant, wire, case).

import type { Machine } from './machine.ts'

export const contestantNames = [
  'plain',
  'vxlan',
  'wg-debian',
  'wg-newest',
  'wg-tailscale',
  'boringtun',
  'gotatun',
  'hawser',
  'hawser-aes',
  'hawser-noop',
  'hawser-capture',
  'hawser-vxlan',
] as const
export type ContestantName = (typeof contestantNames)[number]

/**
 * `superpackets` passes GSO aggregates whole; `packets` carries frames of at most 1 500 bytes;
 * `gigabit` is `packets` behind a token bucket of 1 Gb/s at either end, where queues fill up.
 */
export const wireNames = ['superpackets', 'packets', 'gigabit'] as const
export type WireName = (typeof wireNames)[number]

export const caseNames = ['tcp1', 'tcp4', 'udp64', 'udp1372', 'rtt', 'idle', 'loaded-rtt'] as const
export type CaseName = (typeof caseNames)[number]

/** Peak memory is read at the end of a contestant's turn; it is a case of its own in the record. */
export type RecordedCase = CaseName | 'memory'

export type Figure =
  | 'gbitPerSecond'
  | 'cpuSecondsPerGbit'
  | 'retransmits'
  | 'sentKpps'
  | 'receivedKpps'
  | 'lossPercent'
  | 'cpuMicrosPerPacketSent'
  | 'cpuMicrosPerPacketReceived'
  | 'rttMedianMicros'
  | 'rttP99Micros'
  | 'idleCpuPercent'
  | 'peakMemoryMib'
  | 'daemonCpuSeconds'
  | 'tunnelOverPayload'
  | 'wireOverTunnel'

export type Figures = Partial<Readonly<Record<Figure, number>>>

export interface Run {
  readonly round: number
  readonly contestant: ContestantName
  readonly wire: WireName
  readonly case: RecordedCase
  readonly figures: Figures
  /** Why the figures must not be used; empty for a valid run. */
  readonly problems: readonly string[]
  /** Cores that others used while it ran, and how long it waited for quiet before. */
  readonly foreignCores: number
  readonly waitedSeconds: number
  readonly tries: number
}

/** A contestant that could not be measured at all, with the reason. */
export interface Absence {
  readonly contestant: ContestantName
  readonly reason: string
}

/** All of one run of the bench. */
export interface Result {
  readonly machine: Machine
  readonly rounds: number
  readonly seconds: number
  readonly versions: Partial<Record<ContestantName, string>>
  readonly runs: readonly Run[]
  readonly absences: readonly Absence[]
}

/** All that took part or should have, in the order of the list. */
export function contestantNamesOf({
  runs,
  absences,
}: Pick<Result, 'runs' | 'absences'>): readonly ContestantName[] {
  const took = new Set([...runs, ...absences].map(({ contestant }) => contestant))
  return contestantNames.filter(name => took.has(name))
}

/** Values of one figure by round, from the valid runs only. */
export function valuesByRound(
  runs: readonly Run[],
  contestant: ContestantName,
  wire: WireName,
  recordedCase: RecordedCase,
  figure: Figure,
): ReadonlyMap<number, number> {
  const values = new Map<number, number>()
  for (const run of runs) {
    if (run.contestant !== contestant || run.wire !== wire || run.case !== recordedCase) continue
    const value = run.figures[figure]
    if (value !== undefined && run.problems.length === 0) values.set(run.round, value)
  }
  return values
}
