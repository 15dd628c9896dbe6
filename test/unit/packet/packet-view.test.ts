import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PacketView } from '../../../src/packet/packet-view.ts'
import {
  extension,
  fragmentHeader,
  guardedSlab,
  icmp,
  icmp6,
  inSlab,
  ipv4,
  ipv6,
  pattern,
  rawTransport,
  TCP_FLAG,
  type Transport,
  tcp,
  udp,
} from '../../support/packets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { slowDecode } from '../../support/slow/packet.ts'

const offset = 64

function view(packet: Uint8Array): PacketView {
  const result = new PacketView(inSlab(packet, offset))
  assert(result.decode(offset, packet.length), 'must be accepted')
  return result
}

/** Compares with the slow decoder; both must agree about what is malformed. */
function checkAgainstTwin(slab: Uint8Array, length: number, reused: PacketView): boolean {
  const slow = slowDecode(slab.slice(offset, offset + length))
  reused.slab = slab
  const accepted = reused.decode(offset, length)
  assert.equal(accepted, slow !== undefined)
  if (slow === undefined) return false
  assert.equal(reused.version, slow.version)
  assert.equal(reused.tos, slow.tos)
  assert.equal(reused.protocol, slow.protocol)
  assert.equal(reused.totalLength, length)
  assert.equal(reused.headerLength, slow.headerLength)
  assert.equal(reused.transportOffset, offset + slow.headerLength)
  assert.equal(reused.dontFragment, slow.dontFragment)
  assert.equal(reused.laterFragment, slow.fragmentOffset > 0)
  assert.equal(reused.isFragment, slow.fragmentOffset > 0 || slow.moreFragments)
  const addressBytes = slow.source.length
  const { sourceOffset, destinationOffset } = reused
  assert.deepEqual(slab.slice(sourceOffset, sourceOffset + addressBytes), slow.source)
  assert.deepEqual(
    slab.slice(destinationOffset, destinationOffset + addressBytes),
    slow.destination,
  )
  const [source, destination] = [slow.source, slow.destination].map(bytes =>
    slow.version === 4 ? Buffer.from(bytes).readUInt32BE() : 0,
  )
  assert.equal(reused.source4, source)
  assert.equal(reused.destination4, destination)
  const hasPorts = [6, 17, 33, 132, 136].includes(slow.protocol)
  const ports = hasPorts && slow.fragmentOffset === 0 && slow.payload.length >= 4
  const payload = Buffer.from(slow.payload)
  assert.equal(reused.sourcePort, ports ? payload.readUInt16BE(0) : 0)
  assert.equal(reused.destinationPort, ports ? payload.readUInt16BE(2) : 0)
  const wholeTcp = ports && slow.protocol === 6 && payload.length >= 20
  assert.equal(reused.tcpFlags, wholeTcp ? payload[13] : 0)
  return true
}

test('the fields of a TCP packet over IPv4', () => {
  const packet = ipv4(
    { source: '192.0.2.1', destination: '203.0.113.200', tos: 0xb9, dontFragment: true },
    tcp({ sourcePort: 40_001, destinationPort: 443, flags: TCP_FLAG.SYN | TCP_FLAG.ECE }),
  )
  const { slab: _, ...fields } = view(packet)
  assert.deepEqual(fields, {
    offset: 64,
    version: 4,
    headerLength: 20,
    totalLength: 40,
    tos: 0xb9,
    protocol: 6,
    transportOffset: 84,
    isFragment: false,
    laterFragment: false,
    dontFragment: true,
    source4: 0xc000_0201,
    destination4: 0xcb00_71c8,
    sourceOffset: 76,
    destinationOffset: 80,
    sourcePort: 40_001,
    destinationPort: 443,
    tcpFlags: TCP_FLAG.SYN | TCP_FLAG.ECE,
  })
})

