// Starting a daemon in the background with a true hand-over: the parent waits until the child says
// that it serves, and only then exits 0; when the child fails, the parent says why and exits with
// the child's code. So a script may use the interface as soon as the command returns. (wireguard-go
// exits before its child is ready: a device that is moved at once is lost to it.)
//
// The child gets a session of its own, / as its directory and /dev/null for its terminal. It says
// one line of JSON over descriptor 3: {"ready":true}, or the error. Descriptors that the parent was
// given (WG_TUN_FD, WG_UAPI_FD) are handed on as 4, 5, ….

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, writeSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { type ExitCode, exitCode, GatewayError } from '../net/errors.ts'

/** The variable that tells the child on which descriptor to report. */
const readyVariable = 'HAWSER_READY_FD'
const readyFd = 3

export interface BackgroundOptions {
  /** Program and arguments of the child. */
  readonly command: readonly [string, ...string[]]
  readonly env: NodeJS.ProcessEnv
  /** Open descriptors to hand on, by the variable that tells the child their number. */
  readonly descriptors: Readonly<Record<string, number>>
  /** Keep standard error, for a user who asked for a log. */
  readonly keepStderr: boolean
}

/** Resolves when the child serves. Rejects with the child's own GatewayError. */
export async function startInBackground(options: BackgroundOptions): Promise<void> {
  const descriptors = Object.entries(options.descriptors)
  const env: NodeJS.ProcessEnv = { ...options.env, [readyVariable]: String(readyFd) }
  descriptors.forEach(([variable], i) => {
    env[variable] = String(readyFd + 1 + i)
  })
  const [program, ...args] = options.command
  const child = spawn(program, args, {
    detached: true,
    cwd: '/',
    env,
    stdio: [
      'ignore',
      'ignore',
      options.keepStderr ? 'inherit' : 'ignore',
      'pipe',
      ...descriptors.map(([, fd]) => fd),
    ],
  })
  const interrupted = Promise.withResolvers<never>()
  const onSignal = (): void => {
    child.kill('SIGTERM')
    interrupted.reject(
      new GatewayError('EINTR', 'interrupted before the daemon was ready', {
        exit: exitCode.interrupted,
      }),
    )
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  try {
    await Promise.race([hearReady(child), interrupted.promise])
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
    child.stdio[readyFd]?.destroy()
    child.unref()
  }
}

/** The child's end. Absent when nobody waits. */
export interface Readiness {
  /** Throws when the parent has gone: nobody knows of this daemon then, and it must not stay. */
  ready(): void
  failed(error: unknown): void
}

/** Takes the report descriptor out of the environment, so that no grandchild inherits its name. */
export function readinessOf(env: NodeJS.ProcessEnv): Readiness | undefined {
  const text = env[readyVariable]
  if (text === undefined) return undefined
  delete env[readyVariable]
  const fd = Number(text)
  let open = true
  const report = (message: object): void => {
    if (!open) return
    open = false
    writeSync(fd, `${JSON.stringify(message)}\n`)
    closeSync(fd)
  }
  return {
    ready: () => report({ ready: true }),
    failed: error => {
      const { message } = error instanceof Error ? error : new Error(String(error))
      const known = error instanceof GatewayError ? error : undefined
      try {
        report({ message, code: known?.code, hint: known?.hint, exit: known?.exit })
      } catch {
        // The parent has gone too; the exit code is all that is left to say.
      }
    },
  }
}

async function hearReady(child: ChildProcess): Promise<void> {
  const exited = new Promise<string>(resolve => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  const notStarted = new Promise<never>((_, reject) => child.once('error', reject))
  const line = await Promise.race([readLine(child.stdio[readyFd] as Readable), notStarted])
  const report: unknown = line === '' ? undefined : JSON.parse(line)
  if (isRecord(report) && report['ready'] === true) return
  if (isRecord(report) && typeof report['message'] === 'string') throw relayed(report)
  throw new GatewayError('EIO', `the daemon ended before it was ready (${await exited})`, {
    hint: 'run it with --foreground to see why',
  })
}

function readLine(from: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    from.setEncoding('utf8')
    from.on('data', (part: string) => {
      text += part
      if (text.includes('\n')) resolve(text)
    })
    from.once('end', () => resolve(text))
    from.once('error', reject)
  })
}

function relayed(report: Readonly<Record<string, unknown>>): GatewayError {
  const { message, code, hint, exit } = report
  const known = Object.values(exitCode).find(value => value === exit)
  return new GatewayError(typeof code === 'string' ? code : 'EIO', String(message), {
    exit: known ?? (exitCode.failed satisfies ExitCode),
    ...(typeof hint === 'string' ? { hint } : {}),
  })
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
