// Initiations on their way from pair 0 to the pair that has their peer.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { handOver, takeHandover } from '../../../src/cable/handovers.ts'
import { createSharedMemory } from '../../../src/tables/memory.ts'
import { HANDOVERS, REMOTE } from '../../../src/tables/shared.ts'

function filled(bytes: number, value: number): Uint8Array {
  return new Uint8Array(bytes).fill(value)
}

test('what is handed over is taken whole, in order, more often than the ring is long', () => {
  const ring = createSharedMemory(2).handovers[1]
  assert.equal(takeHandover(ring), undefined)
  for (let i = 0; i < 3 * HANDOVERS.ENTRIES; i++) {
    assert.ok(handOver(ring, filled(HANDOVERS.MESSAGE_BYTES, i), filled(REMOTE.BYTES, i + 1)))
    const taken = takeHandover(ring)
    assert.deepEqual(taken?.message, filled(HANDOVERS.MESSAGE_BYTES, i))
    assert.deepEqual(taken?.remote, filled(REMOTE.BYTES, i + 1))
  }
  assert.equal(takeHandover(ring), undefined)
})

test('a full ring refuses the newest, and what is in it stays', () => {
  const ring = createSharedMemory(2).handovers[1]
  const put = (value: number) =>
    handOver(ring, filled(HANDOVERS.MESSAGE_BYTES, value), filled(REMOTE.BYTES, value))
  for (let i = 0; i < HANDOVERS.ENTRIES; i++) assert.ok(put(i))
  assert.equal(put(77), false)
  for (let i = 0; i < HANDOVERS.ENTRIES; i++) assert.equal(takeHandover(ring)?.message[0], i & 255)
  assert.ok(put(78))
  assert.equal(takeHandover(ring)?.message[0], 78)
})

test('positions wrap around', () => {
  const ring = createSharedMemory(2).handovers[1]
  const words = new Int32Array(ring.buffer)
  words[HANDOVERS.WRITTEN] = 0x7fff_ffff
  words[HANDOVERS.READ] = 0x7fff_ffff
  for (const value of [1, 2, 3])
    assert.ok(handOver(ring, filled(HANDOVERS.MESSAGE_BYTES, value), filled(REMOTE.BYTES, 0)))
  for (const value of [1, 2, 3]) assert.equal(takeHandover(ring)?.message[0], value)
})
