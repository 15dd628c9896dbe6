import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rustcVersion } from '../../../bench/crates.ts'

test('the compiler is read from the list that cargo keeps', () => {
  const installed = {
    installs: {
      'gotatun-cli 0.10.2 (registry+https://github.com/rust-lang/crates.io-index)': {
        bins: ['gotatun'],
        rustc: 'rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\n',
      },
    },
  }
  assert.equal(rustcVersion(JSON.stringify(installed)), 'rustc 1.95.0')
  assert.equal(rustcVersion('{"installs":{}}'), 'rustc of an unknown version')
})
