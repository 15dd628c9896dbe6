import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joinFrame, markUnfinished } from '../../../src/datapath/unfinished.ts'
import { ROW, TRAIN } from '../../../src/packet/batch.ts'
import { PacketView } from '../../../src/packet/packet-view.ts'
import { inSlab, ipv4, ipv6, pattern, tcp, udp } from '../../support/packets.ts'
import { flows, unfinished } from '../../support/superpackets.ts'

const addresses = { 4: ['10.0.0.1', '10.1.0.2'], 6: ['fd00::1', 'fd01::2'] } as const
const mtu = 1450

interface Marked {
  readonly csum: number
  readonly gso: number
  readonly gsoSize: number
  readonly headerLength: number
  readonly segments: number
}

/** The words of a packet's row after it was looked at. */
function mark(packet: Uint8Array, mtuBytes = mtu, udpSegmentBytes = 0): Marked {
  const rows = new Int32Array(ROW.WORDS)
  rows[ROW.SEGMENTS] = 1
  const view = new PacketView(inSlab(packet))
  assert.ok(view.decode(64, packet.length))
  markUnfinished(rows, 0, view, mtuBytes, udpSegmentBytes)
  return {
    csum: rows[ROW.CSUM],
    gso: rows[ROW.GSO],
    gsoSize: rows[ROW.GSO_SIZE],
    headerLength: rows[ROW.HEADER_LENGTH],
    segments: rows[ROW.SEGMENTS],
  }
}

const untouched: Marked = { csum: 0, gso: 0, gsoSize: 0, headerLength: 0, segments: 1 }

for (const flow of flows) {
  const [source, destination] = addresses[flow.version]
  test(`${flow.name}: an unfinished checksum is told by the sum of the pseudo header`, () => {
    const small = unfinished(flow, 100, source, destination)
    assert.deepEqual(mark(small.packet), { ...untouched, csum: small.csum })
    const empty = unfinished(flow, 0, source, destination)
    assert.deepEqual(mark(empty.packet), { ...untouched, csum: empty.csum })
    const wrong = small.packet.slice()
    wrong[small.csumStart + small.csumOffset] ^= 1
    assert.deepEqual(mark(wrong), untouched)
  })

  test(`${flow.name}: a superpacket gets its segments`, () => {
    const { packet, csum, headerLength } = unfinished(flow, 30_000, source, destination)
    const isTcp = flow.protocol === 6
    const gsoSize = isTcp ? 1280 - headerLength : 1200
    const { gso } = flow
    const segments = Math.ceil(30_000 / gsoSize)
    const expected = { csum, gso, gsoSize, headerLength, segments }
    assert.deepEqual(mark(packet, mtu, isTcp ? 0 : 1200), expected)
  })
}

test('a small cable makes the segments of TCP smaller', () => {
  const { packet, headerLength } = unfinished(flows[0], 3000, '10.0.0.1', '10.1.0.2')
  assert.equal(mark(packet, 900).gsoSize, 900 - headerLength)
  assert.equal(mark(packet, headerLength).gso, 0)
})

test('finished packets, fragments and other protocols are left alone', () => {
  const transport = udp({ payload: pattern(100) })
  const first = unfinished(flows[2], 96, '10.0.0.1', '10.1.0.2').packet
  first[6] = 0x20
  for (const packet of [
    ipv4({}, transport),
    ipv6({}, transport),
    ipv4({}, tcp({ payload: pattern(9000) })),
    ipv4({}, { protocol: 132, bytes: pattern(40) }),
    first,
  ]) {
    assert.deepEqual(mark(packet), untouched)
  }
})

/** Flags, VNI 1000, two MACs. */
const outer = [8, 0, 0, 0, 0, 3, 232, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]

function frame(packet: Uint8Array): Uint8Array {
  const type = packet[0] >> 4 === 6 ? [0x86, 0xdd] : [0x08, 0x00]
  return Uint8Array.from([...outer, ...type, ...packet])
}

function join(bytes: Uint8Array, segmentSize: number): [told: number, segmentSize: number] {
  const slab = inSlab(bytes)
  const trains = new Int32Array(TRAIN.WORDS)
  trains[TRAIN.OFFSET] = 64
  trains[TRAIN.LENGTH] = bytes.length
  trains[TRAIN.SEGMENT_SIZE] = segmentSize
  const told = joinFrame(slab, trains, 0)
  return [told, trains[TRAIN.SEGMENT_SIZE]]
}

test('a train that is one frame is told from a train of frames', () => {
  const whole = frame(ipv4({}, udp({ payload: pattern(6000) })))
  assert.deepEqual(join(whole, 1200), [1200, whole.length])
  const whole6 = frame(ipv6({}, udp({ payload: pattern(6000) })))
  assert.deepEqual(join(whole6, 1200), [1200, whole6.length])
  const one = frame(ipv4({}, udp({ payload: pattern(1200) })))
  assert.deepEqual(join(Buffer.concat([one, one, one]), one.length), [0, one.length])
  assert.deepEqual(join(one, one.length), [0, one.length])
})

test('a frame that claims more than was received stays a train', () => {
  const cut = frame(ipv4({}, udp({ payload: pattern(6000) }))).subarray(0, 4000)
  assert.deepEqual(join(cut, 1200), [0, 1200])
  const arp = Uint8Array.from([...outer, 0x08, 0x06, ...new Uint8Array(80)])
  assert.deepEqual(join(arp, 60), [0, 60])
  assert.deepEqual(join(arp.subarray(0, 30), 10), [0, 10])
})
