import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { createOutput, errorLines } from '../../../src/cli/output.ts'
import { GatewayError } from '../../../src/net/errors.ts'

const pipe = new PassThrough()

test('marks: signs or words, coloured when that is wanted', () => {
  const colored = createOutput(pipe, { color: 'always', plain: false })
  assert.equal(colored.mark('ok'), '\u001b[32m✓\u001b[39m')
  assert.equal(colored.mark('failed'), '\u001b[31m✗\u001b[39m')
  const never = createOutput(pipe, { color: 'never', plain: true })
  assert.deepEqual(
    (['ok', 'failed', 'warning', 'note'] as const).map(kind => never.mark(kind)),
    ['ok', 'FAIL', 'warn', '-'],
  )
})

test('auto: no colour where nobody looks, unless FORCE_COLOR says so; NO_COLOR wins', context => {
  const { NO_COLOR, FORCE_COLOR } = process.env
  context.after(() => {
    restore('NO_COLOR', NO_COLOR)
    restore('FORCE_COLOR', FORCE_COLOR)
  })
  const auto = createOutput(pipe, { color: 'auto', plain: false })
  restore('NO_COLOR', undefined)
  restore('FORCE_COLOR', undefined)
  assert.equal(auto.style('red', 'x'), 'x')
  restore('FORCE_COLOR', '1')
  assert.equal(auto.style('red', 'x'), '\u001b[31mx\u001b[39m')
  restore('FORCE_COLOR', undefined)
  restore('NO_COLOR', '1')
  assert.equal(auto.style('red', 'x'), 'x')
})

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name]
  else process.env[name] = value
}

test('an error is one line, and a second one with what to try', () => {
  const on = createOutput(pipe, { color: 'never', plain: true })
  const error = new GatewayError('EBUSY', 'wg0: in use\n  by another', { hint: 'ip link' })
  assert.equal(errorLines(error, on), 'hawser: wg0: in use by another\ntry: ip link\n')
  assert.equal(errorLines(new GatewayError('EIO', 'broken'), on), 'hawser: broken\n')
})
