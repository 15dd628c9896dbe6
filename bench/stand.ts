// What `bench:scale`, `bench:flood` and `bench:soak` have in common: arguments, the machine, where the
// result goes, exit codes, and that nothing stays behind. As in bench/main.ts the exit handler is
// synchronous: it kills what was started, by pid, and deletes the namespaces, also after Ctrl-C.
//
//   runBench(program, argv): options -> measure -> goals -> text or JSON on standard output, JSON file

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { cleanUp } from './clean-up.ts'
import { endAll, succeeds } from './commands.ts'
import { describeMachine, type Machine, machineLine } from './machine.ts'
import { removeNetwork, removeOrphans } from './network.ts'
import { UsageError } from './options.ts'

const exitCode = { reached: 0, failed: 1, usage: 2, missed: 5, interrupted: 130 } as const
const root = new URL('..', import.meta.url).pathname

/** A whole number that a bench takes as `--name N`. */
export interface NumberOption {
  readonly help: string
  readonly usual: number
  readonly quick: number
  readonly most: number
}

/** What was wanted and what came out. */
export interface Goal {
  readonly what: string
  readonly wanted: string
  readonly measured: string
  /** Undefined: reported, nothing was wanted. */
  readonly isReached?: boolean
}

export interface Outcome<Result> {
  readonly result: Result
  readonly goals: readonly Goal[]
  /** What must be known to judge the figures: disturbed runs, what ended early. */
  readonly notes: readonly string[]
}

export interface BenchProgram<Name extends string, Result> {
  readonly name: string
  readonly about: string
  readonly programs: readonly string[]
  readonly numbers: Readonly<Record<Name, NumberOption>>
  measure(numbers: Readonly<Record<Name, number>>, say: Say): Promise<Outcome<Result>>
  render(result: Result): string
}

/** Progress, to standard error. */
export type Say = (text: string) => void

/** Runs a bench to its end and returns the exit code. */
export async function runBench<Name extends string, Result>(
  program: BenchProgram<Name, Result>,
  argv: readonly string[],
): Promise<number> {
  const { name } = program
  try {
    const { flags, numbers } = parseFlags(program, argv)
    if (flags.help) {
      process.stdout.write(`${usageOf(program)}\n`)
      return exitCode.reached
    }
    requireMachine(program.programs, `bench:${name}`)
    endWithNothingLeft()
    removeOrphans()
    const outcome = await program.measure(numbers, say)
    const file = flags.json ?? `${root}.cache/bench/${name}.json`
    const machine = describeMachine()
    const json = toJson(name, machine, numbers, outcome)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, json)
    process.stdout.write(flags.output === 'json' ? json : textOf(program, machine, outcome))
    say(`JSON: ${file}`)
    const isMissed = outcome.goals.some(goal => goal.isReached === false)
    return isMissed ? exitCode.missed : exitCode.reached
  } catch (cause) {
    say(`bench:${name}: ${cause instanceof Error ? cause.message : String(cause)}`)
    // What still runs would keep this process for ever.
    endAll()
    if (!(cause instanceof UsageError)) return exitCode.failed
    say(`try: npm run bench:${name} -- --help`)
    return exitCode.usage
  }
}

export function roundsText(rounds: number): string {
  if (rounds === 1) return 'One round: a smoke test, not figures to quote.'
  return `Medians of ${rounds} rounds (smallest-largest).`
}

interface Flags {
  readonly json: string | undefined
  readonly output: 'table' | 'json'
  readonly help: boolean
}

export function parseFlags<Name extends string, Result>(
  program: BenchProgram<Name, Result>,
  argv: readonly string[],
): { flags: Flags; numbers: Record<Name, number> } {
  const names = namesOf(program)
  const values = readArguments(names, argv)
  const isQuick = values['quick'] === true
  const output = values['output'] ?? 'table'
  if (output !== 'table' && output !== 'json') {
    throw new UsageError(`-o ${output}: only table and json are known`)
  }
  const json = typeof values['json'] === 'string' ? values['json'] : undefined
  const numbers = {} as Record<Name, number>
  for (const name of names) {
    const { usual, quick, most } = program.numbers[name]
    numbers[name] = readNumber(name, values[name], isQuick ? quick : usual, most)
  }
  return { flags: { json, output, help: values['help'] === true }, numbers }
}

function readArguments(
  names: readonly string[],
  argv: readonly string[],
): Readonly<Record<string, string | boolean | undefined>> {
  const numbers = names.map(name => [name, { type: 'string' as const }])
  try {
    const { values } = parseArgs({
      args: [...argv],
      allowPositionals: false,
      options: {
        quick: { type: 'boolean' },
        json: { type: 'string' },
        output: { type: 'string', short: 'o' },
        help: { type: 'boolean', short: 'h' },
        ...(Object.fromEntries(numbers) as Record<string, { type: 'string' }>),
      },
    })
    return values
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message.split('\n')[0] : String(cause))
  }
}

function readNumber(name: string, text: unknown, otherwise: number, most: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new UsageError(`--${name}: '${text}' is not a whole number from 1 to ${most}`)
  }
  return value
}

function namesOf<Name extends string, Result>(program: BenchProgram<Name, Result>): Name[] {
  return Object.keys(program.numbers) as Name[]
}

export function usageOf<Name extends string, Result>(program: BenchProgram<Name, Result>): string {
  const lines = namesOf(program).map(name => {
    const { help, usual, quick } = program.numbers[name]
    const option = `  --${name} N`.padEnd(19)
    return `${option}${help} (${usual}; quick ${quick})`
  })
  return `usage: npm run bench:${program.name} -- [options]

${program.about}

${lines.join('\n')}
  --quick          the small form: does it run at all?
  --json FILE      write the result there (default .cache/bench/${program.name}.json)
  -o table|json    what standard output gets (default table)
  -h, --help       this text

Needs root. Exit codes: 0 all goals reached, 1 could not measure, 2 usage, 5 a goal was missed,
130 interrupted.`
}

function toJson<Result>(
  name: string,
  machine: Machine,
  options: object,
  { result, goals, notes }: Outcome<Result>,
): string {
  const apiVersion = 'hawser.bench/v1'
  return `${JSON.stringify({ apiVersion, bench: name, machine, options, result, goals, notes }, null, 1)}\n`
}

export function textOf<Name extends string, Result>(
  program: BenchProgram<Name, Result>,
  machine: Machine,
  { result, goals, notes }: Outcome<Result>,
): string {
  const goalLines = goals.map(({ what, wanted, measured, isReached }) => {
    const mark = isReached === undefined ? '·' : isReached ? '✓' : '✗'
    return `- ${mark} ${what}: ${measured}${wanted === '' ? '' : `, ${wanted} wanted`}`
  })
  const parts = [
    machineLine(machine),
    program.render(result),
    `### Goals\n\n${goalLines.join('\n')}`,
  ]
  if (notes.length > 0) parts.push(`### Notes\n\n${notes.map(note => `- ${note}`).join('\n')}`)
  return `${parts.join('\n\n')}\n`
}

function requireMachine(programs: readonly string[], script: string): void {
  if (process.getuid?.() !== 0) throw new Error('needs root, for network namespaces')
  const missing = programs.filter(name => !succeeds(['sh', '-c', `command -v ${name}`]))
  if (missing.length > 0) {
    throw new Error(
      `missing: ${missing.join(', ')}: run it as \`npm run ${script}\`, which installs`,
    )
  }
}

function endWithNothingLeft(): void {
  process.on('exit', () => {
    endAll()
    removeNetwork()
    cleanUp()
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(exitCode.interrupted))
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
