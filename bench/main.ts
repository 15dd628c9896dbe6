// `npm run bench`: Hawser beside what it has to beat, in one run on one machine.
//
//   prepare (build peers) -> rounds x contestants: fresh nodes, join, wires x cases, take down
//                         -> tables on standard output, JSON in a file
//
// Rounds are interleaved (A B C, A B C, …): what the machine does in between hits all alike. Only
// figures of one run may be compared. Nothing stays behind, also after Ctrl-C: the exit handler is
// synchronous and kills what was started, by pid, and deletes the namespaces.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { endAll, succeeds } from './commands.ts'
import { type Contestant, contestants, type Prepared } from './contestants.ts'
import { removeSockets } from './daemons.ts'
import { requireMarkers, writeDocs } from './docs.ts'
import type { Link } from './link.ts'
import { reaches } from './load.ts'
import { describeMachine } from './machine.ts'
import { measure, Patience } from './measure.ts'
import { createNetwork, removeNetwork, removeOrphans } from './network.ts'
import { type Options, parseOptions, UsageError, usage } from './options.ts'
import { type Step, secondsOf, stepsOf } from './plan.ts'
import { readPeakMemoryBytes } from './proc.ts'
import { progressLine } from './progress.ts'
import { renderReport } from './report.ts'
import type { Absence, ContestantName, Result, Run } from './run-record.ts'
import { useWire } from './wires.ts'

const exitCode = { measured: 0, failed: 1, usage: 2, partial: 5, interrupted: 130 } as const
const defaultJsonFile = new URL('../.cache/bench/last.json', import.meta.url).pathname
const undisturbed = { foreignCores: 0, waitedSeconds: 0, tries: 1 } as const
const nothingToMeasure =
  'nothing to measure: hawser-noop and hawser-capture take part in tcp1 alone'
const programs = ['ip', 'tc', 'iperf3', 'ping', 'ethtool', 'wg']

process.exitCode = await main(process.argv.slice(2))

async function main(argv: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(argv)
    if (options.help) {
      process.stdout.write(`${usage}\n`)
      return exitCode.measured
    }
    requireMachine()
    // Better now than after all the measuring.
    if (options.docsFile !== null) requireMarkers(options.docsFile)
    cleanUpAtExit()
    removeOrphans()
    removeSockets()
    return report(options, await measureAll(options))
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    say(`bench: ${message}`)
    if (!(cause instanceof UsageError)) return exitCode.failed
    say('try: npm run bench -- --help')
    return exitCode.usage
  }
}

interface Turn {
  readonly contestant: Contestant
  readonly prepared: Prepared
  readonly steps: readonly Step[]
}

async function measureAll(options: Options): Promise<Result> {
  const absences: Absence[] = []
  const turns: Turn[] = []
  const versions: Partial<Record<ContestantName, string>> = {}
  for (const contestant of contestants) {
    const steps = stepsOf(contestant.name, options)
    if (!options.contestants.includes(contestant.name) || steps.length === 0) continue
    try {
      const prepared = contestant.prepare(say)
      versions[contestant.name] = prepared.version
      turns.push({ contestant, prepared, steps })
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      say(`${contestant.name}: cannot be measured: ${reason}`)
      absences.push({ contestant: contestant.name, reason })
    }
  }
  const { rounds, seconds } = options
  const planned = rounds * turns.reduce((sum, { steps }) => sum + secondsOf(steps, options), 0)
  if (planned === 0 && absences.length === 0) throw new UsageError(nothingToMeasure)
  say(
    `about ${minutes(planned)} min; up to ${minutes(options.patienceSeconds)} more if others work`,
  )
  const runs: Run[] = []
  const patience = new Patience(options.patienceSeconds)
  for (let round = 1; round <= rounds; round++) {
    for (const turn of turns) runs.push(...(await takeTurn(round, turn, options, patience)))
  }
  return { machine: describeMachine(), rounds, seconds, versions, runs, absences }
}

/** One contestant's turn in a round. A turn that fails is a run with a problem, and we go on. */
async function takeTurn(
  round: number,
  { contestant, prepared, steps }: Turn,
  options: Options,
  patience: Patience,
): Promise<Run[]> {
  const runs: Run[] = []
  const at = { round, contestant: contestant.name }
  const first = steps[0]
  let { wire } = first
  let link: Link | undefined
  const add = (run: Run) => {
    runs.push(run)
    say(progressLine(run, options.rounds))
  }
  try {
    createNetwork(contestant.podMtuBytes)
    link = await prepared.join()
    if (!reaches()) throw new Error(link.failure() ?? 'pod-a does not reach pod-b')
    for (const step of steps) {
      wire = step.wire
      useWire(wire)
      for (const name of step.cases) {
        add({ ...at, wire, case: name, ...(await measure(name, link, options, patience)) })
      }
    }
    if (link.pids.length > 0) {
      const peak = Math.max(...link.pids.map(readPeakMemoryBytes))
      const figures = { peakMemoryMib: peak / 2 ** 20 }
      // One peak for the whole turn, noted under its first wire.
      add({ ...at, wire: first.wire, case: 'memory', figures, ...undisturbed, problems: [] })
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    add({ ...at, wire, case: first.cases[0], figures: {}, ...undisturbed, problems: [reason] })
  } finally {
    await link?.stop()
    removeNetwork()
  }
  return runs
}

function report(options: Options, result: Result): number {
  const file = options.jsonFile ?? defaultJsonFile
  const json = `${JSON.stringify({ apiVersion: 'hawser.bench/v1', ...result }, null, 1)}\n`
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, json)
  process.stdout.write(options.output === 'json' ? json : renderReport(result))
  say(`JSON: ${file}`)
  if (options.docsFile !== null) {
    for (const written of writeDocs(options.docsFile, result)) say(`written: ${written}`)
  }
  const isWhole =
    result.absences.length === 0 && result.runs.every(run => run.problems.length === 0)
  return isWhole ? exitCode.measured : exitCode.partial
}

function minutes(seconds: number): number {
  return Math.max(1, Math.ceil(seconds / 60))
}

function requireMachine(): void {
  if (process.getuid?.() !== 0) throw new Error('needs root, for network namespaces')
  const missing = programs.filter(name => !succeeds(['sh', '-c', `command -v ${name}`]))
  if (missing.length > 0) {
    throw new Error(
      `missing: ${missing.join(', ')}: run it as \`npm run bench\`, which installs them`,
    )
  }
}

function cleanUpAtExit(): void {
  process.on('exit', () => {
    endAll()
    removeNetwork()
    removeSockets()
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(exitCode.interrupted))
  }
}

/** Standard output is for the result; everything else goes here. */
function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
