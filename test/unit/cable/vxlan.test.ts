import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outbox } from '../../../src/cable/outbox.ts'
import { Publisher } from '../../../src/cable/publisher.ts'
import { sentInstants } from '../../../src/cable/sent-instants.ts'
import { VxlanDriver } from '../../../src/cable/vxlan.ts'
import { parseAddress, parseRemote } from '../../../src/net/address.ts'
import { createBatch, STATE, TRAIN } from '../../../src/packet/batch.ts'
import { createSharedMemory } from '../../../src/tables/memory.ts'
import type { VxlanCable } from '../../../src/tables/tables.ts'

const retryMs = 1000

/** A driver with three cables, and the cables that it has sent ARP for since it was last asked. */
function harness() {
  const memory = createSharedMemory()
  const [counters] = memory.counters
  const size = { slabBytes: 64, rows: 8, trains: 8, pieces: 0, sendSlabBytes: 1024 }
  const batch = createBatch(size, memory, counters)
  const asked: number[] = []
  const outbox = new Outbox(batch, {
    send() {
      const trains = batch.state[STATE.TRAINS]
      for (let i = 0; i < trains; i++) asked.push(batch.trains[i * TRAIN.WORDS + TRAIN.CABLE])
      batch.state[STATE.TRAINS] = 0
      batch.state[STATE.SEND_BYTES] = 0
      return true
    },
    abandon() {},
    sourceFailed: false,
  })
  outbox.useSockets(7, 8)
  const publisher = new Publisher(memory, counters)
  const driver = new VxlanDriver(publisher, outbox, sentInstants(memory), () => {})
  driver.setOwn({ vni: 1000, address: parseAddress('241.0.0.9'), mac: new Uint8Array(6).fill(2) })
  for (const cable of [0, 1, 2]) driver.set(cable, cableTable(cable), 1400, 0)
  const takeAsked = () => {
    outbox.flush()
    return asked.splice(0)
  }
  return { driver, takeAsked }
}

function cableTable(cable: number): VxlanCable {
  return {
    ...{ name: `c${cable}`, driver: 'vxlan', remoteSerial: 1, allowedIps: [] },
    remote: parseRemote(`192.0.2.${cable + 1}:4500`),
    tunnelAddress: parseAddress(`241.0.0.${cable + 1}`),
  }
}

test('the earliest of all cables is due, and only what is due is asked for', () => {
  const { driver, takeAsked } = harness()
  assert.equal(driver.nextDeadlineMs(), Number.POSITIVE_INFINITY)
  driver.wanted(2, 100)
  driver.wanted(0, 300)
  driver.wanted(1, 200)
  assert.deepEqual(takeAsked(), [2, 0, 1])
  for (const [cable, askedMs] of [
    [2, 100],
    [1, 200],
    [0, 300],
  ]) {
    assert.equal(driver.nextDeadlineMs(), askedMs + retryMs)
    driver.tick(askedMs + retryMs)
    assert.deepEqual(takeAsked(), [cable])
  }
  // A cable that is gone is due no more.
  driver.remove(2)
  assert.equal(driver.nextDeadlineMs(), 200 + 2 * retryMs)
  driver.tick(10_000)
  assert.deepEqual(takeAsked().sort(), [0, 1])
  driver.tick(20_000)
  assert.deepEqual(takeAsked(), [])
  assert.equal(driver.nextDeadlineMs(), Number.POSITIVE_INFINITY)
})
