import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ROW, ROW_HEADROOM, STATE } from '../../../src/packet/batch.ts'
import { COUNTER, drop } from '../../../src/tables/counters.ts'
import { method } from '../../../src/tables/shared.ts'
import { publishSlot, sendCounterOf, writePort } from '../../support/key-slots.ts'
import {
  createTestContext,
  getRow,
  setRow,
  type TestContext,
} from '../../support/native-context.ts'
import { ipv4, ipv6, pattern, tcp, udp } from '../../support/packets.ts'
import {
  below,
  chance,
  leaveUnfinished,
  pick,
  type Random,
  randomBytes,
  randomSuperpacket,
} from '../../support/random-superpackets.ts'
import { rounds, seededRandom, testSeed } from '../../support/rng.ts'
import { forgetTrains, type SealedTrain, sealedTrains } from '../../support/sealed-trains.ts'
import { slowOpen } from '../../support/slow/aead.ts'
import { type SlowSuperpacket, slowSegment } from '../../support/slow/segment.ts'

const [cable, slot, remote] = [3, 5, 7]
const key = Uint8Array.from({ length: 32 }, (_, i) => i * 7)
const vxlanHeader = Uint8Array.of(8, 0, 0, 0, 0, 3, 232, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2)
const code = method.chacha20Poly1305

type Fields = Partial<Record<keyof typeof ROW, number>>

function prepare(rows = 64, trains = 64): TestContext {
  const context = createTestContext(rows, trains)
  publishSlot(context.shared, {
    ...{ slot, method: code, cable, remoteIndex: 0xfedcba98, sendKey: key },
  })
  writePort(context.shared, remote, 51_820)
  return context
}

const lone = { gso: 0, gsoSize: 0, csum: 0, headerLength: 0 }
const packetOf = (bytes: Uint8Array): SlowSuperpacket => ({ ...lone, bytes })
const udpOf = (length: number) => packetOf(ipv4({}, udp({ payload: pattern(length - 28) })))

/** Puts superpackets into rows from 0 on. */
function place({ memory }: TestContext, rows: readonly (SlowSuperpacket & Fields)[]): void {
  let offset = ROW_HEADROOM
  rows.forEach((row, i) => {
    memory.slab.set(row.bytes, offset)
    const { bytes, gso, gsoSize, csum, headerLength, ...words } = row
    setRow(memory, i, {
      ...{ OFFSET: offset, LENGTH: bytes.length, GSO: gso, GSO_SIZE: gsoSize, CSUM: csum },
      ...{ HEADER_LENGTH: headerLength, SEGMENTS: gso === 0 ? 1 : slowSegment(row).length },
      ...{ SLOT: slot, REMOTE: remote, FD: 9, TOS: 1, CABLE: cable, PAD: 1420 | (64 << 16) },
      ...words,
    })
    offset += bytes.length + ROW_HEADROOM
  })
}

/** Seals rows [0, count), with the addon, and returns the trains. */
function seal(context: TestContext, count: number): SealedTrain[] {
  assert.equal(context.native.seal(context.context, 0, count), count)
  return sealedTrains(context.memory)
}

interface Opened {
  readonly counter: bigint
  readonly text: Buffer
}

function openDatagram(datagram: Buffer): Opened {
  assert.equal(datagram.readUInt32LE(0), 4)
  assert.equal(datagram.readUInt32LE(4), 0xfedcba98)
  const counter = datagram.readBigUInt64LE(8)
  const text = slowOpen(code, key, counter, datagram.subarray(16))
  assert(text !== undefined, 'the datagram does not open')
  return { counter, text }
}

/** The length of the text by calculate_skb_padding of the Linux driver. */
function paddedLength(length: number, mtu: number): number {
  if (mtu === 0) return Math.ceil(length / 16) * 16
  const lastUnit = length > mtu ? length % mtu : length
  return length + Math.min(mtu, Math.ceil(lastUnit / 16) * 16) - lastUnit
}

function counterOf({ memory }: TestContext, row: number, column: number): number {
  return memory.counters[row * COUNTER.WORDS + column]
}

