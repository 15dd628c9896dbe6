import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ROW } from '../../../src/packet/batch.ts'
import { loadTestNative, PACKET } from '../../support/native.ts'
import { ipv4, ipv6, pattern, rawTransport, TCP_FLAG, tcp, udp } from '../../support/packets.ts'
import { below, pick, randomSuperpacket } from '../../support/random-superpackets.ts'
import { FlowSource } from '../../support/received-packets.ts'
import { rounds, seededRandom, testSeed } from '../../support/rng.ts'
import {
  type Allowed,
  type ReceivedPacket,
  type SlowRow,
  slowCoalesce,
  withoutId,
} from '../../support/slow/coalesce.ts'
import { slowSegment, write16 } from '../../support/slow/segment.ts'

const native = loadTestNative().test
const gap = 37

interface Room {
  readonly rows: number
  readonly pieces: number
}

/** Lays the packets in a slab, coalesces them and gathers the rows. */
function coalesce(
  packets: readonly ReceivedPacket[],
  allowed: Allowed = 3,
  room: Room = { rows: packets.length, pieces: packets.length },
): SlowRow[] {
  const total = packets.reduce((sum, { bytes }) => sum + bytes.length + gap, gap)
  const slab = new Uint8Array(total).fill(0x5a)
  const words = new Int32Array(packets.length * PACKET.WORDS)
  let offset = gap
  packets.forEach(({ bytes, slot, tos, train }, i) => {
    slab.set(bytes, offset)
    words.set([offset, bytes.length, slot, slot + 1, tos, train], i * PACKET.WORDS)
    offset += bytes.length + gap
  })
  const rows = new Int32Array(room.rows * ROW.WORDS)
  const pieces = new Int32Array(room.pieces * 2)
  const count = native.coalesce(slab, words, rows, pieces, allowed)
  return Array.from({ length: count }, (_, row) =>
    gather(slab, rows.subarray(row * ROW.WORDS), pieces),
  )
}

function gather(slab: Uint8Array, row: Int32Array, pieces: Int32Array): SlowRow {
  const first = row[ROW.PIECES] & 0xffff
  const count = row[ROW.PIECES] >>> 16
  const parts = Array.from({ length: count }, (_, i) => {
    const [offset, length] = pieces.subarray((first + i) * 2)
    return slab.subarray(offset, offset + length)
  })
  const whole = slab.slice(row[ROW.OFFSET], row[ROW.OFFSET] + row[ROW.LENGTH])
  const bytes = count === 0 ? whole : new Uint8Array(Buffer.concat(parts))
  assert.equal(bytes.length, row[ROW.LENGTH])
  if (count > 0) assert.equal(pieces[first * 2], row[ROW.OFFSET])
  assert.equal(row[ROW.CABLE], row[ROW.SLOT] + 1)
  assert.equal(row[ROW.DROP], 0)
  return {
    bytes,
    gso: row[ROW.GSO],
    gsoSize: row[ROW.GSO_SIZE],
    csum: row[ROW.CSUM],
    headerLength: row[ROW.HEADER_LENGTH],
    segments: row[ROW.SEGMENTS],
    slot: row[ROW.SLOT],
    tos: row[ROW.TOS],
    train: row[ROW.TRAIN],
  }
}

/** Checks that the addon coalesces as the twin does, and returns the sizes of the rows. */
function check(packets: readonly ReceivedPacket[], allowed: Allowed = 3, note = ''): number[] {
  const rows = coalesce(packets, allowed)
  const expected = slowCoalesce(packets, allowed)
  assert.deepEqual(
    rows.map(row => row.segments),
    expected.map(row => row.segments),
    note,
  )
  rows.forEach((row, i) => {
    assert.deepEqual({ ...row, bytes: undefined }, { ...expected[i], bytes: undefined }, note)
    assert(Buffer.from(row.bytes).equals(expected[i].bytes), `row ${i} differs, ${note}`)
  })
  return rows.map(row => row.segments)
}

const hex = (bytes: Uint8Array): string => Buffer.from(withoutId(bytes)).toString('hex')

/** Cutting the rows gives back the packets, in order within each flow. */
function checkNothingLost(packets: readonly ReceivedPacket[], rows: readonly SlowRow[]): void {
  const cut = rows.flatMap(row => slowSegment(row).map(bytes => ({ ...row, bytes })))
  assert.deepEqual(byFlow(cut), byFlow(packets))
}

