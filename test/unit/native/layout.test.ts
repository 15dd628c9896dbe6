import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadNative } from '../../../src/native.ts'
import * as batch from '../../../src/packet/batch.ts'
import { COUNTER, drop } from '../../../src/tables/counters.ts'
import { limits, method, REMOTE, REPLAY, SLOT } from '../../../src/tables/shared.ts'

const { KIND, POLL, ROW, STATE, TRAIN } = batch
const { DROPPED_BITS, TRAIN_BYTES, TRAIN_HEADROOM, ROW_BYTES, ROW_HEADROOM } = batch
const description = loadNative().describe()

function flatten(groups: Record<string, Record<string, number>>): Record<string, number> {
  const entries = Object.entries(groups).flatMap(([group, table]) =>
    Object.entries(table).map(([name, value]) => [`${group}.${name}`, value] as const),
  )
  return Object.fromEntries(entries)
}

/** What the addon must know whole, and what it may know a part of. */
const whole: Record<string, number> = {
  ...flatten({ limits, method, SLOT, REPLAY, REMOTE, ROW, KIND, TRAIN, STATE, POLL }),
  DROPPED_BITS,
  TRAIN_BYTES,
  TRAIN_HEADROOM,
  ROW_BYTES,
  ROW_HEADROOM,
}
const partial = flatten({ drop, COUNTER })

test('every constant of the shared memory is the same in the addon', () => {
  for (const [name, value] of Object.entries(whole)) {
    assert.equal(description.layout[name], value, name)
  }
})

test('every constant of the addon is the same in TypeScript', () => {
  const all = { ...whole, ...partial }
  for (const [name, value] of Object.entries(description.layout)) {
    assert.equal(all[name], value, name)
  }
})

test('the addon knows the counters that it adds to', () => {
  for (const name of ['drop.tunWriteFailed', 'drop.truncatedDatagram', 'COUNTER.TRAINS']) {
    assert.equal(description.layout[name], partial[name], name)
  }
})

test('the addon uses the OpenSSL of Node, and has the form that runs everywhere', () => {
  assert.equal(description.openssl, process.versions.openssl?.replace(/\+.*/, ''))
  assert.equal(description.forms['chacha20Poly1305/openssl'], true)
  assert.equal(description.forms['aes256Gcm/openssl'], true)
})