test('random rows come out as the twin cuts them, padded, sealed, and in order', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const context = prepare()
  let next = 0n
  for (let round = 0; round < rounds(200); round++) {
    const rows = Array.from({ length: 1 + below(random, 5) }, () =>
      chance(random, 0.6) ? randomSuperpacket(random) : udpOf(28 + below(random, 1400)),
    )
    const mtu = pick(random, [0, 1280, 1419, 1420, 1500, 9000])
    place(
      context,
      rows.map(row => ({ ...row, PAD: mtu | (64 << 16) })),
    )
    const opened = seal(context, rows.length).flatMap(train => train.datagrams.map(openDatagram))
    const expected = rows.flatMap(slowSegment)
    assert.equal(opened.length, expected.length, `seed ${seed}`)
    opened.forEach(({ counter, text }, i) => {
      assert.equal(counter, next++)
      const padded = Buffer.alloc(paddedLength(expected[i].length, mtu))
      padded.set(expected[i])
      assert(text.equals(padded), `datagram ${i}, seed ${seed}`)
    })
    forgetTrains(context.memory)
  }
  assert.equal(sendCounterOf(context.shared, slot), next)
})

/** Checks that the trains are what UDP_SEGMENT takes. */
function checkTrains(trains: readonly SealedTrain[], most: number): void {
  for (const { datagrams, segmentSize, offset } of trains) {
    const total = datagrams.reduce((sum, { length }) => sum + length, 0)
    assert(datagrams.length > 0 && datagrams.length <= most)
    assert(total <= 65_000 || datagrams.length === 1)
    assert.equal(offset % 64, 0)
    assert(datagrams.slice(0, -1).every(({ length }) => length === segmentSize))
    assert(datagrams[datagrams.length - 1].length <= segmentSize)
  }
}

test('random rows to several remotes make good trains, also through a small slab', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const context = prepare(64, 16)
  writePort(context.shared, 1, 1)
  writePort(context.shared, 2, 2)
  for (let round = 0; round < rounds(200); round++) {
    const most = pick(random, [0, 1, 2, 45, 64, 128])
    const rows = Array.from({ length: 1 + below(random, 12) }, () => ({
      ...(chance(random, 0.4) ? shortSuperpacket(random) : udpOf(28 + below(random, 3) * 100)),
      ...{ REMOTE: 1 + below(random, 2), TOS: below(random, 2), FD: 4 + below(random, 2) },
      PAD: 1420 | (most << 16),
    }))
    place(context, rows)
    const seen: SealedTrain[] = []
    for (let next = 0; next < rows.length; forgetTrains(context.memory)) {
      const before = next
      next = context.native.seal(context.context, next, rows.length)
      assert(next > before, `no progress, seed ${seed}`)
      seen.push(...sealedTrains(context.memory))
    }
    checkTrains(seen, Math.max(1, most))
    const got = seen.flatMap(train =>
      train.datagrams.map(datagram => describeDatagram(datagram, train)),
    )
    const wanted = rows.flatMap(row =>
      slowSegment(row).map(({ length }) => `${length} ${row.REMOTE} ${row.TOS} ${row.FD}`),
    )
    assert.deepEqual(got, wanted, `seed ${seed}`)
  }
})

/** Few enough segments for a table of 16 trains with one datagram each. */
function shortSuperpacket(random: Random): SlowSuperpacket {
  const bytes = ipv4({}, tcp({ payload: pattern(300 + below(random, 1100)) }))
  return leaveUnfinished({ bytes, gso: 1, gsoSize: 100, headerLength: 40 }, 20)
}

function describeDatagram(datagram: Buffer, train: SealedTrain): string {
  const inner = openDatagram(datagram).text.readUInt16BE(2)
  return `${inner} ${train.port} ${train.tos} ${train.fd}`
}

const paddings: readonly (readonly [length: number, mtu: number, text: number])[] = [
  [28, 1420, 32],
  [32, 1420, 32],
  [1409, 1420, 1420],
  [1419, 1420, 1420],
  [1420, 1420, 1420],
  [1425, 1420, 1436],
  [1299, 1299, 1299],
  [1290, 1299, 1296],
  [1297, 1299, 1299],
  [2841, 1420, 2856],
  [28, 0, 32],
  [1500, 0, 1504],
]

