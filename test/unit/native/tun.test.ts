// Real devices: what the kernel hands over, and what it takes. Frames that no kernel sends are in
// tun-frames.test.ts, life and death of a device in tun-device.test.ts.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { test } from 'node:test'
import { POLL, ROW, STATE } from '../../../src/packet/batch.ts'
import { COUNTER, drop } from '../../../src/tables/counters.ts'
import { ip, namespaceTest } from '../../support/namespace-test.ts'
import {
  createTestContext,
  getRow,
  type RowWords,
  setRow,
  type TestContext,
  waitFor,
} from '../../support/native-context.ts'
import { checkPacket, checksumsHold } from '../../support/packets.ts'
import { type Flow, flows, unfinished } from '../../support/superpackets.ts'

const EIO = 5

/** TUN_F_CSUM, TSO4, TSO6, TSO_ECN, USO4 and USO6 of <linux/if_tun.h>. */
const offload = { none: 0, csum: 0x01, all: 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40 } as const

/** Opens a device, sets its offloads and brings it up with an address of each family. */
function openUp(harness: TestContext, name: string, network: number, mask: number): number {
  const { fd } = harness.native.openTun({ name, multiQueue: false, persistent: false })
  assert.equal(harness.native.setTunOffload(fd, mask), 0)
  ip(`addr add 10.${network}.0.1/24 dev ${name}`)
  ip(`addr add fd0${network}::1/64 dev ${name} nodad`)
  ip(`link set ${name} up mtu 1400`)
  return fd
}

interface Read {
  readonly packet: Uint8Array
  readonly row: (name: keyof RowWords) => number
}

/** Reads `wanted` packets of a protocol, past what the kernel sends of its own accord (RS, MLD). */
function readPackets(harness: TestContext, fd: number, flow: Flow, wanted: number): Read[] {
  const { native, context, memory } = harness
  const found: Read[] = []
  while (found.length < wanted) {
    waitFor(harness, fd, POLL.IN)
    const count = native.readTun(context, fd, 0, 0)
    assert.ok(count >= 0, `readTun returned ${count}`)
    for (let row = 0; row < count; row++) {
      const words = memory.rows.slice(row * ROW.WORDS, (row + 1) * ROW.WORDS)
      const offset = words[ROW.OFFSET]
      const packet = memory.slab.slice(offset, offset + words[ROW.LENGTH])
      const isWanted = packet[0] >> 4 === flow.version
      const protocol = packet[flow.version === 4 ? 9 : 6]
      if (isWanted && protocol === flow.protocol)
        found.push({ packet, row: name => words[ROW[name]] })
    }
  }
  return found
}

async function sendDatagrams(...lengths: readonly number[]): Promise<void> {
  const socket = createSocket('udp4')
  for (const length of lengths) {
    await new Promise(resolve => socket.send(Buffer.alloc(length), 5555, '10.1.0.2', resolve))
  }
  socket.close()
}

namespaceTest('a packet that the kernel routes to the device is read', async () => {
  const harness = createTestContext()
  const fd = openUp(harness, 'tun7', 1, offload.csum)
  await sendDatagrams(6)
  const [{ packet, row }] = readPackets(harness, fd, flows[2], 1)
  assert.equal(row('LENGTH'), 34)
  assert.equal(row('OFFSET') % 64, 0)
  assert.equal(row('CSUM'), 20 | (6 << 16))
  assert.equal(row('SEGMENTS'), 1)
  assert.equal(row('CABLE'), -1)
  const others = ['DROP', 'GSO', 'GSO_SIZE', 'HEADER_LENGTH', 'TOS', 'PIECES', 'KIND'] as const
  for (const name of others) assert.equal(row(name), 0, name)
  assert.deepEqual([...packet.subarray(28)], [0, 0, 0, 0, 0, 0])
  assert.equal(harness.native.readTun(harness.context, fd, 0, 0), 0)
  assert.equal(harness.memory.state[STATE.DRAINED], 1)
})

namespaceTest('rows are packed from where they are told to, while there is room', async () => {
  execFileSync('sysctl', ['-qw', 'net.ipv6.conf.default.disable_ipv6=1']) // nothing but our packets
  const harness = createTestContext()
  const { native, context, memory } = harness
  const { fd } = native.openTun({ name: 'tun7', multiQueue: false, persistent: false })
  ip('addr add 10.1.0.1/24 dev tun7')
  ip('link set tun7 up')
  await sendDatagrams(50, 100, 150, 200, 250, 300)
  const rows = memory.rows.length / ROW.WORDS
  assert.equal(native.readTun(context, fd, rows - 2, 1000), 2)
  assert.equal(memory.state[STATE.DRAINED], 0)
  assert.equal(getRow(memory, rows - 2, 'OFFSET'), 1024 + 64)
  assert.equal(getRow(memory, rows - 1, 'OFFSET'), 1024 + 64 + 128 + 64) // 78 bytes lie before
  // There is room for one row, then for none.
  const last = memory.slab.length - 65_664
  assert.equal(native.readTun(context, fd, 3, last), 1)
  assert.equal(native.readTun(context, fd, 0, last + 128), 0)
  assert.equal(memory.state[STATE.DRAINED], 0)
  assert.equal(native.readTun(context, fd, 0, 0), 3)
  assert.equal(memory.state[STATE.DRAINED], 1)
})

/** Two devices between which the kernel forwards both families. */
function openForwarding(mask: number) {
  execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
  const harness = createTestContext()
  const from = openUp(harness, 'tun7', 1, offload.none)
  return { harness, from, to: openUp(harness, 'tun8', 2, mask) }
}

