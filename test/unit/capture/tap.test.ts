import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writeRemote } from '../../../src/cable/remotes.ts'
import { parseFilter } from '../../../src/capture/filter.ts'
import { RECORD, stage } from '../../../src/capture/record.ts'
import { createRing, readRing } from '../../../src/capture/ring.ts'
import { packetsOf, recordsOf, storedOf, wordsOf } from '../../../src/capture/segments.ts'
import { Tap, type TapSpec } from '../../../src/capture/tap.ts'
import { parseRemote } from '../../../src/net/address.ts'
import { createBatch, ROW, TRAIN } from '../../../src/packet/batch.ts'
import { drop, noCable } from '../../../src/tables/counters.ts'
import { createSharedMemory } from '../../../src/tables/memory.ts'
import { CABLE, REMOTE, SLOT } from '../../../src/tables/shared.ts'
import { ipv4, pattern, udp } from '../../support/packets.ts'
import { below, randomSuperpacket } from '../../support/random-superpackets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { slowDecode } from '../../support/slow/packet.ts'
import { type SlowSuperpacket, slowSegment } from '../../support/slow/segment.ts'

const memory = createSharedMemory()

function tapped(changes: Partial<TapSpec> = {}, ringBytes = 1 << 20) {
  const size = { slabBytes: 1 << 18, rows: 8, trains: 8, pieces: 64, sendSlabBytes: 0 }
  const batch = createBatch(size, memory, memory.counters[0])
  const slotOfIndex = (index: number) => (index === 0x01020304 ? 9 : -1)
  let nowMs = 1000
  const tap = new Tap({ memory, monotonicMs: () => nowMs, slotOfIndex })
  const ring = createRing(ringBytes)
  const all = { filter: undefined, cables: undefined, remotes: [4], snaplenBytes: 65_535 }
  const stages = { whole: false, inner: true, wire: true, keys: false }
  const specs = [{ ...all, ...stages, ...changes, ring }]
  tap.use({ specs, ports: new Map([[7, 4500]]), wallOffsetMs: Float64Array.of(1.7e12) })
  const later = (ms: number) => {
    nowMs += ms
  }
  /** The records since the last time. */
  const records = () => {
    const bytes = readRing(ring, 1 << 30)
    return recordsOf(bytes).map(word => ({
      words: wordsOf(bytes).subarray(word, word + RECORD.WORDS),
      stored: storedOf(bytes, word),
      packets: (snaplen = 65_535) => packetsOf(bytes, word, snaplen),
    }))
  }
  return { tap, batch, ring, records, later }
}

type Batch = ReturnType<typeof tapped>['batch']

function setRow(batch: Batch, row: number, superpacket: SlowSuperpacket, pieces: number[] = []) {
  const base = row * ROW.WORDS
  const { bytes, gso, gsoSize, headerLength, csum } = superpacket
  const { rows, slab } = batch
  rows.fill(0, base, base + ROW.WORDS)
  // Pieces lie apart from each other.
  let at = 64 + row * 130_000
  let from = 0
  rows[base + ROW.OFFSET] = at
  pieces.forEach((length, index) => {
    slab.set(bytes.subarray(from, from + length), at)
    batch.pieces.set([at, length], index * 2)
    at += length + 100
    from += length
  })
  if (pieces.length === 0) slab.set(bytes, at)
  else rows[base + ROW.PIECES] = pieces.length << 16
  rows[base + ROW.LENGTH] = bytes.length
  rows[base + ROW.GSO] = gso
  rows[base + ROW.GSO_SIZE] = gsoSize
  rows[base + ROW.CSUM] = csum
  rows[base + ROW.HEADER_LENGTH] = gso === 0 ? 0 : headerLength
  rows[base + ROW.SEGMENTS] = gso === 0 ? 1 : Math.ceil((bytes.length - headerLength) / gsoSize)
  rows[base + ROW.CABLE] = 3
}

/** Cuts a length into the pieces of a coalesced row: the headers are in the first. */
function randomPieces(random: () => number, length: number, header: number): number[] {
  const pieces = [Math.min(length, header + below(random, 500))]
  for (let left = length - pieces[0]; left > 0; left -= pieces.at(-1) ?? 0)
    pieces.push(pieces.length === 31 ? left : Math.min(left, 1 + below(random, 3000)))
  return pieces
}

