import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  finishChecksum,
  fold,
  pseudoHeaderSum,
  replace16,
  replace32,
  sum,
  transportChecksum,
  verifyTransportChecksum,
  writeIpv4Checksum,
  writeTransportChecksum,
} from '../../../src/packet/checksum.ts'
import { PacketView } from '../../../src/packet/packet-view.ts'
import {
  checkPacket,
  checksumsHold,
  extension,
  fragmentHeader,
  icmp,
  icmp6,
  inSlab,
  ipv4,
  ipv6,
  pattern,
  rawTransport,
  TCP_FLAG,
  tcp,
  udp,
} from '../../support/packets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { slowChecksum, slowPseudoHeader, slowSum } from '../../support/slow/checksum.ts'

const at = 64

function decoded(packet: Uint8Array): PacketView {
  const view = new PacketView(inSlab(packet, at))
  assert(view.decode(at, packet.length))
  return view
}

test('the example of RFC 1071 section 3 sums to ddf2', () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
  assert.equal(sum(bytes, 0, 8, 0), 0x2ddf0)
  assert.equal(fold(sum(bytes, 0, 8, 0)), 0xddf2)
})

test('an odd last byte counts as the high half of a word', () => {
  assert.equal(sum(Uint8Array.of(9, 0x12, 0x34, 0x56, 9), 1, 3, 0), 0x1234 + 0x5600)
})

test('the largest packet of all ones folds right', () => {
  const bytes = new Uint8Array(65_535).fill(0xff)
  assert.equal(fold(sum(bytes, 0, bytes.length, 0x4_ffff)), fold(slowSum(bytes) + 0x4_ffff))
})

test('sums equal those of the slow twin', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (let round = 0; round < 2000; round++) {
    const bytes = Uint8Array.from({ length: Math.floor(random() * 200) }, () => random() * 256)
    const offset = Math.floor(random() * (bytes.length + 1))
    const length = Math.floor(random() * (bytes.length - offset + 1))
    const range = bytes.subarray(offset, offset + length)
    assert.equal(fold(sum(bytes, offset, length, 0)), slowSum(range), `seed ${seed}`)
  }
})

test('RFC 1624 section 4: eqn. 3 gives 0000, not ffff', () => {
  const bytes = Uint8Array.of(0xdd, 0x2f)
  replace16(bytes, 0, 0x5555, 0x3285)
  assert.deepEqual(bytes, Uint8Array.of(0, 0))
})

test('an incremental update equals a new sum, and keeps a wrong checksum wrong by as much', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const word = (bits: number) => Math.floor(random() * 2 ** bits)
  for (let round = 0; round < 2000; round++) {
    const error = round % 2 === 0 ? 0 : word(16)
    const packet = ipv4({ identification: word(16), tos: word(8), ttl: word(8) })
    const data = new DataView(packet.buffer)
    data.setUint16(10, fold(data.getUint16(10) + error))
    const isLong = round % 4 < 2
    const field = isLong ? 12 + 4 * word(1) : 2 * [0, 1, 2, 3, 4, 6, 7, 8, 9][word(3)]
    if (isLong) {
      const [before, after] = [data.getUint32(field), word(32)]
      data.setUint32(field, after)
      replace32(packet, 10, round % 8 < 4 ? before | 0 : before, after)
    } else {
      const [before, after] = [data.getUint16(field), word(16)]
      data.setUint16(field, after)
      replace16(packet, 10, before, after)
    }
    const left = slowSum(packet.subarray(0, 20))
    assert.equal(left % 0xffff, error % 0xffff, `seed ${seed}`)
  }
})

test('writes the IPv4 header checksum over whatever was there', () => {
  const packet = ipv4({ options: pattern(12) })
  const expected = packet.slice()
  packet.set([0xde, 0xad], 10)
  writeIpv4Checksum(packet, 0, 32)
  assert.deepEqual(packet, expected)
})

test('the pseudo header of both families', () => {
  for (const packet of [ipv4({}, tcp()), ipv6({ extensions: [extension(60, 1)] }, udp())]) {
    const view = decoded(packet)
    const { source, destination, protocol, payload } = checkPacket(packet)
    const slow = slowPseudoHeader(source, destination, protocol, payload.length)
    assert.equal(fold(pseudoHeaderSum(view)), slowSum(slow))
  }
})

