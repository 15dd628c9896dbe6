import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HandshakeQueue } from '../../../src/crypto/handshake-queue.ts'
import { remoteRecord } from '../../support/protocol-deps.ts'

test('messages come out in order, whole and copied, around the ring', () => {
  const queue = new HandshakeQueue(4)
  let next = 0
  for (let pushed = 0; pushed < 30; pushed++) {
    const message = new Uint8Array(pushed % 2 === 0 ? 148 : 92).fill(pushed)
    const remote = remoteRecord([10, 0, 0, pushed], pushed)
    assert.ok(queue.push(message, remote))
    message.fill(0xff)
    remote.fill(0xff)
    if (pushed % 3 === 0) continue
    while (queue.length > 0) {
      const entry = queue.shift()
      assert.deepEqual(entry?.message, new Uint8Array(next % 2 === 0 ? 148 : 92).fill(next))
      assert.deepEqual(entry?.remote, remoteRecord([10, 0, 0, next], next))
      next++
    }
  }
  assert.equal(queue.shift(), undefined)
})

test('a full queue drops the newest', () => {
  const queue = new HandshakeQueue(2)
  const remote = remoteRecord([10, 0, 0, 1], 1)
  for (const value of [1, 2]) assert.ok(queue.push(new Uint8Array(92).fill(value), remote))
  assert.ok(!queue.push(new Uint8Array(92).fill(3), remote))
  assert.equal(queue.shift()?.message[0], 1)
  assert.equal(queue.length, 1)
})

test('what is longer than a handshake message is refused', () => {
  assert.ok(!new HandshakeQueue(2).push(new Uint8Array(149), new Uint8Array(64)))
})
