import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IndexTable } from '../../../src/cable/index-table.ts'
import { limits } from '../../../src/tables/shared.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

function newTable(): IndexTable {
  return new IndexTable(new Int32Array(limits.indexEntries * 2))
}

test('an index that was never set has no slot', () => {
  assert.equal(newTable().get(7), -1)
})

test('the extremes of an index and of a slot', () => {
  const table = newTable()
  table.set(0, 0)
  table.set(0xffff_ffff, limits.slots - 1)
  assert.equal(table.get(0), 0)
  assert.equal(table.get(0xffff_ffff), limits.slots - 1)
})

test('random sets and deletes agree with a Map, at every load up to half full', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const table = newTable()
  const twin = new Map<number, number>()
  // Few distinct indices, so that chains form, break and are set again.
  const pick = () => Math.imul(Math.floor(random() * 4000), 0x0123_4567) >>> 0
  for (let round = 0; round < 60_000; round++) {
    const index = pick()
    if (random() < 0.6) {
      const slot = Math.floor(random() * limits.slots)
      table.set(index, slot)
      twin.set(index, slot)
    } else {
      table.delete(index)
      twin.delete(index)
    }
    const probe = pick()
    assert.equal(table.get(probe), twin.get(probe) ?? -1, `HAWSER_SEED=${seed} round ${round}`)
  }
  for (const [index, slot] of twin) assert.equal(table.get(index), slot, `HAWSER_SEED=${seed}`)
})