test('superpackets are shown as the segments that a slow twin cuts', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const { tap, batch, records } = tapped()
  for (let count = 0; count < 300; count++) {
    const superpacket = randomSuperpacket(random)
    const { bytes, headerLength } = superpacket
    const pieces = random() < 0.5 ? [] : randomPieces(random, bytes.length, headerLength)
    setRow(batch, 0, superpacket, pieces)
    tap.rows(batch, 1, true)
    const [record] = records()
    const found = record.packets().map(packet => Buffer.from(packet.bytes))
    assert.deepEqual(found, slowSegment(superpacket).map(Buffer.from), `seed ${seed}`)
  }
})

test('of a snap length each segment keeps its start, and the ring holds no more', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (let count = 0; count < 200; count++) {
    const snaplenBytes = 64 + below(random, 200)
    const { tap, batch, records } = tapped({ snaplenBytes })
    const superpacket = randomSuperpacket(random)
    const expected = slowSegment(superpacket)
    const { bytes, headerLength } = superpacket
    setRow(batch, 0, superpacket, randomPieces(random, bytes.length, headerLength))
    tap.rows(batch, 1, true)
    const [record] = records()
    const most = headerLength + expected.length * Math.max(0, snaplenBytes - headerLength)
    assert.ok(record.stored.length <= most, `seed ${seed}: ${record.stored.length} bytes`)
    const found = record.packets(snaplenBytes)
    assert.deepEqual(
      found.map(({ lengthBytes }) => lengthBytes),
      expected.map(({ length }) => length),
    )
    found.forEach((packet, index) => {
      assert.ok(packet.bytes.length <= snaplenBytes)
      const isWhole = packet.bytes.length === packet.lengthBytes
      const same = (packetBytes: Uint8Array) =>
        Buffer.from(isWhole ? packetBytes : withoutChecksum(packetBytes))
      const whole = expected[index].slice(0, snaplenBytes)
      assert.deepEqual(same(packet.bytes.slice()), same(whole), `seed ${seed}, segment ${index}`)
    })
  }
})

/** That of a packet that was not kept whole cannot be told. */
function withoutChecksum(packet: Uint8Array): Uint8Array {
  const isIpv6 = packet[0] >> 4 === 6
  const at = (isIpv6 ? 40 : 20) + (packet[isIpv6 ? 6 : 9] === 17 ? 6 : 16)
  return packet.fill(0, at, at + 2)
}

test('superpackets whole are one packet with a right checksum', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const { tap, batch, records } = tapped({ whole: true })
  for (let count = 0; count < 50; count++) {
    const superpacket = randomSuperpacket(random)
    setRow(batch, 0, superpacket)
    tap.rows(batch, 1, false)
    const [{ packets, words }] = records()
    const found = packets()
    assert.equal(found.length, 1)
    const [expected] = slowSegment({ ...superpacket, gso: 0 })
    assert.deepEqual(Buffer.from(found[0].bytes), Buffer.from(expected), `seed ${seed}`)
    assert.equal(words[RECORD.OUTBOUND], 0)
  }
})

const lone = { gso: 0, gsoSize: 0, headerLength: 0, csum: 0 }

test('a row has its cable, its drop reason and an instant behind the one before', () => {
  const { tap, batch, records, later } = tapped()
  for (let row = 0; row < 3; row++) setRow(batch, row % 2, { bytes: ipv4(), ...lone })
  batch.rows[ROW.DROP] = drop.noRoute
  batch.rows[ROW.CABLE] = -1
  batch.rows[ROW.WORDS + ROW.DROP] = -1
  tap.rows(batch, 2, true)
  tap.rows(batch, 1, true)
  later(2500.5)
  tap.rows(batch, 1, true)
  const found = records().map(({ words }) => [...words.subarray(RECORD.SECONDS, RECORD.CABLE + 1)])
  assert.deepEqual(found, [
    [1_700_000_001, 1, noCable],
    [1_700_000_001, 2, 3],
    [1_700_000_001, 3, noCable],
    [1_700_000_003, 500_500_001, noCable],
  ])
  tap.rows(batch, 2, true)
  assert.deepEqual(
    records().map(({ words }) => words[RECORD.DROP]),
    [drop.noRoute, 0],
  )
})