function byFlow(packets: readonly Pick<ReceivedPacket, 'bytes' | 'slot'>[]) {
  const flows = new Map<string, string[]>()
  for (const { bytes, slot } of packets) {
    const isIpv6 = bytes[0] >> 4 === 6
    const addresses = isIpv6 ? bytes.subarray(8, 40) : bytes.subarray(12, 20)
    const ports = isIpv6 ? bytes.subarray(40, 44) : bytes.subarray(20, 24)
    const flow = `${slot} ${bytes[isIpv6 ? 6 : 9]} ${addresses} ${ports}`
    flows.set(flow, [...(flows.get(flow) ?? []), hex(bytes)])
  }
  return flows
}

const received = (bytes: Uint8Array, slot = 1): ReceivedPacket => ({
  bytes,
  slot,
  tos: 0,
  train: 0,
})

test('segment, then coalesce, is the identity', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (let i = 0; i < rounds(600); i++) {
    const superpacket = randomSuperpacket(random, 'data')
    const rows = coalesce(slowSegment(superpacket).map(bytes => received(bytes)))
    assert.equal(rows.length, 1, `seed ${seed}`)
    assert(Buffer.from(rows[0].bytes).equals(superpacket.bytes), `seed ${seed}`)
    const { gso, gsoSize, csum, headerLength } = superpacket
    assert.deepEqual(
      { ...rows[0], bytes: undefined },
      {
        ...{ gso, gsoSize, csum, headerLength, bytes: undefined },
        ...{ segments: slowSegment(superpacket).length, slot: 1, tos: 0, train: 0 },
      },
      `seed ${seed}`,
    )
  }
})

test('random packets of a few flows as the twin would, and nothing is lost', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  let [packetCount, rowCount] = [0, 0]
  for (let i = 0; i < rounds(1200); i++) {
    const source = new FlowSource(random, { flows: 1 + below(random, 4) })
    const packets = Array.from({ length: 1 + below(random, 60) }, () => source.next())
    const allowed = pick<Allowed>(random, [3, 3, 3, 3, 2, 1, 0])
    const sizes = check(packets, allowed, `seed ${seed}`)
    checkNothingLost(packets, coalesce(packets, allowed))
    packetCount += packets.length
    rowCount += sizes.length
  }
  // The generator must neither break all runs nor none.
  assert(rowCount < packetCount * 0.9 && rowCount > packetCount * 0.2, `${rowCount}/${packetCount}`)
})

test('more flows and packets than it can follow at a time', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (const flows of [300, 700]) {
    const source = new FlowSource(random, { flows, perturbation: 0.02 })
    const packets = Array.from({ length: 5000 }, () => source.next())
    const rows = coalesce(packets)
    checkNothingLost(packets, rows)
    assert(rows.length < packets.length, `seed ${seed}`)
  }
})

test('full tables: what fits is right, nothing is written behind them', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (let i = 0; i < rounds(300); i++) {
    const source = new FlowSource(random, { flows: 2, perturbation: 0.2 })
    const packets = Array.from({ length: 40 }, () => source.next())
    const fewPieces = coalesce(packets, 3, { rows: 40, pieces: below(random, 20) })
    checkNothingLost(packets, fewPieces)
    const limit = below(random, 10)
    assert(coalesce(packets, 3, { rows: limit, pieces: 40 }).length <= limit, `seed ${seed}`)
  }
})

const data = (index: number, change: Parameters<typeof tcp>[0] = {}) =>
  tcp({ sequence: 1000 + index * 100, payload: pattern(100, index), ...change })
const id = (index: number) => ({ identification: 7 + index })
const v4 = (index: number, change: Parameters<typeof tcp>[0] = {}) =>
  ipv4(id(index), data(index, change))

function corrupt(bytes: Uint8Array, at = bytes.length - 1): Uint8Array {
  bytes[at] ^= 0x10
  return bytes
}

const list = (...packets: Uint8Array[]): ReceivedPacket[] => packets.map(bytes => received(bytes))
const { ACK, PSH, FIN, ECE, URG } = TCP_FLAG

