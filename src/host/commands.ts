// Runs `ip`, `bridge` and `nft` of the machine. Lines to carry out come in by standard input, so one
// process does a whole change (`ip -batch -`), and nothing stands in argv but options.
//
// Why programs and not netlink: they are on every node image already, they print JSON, and what this
// product does now and then (a gateway moves, a cluster joins) costs two milliseconds a process.

import { spawn } from 'node:child_process'
import { GatewayError } from '../net/errors.ts'

/** Runs a program to its end and gives what it printed; throws `CommandFailure`. */
export type RunCommand = (command: readonly string[], input?: string) => Promise<string>

/** The program ran and said no. */
export class CommandFailure extends GatewayError {
  readonly stderr: string

  constructor(command: readonly string[], stderr: string, code: number | null) {
    const lines = stderr.split('\n').filter(line => line.trim() !== '')
    const why = lines.length === 0 ? `exit code ${code ?? 'of a signal'}` : lines.join('; ')
    super('EFAILED', `${command.join(' ')}: ${why.slice(0, wordsMost)}`, {
      hint: /not permitted/i.test(stderr) ? 'it takes CAP_NET_ADMIN: run as root' : hintOf(command),
    })
    this.stderr = stderr
  }
}

const wordsMost = 500
const limitMs = 30_000

export const runCommand: RunCommand = async (command, input) => {
  const [program, ...args] = command
  const child = spawn(program, args, {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  // A program may end before it has read everything.
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(input)
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    if (code !== 0) throw new CommandFailure(command, Buffer.concat(stderr).toString(), code)
    return Buffer.concat(stdout).toString()
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    const { code = 'EFAILED', message } = cause as NodeJS.ErrnoException
    const missing = program === 'nft' ? 'install nftables' : 'install iproute2'
    throw new GatewayError(code, `cannot run ${program}: ${message}`, {
      ...(code === 'ENOENT' ? { hint: missing } : {}),
      cause,
    })
  } finally {
    clearTimeout(timer)
  }
}

/** The JSON that `ip -j` and `bridge -j` print; nothing at all when there is nothing to show. */
export async function readJson(run: RunCommand, command: readonly string[]): Promise<Fields[]> {
  const text = await run(command)
  if (text.trim() === '') return []
  const value = parseOutput(command, text)
  return Array.isArray(value) ? value.filter(isFields) : []
}

/** Old releases print what is none. */
export function parseOutput(command: readonly string[], text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const hint = `${command[0]} -V`
    throw new GatewayError('EFAILED', `${command.join(' ')}: it prints no JSON`, { hint, cause })
  }
}

export type Fields = Readonly<Record<string, unknown>>

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function textOf(fields: Fields, name: string): string {
  const value = fields[name]
  return typeof value === 'string' ? value : ''
}

export function numberOf(fields: Fields, name: string): number {
  const value = Number(fields[name])
  return Number.isFinite(value) ? value : 0
}

/** What is asked for is not there: taken away meanwhile, or of a family that the kernel lacks. */
export function isGone(error: unknown): boolean {
  return (
    error instanceof CommandFailure &&
    /Cannot find device|No such|does not exist|not supported/i.test(error.stderr)
  )
}

function hintOf([program]: readonly string[]): string {
  return program === 'nft' ? 'nft list ruleset' : 'ip -d address; ip rule; ip route show table all'
}