test('the fields of a UDP packet over IPv6 behind extension headers', () => {
  const extensions = [extension(0), extension(43, 2), extension(60, 1)]
  const packet = ipv6({ tos: 0x7d, flowLabel: 0xfffff, extensions }, udp({ sourcePort: 5353 }))
  const { slab: _, ...fields } = view(packet)
  assert.deepEqual(fields, {
    offset: 64,
    version: 6,
    headerLength: 40 + 8 + 24 + 16,
    totalLength: 96,
    tos: 0x7d,
    protocol: 17,
    transportOffset: 64 + 88,
    isFragment: false,
    laterFragment: false,
    dontFragment: true,
    source4: 0,
    destination4: 0,
    sourceOffset: 72,
    destinationOffset: 88,
    sourcePort: 5353,
    destinationPort: 53,
    tcpFlags: 0,
  })
})

interface FragmentRow {
  readonly name: string
  readonly packet: Uint8Array
  readonly isFragment: boolean
  readonly laterFragment: boolean
  readonly protocol: number
  readonly sourcePort: number
}

const data = udp({ sourcePort: 7, payload: pattern(16) })
const fragments: readonly FragmentRow[] = [
  {
    name: 'first of IPv4',
    packet: ipv4({ moreFragments: true }, data),
    isFragment: true,
    laterFragment: false,
    protocol: 17,
    sourcePort: 7,
  },
  {
    name: 'middle of IPv4',
    packet: ipv4({ moreFragments: true, fragmentOffset: 1480 }, data),
    isFragment: true,
    laterFragment: true,
    protocol: 17,
    sourcePort: 0,
  },
  {
    name: 'last of IPv4, at the greatest offset',
    packet: ipv4({ fragmentOffset: 0x1fff * 8 }, data),
    isFragment: true,
    laterFragment: true,
    protocol: 17,
    sourcePort: 0,
  },
  {
    name: 'first of IPv6',
    packet: ipv6({ extensions: [fragmentHeader(0, true)] }, data),
    isFragment: true,
    laterFragment: false,
    protocol: 17,
    sourcePort: 7,
  },
  {
    name: 'last of IPv6 whose data begins with what was an extension header',
    packet: ipv6({ extensions: [fragmentHeader(8, false)] }, rawTransport(60, pattern(5))),
    isFragment: true,
    laterFragment: true,
    protocol: 60,
    sourcePort: 0,
  },
  {
    name: 'atomic fragment of IPv6 (RFC 6946): none',
    packet: ipv6({ extensions: [fragmentHeader(0, false), extension(60)] }, data),
    isFragment: false,
    laterFragment: false,
    protocol: 17,
    sourcePort: 7,
  },
]

for (const { name, packet, ...expected } of fragments) {
  test(`fragment: ${name}`, () => {
    const { isFragment, laterFragment, protocol, sourcePort } = view(packet)
    assert.deepEqual({ isFragment, laterFragment, protocol, sourcePort }, expected)
  })
}

/** A packet with some bytes changed. */
function patched(packet: Uint8Array, at: number, ...bytes: number[]): Uint8Array {
  const copy = packet.slice()
  copy.set(bytes, at)
  return copy
}

const chain = (count: number) => Array.from({ length: count }, () => extension(60))
const malformed: readonly [name: string, packet: Uint8Array][] = [
  ['empty', new Uint8Array(0)],
  ['19 bytes', ipv4().slice(0, 19)],
  ['version 0', patched(ipv4(), 0, 0x05)],
  ['version 5', patched(ipv4(), 0, 0x55)],
  ['version 6 in 20 bytes', patched(ipv4({}, rawTransport(17)), 0, 0x65)],
  ['IHL 4', patched(ipv4(), 0, 0x44)],
  ['IHL past the packet', patched(ipv4({}, rawTransport(59, pattern(8))), 0, 0x48)],
  ['total length short of the header', patched(ipv4(), 2, 0, 19)],
  ['total length one too small', patched(ipv4(), 2, 0, 27)],
  ['total length one too large', patched(ipv4(), 2, 0, 29)],
  ['IPv6 cut in the header', ipv6().slice(0, 39)],
  ['IPv6 payload length one too small', patched(ipv6(), 4, 0, 7)],
  ['IPv6 payload length one too large', patched(ipv6(), 4, 0, 9)],
  ['IPv6 jumbogram', patched(ipv6({ extensions: [extension(0)] }), 4, 0, 0)],
  ['extension header cut', ipv6({}, rawTransport(60, pattern(7)))],
  [
    'extension header longer than the packet',
    ipv6({}, rawTransport(0, Uint8Array.of(17, 1, 0, 0, 0, 0, 0, 0))),
  ],
  ['fragment header cut', ipv6({}, rawTransport(44, pattern(7)))],
  ['nine extension headers', ipv6({ extensions: chain(9) })],
]

