// The arguments of `npm run bench -- …`. A wrong one is a UsageError: one line and exit code 2.

import { parseArgs } from 'node:util'
import {
  type CaseName,
  type ContestantName,
  caseNames,
  contestantNames,
  type WireName,
  wireNames,
} from './run-record.ts'

export interface Options {
  readonly contestants: readonly ContestantName[]
  /** Of every contestant, or of each what the plan says (plan.ts). */
  readonly cases: readonly CaseName[] | 'planned'
  readonly wires: readonly WireName[]
  readonly rounds: number
  /** Length of one TCP run. */
  readonly seconds: number
  readonly pings: number
  /** Seconds that may be spent, in all, on waiting for a quiet machine and on second tries. */
  readonly patienceSeconds: number
  readonly jsonFile: string | null
  /** The page whose part between the markers is replaced, or null for none (docs.ts). */
  readonly docsFile: string | null
  readonly output: 'table' | 'json'
  readonly help: boolean
}

export class UsageError extends Error {}

export const defaultWires: readonly WireName[] = ['superpackets', 'packets']
export const defaultDocsFile = new URL('../docs/performance.md', import.meta.url).pathname
/** The shortest run whose figures may be quoted. */
const quotable = { rounds: 3, seconds: 4 } as const

export const usage = `usage: npm run bench -- [options]

  --only NAMES     of ${contestantNames.join(', ')}
  --cases NAMES    of ${caseNames.join(', ')}
                   (default of each contestant what the goals need, see docs/performance.md;
                   with --wires all)
  --wires NAMES    of ${wireNames.join(', ')} (default ${defaultWires.join(', ')})
  --rounds N       interleaved rounds (default 3; medians are taken over them)
  --seconds N      length of one TCP run (default 4); a UDP run is one second shorter
  --quick          one round of 2 s, one wire (superpackets): a smoke test, not a figure
  --json FILE      write the result there (default .cache/bench/last.json)
  --docs FILE      write tables and chart there too: FILE has the two markers that they go between.
                   A whole run (none of the options above but --json, --rounds and --seconds, those
                   not below their defaults) writes docs/performance.md
  --no-docs        write no page
  -o table|json    what standard output gets (default table)
  -h, --help       this text

NAMES are separated by commas. Needs root. Exit codes: 0 measured whole, 1 could not measure,
2 usage, 5 some contestant or run is missing, 130 interrupted.`

export function parseOptions(argv: readonly string[]): Options {
  const { values } = parse(argv)
  const quick = values.quick ?? false
  const output = values.output ?? 'table'
  if (output !== 'table' && output !== 'json') {
    throw new UsageError(`-o ${output}: only table and json are known`)
  }
  const wires = quick ? defaultWires.slice(0, 1) : defaultWires
  const options = {
    contestants: chosen('--only', values.only, contestantNames, contestantNames),
    cases: casesOf(values.cases, values.wires),
    wires: chosen('--wires', values.wires, wireNames, wires),
    rounds: count('--rounds', values.rounds, quick ? 1 : quotable.rounds, 99),
    seconds: count('--seconds', values.seconds, quick ? 2 : quotable.seconds, 3600),
    pings: quick ? 100 : 200,
    patienceSeconds: quick ? 30 : 180,
    jsonFile: values.json ?? null,
    output,
    help: values.help ?? false,
  } as const
  const isQuotable = options.rounds >= quotable.rounds && options.seconds >= quotable.seconds
  const isNarrowed = [values.only, values.cases, values.wires].some(text => text !== undefined)
  const isWhole = isQuotable && !isNarrowed && !quick
  return { ...options, docsFile: docsFileOf(values.docs, values['no-docs'] ?? false, isWhole) }
}

function casesOf(cases: string | undefined, wires: string | undefined): Options['cases'] {
  if (cases === undefined && wires === undefined) return 'planned'
  return chosen('--cases', cases, caseNames, caseNames)
}

function docsFileOf(file: string | undefined, isNone: boolean, isWhole: boolean): string | null {
  if (file !== undefined && isNone) throw new UsageError('--docs and --no-docs: which of the two?')
  return file ?? (isWhole && !isNone ? defaultDocsFile : null)
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: false,
      options: {
        only: { type: 'string' },
        cases: { type: 'string' },
        wires: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        quick: { type: 'boolean' },
        json: { type: 'string' },
        docs: { type: 'string' },
        'no-docs': { type: 'boolean' },
        output: { type: 'string', short: 'o' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message.split('\n')[0] : String(cause))
  }
}

/** The names in `text`, in the order of `known`, so that a run's order never depends on typing. */
function chosen<Name extends string>(
  option: string,
  text: string | undefined,
  known: readonly Name[],
  otherwise: readonly Name[],
): readonly Name[] {
  if (text === undefined) return otherwise
  const wanted = text.split(',').map(name => name.trim())
  for (const name of wanted) {
    if (!known.some(candidate => candidate === name)) {
      throw new UsageError(`${option}: '${name}' is not one of ${known.join(', ')}`)
    }
  }
  return known.filter(name => wanted.includes(name))
}

function count(option: string, text: string | undefined, otherwise: number, max: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new UsageError(`${option}: '${text}' is not a whole number from 1 to ${max}`)
  }
  return value
}
