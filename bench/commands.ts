// Programs that the bench runs, and the promise that none of them outlives it. Every started
// process is registered until it ends; `endAll` kills what is left, by the pid that was started.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'

export class CommandFailed extends Error {}

/** A program that is running. */
export interface Running {
  readonly pid: number
  /** Whether it has not ended yet. */
  alive(): boolean
  /** What it wrote so far. */
  output(): string
  errors(): string
  /** Resolves with the exit code, -1 after a signal. Never rejects. */
  readonly ended: Promise<number>
  kill(signal: NodeJS.Signals): void
}

const running = new Set<Running>()

/** Runs a short program and returns its output. Throws CommandFailed with its last line. */
export function run(argv: readonly string[], input = ''): string {
  const done = spawnSync(argv[0], argv.slice(1), { input, encoding: 'utf8' })
  if (done.error !== undefined) {
    throw new CommandFailed(`cannot run ${argv[0]}: ${done.error.message}`)
  }
  if (done.status !== 0) {
    throw new CommandFailed(`${argv.join(' ')}: ${lastLine(done.stderr) || `exit ${done.status}`}`)
  }
  return done.stdout
}

export function succeeds(argv: readonly string[]): boolean {
  return spawnSync(argv[0], argv.slice(1), { stdio: 'ignore' }).status === 0
}

/** Starts a program in the background. */
export function start(
  argv: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Running {
  const child = spawn(argv[0], argv.slice(1), {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return register(child)
}

/** Kills all that is left, for the exit handler: synchronous, SIGKILL, no second thoughts. */
export function endAll(): void {
  for (const program of running) program.kill('SIGKILL')
  running.clear()
}

/** Asks a program to end, and makes it after `graceMs`. */
export async function stop(program: Running, graceMs = 2000): Promise<void> {
  program.kill('SIGTERM')
  const force = setTimeout(() => program.kill('SIGKILL'), graceMs)
  await program.ended
  clearTimeout(force)
}

export function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? ''
}

function register(child: ChildProcess): Running {
  let output = ''
  let errors = ''
  let alive = child.pid !== undefined
  child.stdout?.on('data', chunk => {
    output += chunk
  })
  child.stderr?.on('data', chunk => {
    errors += chunk
  })
  const ended = new Promise<number>(resolve => {
    child.on('error', cause => {
      errors += cause.message
      alive = false
      resolve(-1)
    })
    child.on('close', code => resolve(code ?? -1))
    child.on('exit', () => {
      alive = false
      running.delete(program)
    })
  })
  const program: Running = {
    pid: child.pid ?? -1,
    alive: () => alive,
    output: () => output,
    errors: () => errors,
    ended,
    kill: signal => {
      if (alive) child.kill(signal)
    },
  }
  if (alive) running.add(program)
  return program
}
