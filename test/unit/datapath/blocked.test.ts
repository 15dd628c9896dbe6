// A socket that is full while the tables change under what waits for it, and one that refuses trains.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Publisher } from '../../../src/cable/publisher.ts'
import { writeRemote } from '../../../src/cable/remotes.ts'
import type { SlotKeys } from '../../../src/cable/slots.ts'
import { buildOutbound, type NativePath } from '../../../src/datapath/build.ts'
import { type Context, type ContextMemory, loadNative } from '../../../src/native.ts'
import { parsePrefix, parseRemote } from '../../../src/net/address.ts'
import { ROW, ROW_HEADROOM, STATE, TRAIN } from '../../../src/packet/batch.ts'
import { buildTrie } from '../../../src/routing/prefix-trie.ts'
import { COUNTER, drop } from '../../../src/tables/counters.ts'
import { createSharedMemory, stepBreath } from '../../../src/tables/memory.ts'
import { method, REMOTE, worker } from '../../../src/tables/shared.ts'
import { ipv4, udp } from '../../support/packets.ts'

const EAGAIN = 11
const EMSGSIZE = 90
const [a, b] = [0, 1]

interface Sent {
  readonly cable: number
  readonly receiverIndex: number
  readonly port: number
  readonly datagrams: number
}

/**
 * The way out over the addon's own seal, with a socket that is full for as long as it is told, and
 * takes no trains to one port.
 */
function harness(segmentsMax = 1) {
  const addon = loadNative()
  const memory = createSharedMemory()
  const contexts = new Map<Context, ContextMemory>()
  const queue: Uint8Array[] = []
  const sent: Sent[] = []
  const socket = { isFull: true, noTrainsTo: -1 }
  const memoryOf = (context: Context) => contexts.get(context) as ContextMemory
  const native: NativePath = {
    ...addon,
    poll: () => 0,
    writeTun: () => 0,
    receiveUdp: () => 0,
    createContext(batch) {
      const context = addon.createContext(batch)
      contexts.set(context, batch)
      return context
    },
    readTun: context => takeRows(memoryOf(context), queue),
    sendUdp(context, first, end, segmentation) {
      const batch = memoryOf(context)
      batch.state[STATE.ERRNO] = socket.isFull ? EAGAIN : 0
      if (socket.isFull) return first
      for (let train = first; train < end; train++) {
        const read = readTrain(batch, train)
        if (segmentation === 1 && read.datagrams > 1 && read.port === socket.noTrainsTo) {
          batch.state[STATE.ERRNO] = EMSGSIZE
          return train
        }
        sent.push(read)
      }
      return end
    },
  }
  const { outbound } = buildOutbound({
    ...{ native, memory, tunFd: 0, segmentsMax },
    wakeInbound: () => {},
    tellUp: () => {},
    monotonicMs: () => 0,
  })
  const breathe = () => {
    stepBreath(memory, worker.outbound)
    outbound.breathe(10)
    stepBreath(memory, worker.outbound)
  }
  return { memory, outbound, queue, sent, socket, breathe }
}

function takeRows({ slab, rows }: ContextMemory, queue: Uint8Array[]): number {
  let offset = ROW_HEADROOM
  const packets = queue.splice(0, rows.length / ROW.WORDS)
  packets.forEach((packet, row) => {
    const base = row * ROW.WORDS
    slab.set(packet, offset)
    rows.fill(0, base, base + ROW.WORDS)
    rows[base + ROW.OFFSET] = offset
    rows[base + ROW.LENGTH] = packet.length
    rows[base + ROW.SEGMENTS] = 1
    offset = (offset + packet.length + 2 * ROW_HEADROOM) & -ROW_HEADROOM
  })
  return packets.length
}

function readTrain({ trains, sendSlab }: ContextMemory, train: number): Sent {
  const at = train * TRAIN.WORDS
  const view = new DataView(sendSlab.buffer, sendSlab.byteOffset + trains[at + TRAIN.OFFSET])
  return {
    cable: trains[at + TRAIN.CABLE],
    receiverIndex: view.getUint32(4, true),
    port: trains[at + TRAIN.REMOTE] >>> 16,
    datagrams: Math.ceil(trains[at + TRAIN.LENGTH] / trains[at + TRAIN.SEGMENT_SIZE]),
  }
}

