import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  buildIcmpError,
  IcmpRateLimiter,
  icmpError,
  icmpErrorBytes,
} from '../../../src/packet/icmp-error.ts'
import { PacketView } from '../../../src/packet/packet-view.ts'
import {
  carries,
  checkPacket,
  checksumsHold,
  extension,
  fragmentHeader,
  fromTo,
  guardedSlab,
  icmp,
  icmp6,
  inSlab,
  ipv4,
  ipv6,
  mssOption,
  pattern,
  rawTransport,
  TCP_FLAG,
  tcp,
  udp,
} from '../../support/packets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { type SlowKind, slowIcmpError } from '../../support/slow/icmp-error.ts'

const outOffset = 32
const kinds: readonly SlowKind[] = ['noRoute', 'hostUnreachable', 'tooBig']

/** Builds the error about a packet; undefined when it must not be answered. */
function build(kind: SlowKind, packet: Uint8Array, mtuBytes = 0): Uint8Array | undefined {
  const slab = inSlab(packet)
  const out = new Uint8Array(outOffset + icmpErrorBytes + 16).fill(0xee)
  const bytes = buildIcmpError(icmpError[kind], slab, 64, packet.length, mtuBytes, out, outOffset)
  assert.deepEqual(slab, inSlab(packet), 'the packet must stay as it is')
  const around = [...out.slice(0, outOffset), ...out.slice(outOffset + bytes)]
  assert(
    around.every(byte => byte === 0xee),
    'wrote outside of the answer',
  )
  return bytes === 0 ? undefined : out.slice(outOffset, outOffset + bytes)
}

const syn = tcp({ flags: TCP_FLAG.SYN, options: mssOption(1460) })

test('fragmentation needed: type, code and MTU where RFC 1191 wants them, all of the packet quoted', () => {
  const packet = ipv4({ dontFragment: true, tos: 2 }, syn)
  const answer = build('tooBig', packet, 1380)
  assert(answer !== undefined)
  const { payload, hopLimit } = checkPacket(
    answer,
    fromTo('10.1.0.2', '10.0.0.1'),
    carries(1),
    checksumsHold,
  )
  assert.equal(hopLimit, 64)
  assert.deepEqual(payload.slice(0, 2), Uint8Array.of(3, 4))
  assert.deepEqual(payload.slice(4, 8), Uint8Array.of(0, 0, 1380 >> 8, 1380 & 255))
  assert.deepEqual(payload.slice(8), packet)
})

test('packet too big: type 2, the MTU in 32 bits', () => {
  const packet = ipv6({}, syn)
  const answer = build('tooBig', packet, 70_000)
  assert(answer !== undefined)
  const { payload } = checkPacket(answer, fromTo('fd01::2', 'fd00::1'), carries(58), checksumsHold)
  assert.deepEqual(payload.slice(0, 2), Uint8Array.of(2, 0))
  assert.deepEqual(payload.slice(4, 8), Uint8Array.of(0, 1, 0x11, 0x70))
  assert.deepEqual(payload.slice(8), packet)
})

for (const [kind, version, type, code] of [
  ['noRoute', 4, 3, 0],
  ['hostUnreachable', 4, 3, 1],
  ['noRoute', 6, 1, 0],
  ['hostUnreachable', 6, 1, 3],
] as const) {
  test(`${kind} over IPv${version} is ${type}/${code} with the second word 0`, () => {
    const answer = build(kind, version === 4 ? ipv4() : ipv6(), 1234)
    assert(answer !== undefined)
    const { payload } = checkPacket(answer, checksumsHold)
    assert.deepEqual([payload[0], payload[1], ...payload.slice(4, 8)], [type, code, 0, 0, 0, 0])
  })
}

for (const [name, make, quoted, most] of [
  ['IPv4', ipv4, 548, 576],
  ['IPv6', ipv6, 1232, 1280],
] as const) {
  test(`${name}: quotes ${quoted} bytes of a superpacket and no more`, () => {
    for (const total of [quoted - 1, quoted, quoted + 1, 65_000]) {
      const header = make === ipv4 ? 20 : 40
      const packet = make({}, udp({ payload: pattern(total - header - 8) }))
      const answer = build('tooBig', packet, 1420)
      assert(answer !== undefined)
      assert.equal(answer.length, Math.min(most, total + most - quoted))
      const { payload } = checkPacket(answer, checksumsHold)
      assert.deepEqual(payload.slice(8), packet.slice(0, quoted))
    }
  })
}