for (const [length, mtu, text] of paddings) {
  test(`a packet of ${length} with MTU ${mtu} is padded to ${text}`, () => {
    const context = prepare()
    place(context, [{ ...udpOf(length), PAD: mtu }])
    const [{ datagrams }] = seal(context, 1)
    assert.equal(datagrams[0].length, 32 + text)
    assert.equal(paddedLength(length, mtu), text)
  })
}

type Packing = readonly [what: string, rows: readonly (SlowSuperpacket & Fields)[], number[][]]

const packings: readonly Packing[] = [
  ['equal packets share a train', [udpOf(100), udpOf(100), udpOf(100)], [[144, 144, 144]]],
  ['a shorter one ends it', [udpOf(100), udpOf(50), udpOf(50)], [[144, 96], [96]]],
  ['a longer one begins another', [udpOf(50), udpOf(100), udpOf(100)], [[96], [144, 144]]],
  ['another socket', [udpOf(50), { ...udpOf(50), FD: 8 }], [[96], [96]]],
  ['another TOS', [udpOf(50), { ...udpOf(50), TOS: 2 }], [[96], [96]]],
  ['another remote', [udpOf(50), { ...udpOf(50), REMOTE: 8 }], [[96], [96]]],
  [
    'without segmentation',
    [udpOf(50), udpOf(50)].map(row => ({ ...row, PAD: 1420 })),
    [[96], [96]],
  ],
  [
    'at most the segments that are asked for',
    Array.from({ length: 5 }, () => ({ ...udpOf(50), PAD: 1420 | (2 << 16) })),
    [[96, 96], [96, 96], [96]],
  ],
  [
    'keepalives',
    [
      { ...udpOf(28), LENGTH: 0 },
      { ...udpOf(28), LENGTH: 0 },
    ],
    [[32, 32]],
  ],
]

for (const [what, rows, sizes] of packings) {
  test(`trains: ${what}`, () => {
    const context = prepare()
    place(context, rows)
    const trains = seal(context, rows.length)
    assert.deepEqual(
      trains.map(({ datagrams }) => datagrams.map(({ length }) => length)),
      sizes,
    )
  })
}

test('a row that names the slot of another cable is dropped: it would be read by its peer', () => {
  const context = prepare()
  place(context, [{ ...udpOf(50), CABLE: 4 }])
  assert.deepEqual(seal(context, 1), [])
  assert.equal(getRow(context.memory, 0, 'DROP'), drop.noSlot)
})

test('a superpacket that is larger than a train goes on in the next one', () => {
  const context = prepare()
  const bytes = ipv4({}, tcp({ payload: pattern(65_495) }))
  const row = leaveUnfinished({ bytes, gso: 1, gsoSize: 1380, headerLength: 40 }, 20)
  place(context, [row, row])
  const trains = seal(context, 2)
  // 44 datagrams of 1 452 bytes stay below 65 000.
  const segments = Math.ceil(65_495 / 1380)
  const rest = segments - 44
  assert.deepEqual(
    trains.map(({ datagrams }) => datagrams.length),
    [44, rest, 44, rest],
  )
  checkTrains(trains, 64)
})

test('a second call goes on with the train of the first', () => {
  const context = prepare()
  place(context, [udpOf(100), udpOf(100)])
  const { native, context: number, memory } = context
  assert.equal(native.seal(number, 0, 1), 1)
  assert.equal(native.seal(number, 1, 2), 2)
  assert.deepEqual(
    sealedTrains(memory).map(({ datagrams }) => datagrams.length),
    [2],
  )
})