for (const [name, packet] of malformed) {
  test(`malformed: ${name}`, () => {
    const slab = inSlab(packet, offset)
    assert.equal(new PacketView(slab).decode(offset, packet.length), false)
    assert.equal(checkAgainstTwin(slab, packet.length, new PacketView(slab)), false)
  })
}

test('accepted: eight extension headers, no payload, no next header, cut transport headers', () => {
  assert.equal(view(ipv6({ extensions: chain(8) })).protocol, 17)
  assert.equal(view(ipv4({}, rawTransport(17))).sourcePort, 0)
  assert.equal(view(ipv6({}, rawTransport(59))).protocol, 59)
  const ports = view(ipv4({}, rawTransport(6, Uint8Array.of(1, 2, 3, 4, 0))))
  assert.deepEqual([ports.sourcePort, ports.destinationPort, ports.tcpFlags], [0x102, 0x304, 0])
  assert.equal(view(ipv4({}, rawTransport(6, pattern(19)))).tcpFlags, 0)
})

test('a packet that would pass the end of the slab is refused', () => {
  const packet = ipv4()
  const shared = new PacketView(packet)
  assert(shared.decode(0, 28))
  for (const [at, length] of [
    [1, 28],
    [0, 29],
    [28, 28],
    [-1, 28],
    [0, -1],
    [1000, 28],
  ])
    assert.equal(shared.decode(at, length), false, `${at}, ${length}`)
})

test('reads nothing outside of the packet, whatever its bytes say', () => {
  for (const [, packet] of malformed) {
    new PacketView(guardedSlab(packet, offset)).decode(offset, packet.length)
  }
  for (const { packet } of fragments)
    for (let at = 0; at < packet.length; at++)
      for (const value of [0, 0x0f, 0xff]) {
        const guarded = new PacketView(guardedSlab(patched(packet, at, value), offset))
        if (guarded.decode(offset, packet.length)) guarded.flowHash()
      }
})

test('one view used again and again keeps nothing of the packet before', () => {
  const packets = [
    ...fragments.map(row => row.packet),
    ipv4({ source: '255.255.255.255' }, tcp({ flags: 0xff })),
    ipv6({}, icmp6(128)),
    ipv4({ options: pattern(40) }, icmp(8)),
    ipv6({ extensions: chain(3) }, tcp({ flags: 0xff })),
  ]
  const reused = new PacketView(new Uint8Array(0))
  for (const first of packets)
    for (const second of packets) {
      assert(checkAgainstTwin(inSlab(first, offset), first.length, reused))
      assert(checkAgainstTwin(inSlab(second, offset), second.length, reused))
    }
})

const transports: readonly Transport[] = [
  tcp({ payload: pattern(20) }),
  udp({ payload: pattern(9) }),
  icmp(3, 4, pattern(28)),
  rawTransport(132, pattern(12)),
  rawTransport(59),
]

test('each byte of each header set to each value: agrees with the slow decoder', () => {
  const reused = new PacketView(new Uint8Array(0))
  const packets = transports.flatMap(transport => [
    ipv4({ options: pattern(8) }, transport),
    ipv6({ extensions: [extension(0), fragmentHeader(0, false)] }, transport),
  ])
  let accepted = 0
  for (const packet of packets)
    for (let at = 0; at < Math.min(packet.length, 72); at++) {
      const slab = inSlab(packet, offset, 0)
      for (let value = 0; value < 256; value++) {
        slab[offset + at] = value
        if (checkAgainstTwin(slab, packet.length, reused)) accepted++
      }
    }
  assert(accepted > 1000)
})

