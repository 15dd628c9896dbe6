import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Staging, stagingLimits } from '../../../src/datapath/staging.ts'
import { ROW } from '../../../src/packet/batch.ts'

const slab = new Uint8Array(70_000).map((_, i) => i)
const rows = new Int32Array(ROW.WORDS)

function add(staging: Staging, cable: number, length: number, segments = 1): number {
  rows[ROW.OFFSET] = 64
  rows[ROW.LENGTH] = length
  rows[ROW.SEGMENTS] = segments
  return staging.add(cable, slab, rows, 0, 0)
}

function take(staging: Staging, cable: number): Uint8Array | undefined {
  const out = new Uint8Array(70_000)
  const row = new Int32Array(ROW.WORDS)
  if (!staging.take(cable, out, 128, row, 0)) return undefined
  assert.equal(row[ROW.OFFSET], 128)
  return out.slice(128, 128 + row[ROW.LENGTH])
}

test('packets come out in order, copied', () => {
  const staging = new Staging()
  add(staging, 1, 10)
  add(staging, 1, 20)
  add(staging, 2, 30)
  assert.deepEqual(take(staging, 1), slab.slice(64, 74))
  assert.equal(take(staging, 1)?.length, 20)
  assert.equal(take(staging, 1), undefined)
  assert.deepEqual([...staging.cables], [2])
})

test('the size of the next is that of a segment where it is a superpacket', () => {
  const staging = new Staging()
  assert.equal(staging.nextBytes(1), 0)
  add(staging, 1, 10)
  rows[ROW.GSO] = 1
  rows[ROW.GSO_SIZE] = 1000
  rows[ROW.HEADER_LENGTH] = 40
  add(staging, 1, 5040, 5)
  rows.fill(0)
  assert.equal(staging.nextBytes(1), 10)
  take(staging, 1)
  assert.equal(staging.nextBytes(1), 1040)
  take(staging, 1)
  assert.equal(staging.nextBytes(1), 0)
})

test('the oldest of a cable go first when it has too many segments', () => {
  const staging = new Staging()
  for (let i = 0; i < stagingLimits.segmentsPerCable; i++) assert.equal(add(staging, 1, 40 + i), 0)
  assert.equal(add(staging, 1, 1000), 1)
  assert.equal(take(staging, 1)?.length, 41)
})

test('the oldest go first when a cable has too many bytes', () => {
  const staging = new Staging()
  const count = Math.floor(stagingLimits.bytesPerCable / 65_000)
  for (let i = 0; i < count; i++) assert.equal(add(staging, 1, 65_000, 10), 0)
  assert.equal(add(staging, 1, 65_000, 10), 10)
})

test('all cables together are bounded, and a cable pays with its own packets', () => {
  const staging = new Staging()
  const perCable = Math.floor(stagingLimits.bytesPerCable / 60_000)
  const cables = Math.ceil(stagingLimits.bytes / (perCable * 60_000))
  let dropped = 0
  for (let cable = 0; cable <= cables; cable++) {
    for (let i = 0; i < perCable; i++) dropped += add(staging, cable, 60_000)
  }
  assert.ok(dropped > 0)
  assert.equal(take(staging, 0)?.length, 60_000)
})

test('a superpacket with more segments than may wait is not kept', () => {
  const staging = new Staging()
  assert.equal(add(staging, 1, 60_000, 129), 129)
  assert.ok(staging.isEmpty)
})

test('giving up tells how many segments that were', () => {
  const staging = new Staging()
  add(staging, 1, 100, 3)
  add(staging, 1, 100, 4)
  assert.equal(staging.dropAll(1), 7)
  assert.equal(staging.dropAll(1), 0)
  assert.ok(staging.isEmpty)
})
