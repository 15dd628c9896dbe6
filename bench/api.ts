// `npm run bench:api`: a broker of its own under the load of a large clusterset. A hundred members with six
// watches each over TLS, fifty writes a second that a hundred watches see: how late they see them, and
// what the process needs.

import { type ApiFigures, measureApi } from './api-load.ts'
import { formatNumber } from './numbers.ts'
import { renderTable } from './report.ts'
import { type BenchProgram, type Goal, type Outcome, runBench, type Say } from './stand.ts'

const goals = { latencyMs: 100, memoryMib: 250 } as const

type Names = 'members' | 'writes' | 'seconds'

const program: BenchProgram<Names, ApiFigures> = {
  name: 'api',
  about: 'A broker of its own: how late watches see changes, memory and CPU.',
  programs: [],
  numbers: {
    members: { help: 'clusters, with six watches each', usual: 100, quick: 20, most: 500 },
    writes: { help: 'writes a second', usual: 50, quick: 50, most: 1000 },
    seconds: { help: 'how long', usual: 60, quick: 5, most: 3600 },
  },
  measure,
  render,
}

process.exitCode = await runBench(program, process.argv.slice(2))

async function measure(
  { members, writes, seconds }: Readonly<Record<Names, number>>,
  say: Say,
): Promise<Outcome<ApiFigures>> {
  say(`${members} members, ${writes} writes a second for ${seconds} s`)
  const result = await measureApi(members, writes, seconds)
  const wanted = members * writes * seconds
  const notes = ['Clients and server share the machine, and the clients are one process.']
  return { result, goals: judge(result, wanted), notes }
}

function judge({ latencyMs, framesSeen, peakMemoryMib }: ApiFigures, wanted: number): Goal[] {
  return [
    {
      what: 'age of a change in a watch, p99',
      wanted: `at most ${goals.latencyMs} ms`,
      measured: `${formatNumber(latencyMs.p99)} ms`,
      isReached: latencyMs.p99 <= goals.latencyMs,
    },
    {
      what: 'changes that watches saw',
      wanted: `${wanted}`,
      measured: `${framesSeen}`,
      isReached: framesSeen === wanted,
    },
    {
      what: 'peak memory of the broker',
      wanted: `at most ${goals.memoryMib} MiB`,
      measured: `${formatNumber(peakMemoryMib)} MiB`,
      isReached: peakMemoryMib <= goals.memoryMib,
    },
  ]
}

function render(figures: ApiFigures): string {
  const { watches, writes, latencyMs, writeMs, cpuCores, setUpSeconds } = figures
  return renderTable([
    ['watches', 'writes', 'seen p50 ms', 'p99', 'most', 'write p50 ms', 'p99', 'cores', 'set-up s'],
    [
      ...[`${watches}`, `${writes}`, formatNumber(latencyMs.p50), formatNumber(latencyMs.p99)],
      ...[formatNumber(latencyMs.most), formatNumber(writeMs.p50), formatNumber(writeMs.p99)],
      ...[formatNumber(cpuCores), formatNumber(setUpSeconds)],
    ],
  ])
}
