import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ROW } from '../../../src/packet/batch.ts'
import { loadTestNative } from '../../support/native.ts'
import { inSlab, ipv4, ipv6, pattern, TCP_FLAG, tcp, udp } from '../../support/packets.ts'
import {
  below,
  chance,
  leaveUnfinished,
  randomSuperpacket,
} from '../../support/random-superpackets.ts'
import { rounds, seededRandom, testSeed } from '../../support/rng.ts'
import { slowChecksum } from '../../support/slow/checksum.ts'
import {
  pseudoHeader,
  read16,
  type SlowSuperpacket,
  slowSegment,
  write16,
} from '../../support/slow/segment.ts'

const native = loadTestNative().test

function segment(superpacket: SlowSuperpacket, offset = 64): Uint8Array[] | null {
  const row = new Int32Array(ROW.WORDS)
  row[ROW.OFFSET] = offset
  row[ROW.LENGTH] = superpacket.bytes.length
  row[ROW.GSO] = superpacket.gso
  row[ROW.GSO_SIZE] = superpacket.gsoSize
  row[ROW.CSUM] = superpacket.csum
  row[ROW.HEADER_LENGTH] = superpacket.headerLength
  return native.segment(inSlab(superpacket.bytes, offset), row)
}

/** Checks that the addon cuts as the twin does. */
function check(superpacket: SlowSuperpacket, seed?: number): Uint8Array[] {
  const segments = segment(superpacket)
  assert(segments !== null, `refused, seed ${seed}`)
  assert.deepEqual(segments.map(Buffer.from), slowSegment(superpacket).map(Buffer.from), `${seed}`)
  return segments
}

const lone = { gso: 0, gsoSize: 0, csum: 0, headerLength: 0 }

test('random superpackets are cut as the twin cuts them', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (let i = 0; i < rounds(1500); i++) check(randomSuperpacket(random), seed)
})

test('FIN and PSH go to the last segment, CWR to the first, ids count up', () => {
  const flags = TCP_FLAG.ACK | TCP_FLAG.FIN | TCP_FLAG.PSH | TCP_FLAG.CWR
  const bytes = ipv4(
    { identification: 0xffff, dontFragment: true },
    tcp({ flags, sequence: 2 ** 32 - 1000, payload: pattern(2500) }),
  )
  const segments = check(leaveUnfinished({ bytes, gso: 1, gsoSize: 1000, headerLength: 40 }, 20))
  const { ACK, FIN, PSH, CWR } = TCP_FLAG
  assert.deepEqual(
    segments.map(packet => packet[33]),
    [ACK | CWR, ACK, ACK | FIN | PSH],
  )
  assert.deepEqual(
    segments.map(packet => read16(packet, 4)),
    [0xffff, 0, 1],
  )
  assert.deepEqual(
    segments.map(packet => read16(packet, 24) * 65_536 + read16(packet, 26)),
    [2 ** 32 - 1000, 0, 1000],
  )
  assert.deepEqual(
    segments.map(packet => packet.length),
    [1040, 1040, 540],
  )
})

test('IPv6 extension headers in front of TCP are repeated', () => {
  const plain = ipv6({}, tcp({ payload: pattern(3000) }))
  const options = Uint8Array.of(6, 0, 1, 4, 0, 0, 0, 0)
  const bytes = new Uint8Array([...plain.subarray(0, 40), ...options, ...plain.subarray(40)])
  bytes[6] = 60
  write16(bytes, 4, bytes.length - 40)
  write16(bytes, 48 + 16, 0)
  const segments = check({ bytes, gso: 4, gsoSize: 1200, csum: 48 | (16 << 16), headerLength: 68 })
  assert.equal(segments.length, 3)
})

