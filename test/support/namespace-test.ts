// Tests of what the kernel does, in a network namespace of their own. The body runs in a process
// that `unshare` started: devices, addresses and routes go away with it, and nothing of the host
// is seen. That process runs the same test file again and picks the one test by its name.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { test } from 'node:test'

const marker = 'HAWSER_TEST_IN_NAMESPACE'

/** A test whose body runs in a network namespace of its own, where `lo` is up. */
export function namespaceTest(name: string, body: () => void | Promise<void>): void {
  if (process.env[marker] === name) {
    test(name, async () => {
      ip('link set lo up')
      await body()
    })
  } else if (process.env[marker] === undefined) {
    test(name, () => runInNamespace(name))
  }
}

function runInNamespace(name: string): void {
  const file = process.argv[1]
  assert.ok(file !== undefined, 'namespaceTest needs the test file as the main module')
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env
  const pattern = `^${name.replace(/[^\w ]/g, '\\$&')}$`
  const node = [process.execPath, `--test-name-pattern=${pattern}`, '--test-reporter=spec', file]
  const isRoot = process.getuid?.() === 0
  const child = spawnSync('unshare', [isRoot ? '-n' : '-Urn', ...node], {
    env: { ...environment, [marker]: name },
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  const ran = child.stdout?.includes('pass 1\n')
  if (child.status !== 0 || !ran) {
    assert.fail(`in the namespace: ${child.error ?? ''}\n${child.stdout}\n${child.stderr}`)
  }
}

/** Runs `ip` with arguments that hold no spaces, and returns what it printed. */
export function ip(command: string): string {
  return execFileSync('ip', command.split(' '), { encoding: 'utf8', stdio: 'pipe' })
}