const unanswered: readonly [name: string, packet: Uint8Array][] = [
  ...[3, 4, 5, 11, 12, 30, 255].map(
    type => [`ICMP type ${type}`, ipv4({}, icmp(type, 0, ipv4()))] as [string, Uint8Array],
  ),
  ...[1, 2, 3, 4, 100, 127, 137].map(
    type => [`ICMPv6 type ${type}`, ipv6({}, icmp6(type, 0, ipv6()))] as [string, Uint8Array],
  ),
  ['ICMPv6 error behind extensions', ipv6({ extensions: [extension(0)] }, icmp6(1))],
  ['ICMP without a whole header', ipv4({}, rawTransport(1, pattern(7, 0)))],
  ['ICMPv6 without a type', ipv6({}, rawTransport(58))],
  ['later fragment', ipv4({ fragmentOffset: 8 })],
  ['later fragment of IPv6', ipv6({ extensions: [fragmentHeader(8, true)] })],
  ...[
    '0.0.0.0',
    '0.1.2.3',
    '127.0.0.1',
    '169.254.7.7',
    '224.0.0.1',
    '239.255.255.255',
    '255.255.255.255',
  ].flatMap(address => [
    [`from ${address}`, ipv4({ source: address })] as [string, Uint8Array],
    [`to ${address}`, ipv4({ destination: address })] as [string, Uint8Array],
  ]),
  ...['::', '::1', 'fe80::1', 'febf::1', 'ff02::1', 'ff0e::5'].flatMap(address => [
    [`from ${address}`, ipv6({ source: address })] as [string, Uint8Array],
    [`to ${address}`, ipv6({ destination: address })] as [string, Uint8Array],
  ]),
  ['malformed', ipv4().slice(0, 27)],
]

for (const [name, packet] of unanswered) {
  test(`not answered: ${name}`, () => {
    for (const kind of kinds) {
      assert.equal(build(kind, packet, 1280), undefined)
      assert.equal(slowIcmpError(kind, packet, 1280), undefined)
    }
  })
}

const answered: readonly [name: string, packet: Uint8Array][] = [
  ...[0, 8, 13, 14, 15, 17, 42].map(
    type => [`ICMP query ${type}`, ipv4({}, icmp(type))] as [string, Uint8Array],
  ),
  ...[128, 129, 135, 255].map(
    type => [`ICMPv6 type ${type}`, ipv6({}, icmp6(type))] as [string, Uint8Array],
  ),
  ['first fragment', ipv4({ moreFragments: true })],
  ['first fragment of IPv6', ipv6({ extensions: [fragmentHeader(0, true)] })],
  ['options', ipv4({ options: pattern(40) }, tcp())],
  ['tunnel address of a VXLAN cable', ipv4({ source: '241.0.0.1', destination: '240.9.8.7' })],
  ['::2', ipv6({ source: '::2' })],
  ['fec0::1', ipv6({ source: 'fec0::1' })],
  ['unknown protocol', ipv4({}, rawTransport(200))],
]

for (const [name, packet] of answered) {
  test(`answered as the twin does: ${name}`, () => {
    for (const kind of kinds) {
      const answer = build(kind, packet, 1412)
      assert(answer !== undefined)
      assert.deepEqual(answer, slowIcmpError(kind, packet, 1412))
    }
  })
}

test('no answer where the buffer has no room, and nothing is written', () => {
  for (const packet of [ipv4(), ipv6()]) {
    const needed = build('noRoute', packet)?.length ?? 0
    for (const room of [0, 1, needed - 1, needed]) {
      const out = new Uint8Array(outOffset + room)
      const bytes = buildIcmpError(icmpError.noRoute, packet, 0, packet.length, 0, out, outOffset)
      assert.equal(bytes, room === needed ? needed : 0)
      if (bytes === 0) assert(out.every(byte => byte === 0))
    }
  }
})

test('any packet with any bytes changed: the same as the twin, reading nothing else', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const packets = [...answered, ...unanswered].map(([, packet]) => packet)
  const out = new Uint8Array(icmpErrorBytes)
  let answers = 0
  for (let round = 0; round < 4000; round++) {
    const packet = packets[round % packets.length].slice()
    for (let changes = Math.floor(random() * 3); changes > 0; changes--)
      packet[Math.floor(random() * packet.length)] = random() * 256
    const kind = kinds[Math.floor(random() * 3)]
    const mtu = Math.floor(random() * 70_000)
    const slab = guardedSlab(packet)
    const bytes = buildIcmpError(icmpError[kind], slab, 64, packet.length, mtu, out, 0)
    const slow = slowIcmpError(kind, packet, mtu)
    const hex = Buffer.from(packet).toString('hex')
    assert.deepEqual(out.slice(0, bytes), slow ?? new Uint8Array(0), `seed ${seed}: ${hex}`)
    if (bytes > 0) answers++
  }
  assert(answers > 500)
})

