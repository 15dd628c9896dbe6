// A folder for the files of servers, gone when they are stopped, and also when this process is killed: a
// janitor that nobody else signals waits for the end of a pipe, and then removes the folder.

import { spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ended } from '../../../src/lab/process.ts'

export interface Scratch {
  path(name: string): string
  /** Writes a file that only this user may read, and gives its path. */
  write(name: string, text: string): string
  /** Resolves when the folder is gone. Who writes into it has to be dead by then. */
  remove(): Promise<void>
}

// The servers die with us, asynchronously: one of them may still make a file while others go.
const janitor = `
trap '' HUP INT TERM
read -r _
until rm -rf "$1"; do :; done
`

export function openScratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'hawser-kubernetes-'))
  const child = spawn('sh', ['-c', janitor, 'hawser-janitor', folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const gone = ended(child)
  // An error to whoever waits for it in `remove`.
  gone.catch(() => undefined)
  const path = (name: string) => join(folder, name)
  return {
    path,
    write(name, text) {
      writeFileSync(path(name), text, { mode: 0o600 })
      return path(name)
    },
    async remove() {
      child.stdin.end()
      await gone
    },
  }
}
