import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import {
  DROPPED_BITS,
  KIND,
  ROW,
  STATE,
  TRAIN,
  TRAIN_BYTES,
  TRAIN_HEADROOM,
} from '../../../src/packet/batch.ts'
import { COUNTER, drop, noCable } from '../../../src/tables/counters.ts'
import { method } from '../../../src/tables/shared.ts'
import { publishSlot } from '../../support/key-slots.ts'
import { createTestContext, setTrain, type TestContext } from '../../support/native-context.ts'
import { icmp, ipv4, ipv6, pattern, tcp, udp } from '../../support/packets.ts'
import { below, chance, pick, randomBytes } from '../../support/random-superpackets.ts'
import { FlowSource } from '../../support/received-packets.ts'
import { rounds, seededRandom, testSeed } from '../../support/rng.ts'
import { slowMessage } from '../../support/slow/aead.ts'
import { type ReceivedPacket, slowCoalesce } from '../../support/slow/coalesce.ts'

const context = createTestContext(256, 16)
const { memory, shared } = context
const code = method.chacha20Poly1305
const keyOf = (peer: number) => Uint8Array.from({ length: 32 }, (_, i) => i * 5 + peer)
const from = { family: 4, port: 9, address: [192, 0, 2, 1] } as const
const [nowMs, rejectAtMs, rejectAfterMessages] = [1000, 5000, 2n ** 53n]

/** Two peers: peer n has slot n + 10, cable n + 20, index n + 30. */
const peers = [0, 1]
let generation = 1

beforeEach(() => {
  shared.replay.fill(0)
  shared.counters[0].fill(0)
  memory.state[STATE.COALESCE] = 3
  generation++
  for (const peer of peers) {
    publishSlot(shared, {
      ...{ slot: peer + 10, method: code, cable: peer + 20, localIndex: peer + 30, generation },
      ...{ receiveKey: keyOf(peer), rejectAtMs, rejectAfterMessages },
    })
  }
})

function message(peer: number, counter: number | bigint, text: Uint8Array): Buffer {
  return slowMessage(code, keyOf(peer), peer + 30, BigInt(counter), text)
}

/** Puts datagrams into a train: all but the last must be of one size. */
function receive(train: number, datagrams: readonly Uint8Array[], words = {}): void {
  const bytes = Buffer.concat(datagrams)
  const offset = train * TRAIN_BYTES + TRAIN_HEADROOM
  memory.slab.set(bytes, offset)
  const size = datagrams[0].length
  assert(datagrams.slice(0, -1).every(({ length }) => length === size))
  setTrain(
    memory,
    train,
    { OFFSET: offset, LENGTH: bytes.length, SEGMENT_SIZE: size, SLOT: -1, FD: 6, ...words },
    from,
  )
}

interface OpenedRow {
  readonly words: Int32Array
  readonly bytes: Buffer
}

function open(trains: number, test: TestContext = context, atMs = nowMs): OpenedRow[] {
  const count = test.native.open(test.context, 0, trains, atMs)
  const { rows, slab, pieces } = test.memory
  return Array.from({ length: count }, (_, i) => {
    const words = rows.slice(i * ROW.WORDS, (i + 1) * ROW.WORDS)
    const first = words[ROW.PIECES] & 0xffff
    const parts = Array.from({ length: words[ROW.PIECES] >>> 16 }, (_, part) => {
      const [offset, length] = pieces.subarray((first + part) * 2)
      return slab.slice(offset, offset + length)
    })
    const whole = slab.slice(words[ROW.OFFSET], words[ROW.OFFSET] + words[ROW.LENGTH])
    return { words, bytes: Buffer.concat(parts.length > 0 ? parts : [whole]) }
  })
}

const column = (rows: readonly OpenedRow[], word: number) => rows.map(({ words }) => words[word])

function count(row: number, index: number): number {
  return memory.counters[row * COUNTER.WORDS + index]
}

