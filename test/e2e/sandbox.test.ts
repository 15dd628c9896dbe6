// The sandbox under labs and tests: spaces are apart from each other and from the machine, and the
// end of the holder is the end of everything.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { start } from '../../src/lab/process.ts'
import { endSandbox, entered, isAlive, startSandbox } from '../../src/lab/sandbox.ts'
import { eventually } from '../support/eventually.ts'
import { makeSpaces } from '../support/namespaces.ts'

test('spaces have networks and runs of their own and reach each other by what they are given', async context => {
  const spaces = await makeSpaces(context, ['left', 'right'])
  await spaces.configure('left', [
    'link add wire type veth peer name wire netns right',
    'address add 192.0.2.1/24 dev wire',
    'address add 2001:db8::1/64 dev wire nodad',
    'link set wire up',
  ])
  await spaces.configure('right', [
    'address add 192.0.2.2/24 dev wire',
    'address add 2001:db8::2/64 dev wire nodad',
    'link set wire up',
  ])
  for (const address of ['192.0.2.2', '2001:db8::2'])
    await spaces.mustRun('left', ['ping', '-c', '1', '-w', '5', address])
  await spaces.mustRun('left', ['sh', '-c', 'echo here >/run/wireguard/note'])
  assert.ok(existsSync(spaces.path('left', '/run/wireguard/note')))
  assert.equal(existsSync(spaces.path('right', '/run/wireguard/note')), false)
  assert.equal(await spaces.mustRun('left', ['ls', '/sys/class/net']), 'lo\nwire\n')
  const missing = await spaces.run('left', ['no-such-program'])
  assert.equal(missing.code, 127)
})

test('a program that takes too long is ended inside too', async context => {
  const { run, mustRun } = await makeSpaces(context, ['only'])
  const result = await run('only', ['sleep', '987'], { timeoutMs: 200 })
  assert.equal(result.code, 124)
  await eventually(async () => !(await mustRun('only', ['ps', '-eo', 'args'])).includes('987'))
})

test('everything in a sandbox ends with its holder', async () => {
  const sandbox = await startSandbox('hawser-test-holder')
  // A process in a session of its own, as daemons are.
  const child = start(entered(sandbox, undefined, ['setsid', 'sleep', '986']), { stdio: 'ignore' })
  const gone = new Promise(resolve => child.once('close', resolve))
  await endSandbox(sandbox)
  assert.equal(isAlive(sandbox), false)
  await gone
  await endSandbox(sandbox)
})

test('a maker that is killed takes its sandbox along, unless it was kept', async context => {
  for (const kept of [false, true]) {
    const script = `
      import { startSandbox } from '${new URL('../../src/lab/sandbox.ts', import.meta.url)}'
      const sandbox = await startSandbox('hawser-test-killed')
      ${kept ? 'sandbox.keep()' : ''}
      process.stdout.write(JSON.stringify(sandbox))
      setInterval(() => {}, 1000)
    `
    const maker = start([process.execPath, '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    context.after(() => maker.kill('SIGKILL'))
    const text = await new Promise<string>(resolve => maker.stdout?.once('data', resolve))
    const sandbox = JSON.parse(text)
    context.after(() => endSandbox(sandbox))
    assert.equal(isAlive(sandbox), true)
    const ended = new Promise(resolve => maker.once('exit', resolve))
    maker.kill('SIGKILL')
    await ended
    if (kept) {
      const { code } = await runOnce(entered(sandbox, undefined, ['true']))
      assert.equal(code, 0)
    } else await eventually(() => !isAlive(sandbox))
  }
})

function runOnce(command: readonly string[]): Promise<{ code: number | null }> {
  const child = start(command, { stdio: 'ignore' })
  return new Promise(resolve => child.once('close', code => resolve({ code })))
}
