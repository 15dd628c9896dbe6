import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { KIND, STATE, TRAIN, TRAIN_HEADROOM } from '../../../src/packet/batch.ts'
import { COUNTER, drop, noCable } from '../../../src/tables/counters.ts'
import { method } from '../../../src/tables/shared.ts'
import { publishSlot } from '../../support/key-slots.ts'
import { createTestContext, getRow, setTrain } from '../../support/native-context.ts'
import { ipv4, ipv6, pattern, tcp, udp } from '../../support/packets.ts'

const context = createTestContext(64, 1)
const { memory, native, shared } = context
const [slot, cable] = [4, 9]
const theirMac = [2, 0, 0, 0, 0, 1]
const ourMac = [2, 0, 0, 0, 0, 2]
const broadcast = [255, 255, 255, 255, 255, 255]
const header = [8, 0, 0, 0, 0, 3, 232, 0]
const [ipv4Type, ipv6Type, arpType] = [0x0800, 0x86dd, 0x0806]

beforeEach(() => {
  shared.counters[0].fill(0)
  memory.state[STATE.COALESCE] = 3
  // As it is sent: header, their MAC, ours.
  const vxlanHeader = Uint8Array.from([...header, ...theirMac, ...ourMac])
  publishSlot(shared, { slot, method: method.vxlan, cable, vxlanHeader })
})

interface FrameSpec {
  readonly header?: readonly number[]
  readonly to?: readonly number[]
  readonly type?: number
}

function frame(inner: Uint8Array, spec: FrameSpec = {}): Uint8Array {
  const type = spec.type ?? (inner[0] >> 4 === 6 ? ipv6Type : ipv4Type)
  const addresses = [...(spec.to ?? ourMac), ...theirMac]
  return Uint8Array.from([
    ...(spec.header ?? header),
    ...addresses,
    type >> 8,
    type & 255,
    ...inner,
  ])
}

function open(datagrams: readonly Uint8Array[], trainSlot = slot): number {
  const bytes = Buffer.concat(datagrams)
  memory.slab.set(bytes, TRAIN_HEADROOM)
  const words = { OFFSET: TRAIN_HEADROOM, LENGTH: bytes.length, SLOT: trainSlot, TOS: 1 }
  const remote = { family: 4, port: 4500, address: [192, 0, 2, 1] } as const
  setTrain(memory, 0, { ...words, SEGMENT_SIZE: datagrams[0].length }, remote)
  return native.open(context.context, 0, 1, 0)
}

const count = (row: number, column: number) => memory.counters[row * COUNTER.WORDS + column]
const inner = ipv4({}, udp({ payload: pattern(60) }))

test('segments of one flow become one row', () => {
  const segment = (index: number) =>
    ipv6({}, tcp({ sequence: index * 500, payload: pattern(500, index) }))
  assert.equal(open([0, 1, 2].map(index => frame(segment(index)))), 1)
  assert.equal(getRow(memory, 0, 'SEGMENTS'), 3)
  assert.equal(getRow(memory, 0, 'SLOT'), slot)
  assert.equal(getRow(memory, 0, 'CABLE'), cable)
  assert.equal(getRow(memory, 0, 'GSO'), 4)
  assert.equal(getRow(memory, 0, 'TOS'), 1)
  assert.equal(count(cable, COUNTER.RX_DATAGRAMS), 3)
  assert.equal(count(cable, COUNTER.RX_BYTES), 3 * (22 + 560))
  assert.equal(count(cable, COUNTER.RX_SUPERPACKETS), 1)
})

test('Ethernet padding is trimmed', () => {
  assert.equal(open([frame(Uint8Array.from([...inner, 0, 0, 0, 0, 0, 0]))]), 1)
  const offset = getRow(memory, 0, 'OFFSET')
  const bytes = memory.slab.slice(offset, offset + getRow(memory, 0, 'LENGTH'))
  assert.deepEqual(bytes, inner)
})

test('reserved bits are ignored', () => {
  assert.equal(open([frame(inner, { header: [0xff, 1, 2, 3, 0, 3, 232, 9] })]), 1)
  assert.equal(getRow(memory, 0, 'KIND'), KIND.data)
})

test('ARP is a message, to us or to all', () => {
  const arp = Uint8Array.from({ length: 28 }, (_, i) => i)
  const frames = [ourMac, broadcast].map(to => frame(arp, { to, type: arpType }))
  assert.equal(open(frames), 2)
  for (const [row, sent] of frames.entries()) {
    assert.equal(getRow(memory, row, 'KIND'), KIND.message)
    assert.equal(getRow(memory, row, 'SLOT'), slot)
    const offset = getRow(memory, row, 'OFFSET')
    const bytes = memory.slab.slice(offset, offset + getRow(memory, row, 'LENGTH'))
    assert.deepEqual(bytes, sent.subarray(8))
  }
  assert.equal(count(cable, COUNTER.RX_DATAGRAMS), 0)
})

const refusals: readonly [string, Uint8Array, number][] = [
  ['no I flag', frame(inner, { header: [0xf7, 0, 0, 0, 0, 3, 232, 0] }), drop.vxlanHeader],
  ['another VNI', frame(inner, { header: [8, 0, 0, 0, 0, 3, 233, 0] }), drop.vxlanHeader],
  ['another MAC', frame(inner, { to: theirMac }), drop.vxlanWrongMac],
  ['a broadcast', frame(inner, { to: broadcast }), drop.vxlanWrongMac],
  ['a multicast', frame(inner, { to: [0x33, 0x33, 0, 0, 0, 1] }), drop.vxlanWrongMac],
  ['ARP to another', frame(inner, { to: theirMac, type: arpType }), drop.vxlanWrongMac],
  ['another EtherType', frame(inner, { type: 0x88cc }), drop.vxlanHeader],
  ['IPv4 that says IPv6', frame(inner, { type: ipv6Type }), drop.vxlanHeader],
  ['an empty frame', frame(new Uint8Array(0), { type: ipv4Type }), drop.vxlanHeader],
]

for (const [what, datagram, reason] of refusals) {
  test(`refuses ${what}`, () => {
    assert.equal(open([datagram]), 0)
    assert.equal(count(cable, reason), 1)
    assert.equal(count(cable, COUNTER.RX_DATAGRAMS), 0)
    assert.deepEqual([memory.trains[TRAIN.DROP], memory.trains[TRAIN.DROPPED]], [reason, 1])
  })
}

test('every length below a frame', () => {
  for (let length = 1; length < 22; length++) {
    assert.equal(open([frame(inner).subarray(0, length)]), 0)
    assert.equal(count(cable, drop.vxlanHeader), length)
  }
})

test('a malformed inner packet is a row that was dropped', () => {
  assert.equal(open([frame(inner.subarray(0, 40))]), 1)
  assert.equal(getRow(memory, 0, 'DROP'), drop.malformedInner)
})

test('a train of a slot that is no VXLAN slot', () => {
  for (const wrong of [slot + 1, 65_536, 0x7fff_ffff]) assert.equal(open([frame(inner)], wrong), 0)
  assert.equal(count(noCable, drop.unknownIndex), 3)
})
