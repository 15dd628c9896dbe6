import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketView } from '../../../src/packet/packet-view.ts'
import { clampMss } from '../../../src/routing/mss.ts'
import {
  checkPacket,
  checksumsHold,
  extension,
  fragmentHeader,
  guardedSlab,
  inSlab,
  ipv4,
  ipv6,
  mssOption,
  pattern,
  TCP_FLAG,
  tcp,
  udp,
} from '../../support/packets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { slowDecode } from '../../support/slow/packet.ts'

const { SYN, ACK } = TCP_FLAG
const offset = 64

function clamp(packet: Uint8Array, mtuBytes: number, checksumUnfinished = false) {
  const slab = inSlab(packet, offset)
  const view = new PacketView(slab)
  assert(view.decode(offset, packet.length))
  const changed = clampMss(slab, view, mtuBytes, checksumUnfinished)
  const after = slab.slice(offset, offset + packet.length)
  assert.deepEqual(slab, inSlab(after, offset), 'bytes outside of the packet changed')
  assert.equal(changed, Buffer.compare(after, packet) !== 0)
  return { after, changed }
}

const bytes = (...list: number[]) => Uint8Array.from(list)
const nop = 1
// What Linux sends: MSS, SACK permitted, timestamps, window scale.
const linux = (mss: number) =>
  bytes(...mssOption(mss), 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, nop, 3, 3, 7)

interface Row {
  readonly name: string
  readonly flags?: number
  readonly options: (mss: number) => Uint8Array
}

const rows: readonly Row[] = [
  { name: 'MSS alone', options: mssOption },
  { name: 'the options of Linux', options: linux },
  { name: 'SYN and ACK', flags: SYN | ACK, options: linux },
  { name: 'MSS last', options: mss => bytes(3, 3, 7, nop, ...mssOption(mss)) },
  { name: 'at an odd offset', options: mss => bytes(nop, ...mssOption(mss), nop, nop, nop) },
  { name: 'at an odd offset with data', options: mss => bytes(3, 3, 7, ...mssOption(mss), 0) },
  { name: 'behind an unknown option', options: mss => bytes(254, 4, 9, 9, ...mssOption(mss)) },
]

for (const { name, flags = SYN, options } of rows) {
  test(`lowers and corrects the checksum: ${name}`, () => {
    for (const [make, header] of [
      [ipv4, 40],
      [ipv6, 60],
    ] as const)
      for (const announced of [1460, 0xffff, 1381])
        for (const payload of [pattern(0), pattern(9)]) {
          const packet = make({}, tcp({ flags, options: options(announced), payload }))
          const { after } = clamp(packet, 1380 + header)
          checkPacket(after, checksumsHold)
          const expected = make({}, tcp({ flags, options: options(1380), payload }))
          assert.deepEqual(after, expected)
        }
  })

  test(`leaves an unfinished checksum alone: ${name}`, () => {
    const packet = ipv4({}, tcp({ flags, options: options(1460) }))
    const { after } = clamp(packet, 1420, true)
    const expected = ipv4({}, tcp({ flags, options: options(1380) }))
    expected.set(packet.slice(36, 38), 36)
    assert.deepEqual(after, expected)
  })

  test(`never raises: ${name}`, () => {
    for (const announced of [0, 1, 536, 1379, 1380]) {
      const packet = ipv4({}, tcp({ flags, options: options(announced) }))
      assert.equal(clamp(packet, 1420).changed, false)
    }
  })
}

test('behind IPv4 options and IPv6 extension headers; the clamp is by the plain headers', () => {
  const syn = (mss: number) => tcp({ flags: SYN, options: mssOption(mss) })
  const v4 = { options: bytes(nop, nop, nop, 0) }
  assert.deepEqual(clamp(ipv4(v4, syn(1460)), 1420).after, ipv4(v4, syn(1380)))
  const v6 = { extensions: [extension(0), extension(60, 2)] }
  assert.deepEqual(clamp(ipv6(v6, syn(1440)), 1420).after, ipv6(v6, syn(1360)))
})

test('two MSS options: both are lowered', () => {
  const packet = ipv4(
    {},
    tcp({ flags: SYN, options: bytes(...mssOption(1400), ...mssOption(9000)) }),
  )
  const { after } = clamp(packet, 1420)
  const options = bytes(...mssOption(1380), ...mssOption(1380))
  assert.deepEqual(after, ipv4({}, tcp({ flags: SYN, options })))
})

test('a wrong checksum stays wrong by as much', () => {
  const packet = ipv4({}, tcp({ flags: SYN, options: mssOption(1460) }))
  const good = clamp(packet, 1420).after
  packet[36] ^= 0x80
  const bad = clamp(packet, 1420).after
  assert.throws(() => checkPacket(bad, checksumsHold))
  assert.deepEqual(bad.slice(38), good.slice(38))
})