function through(flow: Flow, payloadLength: number) {
  return flow.version === 4
    ? unfinished(flow, payloadLength, '10.1.0.2', '10.2.0.2')
    : unfinished(flow, payloadLength, 'fd01::2', 'fd02::2')
}

for (const flow of flows) {
  namespaceTest(`a superpacket of ${flow.name} passes the kernel whole`, () => {
    const { harness, from, to } = openForwarding(offload.all)
    const { native, context, memory } = harness
    const { packet, headerLength, csum } = through(flow, 2500)
    // In two places, as open leaves the parts of a superpacket.
    const cut = headerLength + 1000
    memory.slab.set(packet.subarray(0, cut), 1000)
    memory.slab.set(packet.subarray(cut), 70_001)
    memory.pieces.set([1000, cut, 70_001, packet.length - cut], 2 * 5)
    const words: RowWords = {
      LENGTH: packet.length,
      GSO: flow.gso,
      GSO_SIZE: 1000,
      CSUM: csum,
      HEADER_LENGTH: headerLength,
      SEGMENTS: 3,
    }
    setRow(memory, 0, { ...words, OFFSET: 1000, PIECES: 5 | (2 << 16) })
    assert.equal(native.writeTun(context, from, 0, 1), 1)
    assert.equal(getRow(memory, 0, 'DROP'), 0)
    const [read] = readPackets(harness, to, flow, 1)
    assert.equal(read.row('DROP'), 0)
    for (const [name, value] of Object.entries(words)) {
      assert.equal(read.row(name as keyof RowWords), value, name)
    }
    // TTL, hop limit and the IPv4 checksum, which change, lie before byte 12.
    assert.deepEqual(read.packet.subarray(12), packet.subarray(12))
  })

  namespaceTest(`a superpacket of ${flow.name} is cut for a device without offloads`, () => {
    const { harness, from, to } = openForwarding(offload.none)
    const { native, context, memory } = harness
    const { packet, headerLength, csum } = through(flow, 1999)
    memory.slab.set(packet, 64)
    const words = { OFFSET: 64, LENGTH: packet.length, GSO: flow.gso, GSO_SIZE: 1000 }
    setRow(memory, 0, { ...words, CSUM: csum, HEADER_LENGTH: headerLength, SEGMENTS: 2 })
    assert.equal(native.writeTun(context, from, 0, 1), 1)
    const read = readPackets(harness, to, flow, 2)
    for (const { packet: segment, row } of read) {
      checkPacket(segment, checksumsHold)
      assert.equal(row('GSO') + row('CSUM') + row('DROP'), 0)
    }
    const payload = Buffer.concat(read.map(segment => segment.packet.subarray(headerLength)))
    assert.deepEqual(new Uint8Array(payload), packet.subarray(headerLength))
  })
}

namespaceTest('one bad row does not hold up the others', () => {
  const { harness, from, to } = openForwarding(offload.none)
  const { native, context, memory } = harness
  const { packet, csum } = through(flows[2], 30)
  memory.slab.set(packet, 64)
  const good = { OFFSET: 64, LENGTH: packet.length, CSUM: csum, CABLE: 3 }
  setRow(memory, 0, good)
  setRow(memory, 1, { ...good, GSO: 1, GSO_SIZE: 0 }) // the kernel refuses it
  setRow(memory, 2, { ...good, OFFSET: memory.slab.length - 10 })
  setRow(memory, 3, { ...good, DROP: drop.noRoute })
  setRow(memory, 4, good)
  assert.equal(native.writeTun(context, from, 0, 5), 2)
  const drops = [0, 1, 2, 3, 4].map(row => getRow(memory, row, 'DROP'))
  assert.deepEqual(drops, [0, drop.tunWriteFailed, drop.tunWriteFailed, drop.noRoute, 0])
  assert.equal(memory.counters[3 * COUNTER.WORDS + drop.tunWriteFailed], 2)
  assert.equal(readPackets(harness, to, flows[2], 2).length, 2)
})

namespaceTest('what is written to a device that is down is lost and counted', () => {
  const { native, context, memory } = createTestContext()
  const { fd } = native.openTun({ name: 'tun7', multiQueue: false, persistent: false })
  const { packet } = through(flows[2], 10)
  memory.slab.set(packet, 64)
  for (const row of [0, 1, 2, 3])
    setRow(memory, row, { OFFSET: 64, LENGTH: packet.length, CABLE: 3 })
  memory.rows[2 * ROW.WORDS + ROW.DROP] = drop.noRoute
  assert.equal(native.writeTun(context, fd, 0, 4), -EIO)
  const failed = drop.tunWriteFailed
  const drops = [0, 1, 2, 3].map(row => getRow(memory, row, 'DROP'))
  assert.deepEqual(drops, [failed, failed, drop.noRoute, failed])
  assert.equal(memory.counters[3 * COUNTER.WORDS + failed], 3)
})

test('rows outside the table are refused', () => {
  const { native, context, memory } = createTestContext()
  const rows = memory.rows.length / ROW.WORDS
  const refused = { name: 'RangeError' }
  assert.throws(() => native.readTun(context, 0, rows + 1, 0), refused)
  assert.throws(() => native.readTun(context, 0, -1, 0), refused)
  assert.throws(() => native.readTun(context, 0, 0, -1), refused)
  assert.throws(() => native.writeTun(context, 0, 0, rows + 1), refused)
  assert.throws(() => native.writeTun(context, 0, 2, 1), refused)
  assert.equal(native.readTun(context, 1_000_000, 0, 0), -9)
})
