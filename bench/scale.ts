// `npm run bench:scale`: one gateway with a thousand WireGuard peers and a hundred thousand allowed
// prefixes. How long until that is in force, how much memory it takes, and what it costs a packet,
// beside a gateway with one peer (docs/scale.md).

import { silentPeers } from './fleet.ts'
import { type ManyFigures, measureMany } from './many-streams.ts'
import { Patience } from './measure.ts'
import { disturbedCores } from './meter.ts'
import { createNetwork } from './network.ts'
import { formatSummary } from './numbers.ts'
import { renderTable } from './report.ts'
import { type Round, runRound, type TcpFigures } from './scale-round.ts'
import {
  type BenchProgram,
  type Goal,
  type Outcome,
  roundsText,
  runBench,
  type Say,
} from './stand.ts'
import { type Summary, summarize } from './statistics.ts'

const mtuBytes = 1420
const reposts = 5
const goals = { seconds: 2, memoryMib: 400, cpuRatio: 1.1 } as const

type Names = 'peers' | 'prefixes' | 'rounds' | 'seconds' | 'streams'

interface Result {
  readonly rounds: readonly Round[]
  readonly many: readonly ManyFigures[]
}

const program: BenchProgram<Names, Result> = {
  name: 'scale',
  about: 'A gateway with many peers and prefixes: time to configure, memory, CPU per Gbit.',
  programs: ['ip', 'iperf3', 'ping', 'wg', 'wireguard-go'],
  numbers: {
    peers: { help: 'peers of a crowded gateway', usual: 1000, quick: 1000, most: 16_000 },
    prefixes: { help: 'allowed prefixes of each', usual: 100, quick: 100, most: 1000 },
    rounds: { help: 'pairs of runs', usual: 7, quick: 1, most: 99 },
    seconds: { help: 'length of one TCP run', usual: 4, quick: 2, most: 3600 },
    streams: { help: 'peers that speak at once at the end', usual: 64, quick: 8, most: 200 },
  },
  measure,
  render,
}

process.exitCode = await runBench(program, process.argv.slice(2))

async function measure(
  numbers: Readonly<Record<Names, number>>,
  say: Say,
): Promise<Outcome<Result>> {
  const { peers, prefixes, seconds } = numbers
  say(`${peers} peers with ${prefixes} prefixes each`)
  const silent = silentPeers(peers, prefixes)
  const patience = new Patience(numbers.rounds === 1 ? 30 : 300)
  const rounds: Round[] = []
  createNetwork(mtuBytes)
  for (let round = 1; round <= numbers.rounds; round++) {
    const measured = await runRound({ round, silent, seconds, reposts, patience })
    rounds.push(measured)
    say(progressOf(round, numbers.rounds, measured))
  }
  say(`${numbers.streams} peers at once`)
  createNetwork(mtuBytes)
  const many = await measureMany(silent, Math.min(numbers.streams, peers), seconds)
  return { result: { rounds, many }, goals: judge(rounds), notes: notesOf(rounds) }
}

function judge(rounds: readonly Round[]): Goal[] {
  const time = (name: keyof Round['configure']) => over(rounds, round => round.configure[name])
  const atMost = (what: string, summary: Summary, most: number, unit: string): Goal => ({
    what,
    wanted: `at most ${most}${unit}`,
    measured: `${formatSummary(summary)}${unit}`,
    isReached: summary.median <= most,
  })
  return [
    atMost('configured by an attached client', time('wireSeconds'), goals.seconds, ' s'),
    atMost('configured by hawser apply', time('commandSeconds'), goals.seconds, ' s'),
    atMost(
      'peak memory',
      over(rounds, ({ memory }) => memory.peakMib),
      goals.memoryMib,
      ' MiB',
    ),
    atMost('CPU per Gbit, crowded to lone', cpuRatio(rounds, both), goals.cpuRatio, ''),
    { what: 'by wg setconf', wanted: '', measured: `${formatSummary(time('setconfSeconds'))} s` },
  ]
}

function render({ rounds, many }: Result): string {
  const seconds = (name: keyof Round['configure']) =>
    formatSummary(over(rounds, round => round.configure[name]))
  const memory = (name: keyof Round['memory']) =>
    formatSummary(over(rounds, round => round.memory[name]))
  const configure = renderTable([
    ['until in force', 'seconds'],
    ['an attached client posts it', seconds('wireSeconds')],
    ['the same once more', seconds('againSeconds')],
    ['hawser apply FILE', seconds('commandSeconds')],
    ['wg setconf, on hawser wg', seconds('setconfSeconds')],
  ])
  const sizes = renderTable([
    ['memory of the larger crowded gateway', 'MiB'],
    ['resident, after all of it', memory('residentMib')],
    ['peak', memory('peakMib')],
  ])
  const row = (title: string, of: (figures: TcpFigures) => number) => [
    title,
    formatSummary(over(rounds, ({ lone }) => of(lone))),
    formatSummary(over(rounds, ({ crowded }) => of(crowded))),
    formatSummary(cpuRatio(rounds, of)),
  ]
  const cpu = renderTable([
    ['TCP, one stream', 'one peer', 'crowded', 'ratio in the round'],
    row('Gb/s', ({ gbitPerSecond }) => gbitPerSecond),
    row('CPU-s per Gbit, sender', ({ sender }) => sender),
    row('CPU-s per Gbit, receiver', ({ receiver }) => receiver),
    row('CPU-s per Gbit, both', both),
  ])
  const streams = renderTable([
    ['crowded gateway, far ends wireguard-go', 'Gb/s', 'CPU-s per Gbit'],
    ...many.map(figures => [
      `${figures.streams} at once`,
      figures.gbitPerSecond.toFixed(2),
      figures.cpuSecondsPerGbit.toFixed(3),
    ]),
  ])
  return [roundsText(rounds.length), configure, sizes, cpu, streams].join('\n\n')
}

function both({ sender, receiver }: TcpFigures): number {
  return sender + receiver
}

function over(rounds: readonly Round[], value: (round: Round) => number): Summary {
  const summary = summarize(rounds.map(value))
  if (summary === null) throw new Error('no round was measured')
  return summary
}

/** Crowded to lone within each round. */
function cpuRatio(rounds: readonly Round[], of: (figures: TcpFigures) => number): Summary {
  return over(rounds, ({ lone, crowded }) => of(crowded) / of(lone))
}

function notesOf(rounds: readonly Round[]): string[] {
  return rounds.flatMap((round, index) =>
    (['lone', 'crowded'] as const).flatMap(kind => {
      const { problems, foreignCores } = round[kind]
      const where = `round ${index + 1}, ${kind}`
      if (problems.length > 0) return [`invalid: ${where}: ${problems.join('; ')}`]
      if (foreignCores <= disturbedCores) return []
      return [`disturbed: ${where}: others used ${foreignCores.toFixed(2)} of a core`]
    }),
  )
}

function progressOf(round: number, rounds: number, measured: Round): string {
  const { configure, memory, lone, crowded } = measured
  const ratio = both(crowded) / both(lone)
  return (
    `${round}/${rounds}  in force after ${configure.wireSeconds.toFixed(2)} s, command ` +
    `${configure.commandSeconds.toFixed(2)} s, setconf ${configure.setconfSeconds.toFixed(2)} s, ` +
    `${memory.peakMib.toFixed(0)} MiB peak, CPU per Gbit ${ratio.toFixed(3)} of one peer's`
  )
}
