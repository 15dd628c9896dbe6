// Results of the bench, made up for its unit tests.

import type { Machine } from '../../bench/machine.ts'
import type {
  ContestantName,
  Figures,
  RecordedCase,
  Result,
  Run,
  WireName,
} from '../../bench/run-record.ts'

/** Without AVX-512. */
export const benchMachine: Machine = {
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

export function run(
  round: number,
  contestant: ContestantName,
  recordedCase: RecordedCase,
  figures: Figures,
  problems: readonly string[] = [],
): Run {
  const at = { round, contestant, case: recordedCase, wire: 'superpackets' } as const
  return { ...at, figures, problems, foreignCores: 0, waitedSeconds: 0, tries: 1 }
}

export function tcp(
  round: number,
  contestant: ContestantName,
  gbit: number,
  cpu: number,
  wire: WireName = 'superpackets',
): Run {
  const figures = { gbitPerSecond: gbit, cpuSecondsPerGbit: cpu }
  return { ...run(round, contestant, 'tcp1', figures), wire }
}

export function resultOf(runs: readonly Run[], absences: Result['absences'] = []): Result {
  const versions = { plain: 'Linux 6.18' }
  return { machine: benchMachine, rounds: 3, seconds: 4, versions, runs, absences }
}
