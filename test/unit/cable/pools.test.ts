import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Publisher } from '../../../src/cable/publisher.ts'
import { RemotePool, readRemote, writeRemote } from '../../../src/cable/remotes.ts'
import { type SlotKeys, SlotPool } from '../../../src/cable/slots.ts'
import { formatRemote, parseRemote } from '../../../src/net/address.ts'
import { createSharedMemory, stepBreath, viewOfPair } from '../../../src/tables/memory.ts'
import {
  CABLE,
  limits,
  method,
  REMOTE,
  type SharedMemory,
  SLOT,
  worker,
} from '../../../src/tables/shared.ts'

const keys: SlotKeys = {
  method: method.chacha20Poly1305,
  cable: 3,
  remoteIndex: 0xdead_beef,
  localIndex: 0x1234_5678,
  initiator: true,
  createdMs: 10,
  rekeyAtMs: 120_010,
  rejectAtMs: 180_010,
  rekeyAtMessages: 2 ** 52,
  rejectAfterMessages: 2 ** 53,
  sendKey: new Uint8Array(32).fill(1),
  receiveKey: new Uint8Array(32).fill(2),
}

function slotBytes(memory: SharedMemory, slot: number): Uint8Array {
  return memory.slots.subarray(slot * SLOT.BYTES, (slot + 1) * SLOT.BYTES)
}

test('a slot holds what it was given, little-endian', () => {
  const memory = createSharedMemory()
  const slot = new SlotPool(memory).add(keys)
  const view = new DataView(memory.slots.buffer, slot * SLOT.BYTES)
  assert.equal(view.getUint32(SLOT.CABLE, true), 3)
  assert.equal(view.getUint32(SLOT.REMOTE_INDEX, true), 0xdead_beef)
  assert.equal(view.getBigUint64(SLOT.REJECT_AFTER_MESSAGES, true), 2n ** 53n)
  assert.equal(view.getFloat64(SLOT.REJECT_AT_MS, true), 180_010)
  assert.deepEqual(slotBytes(memory, slot).slice(SLOT.SEND_KEY, SLOT.SEND_KEY + 32), keys.sendKey)
})

test('a retired slot is wiped only after the breath that may still hold it', () => {
  const memory = createSharedMemory()
  const pool = new SlotPool(memory)
  const slot = pool.add(keys)
  stepBreath(memory, worker.outbound)
  pool.retire(slot)
  pool.collect()
  assert.equal(slotBytes(memory, slot)[SLOT.SEND_KEY], 1, 'wiped under the eyes of a breath')
  assert.notEqual(pool.add(keys), slot)
  stepBreath(memory, worker.outbound)
  pool.collect()
  assert.ok(slotBytes(memory, slot).every(byte => byte === 0))
  assert.equal(pool.add(keys), slot)
})

test('a slot retired between two breaths is free at once', () => {
  const memory = createSharedMemory()
  const pool = new SlotPool(memory)
  const slot = pool.add(keys)
  pool.retire(slot)
  pool.collect()
  assert.equal(pool.add(keys), slot)
})

test('a slot that is used again has another generation, and an empty replay window', () => {
  const memory = createSharedMemory()
  const pool = new SlotPool(memory)
  const slot = pool.add(keys)
  const view = new DataView(memory.slots.buffer, slot * SLOT.BYTES)
  const before = view.getUint32(SLOT.GENERATION, true)
  memory.replay.fill(0xff, 0, 1032)
  pool.retire(slot)
  pool.collect()
  pool.add(keys)
  assert.notEqual(view.getUint32(SLOT.GENERATION, true), before)
  assert.ok(memory.replay.subarray(0, 1032).every(byte => byte === 0))
})

for (const text of ['192.0.2.1:4500', '[2001:db8::1]:65535', '[fe80::1%7]:1']) {
  test(`the record of ${text} reads back`, () => {
    const record = writeRemote(new Uint8Array(REMOTE.BYTES), parseRemote(text))
    assert.equal(formatRemote(readRemote(record)), text)
  })
}

test('a published remote is replaced, never changed', () => {
  const memory = createSharedMemory()
  const publisher = new Publisher(memory, memory.counters[worker.inbound])
  publisher.begin(0, false, 1420)
  const record = writeRemote(new Uint8Array(REMOTE.BYTES), parseRemote('192.0.2.1:1'))
  record.fill(9, REMOTE.SOURCE, REMOTE.SOURCE + 4)
  stepBreath(memory, worker.outbound)
  publisher.setRemote(0, record)
  const first = publisher.remoteOf(0)
  publisher.clearSource(0)
  const second = publisher.remoteOf(0)
  assert.notEqual(first, second)
  assert.equal(publisher.remotes.record(first)[REMOTE.SOURCE], 9)
  assert.equal(publisher.remotes.record(second)[REMOTE.SOURCE], 0)
  assert.equal(formatRemote(readRemote(publisher.remotes.record(second))), '192.0.2.1:1')
})

test('the end of a cable leaves no key and no remote in its row', () => {
  const memory = createSharedMemory()
  const publisher = new Publisher(memory, memory.counters[worker.inbound])
  publisher.begin(5, false, 1420)
  publisher.setRemote(5, writeRemote(new Uint8Array(REMOTE.BYTES), parseRemote('192.0.2.1:1')))
  publisher.setSlot(5, publisher.slots.add({ ...keys, cable: 5 }))
  publisher.end(5)
  const row = memory.cables.subarray(5 * CABLE.WORDS, 6 * CABLE.WORDS)
  assert.deepEqual([row[CABLE.SLOT], row[CABLE.REMOTE], row[CABLE.FLAGS]], [-1, -1, 0])
})

test('pairs take slots and remotes from parts of their own, and look at every outbound worker', () => {
  const memory = createSharedMemory(4)
  const views = [0, 1, 2, 3].map(pair => viewOfPair(memory, pair))
  const pools = views.map(view => new SlotPool(view))
  const remotes = views.map(view => new RemotePool(view))
  const record = new Uint8Array(REMOTE.BYTES)
  assert.deepEqual(
    pools.map(pool => pool.add(keys)),
    [0, 1, 2, 3].map(pair => (pair * limits.slots) / 4),
  )
  assert.deepEqual(
    remotes.map(pool => pool.add(record)),
    [0, 1, 2, 3].map(pair => (pair * limits.remotes) / 4),
  )
  const slot = limits.slots / 4
  stepBreath(views[2], worker.outbound)
  stepBreath(views[3], worker.outbound)
  pools[1].retire(slot)
  stepBreath(views[2], worker.outbound)
  pools[1].collect()
  assert.equal(slotBytes(memory, slot)[SLOT.SEND_KEY], 1, 'pair 3 may still hold it')
  stepBreath(views[3], worker.outbound)
  pools[1].collect()
  assert.ok(slotBytes(memory, slot).every(byte => byte === 0))
})

test('a part of a pool that is full is full, whatever the others have', () => {
  const memory = createSharedMemory(8)
  const remotes = new RemotePool(viewOfPair(memory, 7))
  const record = new Uint8Array(REMOTE.BYTES)
  for (let i = 0; i < limits.remotes / 8; i++) assert.ok(remotes.add(record) >= 0)
  assert.equal(remotes.add(record), -1)
  assert.equal(new RemotePool(viewOfPair(memory, 6)).add(record), (limits.remotes * 6) / 8)
})