test('random bytes behind a plausible start, at every length: agrees with the slow decoder', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const reused = new PacketView(new Uint8Array(0))
  const byte = () => Math.floor(random() * 256)
  const extensions = [0, 6, 17, 43, 44, 60]
  let accepted = 0
  for (let round = 0; round < 20_000; round++) {
    const length = 6 + Math.floor(random() * 114)
    // Small numbers make extension headers that fit; the slab ends with the packet.
    const packet = Uint8Array.from({ length }, () => (random() < 0.6 ? byte() & 1 : byte()))
    const isV4 = random() < 0.5
    packet[0] = isV4 ? 0x40 | (5 + (byte() & 3)) : 0x60
    const lengthField = isV4 ? length : length - 40
    packet.set([lengthField >> 8, lengthField & 255], isV4 ? 2 : 4)
    if (!isV4 && length > 40)
      for (const at of [6, 40, 48, 56, 64]) if (at < length) packet[at] = extensions[byte() % 6]
    try {
      if (checkAgainstTwin(inSlab(packet, offset, 0), length, reused)) accepted++
    } catch (cause) {
      throw new Error(`seed ${seed}, packet ${Buffer.from(packet).toString('hex')}`, { cause })
    }
  }
  assert(accepted > 5000, `only ${accepted} accepted, seed ${seed}`)
})

function hashOf(packet: Uint8Array): number {
  return view(packet).flowHash()
}

test('the flow hash is that of the flow', () => {
  const make = (spec: object) => ipv4(spec, udp({ sourcePort: 9, payload: pattern(16) }))
  const base = hashOf(make({}))
  assert.equal(hashOf(make({ tos: 3, ttl: 9, identification: 99, options: pattern(4) })), base)
  assert.equal(hashOf(ipv4({}, udp({ sourcePort: 9, payload: pattern(99) }))), base)
  const first = hashOf(make({ moreFragments: true }))
  assert.equal(hashOf(make({ moreFragments: true, fragmentOffset: 8 })), first)
  assert.equal(hashOf(make({ fragmentOffset: 8000 })), first)
  const v6 = (extensions: ReturnType<typeof extension>[]) => hashOf(ipv6({ extensions }, udp()))
  assert.equal(v6([]), v6([extension(0), extension(60, 3)]))
  assert.equal(v6([fragmentHeader(0, true)]), v6([fragmentHeader(16, false)]))
})

test('the flow hash is 31 bits and differs with each part of the flow', () => {
  const hashes = [
    ipv4({}, udp()),
    ipv4({ source: '10.0.0.3' }, udp()),
    ipv4({ destination: '10.1.0.3' }, udp()),
    ipv4({ source: '10.1.0.2', destination: '10.0.0.1' }, udp()),
    ipv4({}, udp({ sourcePort: 40_002 })),
    ipv4({}, udp({ destinationPort: 54 })),
    ipv4({}, tcp({ destinationPort: 53 })),
    ipv6({}, udp()),
    ipv6({ source: 'fd00::3' }, udp()),
    ipv6({ destination: 'fd01::3' }, udp()),
  ].map(hashOf)
  assert.equal(new Set(hashes).size, hashes.length)
  for (const hash of hashes) assert(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 31)
})

test('flows that differ in one number spread evenly over 64 source ports', () => {
  for (const make of [
    (i: number) => ipv4({}, udp({ sourcePort: 1024 + i })),
    (i: number) => ipv4({ source: `10.0.${i >> 8}.${i & 255}` }, tcp()),
    (i: number) => ipv6({ source: `fd00::${i.toString(16)}` }, tcp()),
  ]) {
    const low = new Uint32Array(64)
    const high = new Uint32Array(64)
    for (let i = 0; i < 6400; i++) {
      const hash = hashOf(make(i))
      low[hash & 63]++
      high[hash >>> 25]++
    }
    // 100 expected in each; 6 standard deviations.
    for (const bucket of [...low, ...high]) assert(bucket > 40 && bucket < 160, `${bucket}`)
  }
})

test('any bytes at all: never throws, and says what the slow decoder says', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
      const slab = inSlab(bytes, offset, 0)
      checkAgainstTwin(slab, bytes.length, new PacketView(slab))
    }),
    { seed: testSeed(), numRuns: 2000 },
  )
})