function checkCounts(row: number, counts: Readonly<Record<number, number>>): void {
  for (const [index, value] of Object.entries(counts)) {
    assert.equal(count(row, Number(index)), value, `column ${index} of row ${row}`)
  }
}

/** The lengths of the slab's text at a datagram: whether it was zeroed. */
function textIsZero(train: number, datagram: Uint8Array): boolean {
  const start = train * TRAIN_BYTES + TRAIN_HEADROOM + 16
  return memory.slab.subarray(start, start + datagram.length - 32).every(byte => byte === 0)
}

/** The reason that a train was marked with, and the numbers of the datagrams that it befell. */
function marks(train: number): [reason: number, datagrams: number[]] {
  const words = memory.trains.subarray(train * TRAIN.WORDS, (train + 1) * TRAIN.WORDS)
  const isMarked = (i: number) => ((words[TRAIN.DROPPED + (i >> 5)] >>> (i & 31)) & 1) === 1
  const numbers = Array.from({ length: DROPPED_BITS }, (_, i) => i)
  return [words[TRAIN.DROP], numbers.filter(isMarked)]
}

const packet = (index: number, length = 100) =>
  ipv4({ identification: index }, tcp({ sequence: index * length, payload: pattern(length) }))

test('a train of segments becomes one row', () => {
  const segments = Array.from({ length: 8 }, (_, i) => packet(i))
  receive(
    0,
    segments.map((segment, i) => message(0, i, segment)),
    { TOS: 3 },
  )
  const [row, ...others] = open(1)
  assert.deepEqual(others, [])
  const expected: Partial<Record<keyof typeof ROW, number>> = {
    ...{ LENGTH: 40 + 800, DROP: 0, GSO: 1, GSO_SIZE: 100, CSUM: 20 | (16 << 16) },
    ...{ HEADER_LENGTH: 40, SEGMENTS: 8, SLOT: 10, CABLE: 20, TOS: 3, TRAIN: 0, KIND: KIND.data },
  }
  for (const [name, value] of Object.entries(expected)) {
    assert.equal(row.words[ROW[name as keyof typeof ROW]], value, name)
  }
  checkCounts(20, {
    [COUNTER.RX_DATAGRAMS]: 8,
    [COUNTER.RX_BYTES]: 8 * (140 + 32),
    [COUNTER.RX_PACKETS]: 8,
    [COUNTER.RX_SUPERPACKETS]: 1,
  })
})

test('padding is trimmed, and a packet alone is as it was', () => {
  const inner = ipv6({}, icmp(128, 0, pattern(33)))
  receive(0, [message(0, 0, new Uint8Array([...inner, ...new Uint8Array(13)]))])
  const [{ bytes, words }] = open(1)
  assert.deepEqual(new Uint8Array(bytes), inner)
  assert.equal(words[ROW.GSO] | words[ROW.CSUM] | words[ROW.PIECES] | words[ROW.DROP], 0)
})

test('a train with two receiver indices', () => {
  receive(
    0,
    [0, 1, 0, 1].map((peer, i) => message(peer, i >> 1, packet(i >> 1))),
  )
  const rows = open(1)
  assert.deepEqual(column(rows, ROW.SLOT), [10, 11])
  assert.deepEqual(column(rows, ROW.CABLE), [20, 21])
  assert.deepEqual(column(rows, ROW.SEGMENTS), [2, 2])
  assert.deepEqual(rows[0].bytes, rows[1].bytes)
})

test('two peers with one 5-tuple do not share a row', () => {
  receive(0, [message(0, 0, packet(0)), message(1, 0, packet(1))])
  assert.deepEqual(column(open(1), ROW.SEGMENTS), [1, 1])
})

test('one datagram twice in a train, and once more in the next', () => {
  const datagram = message(0, 5, packet(0))
  receive(0, [datagram, datagram])
  assert.equal(open(1).length, 1)
  assert.deepEqual(marks(0), [drop.replayed, [1]])
  receive(0, [datagram])
  assert.equal(open(1).length, 0)
  assert.deepEqual(marks(0), [drop.replayed, [0]])
  checkCounts(20, { [drop.replayed]: 2, [COUNTER.RX_DATAGRAMS]: 1, [COUNTER.RX_PACKETS]: 1 })
})

