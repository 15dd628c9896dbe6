// The log of a simulated API server: in memory, and read again when the server starts anew, as a disk
// would be. What is on it outlives the server; the history of its watches does not.

import type { Log, LogEntry, Logged, LoggedRow } from '../../../../src/apiserver/store.ts'

export class KeptLog implements Log {
  readonly #rows = new Map<string, LoggedRow>()
  readonly #lastChanges = new Map<string, number>()
  #version = 0

  load(): Logged {
    return { version: this.#version, lastChanges: this.#lastChanges, rows: this.#rows.values() }
  }

  append({ version, kind, key, text }: LogEntry): void {
    this.#version = version
    this.#lastChanges.set(kind, version)
    if (text === undefined) this.#rows.delete(`${kind} ${key}`)
    else this.#rows.set(`${kind} ${key}`, { kind, key, text })
  }

  close(): void {}
}
