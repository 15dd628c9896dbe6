// What must not stay behind when a bench ends, however it ends: functions that run, synchronously,
// in the exit handler, the last one first.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'

const cleanUps: (() => void)[] = []
let folder: string | undefined

export function atEnd(cleanUp: () => void): void {
  cleanUps.push(cleanUp)
}

export function cleanUp(): void {
  for (let next = cleanUps.pop(); next; next = cleanUps.pop()) next()
}

/** A folder for sockets and files, which goes with the process. */
export function benchFolder(): string {
  if (folder === undefined) {
    const made = mkdtempSync(`${tmpdir()}/hawser-bench-`)
    atEnd(() => rmSync(made, { recursive: true, force: true }))
    folder = made
  }
  return folder
}
