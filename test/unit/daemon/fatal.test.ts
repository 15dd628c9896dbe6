import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

const module = new URL('../../../src/daemon/fatal.ts', import.meta.url).href

function die(how: string, stop = 'async () => { process._rawDebug("stopped") }') {
  const script = `
    import { exitOnUncaught } from ${JSON.stringify(module)}
    exitOnUncaught(${stop}, message => process._rawDebug('told ' + message))
    setInterval(() => {}, 60_000)
    setImmediate(() => { ${how} })`
  const args = ['--input-type=module', '-e', script]
  const { status, signal, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  return { status, signal, lines: stderr.trimEnd().split('\n') }
}

test('an error that nobody caught: one line, the way out is taken, exit code 1', () => {
  for (const how of [
    'throw new Error("broken\\nhere")',
    'Promise.reject(new Error("broken here"))',
  ]) {
    const { status, lines } = die(how)
    assert.equal(status, 1)
    assert.equal(lines.length, 3)
    assert.match(lines[0], /^hawser: internal error: broken here at /)
    assert.match(lines[1], /^told internal error: broken here at /)
    assert.equal(lines[2], 'stopped')
  }
})

test('what is thrown need not be an error, and stopping may fail too', () => {
  const { signal, lines } = die('throw 7', 'async () => { throw new Error("stuck") }')
  assert.equal(signal, 'SIGKILL')
  assert.equal(lines[0], 'hawser: internal error: 7')
})

test('a way out that never ends is cut short', () => {
  const { signal } = die('throw new Error("x")', '() => new Promise(() => {})')
  assert.equal(signal, 'SIGKILL')
})