const whole: readonly [name: string, packet: Uint8Array][] = [
  ['tcp4', ipv4({}, tcp({ payload: pattern(1001) }))],
  ['tcp6', ipv6({}, tcp({ payload: pattern(1000), flags: TCP_FLAG.PSH | TCP_FLAG.ACK }))],
  ['udp4', ipv4({ options: pattern(4) }, udp({ payload: pattern(7) }))],
  ['udp6', ipv6({ extensions: [extension(0), extension(60, 2)] }, udp({ payload: pattern(8) }))],
  ['icmp4', ipv4({}, icmp(8, 0, pattern(57)))],
  ['icmp6', ipv6({}, icmp6(128, 0, pattern(56)))],
  ['superpacket', ipv4({}, tcp({ payload: pattern(65_535 - 40) }))],
]

for (const [name, packet] of whole) {
  test(`${name}: verifies, notices each changed byte, and writes the same checksum`, () => {
    const view = decoded(packet)
    assert(verifyTransportChecksum(view))
    const { transportOffset, slab } = view
    const step = Math.max(1, Math.floor(packet.length / 100))
    for (let i = transportOffset; i < at + packet.length; i += step) {
      slab[i] ^= 0x10
      assert(!verifyTransportChecksum(view), `byte ${i - at}`)
      slab[i] ^= 0x10
    }
    const field = transportOffset + (view.protocol === 6 ? 16 : view.protocol === 17 ? 6 : 2)
    slab.set([0xbe, 0xef], field)
    assert(writeTransportChecksum(view))
    assert.deepEqual(slab, inSlab(packet, at))
  })
}

test('what has no checksum to tell', () => {
  const later = ipv4({ fragmentOffset: 8 }, udp({ payload: pattern(20) }))
  const first6 = ipv6({ extensions: [fragmentHeader(0, true)] }, udp({ payload: pattern(16) }))
  for (const packet of [
    later,
    ipv4({ moreFragments: true }, udp({ payload: pattern(16) })),
    first6,
    ipv4({}, rawTransport(47, pattern(20))),
    ipv4({}, rawTransport(6, pattern(17))),
    ipv6({}, rawTransport(58, pattern(3))),
  ]) {
    const view = decoded(packet)
    assert.equal(transportChecksum(view), -1)
    assert(!verifyTransportChecksum(view))
    assert(!writeTransportChecksum(view))
    assert.deepEqual(view.slab, inSlab(packet, at))
  }
})

test('UDP without a checksum is right for IPv4 and wrong for IPv6 (RFC 8200 8.1)', () => {
  const [v4, v6] = [ipv4(), ipv6()]
  v4.fill(0, 26, 28)
  v6.fill(0, 46, 48)
  assert(verifyTransportChecksum(decoded(v4)))
  assert(!verifyTransportChecksum(decoded(v6)))
})

test('a UDP checksum that comes out as 0 is written as ffff, a TCP one as 0', () => {
  for (const [transport, expected] of [
    [udp({ payload: new Uint8Array(2) }), 0xffff],
    [tcp({ payload: new Uint8Array(2) }), 0],
  ] as const) {
    const packet = ipv4({}, transport)
    const field = 20 + (transport.protocol === 6 ? 16 : 6)
    // What the checksum is now, put into the payload, takes it to 0.
    const rest = packet.slice(field, field + 2)
    packet.set(rest, packet.length - 2)
    const view = decoded(packet)
    assert.equal(transportChecksum(view), expected)
    for (const zero of transport.protocol === 6 ? [0, 0xff] : [0xff]) {
      view.slab.fill(zero, at + field, at + field + 2)
      assert(verifyTransportChecksum(view), 'both zeros of ones’ complement are the same sum')
    }
  }
})

test('an unfinished checksum is finished from the sum of the pseudo header', () => {
  for (const [name, packet] of whole) {
    if (name === 'icmp4') continue
    const { source, destination, protocol, payload, headerLength } = checkPacket(packet)
    const field = protocol === 6 ? 16 : protocol === 17 ? 6 : 2
    const slab = inSlab(packet, at)
    const pseudo = slowSum(slowPseudoHeader(source, destination, protocol, payload.length))
    slab.set([pseudo >> 8, pseudo & 255], at + headerLength + field)
    assert(finishChecksum(slab, at, packet.length, headerLength, field))
    checkPacket(slab.slice(at, at + packet.length), checksumsHold)
    assert.deepEqual(slab, inSlab(packet, at), name)
  }
})

test('a checksum outside of the packet is not finished', () => {
  const packet = ipv4()
  for (const [start, field] of [
    [20, 7],
    [27, 0],
    [65_535, 65_535],
    [0, 65_535],
  ]) {
    const slab = inSlab(packet, at)
    assert(!finishChecksum(slab, at, packet.length, start, field))
    assert.deepEqual(slab, inSlab(packet, at))
  }
  assert.equal(slowChecksum(packet.subarray(0, 20)), 0)
})
