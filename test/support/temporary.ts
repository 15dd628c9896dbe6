// Directories that go away with the test that made them.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export function temporaryDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'hawser-'))
  context.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Looks again until `holds` does. Fails after 20 s. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + 20_000
  while (!holds()) {
    if (performance.now() > end) throw new Error(`still waiting for: ${what}`)
    await new Promise(resolve => setImmediate(resolve))
  }
}
