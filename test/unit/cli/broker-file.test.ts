import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readBrokerFile, writeBrokerFile } from '../../../src/cli/broker-file.ts'
import type { BrokerInfo } from '../../../src/kube/broker-info.ts'
import { GatewayError } from '../../../src/net/errors.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

const info: BrokerInfo = {
  brokerUrl: 'https://192.0.2.1:6443',
  token: { secretName: 's', namespace: 'ns', token: bytes('very secret'), ca: bytes('ca') },
  psk: bytes('also secret'),
  components: ['connectivity'],
  customDomains: [],
}

const now = new Date('2026-11-28T12:34:56.789Z')
const modeOf = (file: string) => statSync(file).mode & 0o777

test('the file is for its owner alone, and what was there before is kept beside it', context => {
  const file = join(temporaryDirectory(context), 'broker-info.subm')
  assert.equal(writeBrokerFile(file, info, now), undefined)
  assert.equal(modeOf(file), 0o600)
  assert.deepEqual(readBrokerFile(file), info)
  // The same again: nothing to keep, and the mode is set right.
  chmodSync(file, 0o644)
  assert.equal(writeBrokerFile(file, info, now), undefined)
  assert.equal(modeOf(file), 0o600)
  const other = { ...info, brokerUrl: 'https://192.0.2.2:6443' }
  const backup = writeBrokerFile(file, other, now)
  assert.equal(backup, `${file}.2026-11-28T12_34_56Z`)
  assert.deepEqual(readBrokerFile(String(backup)), info)
  assert.deepEqual(readBrokerFile(file), other)
  assert.equal(modeOf(String(backup)), 0o600)
  assert.ok(!existsSync(`${file}.new`))
})

test('a file that a failure left behind does not lend its mode', context => {
  const file = join(temporaryDirectory(context), 'broker-info.subm')
  writeFileSync(`${file}.new`, 'x', { mode: 0o666 })
  chmodSync(`${file}.new`, 0o666)
  writeBrokerFile(file, info, now)
  assert.equal(modeOf(file), 0o600)
  const elsewhere = join(temporaryDirectory(context), 'elsewhere')
  writeFileSync(elsewhere, 'as it was')
  symlinkSync(elsewhere, `${file}.new`)
  writeBrokerFile(file, { ...info, customDomains: ['x'] }, now)
  assert.equal(readFileSync(elsewhere, 'utf8'), 'as it was')
})

test('a file that is none is named, with the next step, and never quoted', context => {
  const file = join(temporaryDirectory(context), 'x.subm')
  writeBrokerFile(file, info, now)
  const text = readFileSync(file, 'utf8')
  const rows: readonly [string | undefined, RegExp][] = [
    [undefined, /cannot read the join file .*x\.subm: ENOENT/],
    ['', /x\.subm is not a broker-info file: it is empty/],
    [text.slice(0, 200), /it may have been cut short/],
    ['%%%', /it is not base64/],
    [Buffer.from('{"token":"very secret"}').toString('base64'), /brokerURL: expected a string/],
  ]
  for (const [content, message] of rows) {
    const path = content === undefined ? `${file}.not-there-x.subm` : file
    if (content !== undefined) writeFileSync(path, content)
    assert.throws(
      () => readBrokerFile(path),
      (error: unknown) => {
        assert.ok(error instanceof GatewayError)
        assert.match(error.message, message)
        assert.ok(error.hint)
        assert.ok(!`${error.message}${error.hint}`.includes('very secret'))
        return true
      },
    )
  }
})

test('a place where nothing can be written is named', () => {
  assert.throws(
    () => writeBrokerFile('/proc/nothing/x.subm', info, now),
    /cannot write the join file/,
  )
})