test('a UDP checksum that comes out as zero is sent as all ones', () => {
  // The last two bytes of the payload make the sum 0xffff.
  const bytes = ipv4({}, udp({ payload: pattern(100) }))
  write16(bytes, 26, 0)
  write16(bytes, 126, 0)
  const rest = slowChecksum(pseudoHeader(bytes, 20, true), bytes.subarray(20))
  write16(bytes, 126, rest)
  const packet = leaveUnfinished({ ...lone, bytes }, 20)
  assert.equal(read16(check(packet)[0], 26), 0xffff)
  const [first] = check({ ...packet, gso: 5, gsoSize: 100, headerLength: 28 })
  assert.equal(read16(first, 26), 0xffff)
})

test('a finished lone packet is copied as it is, also with a wrong checksum', () => {
  const bytes = ipv4({}, tcp({ payload: pattern(77) }))
  bytes[36] ^= 0x55
  assert.deepEqual(check({ ...lone, bytes }), [bytes])
})

test('an unfinished checksum of a lone packet is finished wherever it is', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (let i = 0; i < rounds(500); i++) {
    const transport = udp({ payload: pattern(below(random, 1400), i) })
    const isIpv6 = chance(random, 0.5)
    const bytes = isIpv6 ? ipv6({}, transport) : ipv4({}, transport)
    const expected = bytes.slice()
    const [segment] = check(leaveUnfinished({ ...lone, bytes }, isIpv6 ? 40 : 20), seed)
    assert.deepEqual(segment, expected, `seed ${seed}`)
  }
})

const good = leaveUnfinished(
  { bytes: ipv4({}, tcp({ payload: pattern(3000) })), gso: 1, gsoSize: 1000, headerLength: 40 },
  20,
)
const bad: readonly [string, Partial<SlowSuperpacket>][] = [
  ['an unknown GSO type', { gso: 2 }],
  ['UFO', { gso: 3 }],
  ['the type of the other version', { gso: 4 }],
  ['the type of the other protocol', { gso: 5 }],
  ['no segment size', { gsoSize: 0 }],
  ['a negative segment size', { gsoSize: -1 }],
  ['a header that ends elsewhere', { headerLength: 44 }],
  ['no checksum to finish', { csum: 0 }],
  ['a checksum of the wrong offset', { csum: 20 | (6 << 16) }],
  ['a transport header that does not follow', { csum: 24 | (16 << 16) }],
  ['a transport header behind the packet', { csum: 0x7fff | (16 << 16) }],
  ['less than a header', { bytes: good.bytes.subarray(0, 39) }],
  ['less than an IP header', { bytes: good.bytes.subarray(0, 1) }],
  ['a lone checksum behind the packet', { ...lone, csum: 3030 | (16 << 16) }],
  ['a lone checksum far behind the packet', { ...lone, csum: 0xffff | (0x7fff << 16) }],
  ['a negative lone checksum word', { ...lone, csum: -1 }],
]

for (const [what, change] of bad) {
  test(`refuses ${what}`, () => {
    assert.equal(segment({ ...good, ...change }), null)
  })
}

test('refuses or cuts, and never reads beyond, whatever the words say', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const word = () => below(random, 2 ** 32) | 0
  for (let i = 0; i < rounds(20_000); i++) {
    const { bytes } = randomSlice(random)
    const superpacket: SlowSuperpacket = {
      bytes,
      gso: chance(random, 0.9) ? below(random, 8) : word(),
      gsoSize: chance(random, 0.9) ? 16 + below(random, 2000) : word(),
      csum: chance(random, 0.9) ? [20, 40][i & 1] | (below(random, 20) << 16) : word(),
      headerLength: chance(random, 0.9) ? below(random, 120) : word(),
    }
    const segments = segment(superpacket)
    if (segments === null) continue
    const total = segments.reduce((sum, { length }) => sum + length, 0)
    const headers = (segments.length - 1) * superpacket.headerLength
    assert.equal(total - headers, bytes.length, `seed ${seed}`)
  }
})

function randomSlice(random: () => number): SlowSuperpacket {
  const superpacket = chance(random, 0.1) ? randomSuperpacket(random) : good
  const { bytes } = superpacket
  return { ...superpacket, bytes: bytes.slice(0, 1 + below(random, bytes.length)) }
}
