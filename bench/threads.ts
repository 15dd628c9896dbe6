// What the threads of a process have run.

import { readdirSync, readFileSync } from 'node:fs'
import { parseScheduledSeconds } from './proc.ts'

/** What a process's living threads have run, in seconds, by their names. */
export function readThreadSeconds(pid: number): Map<string, number> {
  const seconds = new Map<string, number>()
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folderOfThread = `/proc/${pid}/task/${thread}`
    try {
      const name = readFileSync(`${folderOfThread}/comm`, 'utf8').trim()
      const ran = parseScheduledSeconds(readFileSync(`${folderOfThread}/schedstat`, 'utf8'))
      seconds.set(name, (seconds.get(name) ?? 0) + ran)
    } catch {
      // A thread of a pool that ended in between.
    }
  }
  return seconds
}