test('a forged datagram is zeroed, counted, and does not move the window', () => {
  const forged = message(0, 2 ** 40, packet(0))
  forged[40] ^= 1
  const good = message(0, 1, packet(1))
  receive(0, [forged, good])
  const rows = open(1)
  assert.deepEqual(
    rows.map(({ bytes }) => new Uint8Array(bytes)),
    [packet(1)],
  )
  assert(textIsZero(0, forged))
  checkCounts(20, { [drop.authenticationFailed]: 1, [COUNTER.RX_DATAGRAMS]: 1 })
})

test('of a long train those that were dropped are marked, for one reason', () => {
  const datagrams = Array.from({ length: 150 }, (_, i) => message(0, i, packet(i)))
  const forged = [0, 31, 32, 63, 64, 127, 128, 149]
  for (const i of forged) datagrams[i][50] ^= 1
  // Of another reason than the first.
  datagrams[70] = datagrams[69]
  receive(0, datagrams)
  open(1)
  assert.deepEqual(marks(0), [drop.authenticationFailed, forged.filter(i => i < DROPPED_BITS)])
  checkCounts(20, { [drop.authenticationFailed]: forged.length, [drop.replayed]: 1 })
})

test('keepalives are rows of their own', () => {
  const empty = new Uint8Array(0)
  receive(0, [message(0, 0, empty), message(1, 0, empty)])
  const rows = open(1)
  assert.deepEqual(column(rows, ROW.KIND), [KIND.keepalive, KIND.keepalive])
  assert.deepEqual(column(rows, ROW.LENGTH), [0, 0])
  checkCounts(20, {
    [COUNTER.KEEPALIVES_RECEIVED]: 1,
    [COUNTER.RX_DATAGRAMS]: 1,
    [COUNTER.RX_BYTES]: 32,
    [COUNTER.RX_PACKETS]: 0,
  })
})

const refusals: readonly [string, Buffer, number, reason: number, row: number][] = [
  ['an unknown index', message(7, 0, packet(0)), nowMs, drop.unknownIndex, noCable],
  ['an expired key', message(0, 0, packet(0)), rejectAtMs, drop.keyExpired, 20],
  ['a counter at the limit', message(0, 2n ** 53n, packet(0)), nowMs, drop.counterExhausted, 20],
  ['the largest counter', message(0, 2n ** 64n - 1n, packet(0)), nowMs, drop.counterExhausted, 20],
]

for (const [what, datagram, atMs, reason, row] of refusals) {
  test(`refuses ${what} without opening it`, () => {
    receive(0, [datagram])
    assert.deepEqual(open(1, context, atMs), [])
    checkCounts(row, { [reason]: 1, [COUNTER.RX_DATAGRAMS]: 0 })
    assert.deepEqual(marks(0), [reason, [0]])
    assert(!textIsZero(0, datagram))
  })
}

test('the last counter and the last instant are good', () => {
  receive(0, [message(0, 2n ** 53n - 1n, packet(0))])
  assert.equal(open(1, context, rejectAtMs - 0.001).length, 1)
})

test('an index whose slot was wiped is unknown', () => {
  publishSlot(shared, { slot: 10, method: method.free, localIndex: 30 })
  receive(0, [message(0, 0, packet(0))])
  assert.deepEqual(open(1), [])
  checkCounts(noCable, { [drop.unknownIndex]: 1 })
})

test('indices that collide are all found', () => {
  // Consecutive homes: enough indices with the same top bits fill a run of entries.
  const indices = Array.from({ length: 40 }, (_, i) => Math.imul(i, 0x144c_bc89) >>> 0)
  for (const [i, localIndex] of indices.entries()) {
    const receiveKey = keyOf(100 + i)
    publishSlot(shared, {
      slot: 100 + i,
      method: code,
      cable: i,
      localIndex,
      generation,
      receiveKey,
    })
  }
  indices.forEach((index, i) => {
    receive(i % 16, [slowMessage(code, keyOf(100 + i), index, 0n, packet(i))])
    if (i % 16 === 15 || i === indices.length - 1)
      assert.equal(open((i % 16) + 1).length, (i % 16) + 1)
  })
})

