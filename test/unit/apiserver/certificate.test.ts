import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { writePrivate } from '../../../src/apiserver/certificate.ts'
import type { GatewayError } from '../../../src/net/errors.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

test('a file that cannot be written is named, with what to look at', context => {
  const directory = temporaryDirectory(context)
  const file = join(directory, 'server.key')
  writePrivate(file, 'one')
  writePrivate(file, 'two')
  assert.equal(readFileSync(file, 'utf8'), 'two')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const nowhere = join(directory, 'nowhere')
  assert.throws(
    () => writePrivate(join(nowhere, 'server.key'), 'one'),
    (error: GatewayError) => {
      assert.match(error.message, /^cannot write .*server\.key: ENOENT/)
      assert.equal(error.hint, `df -h ${nowhere}; ls -ld ${nowhere}`)
      return true
    },
  )
})