test('counts what it sends', () => {
  const context = prepare()
  const bytes = ipv6({}, tcp({ payload: pattern(3000) }))
  const row = leaveUnfinished({ bytes, gso: 4, gsoSize: 1000, headerLength: 60 }, 40)
  place(context, [row, udpOf(100), { ...udpOf(28), LENGTH: 0 }])
  const trains = seal(context, 3)
  const sizes = trains.flatMap(({ datagrams }) => datagrams.map(({ length }) => length))
  const expected = [
    ...[COUNTER.TX_DATAGRAMS, 5, COUNTER.TX_BYTES, sizes.reduce((sum, size) => sum + size, 0)],
    ...[COUNTER.TX_PACKETS, 4, COUNTER.TX_SUPERPACKETS, 2, COUNTER.KEEPALIVES_SENT, 1],
  ]
  for (let i = 0; i < expected.length; i += 2) {
    assert.equal(counterOf(context, cable, expected[i]), expected[i + 1], `column ${expected[i]}`)
  }
})

test('no nonce at or past the limit is used, and the counter does not wrap', () => {
  for (const limit of [10n, 2n ** 53n, 2n ** 63n]) {
    const context = prepare()
    publishSlot(context.shared, {
      ...{ slot, method: code, cable, remoteIndex: 0xfedcba98, sendKey: key },
      ...{ sendCounter: limit - 4n, rejectAfterMessages: limit },
    })
    const bytes = ipv4({}, tcp({ payload: pattern(300) }))
    const three = leaveUnfinished({ bytes, gso: 1, gsoSize: 100, headerLength: 40 }, 20)
    place(context, [three, three, udpOf(50), udpOf(50)])
    const opened = seal(context, 4).flatMap(({ datagrams }) => datagrams.map(openDatagram))
    assert.deepEqual(
      opened.map(({ counter }) => counter),
      [limit - 4n, limit - 3n, limit - 2n],
    )
    const drops = [0, 1, 2, 3].map(row => getRow(context.memory, row, 'DROP'))
    const { keyExhausted } = drop
    assert.deepEqual(drops, [0, keyExhausted, keyExhausted, keyExhausted])
    assert.equal(counterOf(context, cable, keyExhausted), 3 + 1 + 1)
  }
})

test('the last nonce below the limit is used', () => {
  const context = prepare()
  publishSlot(context.shared, {
    ...{ slot, method: code, cable, remoteIndex: 0xfedcba98, sendKey: key, sendCounter: 9n },
    rejectAfterMessages: 10n,
  })
  place(context, [udpOf(50), udpOf(50)])
  const [{ datagrams }] = seal(context, 2)
  assert.deepEqual(
    datagrams.map(datagram => openDatagram(datagram).counter),
    [9n],
  )
  assert.equal(getRow(context.memory, 1, 'DROP'), drop.keyExhausted)
})

test('VXLAN: header, Ethernet, packet', () => {
  const context = prepare()
  publishSlot(context.shared, { slot, method: method.vxlan, cable, vxlanHeader })
  const bytes = ipv6({}, tcp({ payload: pattern(2500) }))
  const row = leaveUnfinished({ bytes, gso: 4, gsoSize: 1000, headerLength: 60 }, 40)
  place(context, [row, udpOf(333)])
  const datagrams = seal(context, 2).flatMap(train => train.datagrams)
  const segments = [...slowSegment(row), ...slowSegment(udpOf(333))]
  const types = [0x86dd, 0x86dd, 0x86dd, 0x0800]
  datagrams.forEach((datagram, i) => {
    const type = [types[i] >> 8, types[i] & 255]
    assert.deepEqual(datagram, Buffer.from([...vxlanHeader, ...type, ...segments[i]]))
  })
  assert.equal(datagrams.length, 4)
  assert.equal(sendCounterOf(context.shared, slot), 0n)
})

const refusals: readonly [string, SlowSuperpacket & Fields, number][] = [
  ['virtio words that do not fit', { ...udpOf(100), gso: 1, gsoSize: 100 }, drop.malformedFrame],
  ['a checksum outside', { ...udpOf(100), csum: 99 | (6 << 16) }, drop.malformedFrame],
  ['a free slot', { ...udpOf(100), SLOT: 6 }, drop.noSlot],
  ['no slot', { ...udpOf(100), SLOT: -1 }, drop.noSlot],
  ['a slot beyond the table', { ...udpOf(100), SLOT: 65_536 }, drop.noSlot],
  ['no remote', { ...udpOf(100), REMOTE: -1 }, drop.noSlot],
  ['a packet outside the slab', { ...udpOf(100), OFFSET: 0x7fff_fff0 }, drop.malformedFrame],
  ['a negative length', { ...udpOf(100), LENGTH: -1 }, drop.malformedFrame],
]

