// A log whose lines a test can read.

import type { Log } from '../../src/control/parts.ts'

export interface TestLog extends Log {
  /** `error TEXT`, `info TEXT`. */
  readonly lines: readonly string[]
}

export function testLog(): TestLog {
  const lines: string[] = []
  return {
    lines,
    error: line => void lines.push(`error ${line}`),
    info: line => void lines.push(`info ${line}`),
    debug: () => undefined,
  }
}
