import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fragmentIpv4 } from '../../../src/packet/fragment.ts'
import {
  checkPacket,
  checksumsHold,
  guardedSlab,
  type Ipv4Spec,
  inSlab,
  ipv4,
  ipv6,
  pattern,
  rawTransport,
  udp,
} from '../../support/packets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { slowDecode } from '../../support/slow/packet.ts'
import { reassemble } from '../../support/slow/reassemble.ts'

const outOffset = 16

interface Room {
  readonly bytes?: number
  readonly fragments?: number
}

/** Cuts a packet; checks that nothing else was touched. Empty: it was refused. */
function cut(packet: Uint8Array, mtuBytes: number, room: Room = {}): Uint8Array[] {
  const slab = inSlab(packet)
  const out = new Uint8Array(outOffset + (room.bytes ?? 200_000)).fill(0xee)
  const pieces = new Int32Array(2 * (room.fragments ?? 10_000))
  const count = fragmentIpv4(slab, 64, packet.length, mtuBytes, out, outOffset, pieces)
  assert.deepEqual(slab, inSlab(packet))
  let end = outOffset
  const fragments: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    assert.equal(pieces[i * 2], end, 'one behind the other')
    end += pieces[i * 2 + 1]
    fragments.push(out.slice(pieces[i * 2], end))
  }
  if (count > 0) assert(out.slice(end).every(byte => byte === 0xee))
  assert(out.slice(0, outOffset).every(byte => byte === 0xee))
  return fragments
}

/** What every set of fragments must fulfil. */
function checkFragments(packet: Uint8Array, fragments: Uint8Array[], mtuBytes: number): void {
  const whole = checkPacket(packet)
  assert(fragments.length > 0)
  for (const [i, fragment] of fragments.entries()) {
    assert(fragment.length <= mtuBytes)
    const part = checkPacket(fragment, checksumsHold)
    assert.equal(part.dontFragment, false)
    assert.equal(part.identification, whole.identification)
    if (i < fragments.length - 1) {
      assert.equal(part.payload.length % 8, 0)
      assert(fragment.length > mtuBytes - 8, 'a fragment is shorter than it must be')
    }
  }
  const again = reassemble(fragments)
  assert.equal(again.startsAt, whole.fragmentOffset)
  assert.equal(again.moreFollows, whole.moreFragments)
  assert.deepEqual(again.options, whole.options)
  assert.deepEqual(Uint8Array.from(again.payload), whole.payload)
}

test('1500 bytes over an MTU of 576: three fragments of 552, 552 and 376 bytes of data', () => {
  const packet = ipv4({}, udp({ payload: pattern(1472) }))
  const fragments = cut(packet, 576)
  const lines = fragments.map(fragment => {
    const { fragmentOffset, moreFragments, payload } = checkPacket(fragment)
    return [fragmentOffset, moreFragments, payload.length]
  })
  assert.deepEqual(lines, [
    [0, true, 552],
    [552, true, 552],
    [1104, false, 376],
  ])
  checkFragments(packet, fragments, 576)
})

test('a packet that fits comes out as it went in', () => {
  for (const packet of [ipv4(), ipv4({}, rawTransport(59)), ipv4({ moreFragments: true })])
    for (const mtu of [packet.length, 1500]) assert.deepEqual(cut(packet, mtu), [packet])
})

