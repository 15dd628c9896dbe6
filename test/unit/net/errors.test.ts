import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exitCode, GatewayError } from '../../../src/net/errors.ts'

test('an error says what, which code, what to try and how to exit', () => {
  const cause = new Error('listen EADDRINUSE')
  const error = new GatewayError('EADDRINUSE', 'UDP port 4500 is taken', {
    hint: 'choose another with --port',
    exit: exitCode.unreachable,
    cause,
  })
  assert(error instanceof Error)
  assert.equal(error.name, 'GatewayError')
  assert.equal(error.code, 'EADDRINUSE')
  assert.equal(error.message, 'UDP port 4500 is taken')
  assert.equal(error.hint, 'choose another with --port')
  assert.equal(error.exit, 3)
  assert.equal(error.cause, cause)
  assert.equal(String(error), 'GatewayError: UDP port 4500 is taken')
})

test('without options it exits as "failed" and has no hint', () => {
  const error = new GatewayError('EINVAL', 'no')
  assert.equal(error.exit, exitCode.failed)
  assert.equal(error.hint, undefined)
  assert.equal(error.cause, undefined)
})

test('the exit codes are those that scripts rely on', () => {
  assert.deepEqual(exitCode, {
    ok: 0,
    failed: 1,
    usage: 2,
    unreachable: 3,
    timedOut: 4,
    partial: 5,
    interrupted: 130,
  })
})