for (const [what, row, reason] of refusals) {
  test(`refuses ${what}, counts it, and goes on`, () => {
    const context = prepare()
    place(context, [row, udpOf(100)])
    const trains = seal(context, 2)
    assert.equal(getRow(context.memory, 0, 'DROP'), reason)
    assert.equal(counterOf(context, cable, reason), 1)
    assert.equal(trains.length, 1)
  })
}

test('a row that was dropped before is left alone', () => {
  const context = prepare()
  place(context, [
    { ...udpOf(100), DROP: drop.noRoute },
    { ...udpOf(100), DROP: -1 },
  ])
  assert.deepEqual(seal(context, 2), [])
  assert.equal(sendCounterOf(context.shared, slot), 0n)
})

test('a row that no slab could take is dropped, one that waits is not', () => {
  const context = prepare(8, 2)
  const bytes = ipv4({}, tcp({ payload: pattern(500) }))
  const row = leaveUnfinished({ bytes, gso: 1, gsoSize: 100, headerLength: 40 }, 20)
  const single = { PAD: 1420 }
  place(context, [udpOf(200), { ...row, ...single }, udpOf(100)])
  const { native, context: number, memory } = context
  assert.equal(native.seal(number, 0, 3), 1)
  assert.equal(getRow(memory, 1, 'DROP'), drop.none)
  assert.equal(memory.state[STATE.TRAINS], 1)
  forgetTrains(memory)
  assert.equal(native.seal(number, 1, 3), 3)
  assert.equal(getRow(memory, 1, 'DROP'), drop.tooBig)
  assert.equal(sealedTrains(memory).length, 1)
})

test('garbage in the words of a row or of the state writes nothing outside', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const context = prepare(8, 4)
  const { native, context: number, memory } = context
  const junk = () => pick(random, [0, 1, -1, 64, 65_535, 0x7fff_ffff, below(random, 2 ** 32) | 0])
  memory.slab.set(randomBytes(random, 4096))
  for (let i = 0; i < rounds(20_000); i++) {
    place(context, [udpOf(100)])
    for (let word = 0; word < ROW.WORDS; word++) {
      if (chance(random, 0.15)) memory.rows[word] = junk()
    }
    memory.rows[ROW.DROP] = 0
    if (chance(random, 0.5)) forgetTrains(memory)
    if (chance(random, 0.05)) memory.state[STATE.TRAINS] = junk()
    if (chance(random, 0.05)) memory.state[STATE.SEND_BYTES] = junk()
    const end = native.seal(number, 0, 1)
    assert(end === 0 || end === 1)
    assert(memory.state[STATE.TRAINS] >= 0 && memory.state[STATE.TRAINS] <= 4, `seed ${seed}`)
    assert(memory.state[STATE.SEND_BYTES] <= memory.sendSlab.length, `seed ${seed}`)
  }
})

test('two threads seal on one slot, and no nonce is used twice', async () => {
  const total = Number(process.env['HAWSER_NONCES'] ?? 10_000_000)
  const context = prepare(1, 1)
  const seen = new SharedArrayBuffer(total / 8)
  const file = new URL('../../support/sealing-thread.ts', import.meta.url)
  const workerData = { shared: context.shared, slot, remote, cable, seen, keepalives: total / 2 }
  const twice = await Promise.all(
    [0, 1].map(
      () =>
        new Promise<number>((resolve, reject) => {
          const worker = new Worker(file, { workerData })
          worker.once('message', resolve)
          worker.once('error', reject)
        }),
    ),
  )
  assert.deepEqual(twice, [0, 0])
  assert(
    new Uint8Array(seen).every(byte => byte === 0xff),
    'a nonce was left out',
  )
  assert.equal(sendCounterOf(context.shared, slot), BigInt(total))
})