const v4 = ipv4({}, udp({ payload: pattern(40) }))
const v6 = ipv6({}, udp({ payload: pattern(40) }))
const edited = (bytes: Uint8Array, at: number, value: number) =>
  bytes.map((byte, i) => (i === at ? value : byte))

const malformed: readonly [string, Uint8Array][] = [
  ['one byte', Uint8Array.of(0x45)],
  ['zeros', new Uint8Array(64)],
  ['version 5', edited(v4, 0, 0x55)],
  ['an IPv4 header length of 4', edited(v4, 0, 0x44)],
  ['an IPv4 header beyond its packet', edited(edited(v4, 0, 0x4f), 3, 59)],
  ['an IPv4 total length beyond the text', edited(v4, 3, v4.length + 1)],
  ['an IPv4 total length below the header', edited(v4, 3, 19)],
  ['19 bytes of IPv4', v4.subarray(0, 19)],
  ['an IPv6 length beyond the text', edited(v6, 5, v6.length - 39)],
  ['an IPv6 length that wraps 16 bits', edited(edited(v6, 4, 0xff), 5, 0xff)],
  ['39 bytes of IPv6', v6.subarray(0, 39)],
]

for (const [what, inner] of malformed) {
  test(`an inner packet is malformed: ${what}`, () => {
    receive(0, [message(0, 0, inner)])
    const rows = open(1)
    assert.deepEqual(column(rows, ROW.DROP), [drop.malformedInner])
    assert.deepEqual(column(rows, ROW.SLOT), [10])
    // Whoever judges the rows counts the drop.
    checkCounts(20, {
      [drop.malformedInner]: 0,
      [COUNTER.RX_DATAGRAMS]: 1,
      [COUNTER.RX_PACKETS]: 0,
    })
  })
}

test('what is no data message is handed on as it is, in its place', () => {
  const initiation = Buffer.alloc(148, 7)
  initiation.writeUInt32LE(1, 0)
  const padded = message(0, 0, packet(0, 76))
  assert.equal(padded.length, 148)
  receive(0, [initiation, padded, initiation])
  const rows = open(1)
  assert.deepEqual(column(rows, ROW.KIND), [KIND.message, KIND.data, KIND.message])
  assert.deepEqual(column(rows, ROW.SLOT), [-1, 10, -1])
  assert.deepEqual(column(rows, ROW.CABLE), [-1, 20, -1])
  assert.deepEqual(rows[2].bytes, initiation)
  checkCounts(noCable, { [COUNTER.RX_DATAGRAMS]: 0 })
})

test('datagrams of every length from 0 to 40, of every type', () => {
  const random = seededRandom(testSeed())
  for (let length = 0; length <= 40; length++) {
    for (const type of [0, 1, 2, 3, 4, 5, 8, 0x0104]) {
      const datagram = Buffer.from(randomBytes(random, Math.max(length, 4)))
      datagram.writeUInt32LE(type, 0)
      receive(0, [datagram.subarray(0, Math.max(length, 1))], { LENGTH: length })
      const rows = open(1)
      const isData = type === 4 && length >= 32
      assert.deepEqual(column(rows, ROW.KIND), length === 0 || isData ? [] : [KIND.message])
      assert.deepEqual(column(rows, ROW.LENGTH), length === 0 || isData ? [] : [length])
    }
  }
})

test('without permission nothing is coalesced', () => {
  for (const [allowed, sizes] of [
    [0, [1, 1, 1, 1]],
    [1, [2, 1, 1]],
    [2, [1, 1, 2]],
  ] as const) {
    beginPeer(generation + 1)
    memory.state[STATE.COALESCE] = allowed
    const datagram = (id: number) => ipv4({ identification: id }, udp({ payload: pattern(112) }))
    const inner = [packet(0), packet(1), datagram(0), datagram(1)]
    receive(
      0,
      inner.map((bytes, i) => message(0, i, bytes)),
    )
    assert.deepEqual(column(open(1), ROW.SEGMENTS), sizes)
  }
})

