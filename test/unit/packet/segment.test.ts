import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketView } from '../../../src/packet/packet-view.ts'
import { writeSegment4 } from '../../../src/packet/segment.ts'
import { inSlab, ipv4, ipv6, pattern, TCP_FLAG, tcp, udp } from '../../support/packets.ts'
import { leaveUnfinished, randomSuperpacket } from '../../support/random-superpackets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { type SlowSuperpacket, slowSegment } from '../../support/slow/segment.ts'

const out = new PacketView(new Uint8Array(65_535))

function cut({ bytes, headerLength, gsoSize }: SlowSuperpacket, index: number): Buffer {
  const slab = inSlab(bytes)
  const length = writeSegment4(slab, 64, bytes.length, headerLength, gsoSize, index, out)
  return Buffer.from(out.slab.slice(0, length))
}

function check(superpacket: SlowSuperpacket, seed?: number): void {
  const expected = slowSegment(superpacket).map(Buffer.from)
  const segments = expected.map((_, index) => cut(superpacket, index))
  assert.deepEqual(segments, expected, `seed ${seed}`)
  assert.equal(cut(superpacket, expected.length).length, 0, 'there is no segment behind the last')
}

test('random superpackets of IPv4 are cut as the twin cuts them', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (let count = 0; count < 200; ) {
    const superpacket = randomSuperpacket(random)
    if (superpacket.bytes[0] >> 4 !== 4) continue
    check(superpacket, seed)
    count++
  }
})

test('flags and numbers at the edges', () => {
  const flags = TCP_FLAG.ACK | TCP_FLAG.FIN | TCP_FLAG.PSH | TCP_FLAG.CWR
  const segment = tcp({ flags, sequence: 2 ** 32 - 1000, payload: pattern(2500) })
  const bytes = ipv4({ identification: 0xffff }, segment)
  check(leaveUnfinished({ bytes, gso: 1, gsoSize: 1000, headerLength: 40 }, 20))
})

test('the options of IPv4 are part of every segment', () => {
  const options = Uint8Array.of(0x94, 4, 0, 0)
  const bytes = ipv4({ options }, udp({ payload: pattern(3000) }))
  check(leaveUnfinished({ bytes, gso: 5, gsoSize: 1400, headerLength: 32 }, 24))
})

test('what is no superpacket of IPv4, or has no room, gives nothing', () => {
  const six = ipv6({}, udp({ payload: pattern(3000) }))
  assert.equal(writeSegment4(six, 0, six.length, 48, 1400, 0, out), 0)
  const four = ipv4({}, udp({ payload: pattern(3000) }))
  const small = new PacketView(new Uint8Array(1427))
  assert.equal(writeSegment4(four, 0, four.length, 28, 1400, 0, small), 0)
  assert.equal(writeSegment4(four, 0, four.length, 28, 1399, 0, small), 1427)
})
