// The world failing, in a form that people can act on: what, where, and the next thing to try.
// Bad packets never become errors (they become drop reasons); our own bugs are assertions.

/** Exit codes of every command. */
export const exitCode = {
  ok: 0,
  /** Checked and unhealthy, or could not do its work (port, permission, device). */
  failed: 1,
  usage: 2,
  unreachable: 3,
  timedOut: 4,
  partial: 5,
  interrupted: 130,
} as const

export type ExitCode = (typeof exitCode)[keyof typeof exitCode]

export interface GatewayErrorOptions {
  /** The next command to run or thing to change, shown behind `try:`. */
  readonly hint?: string
  readonly exit?: ExitCode
  readonly cause?: unknown
}

/** `code` is stable and literal: an errno name (`EADDRINUSE`) or a word of ours (`BAD_FLAG`). */
export class GatewayError extends Error {
  readonly code: string
  readonly hint: string | undefined
  readonly exit: ExitCode

  constructor(code: string, message: string, options: GatewayErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = 'GatewayError'
    this.code = code
    this.hint = options.hint
    this.exit = options.exit ?? exitCode.failed
  }
}
