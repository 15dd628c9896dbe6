import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  encodeFrame,
  FrameReader,
  frameBytesMax,
  headBytesMax,
  parseHead,
} from '../../../src/wire/frames.ts'
import { testSeed } from '../../support/rng.ts'

const trailer = Uint8Array.of(7, 8, 9)

function frames(reader: FrameReader): [number, number, unknown, Uint8Array][] {
  const all: [number, number, unknown, Uint8Array][] = []
  for (let frame = reader.next(); frame; frame = reader.next())
    all.push([frame.type, frame.id, parseHead(frame), frame.trailer.slice()])
  return all
}

test('the bytes are those that the drawing shows', () => {
  const bytes = encodeFrame(0x82, 0x01020304, { head: { a: 1 }, trailer })
  assert.equal(
    Buffer.from(bytes).toString('hex'),
    '16000000' + '82' + '000000' + '04030201' + '07000000' + '7b2261223a317d' + '070809',
  )
})

test('however a stream is cut, the same frames come out, and nothing stays in memory', () => {
  const message = fc.record({
    type: fc.nat(255),
    id: fc.nat(0xffff_ffff),
    text: fc.string({ maxLength: 200 }),
    trailer: fc.uint8Array({ maxLength: 40_000 }),
  })
  const cuts = fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), cuts, (messages, sizes) => {
      const stream = Buffer.concat(
        messages.map(m => encodeFrame(m.type, m.id, { head: m.text, trailer: m.trailer })),
      )
      const reader = new FrameReader(frameBytesMax)
      const out: unknown[] = []
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length]
        const chunk = Uint8Array.from(stream.subarray(at, at + size))
        reader.push(chunk)
        assert.ok(chunk.every(byte => byte === 0))
        out.push(...frames(reader))
        at += size
      }
      assert.deepEqual(
        out,
        messages.map(m => [m.type, m.id, m.text, m.trailer]),
      )
      assert.equal(reader.pendingBytes, 0)
    }),
    { seed: testSeed(), numRuns: 100 },
  )
})

test('a frame that is too large is refused by its first four bytes', () => {
  const reader = new FrameReader(100)
  reader.push(Uint8Array.of(97, 0, 0, 0))
  assert.throws(() => reader.next(), /101 bytes; at most 100/)
  const largest = new FrameReader(100)
  largest.push(Uint8Array.of(96, 0, 0, 0))
  assert.equal(largest.next(), undefined)
})

test('so is a head that is too large, by the first sixteen bytes of its frame', () => {
  const header = new Uint8Array(16)
  const view = new DataView(header.buffer)
  view.setUint32(0, headBytesMax + 13, true)
  view.setUint32(12, headBytesMax + 1, true)
  const reader = new FrameReader(frameBytesMax)
  reader.push(header)
  assert.throws(() => reader.next(), { code: 'EMSGSIZE', message: /^a head of/ })
  const head = 'x'.repeat(headBytesMax)
  assert.throws(() => encodeFrame(1, 1, { head, trailer }), { code: 'EMSGSIZE' })
})

test('lengths that contradict each other are refused', () => {
  const short = new FrameReader(100)
  short.push(Uint8Array.of(11, 0, 0, 0))
  assert.throws(() => short.next(), { code: 'EPROTO' })
  const bytes = encodeFrame(1, 1, { head: 0, trailer })
  bytes[12] = 5
  const reader = new FrameReader(100)
  reader.push(bytes)
  assert.throws(() => reader.next(), { code: 'EPROTO' })
})

test('a head that is no JSON, or no UTF-8, is refused', () => {
  for (const first of [0x7b, 0xff]) {
    const bytes = encodeFrame(1, 1, { head: 0, trailer })
    bytes[16] = first
    const reader = new FrameReader(100)
    reader.push(bytes)
    const frame = reader.next()
    assert.ok(frame)
    assert.throws(() => parseHead(frame), { code: 'EPROTO' })
  }
})

test('a frame larger than any reader takes is not sent', () => {
  const most = frameBytesMax - 16 - 1
  assert.equal(encodeFrame(1, 1, { head: 0, trailer: new Uint8Array(most) }).length, frameBytesMax)
  assert.throws(() => encodeFrame(1, 1, { head: 0, trailer: new Uint8Array(most + 1) }), {
    code: 'EMSGSIZE',
  })
})