/** A new session of peer 0. */
function beginPeer(next: number): void {
  generation = next
  shared.replay.fill(0)
  publishSlot(shared, {
    ...{ slot: 10, method: code, cable: 20, localIndex: 30, generation },
    ...{ receiveKey: keyOf(0), rejectAtMs, rejectAfterMessages },
  })
}

test('random packets in many trains, as the twin coalesces them', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  let counter = 0
  for (let round = 0; round < rounds(150); round++) {
    const source = new FlowSource(random, { flows: 1 + below(random, 3) })
    const inner: ReceivedPacket[] = []
    const trains = 1 + below(random, 16)
    for (let train = 0; train < trains; train++) {
      const sizes = 1 + below(random, 15)
      const tos = below(random, 2)
      const packets = Array.from({ length: sizes }, () => source.next())
      const texts = packets.map(({ bytes, slot }) => ({ bytes: padTo(bytes, 144), slot }))
      receive(
        train,
        texts.map(({ bytes, slot }) => message(slot, counter++, bytes)),
        { TOS: tos },
      )
      inner.push(...packets.map(({ bytes, slot }) => ({ bytes, slot: slot + 10, tos, train })))
    }
    const expected = slowCoalesce(inner, 3)
    const rows = open(trains)
    assert.deepEqual(
      column(rows, ROW.SEGMENTS),
      expected.map(row => row.segments),
      `seed ${seed}`,
    )
    assert.deepEqual(
      column(rows, ROW.SLOT),
      expected.map(row => row.slot),
      `seed ${seed}`,
    )
    assert.deepEqual(
      column(rows, ROW.TRAIN),
      expected.map(row => row.train),
      `seed ${seed}`,
    )
    rows.forEach(({ bytes }, i) => {
      assert(bytes.equals(expected[i].bytes), `row ${i}, seed ${seed}`)
    })
  }
})

function padTo(bytes: Uint8Array, length: number): Uint8Array {
  const padded = new Uint8Array(length)
  padded.set(bytes)
  return padded
}

test('more datagrams than rows: the rest is counted, nothing is written behind', () => {
  const small = createTestContext(4, 1)
  const datagrams = Array.from({ length: 9 }, (_, i) =>
    slowMessage(code, keyOf(0), 30, BigInt(i), v4),
  )
  publishSlot(small.shared, {
    slot: 10,
    method: code,
    cable: 20,
    localIndex: 30,
    receiveKey: keyOf(0),
  })
  const bytes = Buffer.concat(datagrams)
  small.memory.slab.set(bytes, TRAIN_HEADROOM)
  const words = { OFFSET: TRAIN_HEADROOM, LENGTH: bytes.length, SEGMENT_SIZE: datagrams[0].length }
  setTrain(small.memory, 0, { ...words, SLOT: -1 }, from)
  assert.equal(open(1, small).length, 4)
  assert.equal(small.memory.counters[20 * COUNTER.WORDS + drop.malformedDatagram], 5)
})

test('garbage in trains writes nothing outside', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const junk = () => pick(random, [0, 1, -1, 64, 65_535, 0x7fff_ffff, below(random, 2 ** 32) | 0])
  const datagrams = Array.from({ length: 4 }, (_, i) => message(0, i, v4))
  for (let i = 0; i < rounds(3000); i++) {
    receive(0, datagrams)
    for (let word = 0; word < TRAIN.REMOTE; word++) {
      if (chance(random, 0.2)) memory.trains[word] = junk()
    }
    // A train of single bytes would make more rows than there is time for.
    if (memory.trains[TRAIN.SEGMENT_SIZE] === 1) memory.trains[TRAIN.SEGMENT_SIZE] = 7
    assert(open(1).length <= 256, `seed ${seed}`)
  }
})
