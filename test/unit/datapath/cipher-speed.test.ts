import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NativePath } from '../../../src/datapath/build.ts'
import { measureCiphers } from '../../../src/datapath/cipher-speed.ts'
import { type ContextMemory, loadNative } from '../../../src/native.ts'
import { ROW } from '../../../src/packet/batch.ts'
import {
  type CipherName,
  cipherMethods,
  cipherNames,
  cipherOf,
} from '../../../src/tables/cipher.ts'
import { createSharedMemory } from '../../../src/tables/memory.ts'
import { SLOT } from '../../../src/tables/shared.ts'

type Sealing = Pick<NativePath, 'createContext' | 'seal'>

/** Measures on a clock that only the seals of a native twin move. */
function measured(costMs: Readonly<Record<CipherName, readonly number[]>>) {
  const memory = createSharedMemory()
  let nowMs = 0
  let batch: ContextMemory | undefined
  const rounds = new Map<CipherName, number>()
  const native: Sealing = {
    createContext(given) {
      batch = given
      return 0
    },
    seal(_context, first, end) {
      const slot = batch?.rows[ROW.SLOT] ?? 0
      const words = new Uint32Array(memory.slots.buffer)
      const name = cipherOf(words[(slot * SLOT.BYTES + SLOT.METHOD) >> 2])
      assert.ok(name !== undefined, 'a slot without a cipher')
      const round = rounds.get(name) ?? 0
      rounds.set(name, round + 1)
      nowMs += costMs[name][round % costMs[name].length]
      return end - first
    },
  }
  return measureCiphers(native, memory, () => nowMs)
}

test('the cheaper one comes first, whichever it is', () => {
  const names = (chacha: number, aes: number) =>
    measured({ 'chacha20-poly1305': [chacha], 'aes-256-gcm': [aes] }).map(({ name }) => name)
  assert.deepEqual(names(0.05, 0.01), ['aes-256-gcm', 'chacha20-poly1305'])
  assert.deepEqual(names(0.01, 0.05), ['chacha20-poly1305', 'aes-256-gcm'])
})

test('the median counts: a slow first round and a few bad ones do not', () => {
  const speeds = measured({
    'chacha20-poly1305': [0.045],
    'aes-256-gcm': [9, 9, 0.009, 9, 0.009, 9, 0.009, 0.009, 9, 0.009],
  })
  assert.deepEqual(speeds, [
    { name: 'aes-256-gcm', nsPerPacket: 200 },
    { name: 'chacha20-poly1305', nsPerPacket: 1000 },
  ])
})

test('the addon seals every packet of it, and the memory is as if nothing had been', () => {
  const addon = loadNative()
  const memory = createSharedMemory()
  let batch: ContextMemory | undefined
  let seals = 0
  const native: Sealing = {
    createContext(given) {
      batch = given
      return addon.createContext(given)
    },
    seal(context, first, end) {
      seals++
      const sealed = addon.seal(context, first, end)
      assert.equal(sealed, end)
      for (let row = 0; row < end; row++) assert.equal(batch?.rows[row * ROW.WORDS + ROW.DROP], 0)
      return sealed
    },
  }
  const speeds = measureCiphers(native, memory, () => performance.now())
  assert.equal(seals, 10 * cipherNames.length)
  assert.deepEqual(new Set(speeds.map(({ name }) => name)), new Set(Object.keys(cipherMethods)))
  for (const { nsPerPacket } of speeds) assert.ok(nsPerPacket > 0)
  assert.ok(memory.slots.every(byte => byte === 0))
  for (const block of memory.counters) assert.ok(block.every(count => count === 0))
})
