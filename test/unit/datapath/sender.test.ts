import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outbox } from '../../../src/cable/outbox.ts'
import { writeRemote } from '../../../src/cable/remotes.ts'
import { Tap } from '../../../src/capture/tap.ts'
import { Sender } from '../../../src/datapath/sender.ts'
import type { BreathFunctions } from '../../../src/native.ts'
import { parseRemote } from '../../../src/net/address.ts'
import { createBatch, STATE, TRAIN } from '../../../src/packet/batch.ts'
import { COUNTER, drop, noCable } from '../../../src/tables/counters.ts'
import { createSharedMemory } from '../../../src/tables/memory.ts'
import { CABLE, REMOTE } from '../../../src/tables/shared.ts'

const errno = { EIO: 5, EAGAIN: 11, EPERM: 1, EINVAL: 22, EMSGSIZE: 90 }

/** A socket that answers each sendUdp by the script: how many trains it takes, and the errno then. */
type Answer = { readonly takes: number; readonly errno: number }

function harness(script: Answer[]) {
  const memory = createSharedMemory()
  const size = { slabBytes: 1024, rows: 8, trains: 8, pieces: 0, sendSlabBytes: 4096 }
  const batch = createBatch(size, memory, memory.counters[0])
  const calls: [first: number, end: number, segmentation: number][] = []
  const native: BreathFunctions = {
    poll: () => 0,
    readTun: () => 0,
    writeTun: () => 0,
    receiveUdp: () => 0,
    open: () => 0,
    handshakeAead: () => 0,
    /** One train of three datagrams a row, two rows at a time. */
    seal(_context, first, end) {
      const last = Math.min(end, first + 2)
      for (let row = first; row < last; row++) addTrain()
      return last
    },
    sendUdp(_context, first, end, segmentation) {
      calls.push([first, end, segmentation])
      const answer = script.shift() ?? { takes: end - first, errno: 0 }
      const sent = Math.min(end, first + answer.takes)
      batch.state[STATE.ERRNO] = sent === end ? 0 : answer.errno
      return sent
    },
  }
  function addTrain(): void {
    const train = batch.state[STATE.TRAINS]++
    batch.trains[train * TRAIN.WORDS + TRAIN.LENGTH] = 250
    batch.trains[train * TRAIN.WORDS + TRAIN.SEGMENT_SIZE] = 100
    batch.trains[train * TRAIN.WORDS + TRAIN.CABLE] = 4
    batch.trains[train * TRAIN.WORDS + TRAIN.FD] = 9
  }
  const unsegmented = new Int32Array(16).fill(-1)
  const tap = new Tap({ memory, monotonicMs: () => 0, slotOfIndex: () => -1 })
  const sender = new Sender(native, 0, batch, memory, unsegmented, tap)
  const failed = () => memory.counters[0][4 * COUNTER.WORDS + drop.sendFailed]
  return { memory, batch, calls, sender, unsegmented, failed }
}

test('all rows leave, as many at a time as the send slab holds', () => {
  const { sender, calls } = harness([])
  assert.equal(sender.send(5), true)
  assert.deepEqual(calls, [
    [0, 2, 1],
    [0, 2, 1],
    [0, 1, 1],
  ])
  assert.equal(sender.blockedFd, undefined)
})

test('a full socket keeps what is sealed, and the rest unsealed, for the next breath', () => {
  const { sender, calls, failed } = harness([{ takes: 1, errno: errno.EAGAIN }])
  assert.equal(sender.send(4), false)
  assert.equal(sender.blockedFd, 9)
  assert.equal(sender.resume(), true)
  assert.deepEqual(calls, [
    [0, 2, 1],
    [1, 2, 1],
    [0, 2, 1],
  ])
  assert.equal(failed(), 0)
})

for (const code of [errno.EMSGSIZE, errno.EIO]) {
  test(`errno ${code}: the train goes datagram by datagram, and so does all to its remote from then on`, () => {
    const { memory, sender, calls, unsegmented, failed, batch } = harness([
      { takes: 0, errno: code },
      { takes: 1, errno: 0 },
    ])
    memory.cables[4 * CABLE.WORDS + CABLE.REMOTE] = 7
    assert.equal(sender.send(2), true)
    assert.deepEqual(calls, [
      [0, 2, 1],
      [0, 1, 0],
      [1, 2, 1],
    ])
    assert.equal(unsegmented[4], 7)
    assert.equal(batch.counters[4 * COUNTER.WORDS + COUNTER.UNSEGMENTED], 1)
    assert.equal(failed(), 0)
  })
}

test('a datagram that does not fit either way is counted, and the next train leaves', () => {
  const { sender, failed } = harness([
    { takes: 0, errno: errno.EMSGSIZE },
    { takes: 0, errno: errno.EMSGSIZE },
  ])
  assert.equal(sender.send(2), true)
  assert.equal(failed(), 3)
})

test('a source address that is gone is left to the kernel, and reported', () => {
  const { sender, batch, memory, failed } = harness([{ takes: 0, errno: errno.EINVAL }])
  const source = TRAIN.REMOTE + (REMOTE.SOURCE >> 2)
  batch.trains[source] = 0x0100_007f
  assert.equal(sender.send(1), true)
  assert.equal(batch.trains[source], 0)
  assert.equal(sender.sourceFailed, true)
  assert.equal(memory.cables[4 * CABLE.WORDS + CABLE.SOURCE_FAILED], 1)
  assert.equal(failed(), 0)
})

test('any other refusal costs the train only', () => {
  const { sender, failed } = harness([{ takes: 0, errno: errno.EPERM }])
  assert.equal(sender.send(2), true)
  assert.equal(failed(), 3)
})

test('what the inbound worker sends does not wait: it is given up and counted', () => {
  const { sender, batch, failed } = harness([{ takes: 0, errno: errno.EAGAIN }])
  const outbox = new Outbox(batch, sender)
  outbox.useSockets(9, -1)
  const v4 = writeRemote(new Uint8Array(REMOTE.BYTES), parseRemote('192.0.2.1:1'))
  const v6 = writeRemote(new Uint8Array(REMOTE.BYTES), parseRemote('[2001:db8::1]:1'))
  assert.equal(outbox.datagram(4, v4, new Uint8Array(100), 0x88), true)
  outbox.flush()
  assert.equal(failed(), 1)
  assert.equal(batch.state[STATE.TRAINS], 0)
  assert.equal(outbox.datagram(-1, v6, new Uint8Array(100), 0), false)
  assert.equal(batch.counters[noCable * COUNTER.WORDS + drop.sendFailed], 1)
})

test('the outbox refuses what it has no room for', () => {
  const { sender, batch } = harness([])
  const outbox = new Outbox(batch, sender)
  outbox.useSockets(9, 9)
  const remote = writeRemote(new Uint8Array(REMOTE.BYTES), parseRemote('192.0.2.1:1'))
  let taken = 0
  while (outbox.datagram(4, remote, new Uint8Array(148), 0)) taken++
  assert.equal(taken, 8)
  outbox.flush()
  assert.equal(outbox.datagram(4, remote, new Uint8Array(148), 0), true)
})
