// Network namespaces for a test: spaces of a sandbox (src/lab/sandbox.ts) that ends with the test,
// however that ends. Each space has loopback up and a /run of its own, so that two of them can have
// a /run/wireguard each. Names are free: nothing of them is seen outside of the sandbox.

import type { ChildProcess } from 'node:child_process'
import type { TestContext } from 'node:test'
import type { Finished, RunOptions } from '../../src/lab/process.ts'
import {
  addSpaces,
  endSandbox,
  mustRunIn,
  outsidePath,
  runIn,
  type Sandbox,
  startIn,
  startSandbox,
} from '../../src/lab/sandbox.ts'

export interface Spaces {
  readonly sandbox: Sandbox
  /** Runs a program to its end and tells how it went. */
  run(space: string, command: readonly string[], options?: RunOptions): Promise<Finished>
  /** Runs a program that must succeed and gives what it printed. */
  mustRun(space: string, command: readonly string[], options?: RunOptions): Promise<string>
  /** Starts a program with both outputs piped. `kill('SIGKILL')` ends it, and so does the test. */
  start(space: string, command: readonly string[]): ChildProcess
  /** Devices, addresses and routes: lines for `ip -batch`. Peers are named by `netns SPACE`. */
  configure(space: string, lines: readonly string[]): Promise<void>
  /** Where this process finds a file of the space's /run. */
  path(space: string, file: string): string
}

/** Makes spaces of these names that last as long as the test. */
export async function makeSpaces(context: TestContext, names: readonly string[]): Promise<Spaces> {
  const sandbox = await startSandbox(`hawser-test-${process.pid}`)
  context.after(() => endSandbox(sandbox))
  await addSpaces(sandbox, names)
  return spacesOf(sandbox)
}

/** The spaces of a sandbox that somebody else ends. */
export function spacesOf(sandbox: Sandbox): Spaces {
  return {
    sandbox,
    run: (space, command, options) => runIn(sandbox, space, command, options),
    mustRun: (space, command, options) => mustRunIn(sandbox, space, command, options),
    start: (space, command) => startIn(sandbox, space, command),
    async configure(space, lines) {
      const batch = ['ip', '-n', space, '-batch', '-']
      await mustRunIn(sandbox, undefined, batch, { input: `${lines.join('\n')}\n` })
    },
    path: (space, file) => outsidePath(sandbox, space, file),
  }
}
