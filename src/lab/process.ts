// Runs the programs that the lab is made of (ip, ping, curl, iperf3, tcpdump) and reads what they
// print. A program that fails is a result; only one that cannot be started is an error.

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { GatewayError } from '../net/errors.ts'

export interface Finished {
  /** Exit code; 128 + n for signal n, 124 when the time was up, as timeout(1) has it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** Sent to standard input, which is /dev/null otherwise. */
  readonly input?: Uint8Array | string
  readonly timeoutMs?: number
}

const defaultTimeoutMs = 30_000

/** Runs a program to its end. Throws GatewayError only when there is no such program. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = start(command, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  const output = collect(child)
  let expired = false
  const timer = setTimeout(() => {
    expired = true
    child.kill('SIGKILL')
  }, options.timeoutMs ?? defaultTimeoutMs)
  // A program may end before it has read all of its input: EPIPE is its business.
  child.stdin?.on('error', () => {})
  child.stdin?.end(options.input)
  try {
    const code = await ended(child)
    const { stdout, stderr } = output()
    return { code: expired ? 124 : code, stdout: stdout.toString(), stderr: stderr.toString() }
  } catch (cause) {
    throw missing(command[0], cause)
  } finally {
    clearTimeout(timer)
  }
}

/** Like `run`, and throws what the program said when it failed. */
export async function mustRun(command: readonly string[], options: RunOptions = {}) {
  const result = await run(command, options)
  if (result.code !== 0)
    throw new GatewayError('EFAILED', `${command[0]} failed: ${lastWords(result)}`)
  return result.stdout
}

export function start(command: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn(command[0], command.slice(1), options)
}

/** Resolves with the exit code when the process has ended and its output is read. */
export function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 143)))
  })
}

/** Gathers both outputs; the function returned gives what there is by now. */
export function collect(child: ChildProcess): () => { stdout: Buffer; stderr: Buffer } {
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  return () => ({ stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) })
}

/** What a command of ours said last: its error, and what to try. */
export function errorIn(text: string): { readonly error: string; readonly hint?: string } {
  const lines = text.trimEnd().split('\n')
  const last = lines.at(-1) ?? ''
  const error = (line: string) => line.replace(/^hawser: /, '')
  if (!last.startsWith('try: ')) return { error: error(last) }
  return { error: error(lines.at(-2) ?? ''), hint: last.slice('try: '.length) }
}

/** The line that most likely says what went wrong. */
export function lastWords(result: Finished): string {
  if (result.code === 124) return 'it did not end in time'
  const lines = `${result.stdout}\n${result.stderr}`.split('\n').filter(line => line.trim() !== '')
  return lines.at(-1)?.trim() ?? `exit code ${result.code}`
}

function missing(program: string, cause: unknown): GatewayError {
  return new GatewayError('ENOENT', `cannot run ${program}`, {
    hint: 'sh scripts/setup',
    cause,
  })
}
