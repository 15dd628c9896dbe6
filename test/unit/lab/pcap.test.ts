import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countOccurrences } from '../../../src/lab/occurrences.ts'
import { summarizeCapture } from '../../../src/lab/pcap.ts'

const question = {
  source: Uint8Array.of(192, 0, 2, 1),
  destination: Uint8Array.of(192, 0, 2, 2),
  port: 4500,
  marker: Buffer.from('marker-'),
}

test('counts the payload of the datagrams asked for and the marker in all frames', () => {
  const frames = [
    udpFrame('192.0.2.1', '192.0.2.2', 4500, Buffer.alloc(100)),
    udpFrame('192.0.2.1', '192.0.2.2', 4500, Buffer.from('marker-marker-mark')),
    // The other way, another port, another protocol: not the cable, but readable all the same.
    udpFrame('192.0.2.2', '192.0.2.1', 4500, Buffer.alloc(200)),
    udpFrame('192.0.2.1', '192.0.2.2', 53, Buffer.from('marker-')),
    Buffer.concat([Buffer.alloc(12), Buffer.from([0x08, 0x06]), Buffer.from('marker-')]),
  ]
  assert.deepEqual(summarizeCapture(pcap(frames), question), {
    frames: 5,
    cutFrames: 0,
    cableBytes: 118,
    cableFrames: 2,
    markers: 4,
  })
})

test('a train captured as one frame counts by its IP length', () => {
  const train = udpFrame('192.0.2.1', '192.0.2.2', 4500, Buffer.alloc(60_000))
  assert.equal(summarizeCapture(pcap([train]), question).cableBytes, 60_000)
})

test('frames that are cut off are told apart, half a frame at the end is left alone', () => {
  const frame = udpFrame('192.0.2.1', '192.0.2.2', 4500, Buffer.alloc(10))
  const file = pcap([frame, frame])
  file.writeUInt32LE(frame.length + 1, 24 + 12)
  assert.equal(summarizeCapture(file, question).cutFrames, 1)
  const half = summarizeCapture(file.subarray(0, file.length - 1), question)
  assert.deepEqual([half.frames, half.cableBytes], [1, 10])
})

test('frames of every length are read within bounds', () => {
  const frame = udpFrame('192.0.2.1', '192.0.2.2', 4500, Buffer.alloc(4))
  for (let length = 0; length <= frame.length; length++) {
    const summary = summarizeCapture(pcap([frame.subarray(0, length)]), question)
    assert.equal(summary.cableFrames, length < 14 + 28 ? 0 : 1, `${length} bytes`)
  }
})

test('another format is an error, not an empty capture', () => {
  assert.throws(() => summarizeCapture(Buffer.alloc(0), question), /empty/)
  assert.throws(() => summarizeCapture(Buffer.alloc(100), question), /pcap/)
})

test('occurrences do not overlap', () => {
  assert.equal(countOccurrences(Buffer.from('aaaa'), Buffer.from('aa')), 2)
  assert.equal(countOccurrences(Buffer.from('aaaa'), Buffer.from('b')), 0)
  assert.equal(countOccurrences(Buffer.from('aaaa'), Buffer.alloc(0)), 0)
})

function pcap(frames: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2c3d4, 0)
  header.writeUInt32LE(1, 20)
  const parts = frames.flatMap(frame => {
    const head = Buffer.alloc(16)
    head.writeUInt32LE(frame.length, 8)
    head.writeUInt32LE(frame.length, 12)
    return [head, frame]
  })
  return Buffer.concat([header, ...parts])
}

function udpFrame(from: string, to: string, port: number, payload: Buffer): Buffer {
  const frame = Buffer.alloc(14 + 20 + 8)
  frame.writeUInt16BE(0x0800, 12)
  frame[14] = 0x45
  frame.writeUInt16BE(28 + payload.length, 16)
  frame[23] = 17
  frame.set(from.split('.').map(Number), 26)
  frame.set(to.split('.').map(Number), 30)
  frame.writeUInt16BE(port, 36)
  frame.writeUInt16BE(8 + payload.length, 38)
  return Buffer.concat([frame, payload])
}
