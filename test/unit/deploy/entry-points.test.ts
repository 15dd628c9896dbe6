// The entry points of the image, with a program in place of `hawser` that does as it is told.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../../support/eventually.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  readonly log: () => string
  readonly endDatapath: () => void
}

function start(
  context: TestContext,
  script: string,
  environment: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): Started {
  const directory = temporaryDirectory(context)
  const files = { FAKE_LOG: join(directory, 'log'), FAKE_END: join(directory, 'end') }
  // A network namespace: what it writes to /proc/sys/net is no business of this machine.
  const child = spawn('unshare', ['-n', 'sh', join(root, 'deploy/image', script), ...args], {
    env: {
      PATH: process.env['PATH'] ?? '',
      HAWSER: join(root, 'test/support/fake-hawser.sh'),
      ...files,
      ...environment,
    },
    stdio: 'ignore',
    // A group of its own, so that all of it can be ended.
    detached: true,
  })
  const ended = new Promise<number | null>(resolve => child.on('exit', code => resolve(code)))
  const endDatapath = () => writeFileSync(files.FAKE_END, '')
  context.after(() => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has ended.
    }
  })
  const log = () => (existsSync(files.FAKE_LOG) ? readFileSync(files.FAKE_LOG, 'utf8') : '')
  return { child, ended, log, endDatapath }
}

const count = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].length

test('the gateway is started again, and the data path is not', async context => {
  const run = start(context, 'submariner.sh', { FAKE_FAILURES: '1' }, ['--log-level', 'debug'])
  await eventually(
    () => count(run.log(), /^gateway --log-level debug agents=true/gm) === 2,
    run.log,
  )
  assert.equal(count(run.log(), /^datapath --interface hawser0 /gm), 1)
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
  assert.match(run.log(), /gateway got TERM\ndatapath got TERM\n$/)
})

test('the end of the data path is the end of it, with its exit code', async context => {
  const environment = { HAWSER_INTERFACE: 'gw7', HAWSER_STOCK_AGENTS: 'false', HAWSER_SOCKET: '/x' }
  const run = start(context, 'submariner.sh', environment)
  await eventually(() => /^datapath --interface gw7 --socket \/x agents=false/m.test(run.log()))
  await eventually(() => /^gateway agents=false/m.test(run.log()), run.log)
  run.endDatapath()
  assert.equal(await run.ended, 3)
})

test('an uninstall and the wait for a Node are one command each', async context => {
  const uninstall = start(context, 'submariner.sh', { SUBMARINER_UNINSTALL: 'true' })
  assert.equal(await uninstall.ended, 5)
  assert.doesNotMatch(uninstall.log(), /datapath/)
  const wait = start(context, 'await-node-ready.sh', {}, ['--timeout', '3'])
  assert.equal(await wait.ended, 4)
  assert.match(wait.log(), /^gateway wait-node --timeout 3 /)
})
