// Log lines of the daemons: one line per event, on standard error. Under systemd (JOURNAL_STREAM is
// set) a line starts with its syslog priority, `<6>`, and the journal adds the time; elsewhere with
// the time and the level. Text from outside cannot break a line: control characters are replaced.
//
// Nothing here may end the process: a reader that goes away (EPIPE) costs the lines, not the tunnel.

export const logLevels = ['silent', 'error', 'info', 'debug'] as const

export type LogLevel = (typeof logLevels)[number]

export interface Log {
  error(line: string): void
  info(line: string): void
  debug(line: string): void
}

export interface LogOptions {
  readonly level: LogLevel
  readonly stream: NodeJS.WritableStream
  /** Lines for the journal: a priority instead of time and level. */
  readonly journal: boolean
  readonly wallMs: () => number
}

/** sd-daemon(3): priorities as in syslog. */
const priorities = { error: 3, info: 6, debug: 7 } as const

export function createLog(options: LogOptions): Log {
  const { stream, journal, wallMs } = options
  stream.on('error', () => undefined)
  const most = logLevels.indexOf(options.level)
  const writer = (level: 'error' | 'info' | 'debug') => {
    if (logLevels.indexOf(level) > most) return () => undefined
    const priority = `<${priorities[level]}>`
    return (line: string) => {
      const prefix = journal ? priority : `${new Date(wallMs()).toISOString()} ${level} `
      stream.write(`${prefix}${printable(line)}\n`)
    }
  }
  return { error: writer('error'), info: writer('info'), debug: writer('debug') }
}

/** The log of this process. */
export function processLog(level: LogLevel): Log {
  const journal = process.env['JOURNAL_STREAM'] !== undefined
  return createLog({ level, stream: process.stderr, journal, wallMs: Date.now })
}

function printable(line: string): string {
  return line.replace(/\p{Cc}+/gu, ' ').trim()
}
