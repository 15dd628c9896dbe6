import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeadlineQueue, type Scheduled } from '../../../src/crypto/deadline-queue.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

function item(): Scheduled {
  return { scheduledMs: Number.POSITIVE_INFINITY, heapIndex: -1 }
}

test('an empty queue is due never', () => {
  const queue = new DeadlineQueue()
  assert.equal(queue.firstMs, Number.POSITIVE_INFINITY)
  assert.equal(queue.first, undefined)
})

test('advancing never moves an item back', () => {
  const queue = new DeadlineQueue()
  const one = item()
  queue.advance(one, 50)
  queue.advance(one, 80)
  assert.equal(queue.firstMs, 50)
  queue.advance(one, 20)
  assert.equal(queue.firstMs, 20)
  queue.place(one, 80)
  assert.equal(queue.firstMs, 80)
  queue.place(one, Number.POSITIVE_INFINITY)
  assert.equal(queue.first, undefined)
  assert.equal(one.heapIndex, -1)
})

test('the first is always the earliest of all that are entered', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const queue = new DeadlineQueue()
  const items = Array.from({ length: 50 }, item)
  for (let round = 0; round < 5_000; round++) {
    const chosen = items[Math.floor(random() * items.length)]
    if (random() < 0.2) queue.remove(chosen)
    else if (random() < 0.5) queue.place(chosen, Math.floor(random() * 1000))
    else queue.advance(chosen, Math.floor(random() * 1000))
    const earliest = Math.min(...items.map(({ scheduledMs }) => scheduledMs))
    assert.equal(queue.firstMs, earliest, `seed ${seed}, round ${round}`)
    assert.equal(queue.first?.scheduledMs ?? Number.POSITIVE_INFINITY, earliest)
  }
})
