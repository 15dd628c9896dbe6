// A server program under a test: it writes its log into a file, dies with the process of the test however
// that ends (PR_SET_PDEATHSIG, by setpriv), and is killed by the pid that was started and nothing else.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ended } from '../../../src/lab/process.ts'

/** So slow is no machine that is up to the other tests. */
const readyLimitMs = 120_000
const pollMs = 50
const tailLines = 15

export class Daemon {
  readonly #name: string
  readonly #logFile: string
  readonly #child: ChildProcess
  readonly #ended: Promise<string>
  #isRunning = true

  /** Starts the program; what it prints is added to the file. */
  constructor(command: readonly string[], logFile: string) {
    this.#name = basename(command[0])
    this.#logFile = logFile
    const log = openSync(logFile, 'a', 0o600)
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    this.#ended = ended(this.#child)
      .then(
        code => `ended with ${code}`,
        (error: Error) => `cannot be started: ${error.message}`,
      )
      .finally(() => {
        this.#isRunning = false
      })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Asks until the answer is true. Throws with the end of the log when the program ends before, or hangs. */
  async ready(isReady: () => Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + readyLimitMs
    while (!(await isReady().catch(() => false))) {
      if (!this.#isRunning) throw this.#failure(await this.#ended)
      if (performance.now() > deadlineMs) {
        throw this.#failure(`is not ready after ${readyLimitMs / 1000} s`)
      }
      await delay(pollMs)
    }
  }

  /** At once, as a crash would; resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.#isRunning) this.#child.kill('SIGKILL')
    await this.#ended
  }

  #failure(what: string): Error {
    const lines = readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-tailLines)
    return new Error(`${this.#name} ${what}; the end of its log:\n${lines.join('\n')}`)
  }
}