// No operation, record route (not copied), security (copied, 11 bytes), stream id (copied), end.
const options = Uint8Array.from([
  ...[1, 7, 7, 4, 0, 0, 0, 0],
  ...[130, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  ...[136, 4, 0xab, 0xcd],
  ...[0],
])

test('options: all in the first fragment, those with the copy bit in the others', () => {
  const packet = ipv4({ options }, udp({ payload: pattern(600) }))
  const fragments = cut(packet, 200)
  checkFragments(packet, fragments, 200)
  const [first, ...others] = fragments.map(fragment => checkPacket(fragment).options)
  assert.deepEqual(first, options)
  const copied = Uint8Array.of(130, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 136, 4, 0xab, 0xcd, 0)
  for (const other of others) assert.deepEqual(other, copied)
})

test('options of which none is copied make the later headers 20 bytes', () => {
  const packet = ipv4(
    { options: Uint8Array.of(1, 1, 68, 8, 5, 0, 0, 0, 0, 1, 0, 0) },
    udp({ payload: pattern(600) }),
  )
  const fragments = cut(packet, 200)
  checkFragments(packet, fragments, 200)
  for (const fragment of fragments.slice(1)) assert.equal(checkPacket(fragment).headerLength, 20)
})

test('fragments of a fragment: first, middle and last, and once more', () => {
  const specs: readonly Ipv4Spec[] = [
    { moreFragments: true },
    { moreFragments: true, fragmentOffset: 1480, options },
    { fragmentOffset: 2960 },
  ]
  for (const spec of specs) {
    const packet = ipv4(spec, rawTransport(17, pattern(spec.moreFragments ? 1200 : 1203)))
    const fragments = cut(packet, 700)
    checkFragments(packet, fragments, 700)
    const smaller = fragments.flatMap(fragment => cut(fragment, 300))
    assert(smaller.length > fragments.length)
    const { payload, options: kept } = checkPacket(packet)
    assert.deepEqual(Uint8Array.from(reassemble(smaller).payload), payload)
    assert.deepEqual(reassemble(smaller).options, kept)
  }
})

/** A packet with some bytes changed. */
function patched(packet: Uint8Array, at: number, ...bytes: number[]): Uint8Array {
  const copy = packet.slice()
  copy.set(bytes, at)
  return copy
}

const big = udp({ payload: pattern(1000) })
const withOptions = (...bytes: number[]) => ipv4({ options: Uint8Array.from(bytes) }, big)
const refused: readonly [name: string, packet: Uint8Array, mtuBytes: number][] = [
  ['DF is set', ipv4({ dontFragment: true }, big), 576],
  ['IPv6', ipv6({}, big), 576],
  ['no room for 8 bytes', ipv4({}, big), 27],
  ['MTU below the header', ipv4({}, big), 10],
  ['MTU 0', ipv4({}, big), 0],
  ['negative MTU', ipv4({}, big), -100],
  ['options leave no room for 8 bytes', ipv4({ options: pattern(40, 5).fill(1) }, big), 67],
  ['an option of length 0', withOptions(7, 0, 0, 0), 576],
  ['an option of length 1', withOptions(7, 1, 0, 0), 576],
  ['an option past the header', withOptions(1, 1, 7, 3), 576],
  ['an option without a length', withOptions(1, 1, 1, 7), 576],
  ['offset past 65 535', ipv4({ fragmentOffset: 0x1fff * 8 }, big), 576],
  [
    'more to come, but not in units of 8',
    ipv4({ moreFragments: true }, rawTransport(17, pattern(1001))),
    576,
  ],
  ['length field too small', patched(ipv4({}, big), 2, 0, 100), 576],
  ['IHL 4', patched(ipv4({}, big), 0, 0x44), 576],
  ['cut short', ipv4({}, big).slice(0, 19), 576],
  ['nothing', new Uint8Array(0), 576],
]

for (const [name, packet, mtuBytes] of refused) {
  test(`refused: ${name}`, () => assert.deepEqual(cut(packet, mtuBytes), []))
}

test('refused when there is room for all bytes but one, or all fragments but one', () => {
  const packet = ipv4({ options }, big)
  const fragments = cut(packet, 300)
  const bytes = fragments.reduce((total, fragment) => total + fragment.length, 0)
  assert.deepEqual(cut(packet, 300, { bytes, fragments: fragments.length }), fragments)
  assert.deepEqual(cut(packet, 300, { bytes: bytes - 1 }), [])
  assert.deepEqual(cut(packet, 300, { fragments: fragments.length - 1 }), [])
})

test('the largest packet over the smallest MTU with room', () => {
  const packet = ipv4({}, udp({ payload: pattern(65_535 - 28) }))
  const fragments = cut(packet, 28, { bytes: 250_000 })
  assert.equal(fragments.length, Math.ceil(65_515 / 8))
  checkFragments(packet, fragments, 28)
})

test('random packets over random MTUs come together again', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  for (let round = 0; round < 1000; round++) {
    const moreFragments = random() < 0.3
    const length = below(3000)
    const spec: Ipv4Spec = {
      moreFragments,
      fragmentOffset: random() < 0.5 ? 0 : below(4000) * 8,
      identification: below(65_536),
      tos: below(256),
      ttl: below(256),
      ...(random() < 0.5 ? {} : { options: options.slice(0, 8 * below(2)) }),
    }
    const payload = pattern(moreFragments ? length & ~7 : length, round)
    const packet = ipv4(spec, rawTransport(200 + below(56), payload))
    const mtu = 68 + below(1500)
    try {
      checkFragments(packet, cut(packet, mtu), mtu)
    } catch (cause) {
      throw new Error(`seed ${seed}, round ${round}, MTU ${mtu}`, { cause })
    }
  }
})

test('any header bytes: never throws, reads only the packet, and what it makes is well-formed', () => {
  const packet = ipv4({ options }, rawTransport(17, pattern(80)))
  const out = new Uint8Array(4096)
  const pieces = new Int32Array(128)
  let made = 0
  for (let at = 0; at < 44; at++)
    for (const value of [0, 1, 2, 7, 0x20, 0x3f, 0x40, 0x45, 0x4f, 0x80, 0xff]) {
      const changed = patched(packet, at, value)
      const slab = guardedSlab(changed)
      const count = fragmentIpv4(slab, 64, changed.length, 72, out, 0, pieces)
      for (let i = 0; i < count; i++) {
        const from = pieces[i * 2]
        assert(slowDecode(out.slice(from, from + pieces[i * 2 + 1])) !== undefined)
      }
      if (count > 0) made++
    }
  assert(made > 100)
})
