// What happens when nobody caught an error: it is our bug, so the process says one line and ends,
// and whoever supervises it starts it again. The line goes to the descriptor itself, because
// streams may be what is broken.
//
// The workers must be stopped first: process.exit waits for them, and a worker that sleeps in a
// native poll does not notice. If stopping fails too, the process kills itself.

import { writeSync } from 'node:fs'
import { exitCode } from '../net/errors.ts'

const stopLimitMs = 3000
const standardError = 2

/** Returns how to take the handler away again. */
export function exitOnUncaught(
  stop: () => Promise<void>,
  onFatal: (message: string) => void = () => {},
): () => void {
  let dying = false
  const die = (error: unknown): void => {
    if (dying) return
    dying = true
    const message = `internal error: ${textOf(error)}`
    say(`hawser: ${message}\n`)
    onFatal(message)
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), stopLimitMs)
    stop().then(
      () => process.exit(exitCode.failed),
      () => process.kill(process.pid, 'SIGKILL'),
    )
  }
  process.on('uncaughtException', die)
  return () => process.off('uncaughtException', die)
}

function say(line: string): void {
  try {
    writeSync(standardError, line)
  } catch {
    // Nobody can be told; the exit code still can.
  }
}

/** One line: the message and the place. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const place = /\n\s+at ([^\n]+)/.exec(error.stack ?? '')
  return `${error.message.replace(/\s+/g, ' ')}${place === null ? '' : ` at ${place[1]}`}`
}
