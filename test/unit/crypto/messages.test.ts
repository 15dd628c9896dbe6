import assert from 'node:assert/strict'
import { test } from 'node:test'
import { handshakeType, readIndex, writeIndex } from '../../../src/crypto/messages.ts'

function message(type: number, bytes: number): Uint8Array {
  const made = new Uint8Array(bytes)
  if (bytes > 0) made[0] = type
  return made
}

test('a handshake message has its exact length', () => {
  const lengths = [0, 148, 92, 64]
  for (let type = 0; type < 6; type++) {
    for (let bytes = 0; bytes < 300; bytes++) {
      const expected = type >= 1 && type <= 3 && lengths[type] === bytes ? type : 0
      assert.equal(handshakeType(message(type, bytes)), expected, `type ${type}, ${bytes} bytes`)
    }
  }
})

test('bug catalogue: an oversized datagram is no message and no error', () => {
  for (const type of [1, 2, 3, 4]) assert.equal(handshakeType(message(type, 65_535)), 0)
})

test('the three bytes behind the type must be zero', () => {
  for (let at = 1; at < 4; at++) {
    const bytes = message(1, 148)
    bytes[at] = 1
    assert.equal(handshakeType(bytes), 0, `byte ${at}`)
  }
})

test('indices are little-endian and unsigned', () => {
  const bytes = new Uint8Array(6)
  writeIndex(bytes, 1, 0xfedc_ba98)
  assert.deepEqual([...bytes], [0, 0x98, 0xba, 0xdc, 0xfe, 0])
  assert.equal(readIndex(bytes, 1), 0xfedc_ba98)
})
