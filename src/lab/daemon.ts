// Starts a long-living program of a lab inside a space. It is a child of the sandbox's holder, not of
// the command that made it, may tell when it serves by a line on descriptor 3, and leaves its number
// (that of inside) and what it said in its space's /run/hawser.

import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { GatewayError } from '../net/errors.ts'
import { ended, errorIn, start } from './process.ts'
import { entered, mustRunIn, outsidePath, type Sandbox } from './sandbox.ts'

export interface Daemon {
  readonly space: string
  /** Unique in its space: names its log and its number. */
  readonly name: string
  readonly command: readonly string[]
  /** An open file that it finds on descriptor 4. */
  readonly inherited?: number
  readonly environment?: Readonly<Record<string, string>>
  /** Else the program is as good as ready once it is started: others wait for what it does. */
  readonly tellsReadiness: boolean
}

const readyLimitMs = 30_000

/** Starts a program in a session of its own; resolves when it has told that it is ready. */
export async function startDaemon(sandbox: Sandbox, daemon: Daemon): Promise<void> {
  const { space, name, command, inherited, environment, tellsReadiness } = daemon
  const log = `/run/hawser/${name}.log`
  // setsid makes the process that writes its number and then is the program.
  const inner = `echo $$ >/run/hawser/${name}.pid; exec "$@"`
  const script = `exec setsid -f sh -c '${inner}' sh "$@" >>${log} 2>&1`
  const child = start(entered(sandbox, space, ['sh', '-c', script, 'sh', ...command]), {
    stdio: [
      'ignore',
      'ignore',
      'ignore',
      tellsReadiness ? 'pipe' : 'ignore',
      inherited ?? 'ignore',
    ],
    env: { ...process.env, ...environment },
  })
  if (!tellsReadiness) {
    const code = await ended(child)
    if (code === 0) return
    throw new GatewayError('EFAILED', `cannot start ${name} on ${space}: exit code ${code}`)
  }
  const failed = new Promise<string>(resolve =>
    child.once('error', cause => resolve(String(cause))),
  )
  const ready = child.stdio[3] as Readable
  const reason = await Promise.race([failed, readiness(ready)])
  ready.destroy()
  if (reason === undefined) return
  const said = lastWords(outsidePath(sandbox, space, log))
  const message = `${name} on ${space} ${reason}${said.error === '' ? '' : `: ${said.error}`}`
  throw new GatewayError('EFAILED', message, said.hint === undefined ? {} : { hint: said.hint })
}

/** Ends a daemon as nothing could prevent, and waits until it is gone. False when it was not there. */
export async function killDaemon(sandbox: Sandbox, space: string, name: string): Promise<boolean> {
  const script = `
    pid=$(cat /run/hawser/${name}.pid) && kill -9 "$pid" 2>/dev/null || { echo none; exit 0; }
    while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done`
  return (await mustRunIn(sandbox, space, ['sh', '-c', script])) === ''
}

/** Nothing when the line came, else why it did not. */
function readiness(pipe: Readable): Promise<string | undefined> {
  return new Promise(resolve => {
    const timer = setTimeout(
      () => resolve(`is not ready after ${readyLimitMs / 1000} s`),
      readyLimitMs,
    )
    const settle = (reason: string | undefined) => {
      clearTimeout(timer)
      resolve(reason)
    }
    pipe.once('data', () => settle(undefined))
    pipe.once('end', () => settle('ended before it was ready'))
    pipe.once('error', cause => settle(String(cause)))
  })
}

/** What a daemon said last, for whoever waits in vain for what it should do. */
export function lastWordsOf(sandbox: Sandbox, space: string, name: string): string {
  return lastWords(outsidePath(sandbox, space, `/run/hawser/${name}.log`)).error
}

function lastWords(file: string): ReturnType<typeof errorIn> {
  try {
    return errorIn(readFileSync(file, 'utf8'))
  } catch {
    // The program did not get as far as to open it.
    return { error: '' }
  }
}
