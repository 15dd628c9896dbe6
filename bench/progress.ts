// One line of progress for each run.

import type { Figure, Run } from './run-record.ts'

const shown: readonly { figure: Figure; unit: string; digits: number }[] = [
  { figure: 'gbitPerSecond', unit: 'Gb/s', digits: 2 },
  { figure: 'cpuSecondsPerGbit', unit: 'CPU-s/Gbit', digits: 3 },
  { figure: 'receivedKpps', unit: 'kpps', digits: 1 },
  { figure: 'lossPercent', unit: '% lost', digits: 1 },
  { figure: 'cpuMicrosPerPacketSent', unit: 'µs/packet', digits: 2 },
  { figure: 'rttMedianMicros', unit: 'µs round trip', digits: 0 },
  { figure: 'idleCpuPercent', unit: '% of a core idle', digits: 3 },
  { figure: 'peakMemoryMib', unit: 'MiB peak', digits: 0 },
]

export function progressLine(run: Run, rounds: number): string {
  const figures: string[] = []
  for (const { figure, unit, digits } of shown) {
    const value = run.figures[figure]
    if (value !== undefined) figures.push(`${value.toFixed(digits)} ${unit}`)
  }
  const where = `${run.round}/${rounds}  ${run.contestant}  ${run.wire}  ${run.case}`
  const noise = run.foreignCores >= 0.05 ? `  others ${run.foreignCores.toFixed(2)} core` : ''
  const problem = run.problems.length > 0 ? `  INVALID: ${run.problems.join('; ')}` : ''
  return `${where}  ${figures.join(', ') || '–'}${noise}${problem}`
}