const rate = { perSecond: 10, burst: 5, totalPerSecond: 100, totalBurst: 50, sources: 8 }

function sender(packet: Uint8Array): PacketView {
  const view = new PacketView(packet)
  assert(view.decode(0, packet.length))
  return view
}

function allowed(limiter: IcmpRateLimiter, view: PacketView, times: number, nowMs: number): number {
  let count = 0
  for (let i = 0; i < times; i++) if (limiter.allow(view, nowMs)) count++
  return count
}

test('a source gets its burst, then tokens by time, and never more than the burst', () => {
  const limiter = new IcmpRateLimiter(rate)
  const view = sender(ipv4())
  assert.equal(allowed(limiter, view, 100, 1000), 5)
  assert.equal(allowed(limiter, view, 100, 1099), 0)
  assert.equal(allowed(limiter, view, 100, 1100), 1)
  assert.equal(allowed(limiter, view, 100, 1350), 2)
  assert.equal(allowed(limiter, view, 100, 1400), 1)
  assert.equal(allowed(limiter, view, 100, 100_000), 5)
})

test('asking often does not cost the tokens that grow meanwhile', () => {
  const limiter = new IcmpRateLimiter(rate)
  const view = sender(ipv4())
  let count = 0
  for (let nowMs = 0; nowMs <= 10_000; nowMs++) count += allowed(limiter, view, 1, nowMs)
  assert(count >= 104 && count <= 105, `${count}`)
})

test('sources do not share a bucket; addresses of one IPv6 /64 do', () => {
  const limiter = new IcmpRateLimiter(rate)
  assert.equal(allowed(limiter, sender(ipv4({ source: '10.0.0.1' })), 9, 1), 5)
  assert.equal(allowed(limiter, sender(ipv4({ source: '10.0.0.2' })), 9, 1), 5)
  assert.equal(allowed(limiter, sender(ipv6({ source: 'fd00::1' })), 9, 1), 5)
  assert.equal(allowed(limiter, sender(ipv6({ source: 'fd00::2:0:0:1' })), 9, 1), 0)
  assert.equal(allowed(limiter, sender(ipv6({ source: 'fd00:0:0:1::1' })), 9, 1), 5)
})

test('all together are bounded, and refused tokens are not taken from the source', () => {
  const limiter = new IcmpRateLimiter({ ...rate, sources: 64 })
  let count = 0
  for (let i = 0; i < 255; i++)
    count += allowed(limiter, sender(ipv4({ source: `10.0.0.${i}` })), 9, 1)
  assert.equal(count, 50)
  // 10 ms later there is one token for all.
  assert.equal(allowed(limiter, sender(ipv4({ source: '10.9.9.9' })), 9, 11), 1)
  assert.equal(allowed(limiter, sender(ipv4({ source: '10.9.9.9' })), 9, 51), 4)
})

test('a full table forgets whoever was silent for longest', () => {
  const limiter = new IcmpRateLimiter({ ...rate, totalBurst: 1e6, sources: 4 })
  const source = (i: number) => sender(ipv4({ source: `10.0.0.${i}` }))
  for (let i = 0; i < 4; i++) assert.equal(allowed(limiter, source(i), 9, 10 + i), 5)
  // A new source takes the place of source 0; 1 to 3 are still known.
  assert.equal(allowed(limiter, source(4), 9, 20), 5)
  for (let i = 1; i < 4; i++) assert.equal(allowed(limiter, source(i), 9, 21), 0)
  assert.equal(allowed(limiter, source(0), 9, 22), 5)
})

test('a clock that steps back gives no tokens and does not stop the bucket', () => {
  const limiter = new IcmpRateLimiter(rate)
  const view = sender(ipv4())
  assert.equal(allowed(limiter, view, 9, 5000), 5)
  assert.equal(allowed(limiter, view, 9, 4000), 0)
  assert.equal(allowed(limiter, view, 9, 4100), 1)
})