function setTrain(batch: Batch, remote: string, bytes: Uint8Array, size: number) {
  batch.slab.set(bytes, 512)
  batch.trains.fill(0, 0, TRAIN.WORDS)
  batch.trains[TRAIN.OFFSET] = 512
  batch.trains[TRAIN.LENGTH] = bytes.length
  batch.trains[TRAIN.SEGMENT_SIZE] = size
  batch.trains[TRAIN.FD] = 7
  batch.trains[TRAIN.TOS] = 2
  batch.trains[TRAIN.SLOT] = -1
  batch.trains[TRAIN.CABLE] = 3
  const record = writeRemote(new Uint8Array(REMOTE.BYTES), parseRemote(remote))
  const isIpv4 = !remote.startsWith('[')
  record.set(isIpv4 ? [192, 0, 2, 1] : [0xfd, ...new Uint8Array(14), 1], REMOTE.SOURCE)
  batch.trains.set(new Int32Array(record.buffer), TRAIN.REMOTE)
}

/** Train 0 as the path shows it; `meanwhile` is what `open` and the verdicts do. */
function receive(tap: Tap, { slab, trains }: Batch, meanwhile = () => {}): void {
  tap.keep(slab, trains, 1)
  meanwhile()
  tap.received(trains, 1)
}

for (const remote of ['192.0.2.2:51820', '[2001:db8::2]:51820'])
  test(`a train to ${remote} is shown as its datagrams`, () => {
    const { tap, batch, records } = tapped()
    const payload = pattern(3100)
    setTrain(batch, remote, payload, 1000)
    for (const isOutbound of [true, false]) {
      if (isOutbound) tap.sent(batch.slab, batch.trains, 1)
      else receive(tap, batch)
      const [record] = records()
      assert.equal(record.words[RECORD.STAGE], stage.wire)
      assert.deepEqual(
        [record.words[RECORD.OUTBOUND] === 1, record.packets().length],
        [isOutbound, 4],
      )
      record.packets().forEach((packet, index) => {
        const bytes = Buffer.from(packet.bytes)
        const header = bytes[0] >> 4 === 4 ? 28 : 48
        assert.deepEqual(
          new Uint8Array(bytes.subarray(header)),
          payload.subarray(index * 1000, index * 1000 + 1000),
        )
        const ports = [bytes.readUInt16BE(header - 8), bytes.readUInt16BE(header - 6)]
        assert.deepEqual(ports, isOutbound ? [4500, 51_820] : [51_820, 4500])
        assert.equal(slowDecode(bytes)?.tos, 2)
      })
    }
  })

test('a filter sees a received train as it came, also one that asks how it fared', () => {
  for (const [filter, expected] of [
    ['host 203.0.113.9', 0],
    ['host 192.0.2.2', 2],
    // Before it is opened nobody knows how a datagram fares.
    ['drop', 1],
    ['host 192.0.2.2 and not drop', 1],
    ['drop replayed or host 203.0.113.9', 1],
    ['drop key-expired', 0],
    ['inner', 0],
  ] as const) {
    const { tap, batch, records } = tapped({ filter: parseFilter(filter) })
    const payload = pattern(2000)
    setTrain(batch, '192.0.2.2:51820', payload, 1000)
    receive(tap, batch, () => {
      batch.slab.fill(0)
      tap.dropped(batch.trains, 0, 512 + 1000, drop.replayed)
    })
    const shown = records().flatMap(record => record.packets())
    assert.equal(shown.length, expected, filter)
    for (const { bytes } of shown)
      assert.ok(Buffer.from(payload).includes(Buffer.from(bytes.subarray(28))), filter)
  }
})

test('datagrams that went no further are shown with the reason, the others without', () => {
  const [good, bad, later] = [drop.none, drop.replayed, drop.authenticationFailed]
  for (const [marks, expected] of [
    [
      [bad, good, good, good],
      [
        [bad, [0]],
        [good, [1, 2, 3]],
      ],
    ],
    [
      [good, bad, bad, good],
      [
        [good, [0]],
        [bad, [1, 2]],
        [good, [3]],
      ],
    ],
    [
      [good, good, good, bad],
      [
        [good, [0, 1, 2]],
        [bad, [3]],
      ],
    ],
    [[bad, bad, bad, bad], [[bad, [0, 1, 2, 3]]]],
    // A train has room for one reason.
    [
      [bad, later, good, bad],
      [
        [bad, [0]],
        [good, [1, 2]],
        [bad, [3]],
      ],
    ],
  ] as const) {
    const { tap, batch, records } = tapped()
    const payload = pattern(3100)
    setTrain(batch, '192.0.2.2:51820', payload, 1000)
    const offset = batch.trains[TRAIN.OFFSET]
    receive(tap, batch, () => {
      marks.forEach((reason, index) => {
        if (reason !== good) tap.dropped(batch.trains, 0, offset + index * 1000 + 8, reason)
      })
      batch.slab.fill(0xee)
    })
    const shown = records()
    assert.deepEqual(
      shown.map(({ words, packets }) => [words[RECORD.DROP], packets().length]),
      expected.map(([reason, indices]) => [reason, indices.length]),
    )
    // As they came, whatever became of them.
    const text = shown.flatMap(({ packets }) => packets().map(({ bytes }) => bytes.slice(28)))
    assert.deepEqual(Buffer.concat(text), Buffer.from(payload))
  }
})