const cases: readonly [string, readonly ReceivedPacket[], readonly number[]][] = [
  ['three segments', list(v4(0), v4(1), v4(2)), [3]],
  ['PSH ends a row', list(v4(0), v4(1, { flags: ACK | PSH }), v4(2), v4(3)), [2, 2]],
  ['nothing follows a first PSH', list(v4(0, { flags: ACK | PSH }), v4(1), v4(2)), [1, 2]],
  ['a shorter one ends a row', list(v4(0), v4(1, { payload: pattern(9) }), v4(2), v4(3)), [2, 2]],
  ['a longer one opens a row', list(v4(0), v4(1, { payload: pattern(101) })), [1, 1]],
  ['FIN stands alone', list(v4(0), v4(1, { flags: ACK | FIN })), [1, 1]],
  ['ECE stands alone', list(v4(0), v4(1, { flags: ACK | ECE })), [1, 1]],
  ['URG stands alone', list(v4(0), v4(1, { flags: ACK | URG })), [1, 1]],
  ['a gap', list(v4(0), v4(2), v4(3)), [1, 2]],
  ['out of order', list(v4(1), v4(0), v4(1), v4(2)), [1, 3]],
  ['another acknowledgment', list(v4(0), v4(1, { acknowledgment: 5 })), [1, 1]],
  ['another window', list(v4(0), v4(1, { window: 5 })), [1, 1]],
  ['a pure ACK ends a row', list(v4(0), v4(1, { payload: new Uint8Array(0) }), v4(1)), [1, 1, 1]],
  ['ids must follow without DF', list(v4(0), ipv4(id(2), data(1))), [1, 1]],
  [
    'any id with DF',
    list(
      ipv4({ ...id(0), dontFragment: true }, data(0)),
      ipv4({ ...id(40), dontFragment: true }, data(1)),
    ),
    [2],
  ],
  ['DF differs', list(v4(0), ipv4({ ...id(1), dontFragment: true }, data(1))), [1, 1]],
  ['TTL differs', list(v4(0), ipv4({ ...id(1), ttl: 63 }, data(1))), [1, 1]],
  ['TOS differs', list(v4(0), ipv4({ ...id(1), tos: 2 }, data(1))), [1, 1]],
  [
    'IPv4 options',
    list(v4(0), ipv4({ ...id(1), options: Uint8Array.of(1, 1, 1, 0) }, data(1))),
    [1, 1],
  ],
  ['IPv6', list(ipv6({}, data(0)), ipv6({}, data(1))), [2]],
  ['another flow label', list(ipv6({}, data(0)), ipv6({ flowLabel: 9 }, data(1))), [1, 1]],
  ['another hop limit', list(ipv6({}, data(0)), ipv6({ hopLimit: 9 }, data(1))), [1, 1]],
  ['the first is corrupt', list(corrupt(v4(0)), v4(1), v4(2)), [1, 2]],
  ['the second is corrupt', list(v4(0), corrupt(v4(1)), v4(2), v4(3)), [1, 1, 2]],
  ['a corrupt IPv4 header', list(v4(0), corrupt(v4(1), 10), v4(2)), [1, 1, 1]],
  [
    'ICMP in between changes nothing',
    list(v4(0), ipv4({}, rawTransport(1, pattern(40))), v4(1)),
    [2, 1],
  ],
  [
    'a fragment ends all rows',
    list(v4(0), ipv4({ moreFragments: true }, udp({ payload: pattern(64) })), v4(1)),
    [1, 1, 1],
  ],
  [
    'a row stands where its first packet came',
    list(v4(0), ipv6({}, data(0)), v4(1), ipv6({}, data(1))),
    [2, 2],
  ],
  [
    'two peers, one 5-tuple',
    [received(v4(0), 1), received(v4(0), 2), received(v4(1), 1), received(v4(1), 2)],
    [2, 2],
  ],
  ['another outer TOS', [received(v4(0)), { ...received(v4(1)), tos: 3 }], [1, 1]],
]

for (const [what, packets, sizes] of cases) {
  test(what, () => {
    assert.deepEqual(check(packets), sizes)
    checkNothingLost(packets, coalesce(packets))
  })
}

test('at most 128 segments', () => {
  const packets = list(...Array.from({ length: 300 }, (_, i) => v4(i)))
  assert.deepEqual(check(packets), [128, 128, 44])
})

test('at most 65 535 bytes, over both versions', () => {
  const payload = pattern(1380)
  const many = Array.from({ length: 60 }, (_, i) => tcp({ sequence: i * 1380, payload }))
  const limit = (header: number) => Math.floor((65_535 - header) / 1380)
  const [four, six] = [limit(40), limit(60)]
  assert.deepEqual(check(list(...many.map((one, i) => ipv4(id(i), one)))), [four, 60 - four])
  assert.deepEqual(check(list(...many.map(one => ipv6({}, one)))), [six, 60 - six])
})

test('a UDP checksum of zero is never merged', () => {
  const without = (index: number) => {
    const bytes = ipv4(id(index), udp({ payload: pattern(50) }))
    write16(bytes, 26, 0)
    return bytes
  }
  const packets = list(without(0), without(1), without(2))
  assert.deepEqual(check(packets), [1, 1, 1])
  coalesce(packets).forEach((row, i) => {
    assert.deepEqual(row.bytes, packets[i].bytes)
  })
})