function keys(cable: number, remoteIndex: number): SlotKeys {
  const key = new Uint8Array(32).fill(remoteIndex)
  return {
    ...{ method: method.chacha20Poly1305, cable, remoteIndex, localIndex: remoteIndex + 100 },
    ...{ initiator: true, createdMs: 0, rekeyAtMs: 1e9, rejectAtMs: 1e9 },
    ...{ rekeyAtMessages: 2 ** 52, rejectAfterMessages: 2 ** 53, sendKey: key, receiveKey: key },
  }
}

function remote(port: number): Uint8Array {
  return writeRemote(new Uint8Array(REMOTE.BYTES), parseRemote(`192.0.2.1:${port}`))
}

test('what waits for a full socket never leaves under the key of another cable', () => {
  const { memory, outbound, queue, sent, socket, breathe } = harness()
  const publisher = new Publisher(memory, memory.counters[worker.inbound])
  for (const cable of [a, b]) {
    publisher.begin(cable, false, 9000)
    publisher.setRemote(cable, remote(1000 + cable))
    publisher.setSlot(cable, publisher.slots.add(keys(cable, 11 + cable)))
  }
  const routes = [
    { prefix: parsePrefix('10.1.0.0/16'), value: a },
    { prefix: parsePrefix('10.2.0.0/16'), value: b },
  ]
  outbound.apply(buildTrie(routes), { ipv4: 5, ipv6: 6, entropy4: [], entropy6: [] })
  // More than the send slab holds, so that most packets of cable a wait unsealed.
  for (let i = 0; i < 200; i++) {
    const destination = i < 100 ? '10.2.0.1' : '10.1.0.1'
    queue.push(ipv4({ source: '10.9.0.1', destination }, udp({ payload: new Uint8Array(4000) })))
  }
  breathe()
  // The worker sleeps, outside of a breath, so what is retired now is given away at once:
  // cable a goes, and cable b gets its slot and its remote for a new session.
  const slot = publisher.slotOf(a)
  publisher.setSlot(a, -1)
  publisher.slots.retire(slot)
  publisher.setRemote(a, undefined)
  publisher.slots.collect()
  publisher.remotes.collect()
  assert.equal(publisher.slots.add(keys(b, 77)), slot)
  publisher.setRemote(b, remote(2001))
  socket.isFull = false
  breathe()
  const ofA = sent.filter(({ cable }) => cable === a)
  assert.ok(ofA.every(({ receiverIndex, port }) => receiverIndex === 11 && port === 1000))
  const dropped = memory.counters[worker.outbound][a * COUNTER.WORDS + drop.noSlot]
  assert.ok(dropped > 0, 'nothing had to wait unsealed')
  assert.equal(ofA.length + dropped, 100, 'a packet was neither sent nor counted')
  const ofB = sent.filter(({ cable }) => cable === b)
  assert.equal(ofB.length, 100)
})

test('a path that takes no trains is remembered for as long as the remote stays', () => {
  const { memory, outbound, queue, sent, socket, breathe } = harness(8)
  socket.isFull = false
  socket.noTrainsTo = 1000
  const publisher = new Publisher(memory, memory.counters[worker.inbound])
  publisher.begin(a, false, 9000)
  publisher.setRemote(a, remote(1000))
  publisher.setSlot(a, publisher.slots.add(keys(a, 11)))
  const routes = buildTrie([{ prefix: parsePrefix('10.1.0.0/16'), value: a }])
  outbound.apply(routes, { ipv4: 5, ipv6: 6, entropy4: [], entropy6: [] })
  const refused = () => memory.counters[worker.outbound][a * COUNTER.WORDS + COUNTER.UNSEGMENTED]
  /** Datagrams of each train that left for four equal packets. */
  const sendFour = () => {
    const packet = ipv4({ source: '10.9.0.1', destination: '10.1.0.1' }, udp())
    for (let i = 0; i < 4; i++) queue.push(packet)
    breathe()
    return sent.splice(0).map(({ datagrams }) => datagrams)
  }
  assert.deepEqual(sendFour(), [4])
  assert.equal(refused(), 1)
  assert.deepEqual(sendFour(), [1, 1, 1, 1])
  assert.equal(refused(), 1)
  publisher.setRemote(a, remote(2000))
  assert.deepEqual(sendFour(), [4])
  assert.equal(refused(), 1)
  // Nothing is remembered of a path that it has left.
  publisher.setRemote(a, remote(1000))
  assert.deepEqual(sendFour(), [4])
  assert.equal(refused(), 2)
})