test('a filter for drops sees the datagrams that went no further, and nothing else', () => {
  const filter = { kind: 'drop', reason: drop.replayed } as const
  const { tap, batch, records } = tapped({ filter })
  setTrain(batch, '192.0.2.2:51820', pattern(3000), 1000)
  receive(tap, batch)
  assert.deepEqual(records(), [])
  const second = batch.trains[TRAIN.OFFSET] + 1000
  receive(tap, batch, () => tap.dropped(batch.trains, 0, second, drop.replayed))
  const [record, ...others] = records()
  assert.deepEqual([record.packets().length, others], [1, []])
  assert.deepEqual(record.packets()[0].bytes.slice(28), pattern(3000).slice(1000, 2000))
  // What was marked is forgotten with the train.
  receive(tap, batch)
  assert.deepEqual(records(), [])
})

test('a received train belongs to its index, its slot, or who sent it', () => {
  const { tap, batch, records } = tapped()
  const view = new DataView(memory.slots.buffer)
  view.setUint32(9 * SLOT.BYTES + SLOT.CABLE, 5, true)
  view.setUint32(10 * SLOT.BYTES + SLOT.CABLE, 6, true)
  memory.remotes.set(
    writeRemote(new Uint8Array(64), parseRemote('192.0.2.2:51820')),
    2 * REMOTE.BYTES,
  )
  memory.cables[4 * CABLE.WORDS + CABLE.REMOTE] = 2
  const cableOf = (remote: string, first: number[], slot = -1) => {
    setTrain(batch, remote, Uint8Array.from([...first, ...new Uint8Array(32)]), 100)
    batch.trains[TRAIN.SLOT] = slot
    receive(tap, batch)
    return records()[0].words[RECORD.CABLE]
  }
  const data = [4, 0, 0, 0, 4, 3, 2, 1]
  assert.equal(cableOf('192.0.2.9:1', data), 5)
  assert.equal(cableOf('192.0.2.9:1', [8, 0, 0, 0], 10), 6)
  assert.equal(cableOf('192.0.2.2:51820', [1, 0, 0, 0]), 4)
  assert.equal(cableOf('192.0.2.2:51821', [1, 0, 0, 0]), noCable)
  assert.equal(cableOf('192.0.2.9:1', [4, 0, 0, 0, 9, 9, 9, 9]), noCable)
})

test('only what a capture wants is written, and what has no room is counted', () => {
  const packet = { bytes: ipv4({}, udp({ payload: pattern(900) })), ...lone }
  for (const [changes, expected] of [
    [{ cables: [3] }, 1],
    [{ cables: [2] }, 0],
    [{ cables: [] }, 0],
    [{ inner: false }, 0],
    [{ filter: { kind: 'protocol', number: 17 } }, 1],
    [{ filter: { kind: 'protocol', number: 6 } }, 0],
  ] as const) {
    const { tap, batch, records } = tapped(changes)
    setRow(batch, 0, packet)
    tap.rows(batch, 1, true)
    assert.equal(records().length, expected, JSON.stringify(changes))
  }
  const { tap, batch, ring, records } = tapped({}, 4096)
  setRow(batch, 0, packet)
  for (let count = 0; count < 10; count++) tap.rows(batch, 1, true)
  assert.equal(records().length, 4)
  assert.equal(ring.lost[3 * stage.count + stage.inner], 6)
})

test('secrets are told to captures that asked for them', () => {
  const key = pattern(32)
  for (const keys of [true, false]) {
    const { tap, records } = tapped({ keys })
    assert.equal(tap.wantsSecrets, keys)
    tap.secret(3, key)
    const found = records().map(({ words, stored }) => [
      words[RECORD.STAGE],
      words[RECORD.CABLE],
      stored,
    ])
    assert.deepEqual(found, keys ? [[stage.secret, 3, key]] : [])
  }
  const { tap } = tapped()
  tap.use({ specs: [], ports: new Map(), wallOffsetMs: new Float64Array(1) })
  assert.equal(tap.isOn, false)
})
