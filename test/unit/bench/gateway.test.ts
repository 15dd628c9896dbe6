import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { program, withNodeFlags } from '../../../bench/gateway.ts'

test('more flags for Node stand before those of bin/hawser', () => {
  const script = withNodeFlags(readFileSync(program, 'utf8'), ['--trace-gc', "--import=/it's here"])
  assert.match(script, /^exec "\$node" '--trace-gc' '--import=\/it'\\''s here' --max-semi-space/m)
})

test('a script that starts Node in another way is not taken', () => {
  assert.throws(() => withNodeFlags('exec node x', ['--trace-gc']), /bin\/hawser/)
})
