import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planOf } from '../../../src/cli/wg.ts'
import { exitCode } from '../../../src/net/errors.ts'

test('arguments and environment of wireguard-go', () => {
  assert.deepEqual(planOf('wg0', false, {}), {
    interfaceName: 'wg0',
    foreground: false,
    descriptors: {},
    logLevel: 'error',
    logWanted: false,
  })
  const plan = planOf('wg0', false, {
    WG_TUN_FD: '1',
    WG_UAPI_FD: '2',
    WG_PROCESS_FOREGROUND: '1',
    LOG_LEVEL: 'verbose',
  })
  assert.deepEqual(plan, {
    interfaceName: 'wg0',
    foreground: true,
    descriptors: { WG_TUN_FD: 1, WG_UAPI_FD: 2 },
    logLevel: 'debug',
    logWanted: true,
  })
  assert.equal(planOf('wg0', true, { WG_PROCESS_FOREGROUND: '0' }).foreground, true)
})

test('log levels: an unknown one is error, silent wants no log', () => {
  const levels = ['debug', 'verbose', 'error', 'silent', 'loud', ''].map(level => {
    const { logLevel, logWanted } = planOf('wg0', false, { LOG_LEVEL: level })
    return [logLevel, logWanted]
  })
  assert.deepEqual(levels, [
    ['debug', true],
    ['debug', true],
    ['error', true],
    ['silent', false],
    ['error', true],
    ['error', false],
  ])
})

test('interface names that the kernel would not take are wrong usage', () => {
  const usage = { exit: exitCode.usage }
  for (const name of [
    '',
    'a/b',
    'a b',
    'a\tb',
    'a:b',
    'wg%d',
    '.',
    '..',
    'x'.repeat(16),
    'ü'.repeat(8),
  ])
    assert.throws(() => planOf(name, false, {}), usage, JSON.stringify(name))
  for (const name of ['wg0', 'x'.repeat(15), 'ü'.repeat(7), 'wg-0.1_a'])
    assert.equal(planOf(name, false, {}).interfaceName, name)
})

test('a descriptor that is not open is wrong usage', () => {
  for (const value of ['x', '-1', '1e3', '99999'])
    assert.throws(() => planOf('wg0', false, { WG_TUN_FD: value }), {
      exit: exitCode.usage,
      message: /WG_TUN_FD/,
    })
})
