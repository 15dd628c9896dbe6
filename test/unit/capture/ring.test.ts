import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RECORD } from '../../../src/capture/record.ts'
import {
  createRing,
  endOfRead,
  lostTotal,
  type Ring,
  RingWriter,
  readRing,
} from '../../../src/capture/ring.ts'
import { recordsOf, storedOf, wordsOf } from '../../../src/capture/segments.ts'
import { below } from '../../support/random-superpackets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

const sizeBytes = 4096

/** A record whose bytes all are its number, at the instant of that number in ms. */
function write(writer: RingWriter, number: number, storedBytes: number): boolean {
  const word = writer.reserve(storedBytes)
  if (word < 0) return false
  writer.words[word + RECORD.SECONDS] = Math.floor(number / 1000)
  writer.words[word + RECORD.NANOS] = (number % 1000) * 1e6
  const at = word * 4 + RECORD.BYTES
  writer.bytes.fill(number & 255, at, at + storedBytes)
  writer.commit()
  return true
}

function read(ring: Ring, bytesMax = Number.POSITIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY) {
  const bytes = readRing(ring, bytesMax, untilMs)
  return recordsOf(bytes).map(word => {
    const words = wordsOf(bytes)
    const number = words[word + RECORD.SECONDS] * 1000 + words[word + RECORD.NANOS] / 1e6
    return { number, stored: storedOf(bytes, word) }
  })
}

test('what comes out is what went in, in order, whatever the sizes and however it wraps', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const ring = createRing(sizeBytes)
  // Near the end of the positions, which wrap at 2^32.
  ring.control.fill(-8192)
  const writer = new RingWriter(ring)
  const waiting: { number: number; length: number }[] = []
  let number = 0
  let refused = 0
  for (let step = 0; step < 20_000; step++) {
    if (random() < 0.8) {
      const length = below(random, random() < 0.1 ? 1500 : 100)
      if (write(writer, number, length)) waiting.push({ number, length })
      else refused++
      number++
      continue
    }
    const bytesMax = below(random, 500)
    for (const { number: found, stored } of read(ring, bytesMax)) {
      const expected = waiting.shift()
      const text = `seed ${seed}, step ${step}`
      assert.deepEqual({ number: found, length: stored.length }, expected, text)
      assert.ok(
        stored.every(byte => byte === (found & 255)),
        text,
      )
    }
  }
  assert.equal(read(ring).length, waiting.length)
  assert.ok(refused > 100, `seed ${seed}: ${refused} refused`)
})

test('a full ring refuses and goes on when it was read', () => {
  const ring = createRing(sizeBytes)
  const writer = new RingWriter(ring)
  let written = 0
  while (write(writer, written, 64)) written++
  assert.equal(written, sizeBytes / (RECORD.BYTES + 64), 'to the last byte')
  assert.equal(writer.reserve(0), -1)
  assert.equal(read(ring, 1).length, 1)
  assert.ok(write(writer, written, 64))
  assert.equal(read(ring).length, written)
  assert.equal(writer.reserve(sizeBytes), -1, 'larger than the ring')
})

test('a writer goes on where another one has stopped', () => {
  const ring = createRing(sizeBytes)
  write(new RingWriter(ring), 1, 10)
  write(new RingWriter(ring), 2, 20)
  assert.deepEqual(
    read(ring).map(({ number }) => number),
    [1, 2],
  )
})

test('a read ends at an instant, and tells where it would end', () => {
  const ring = createRing(sizeBytes)
  const writer = new RingWriter(ring)
  for (let number = 1; number <= 5; number++) write(writer, number, 0)
  assert.equal(endOfRead(ring, 3 * RECORD.BYTES), 3)
  assert.equal(endOfRead(ring, 5 * RECORD.BYTES), Number.POSITIVE_INFINITY)
  const numbers = (untilMs?: number) =>
    read(ring, Number.POSITIVE_INFINITY, untilMs).map(({ number }) => number)
  assert.deepEqual(numbers(2.5), [1, 2])
  assert.deepEqual(numbers(2.5), [])
  assert.deepEqual(numbers(), [3, 4, 5])
})

test('what is lost is counted by cable and stage', () => {
  const ring = createRing(sizeBytes)
  const writer = new RingWriter(ring)
  writer.lose(3, 1, 45)
  writer.lose(3, 1, 1)
  writer.lose(0, 0, 2)
  assert.deepEqual([ring.lost[3 * 3 + 1], ring.lost[0], ring.lost[lostTotal]], [46, 2, 48])
})
