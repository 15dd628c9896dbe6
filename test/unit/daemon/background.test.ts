import assert from 'node:assert/strict'
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startInBackground } from '../../../src/daemon/background.ts'
import { temporaryDirectory, until } from '../../support/temporary.ts'

const child = fileURLToPath(new URL('../../support/background-child.ts', import.meta.url))

function start(behaviour: string, file = ''): Promise<void> {
  return startInBackground({
    command: [process.execPath, child, behaviour, file],
    env: process.env,
    descriptors: {},
    keepStderr: false,
  })
}

function isAlive(pid: number): boolean {
  try {
    // A zombie is as good as gone; it stays until this process collects it.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

function endAfter(context: TestContext, pid: number): void {
  context.after(() => {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })
}

test('the child serves: own session, /, no terminal, descriptors handed on', async context => {
  const directory = temporaryDirectory(context)
  const file = join(directory, 'report')
  writeFileSync(join(directory, 'handed'), 'over')
  await startInBackground({
    command: [process.execPath, child, 'serve', file],
    env: process.env,
    descriptors: { TEST_FD: openSync(join(directory, 'handed'), 'r') },
    keepStderr: false,
  })
  // It has written before it said that it is ready.
  const report = JSON.parse(readFileSync(file, 'utf8'))
  endAfter(context, report.pid)
  assert.equal(isAlive(report.pid), true)
  assert.deepEqual(report, {
    pid: report.pid,
    session: report.pid,
    directory: '/',
    standard: ['/dev/null', '/dev/null', '/dev/null'],
    handed: 'over',
    variableGone: true,
  })
  process.kill(report.pid, 'SIGTERM')
  await until('it ends by a signal', () => !isAlive(report.pid))
})

test('the error of the child arrives with its words, hint and exit code', async () => {
  await assert.rejects(start('fail'), {
    code: 'EBUSY',
    message: 'wg7: in use',
    hint: 'ip link',
    exit: 1,
  })
  await assert.rejects(start('usage'), { message: 'wrong', exit: 2 })
})

test('a child that ends without a word is told by how it ended', async () => {
  await assert.rejects(start('silent'), { message: /ended before it was ready \(exit code 7\)/ })
  await assert.rejects(start('killed'), { message: /ended before it was ready \(SIGKILL\)/ })
  await assert.rejects(
    startInBackground({
      command: ['/nonexistent/program'],
      env: {},
      descriptors: {},
      keepStderr: false,
    }),
    { code: 'ENOENT' },
  )
})

test('interrupted while it waits: the child is ended too', async context => {
  const file = join(temporaryDirectory(context), 'pid')
  const started = start('slow', file)
  const outcome = assert.rejects(started, { message: /interrupted/, exit: 130 })
  await until('the child runs', () => existsSync(file) && readFileSync(file, 'utf8') !== '')
  const pid = Number(readFileSync(file, 'utf8'))
  endAfter(context, pid)
  process.emit('SIGINT', 'SIGINT')
  await outcome
  await until('the child has ended', () => !isAlive(pid))
  assert.equal(process.listenerCount('SIGINT'), 0)
})
