import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isAlive, parseStat } from '../../../src/lab/sandbox.ts'
import { claimLab, findLab, forgetLab, mustFindLab } from '../../../src/lab/state.ts'
import { GatewayError } from '../../../src/net/errors.ts'

const own = {
  pid: process.pid,
  startTime: parseStat(readFileSync('/proc/self/stat', 'latin1')).startTime,
  rootless: false,
}

test('the stat line is read whatever the process is called', () => {
  const rest = Array.from({ length: 49 }, (_, i) => String(i + 4)).join(' ')
  for (const name of ['sh', 'a b', ') S 1', '((', ''])
    assert.deepEqual(parseStat(`42 (${name}) S ${rest}\n`), {
      pid: 42,
      state: 'S',
      startTime: '22',
    })
})

test('a process is known by its number and its start', () => {
  assert.equal(isAlive(own), true)
  assert.equal(isAlive({ ...own, startTime: '1' }), false)
  assert.equal(isAlive({ ...own, pid: 2 ** 22 + 1 }), false)
})

test('a lab is found while its holder lives, and only one has a name', context => {
  const name = `unit-${process.pid}`
  context.after(() => forgetLab(name))
  const options = { name, driver: 'vxlan', clusters: 3 } as const
  assert.equal(findLab(name), undefined)
  claimLab(options, own)
  const { bootId, ...found } = mustFindLab(name)
  assert.deepEqual(found, { ...options, ...own })
  assert.match(bootId, /^[0-9a-f-]{36}$/)
  assert.throws(() => claimLab(options, own), { code: 'EEXIST' })
  forgetLab(name)
  assert.throws(() => mustFindLab(name), isUnreachable)
})

test('what a dead lab left is as good as nothing', context => {
  const name = `unit-dead-${process.pid}`
  context.after(() => forgetLab(name))
  const options = { name, driver: 'wireguard', clusters: 2 } as const
  claimLab(options, { ...own, startTime: '1' })
  assert.equal(findLab(name), undefined)
  claimLab(options, own)
  assert.equal(findLab(name)?.pid, own.pid)
})

function isUnreachable(error: unknown): boolean {
  return error instanceof GatewayError && error.exit === 3
}