const untouched: readonly [name: string, packet: Uint8Array, mtuBytes?: number][] = [
  ['no SYN', ipv4({}, tcp({ flags: ACK, options: mssOption(1460) }))],
  ['no options', ipv4({}, tcp({ flags: SYN }))],
  ['no MSS option', ipv4({}, tcp({ flags: SYN, options: bytes(3, 3, 7, nop) }))],
  [
    'MSS behind the end of options',
    ipv4({}, tcp({ flags: SYN, options: bytes(nop, nop, nop, 0, ...mssOption(1460)) })),
  ],
  [
    'UDP',
    ipv4({}, udp({ payload: bytes(0, 0, 0, 0, 0x60, SYN, 0, 0, 0, 0, 0, 0, ...mssOption(1460)) })),
  ],
  ['later fragment', ipv4({ fragmentOffset: 8 }, tcp({ flags: SYN, options: mssOption(1460) }))],
  [
    'later fragment of IPv6',
    ipv6({ extensions: [fragmentHeader(8, true)] }, tcp({ flags: SYN, options: mssOption(1460) })),
  ],
  ['MTU of the headers alone', ipv4({}, tcp({ flags: SYN, options: mssOption(1460) })), 40],
  ['MTU 0', ipv6({}, tcp({ flags: SYN, options: mssOption(1460) })), 0],
  // Malformed: an MSS that could be found is followed or led by what cannot be right.
  [
    'an option of length 0',
    ipv4({}, tcp({ flags: SYN, options: bytes(...mssOption(1460), 8, 0, 0, 0) })),
  ],
  [
    'an option of length 1',
    ipv4({}, tcp({ flags: SYN, options: bytes(8, 1, ...mssOption(1460), 0, 0) })),
  ],
  [
    'an option past the header',
    ipv4({}, tcp({ flags: SYN, options: bytes(...mssOption(1460), nop, nop, 8, 10) })),
  ],
  [
    'an option without a length',
    ipv4({}, tcp({ flags: SYN, options: bytes(...mssOption(1460), nop, nop, nop, 8) })),
  ],
  ['MSS of length 3', ipv4({}, tcp({ flags: SYN, options: bytes(2, 3, 255, nop) }))],
  ['MSS of length 6', ipv4({}, tcp({ flags: SYN, options: bytes(2, 6, 255, 255, 0, 0, 0, 0) }))],
  ['MSS cut off', ipv4({}, tcp({ flags: SYN, options: bytes(nop, nop, 2, 4) }))],
]

for (const [name, packet, mtuBytes = 1420] of untouched) {
  test(`untouched: ${name}`, () => assert.equal(clamp(packet, mtuBytes).changed, false))
}

test('a TCP header length that is too small or too large leaves the packet alone', () => {
  for (const words of [0, 1, 4, 7, 15]) {
    const packet = ipv4({}, tcp({ flags: SYN, options: mssOption(1460) }))
    packet[32] = words << 4
    assert.equal(clamp(packet, 1420).changed, false, `${words} words`)
  }
})

test('any option bytes: touches the packet alone, changes nothing but MSS and checksum', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const byte = () => Math.floor(random() * 256)
  const parts: readonly (() => Uint8Array)[] = [
    () => mssOption(Math.floor(random() * 65_536)),
    () => bytes(2, byte() & 7, byte(), byte()),
    () => bytes(3, 3, 7),
    () => bytes(4, 2),
    () => linux(byte() * 8),
    () => bytes(nop),
    () => bytes(byte(), byte() & 15),
  ]
  let changes = 0
  for (let round = 0; round < 5000; round++) {
    const count = Math.floor(random() * 6)
    const pieces = Array.from({ length: count }, () => parts[Math.floor(random() * parts.length)]())
    const options = Uint8Array.from(Buffer.concat(pieces).subarray(0, 40))
    const padded = new Uint8Array((options.length + 3) & ~3).fill(random() < 0.5 ? nop : 0)
    padded.set(options)
    const make = random() < 0.5 ? ipv4 : ipv6
    const transport = tcp({ flags: SYN, options: padded, payload: pattern(round % 5) })
    if (random() < 0.1) transport.bytes[12] = random() * 256
    const packet = make({}, transport)
    const slab = guardedSlab(packet, offset)
    const view = new PacketView(slab)
    assert(view.decode(offset, packet.length))
    const changed = clampMss(slab, view, 500, false)
    const after = Uint8Array.from({ length: packet.length }, (_, i) => slab[offset + i])
    const decoded = slowDecode(after)
    assert(decoded !== undefined)
    const where = `seed ${seed}, options ${Buffer.from(padded).toString('hex')}`
    checkPacket(after, checksumsHold)
    assert.equal(changed, Buffer.compare(after, packet) !== 0, where)
    if (changed) changes++
    const largest = make === ipv4 ? 460 : 440
    for (let i = 0; i < packet.length; i++) {
      const isChecksum = i - decoded.headerLength === 16 || i - decoded.headerLength === 17
      if (isChecksum || after[i] === packet[i]) continue
      const inMss = [i, i - 1].some(
        at => after[at] === largest >> 8 && after[at + 1] === (largest & 255),
      )
      assert(inMss, where)
    }
  }
  assert(changes > 1000, `only ${changes} changed, seed ${seed}`)
})
