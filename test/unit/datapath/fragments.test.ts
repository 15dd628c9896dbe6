import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fragments } from '../../../src/datapath/fragments.ts'
import type { ContextMemory } from '../../../src/native.ts'
import { createBatch, ROW, ROW_HEADROOM } from '../../../src/packet/batch.ts'
import { createSharedMemory } from '../../../src/tables/memory.ts'
import { ipv4, pattern, tcp, udp } from '../../support/packets.ts'
import { leaveUnfinished } from '../../support/random-superpackets.ts'
import { reassemble } from '../../support/slow/reassemble.ts'
import { type SlowSuperpacket, slowSegment } from '../../support/slow/segment.ts'

const shared = createSharedMemory()
const batch = (rows: number, slabBytes: number): ContextMemory =>
  createBatch(
    { slabBytes, rows, trains: 0, pieces: 0, sendSlabBytes: 0 },
    shared,
    shared.counters[0],
  )

const [slot, remote, fd, cable] = [5, 6, 7, 8]

/** A batch with this packet in row 0. */
function rowOf({ bytes, gso, gsoSize, csum, headerLength }: SlowSuperpacket): ContextMemory {
  const from = batch(1, 70_000)
  from.slab.set(bytes, ROW_HEADROOM)
  from.rows[ROW.OFFSET] = ROW_HEADROOM
  from.rows[ROW.LENGTH] = bytes.length
  from.rows[ROW.GSO] = gso
  from.rows[ROW.GSO_SIZE] = gsoSize
  from.rows[ROW.CSUM] = csum
  from.rows[ROW.HEADER_LENGTH] = headerLength
  from.rows[ROW.SEGMENTS] = gso === 0 ? 1 : Math.ceil((bytes.length - headerLength) / gsoSize)
  from.rows[ROW.SLOT] = slot
  from.rows[ROW.REMOTE] = remote
  from.rows[ROW.FD] = fd
  from.rows[ROW.CABLE] = cable
  return from
}

/** What lies in the rows of a side batch. */
function taken(side: ContextMemory, count: number): Uint8Array[] {
  const packets: Uint8Array[] = []
  for (let base = 0; base < count * ROW.WORDS; base += ROW.WORDS) {
    const words = side.rows.subarray(base, base + ROW.WORDS)
    assert.deepEqual([words[ROW.SLOT], words[ROW.REMOTE]], [slot, remote])
    assert.deepEqual([words[ROW.FD], words[ROW.CABLE]], [fd, cable])
    assert.deepEqual([words[ROW.GSO], words[ROW.CSUM], words[ROW.SEGMENTS]], [0, 0, 1])
    const offset = words[ROW.OFFSET]
    packets.push(side.slab.slice(offset, offset + words[ROW.LENGTH]))
  }
  return packets
}

function superpacket(payloadBytes: number, isTcp = false, gsoSize = 1400): SlowSuperpacket {
  const payload = pattern(payloadBytes)
  const bytes = ipv4({ identification: 300 }, isTcp ? tcp({ payload }) : udp({ payload }))
  const packet = { bytes, gso: isTcp ? 1 : 5, gsoSize, headerLength: isTcp ? 40 : 28 }
  return leaveUnfinished(packet, 20)
}

for (const isTcp of [false, true]) {
  test(`a superpacket becomes fragments of its segments, ${isTcp ? 'TCP' : 'UDP'}`, () => {
    const packet = superpacket(5000, isTcp)
    const side = batch(32, 20_000)
    const fragments = new Fragments(side)
    assert.ok(fragments.add(rowOf(packet), 0, 1300))
    const packets = taken(side, fragments.take())
    assert.ok(packets.every(({ length }) => length <= 1300))
    for (const segment of slowSegment(packet)) {
      const id = segment.subarray(4, 6)
      const own = packets.filter(part => part[4] === id[0] && part[5] === id[1])
      assert.deepEqual(Uint8Array.from(reassemble(own).payload), segment.slice(20))
    }
    // Three segments of two fragments each, and the last one whole.
    assert.equal(packets.length, 7)
  })
}

test('what has no room leaves what was there before, and has room when that was taken', () => {
  const side = batch(10, 20_000)
  const fragments = new Fragments(side)
  assert.ok(fragments.add(rowOf(superpacket(5000)), 0, 1300))
  const before = taken(side, fragments.count)
  assert.equal(fragments.add(rowOf(superpacket(5000)), 0, 1300), false)
  assert.deepEqual(taken(side, fragments.count), before)
  assert.equal(fragments.take(), 7)
  assert.equal(fragments.count, 0)
  assert.ok(fragments.add(rowOf(superpacket(5000)), 0, 1300))
})

test('the largest superpacket fits the side batch of a data path', () => {
  const side = batch(128, 4 * (65_536 + 128))
  const fragments = new Fragments(side)
  assert.ok(fragments.add(rowOf(superpacket(65_000, false, 1253)), 0, 1280))
  assert.equal(fragments.take(), 2 * Math.floor(65_000 / 1253) + 1)
})

test('what has DF set is not fragmented', () => {
  const side = batch(10, 20_000)
  const fragments = new Fragments(side)
  const bytes = ipv4({ dontFragment: true }, udp({ payload: pattern(1400) }))
  const lone = { bytes, gso: 0, gsoSize: 0, csum: 0, headerLength: 0 }
  assert.equal(fragments.add(rowOf(lone), 0, 1300), false)
  assert.equal(fragments.count, 0)
})
