// Frames that no kernel sends, through a FIFO in place of the device: what is read is checked, and
// what is written is seen byte by byte.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { KIND, STATE } from '../../../src/packet/batch.ts'
import { COUNTER, drop, noCable } from '../../../src/tables/counters.ts'
import { createTestContext, getRow, type RowWords, setRow } from '../../support/native-context.ts'
import { extension, ipv4, ipv6, pattern, tcp, udp } from '../../support/packets.ts'
import { rounds, seededRandom, testSeed } from '../../support/rng.ts'
import { flows, unfinished } from '../../support/superpackets.ts'

const directory = mkdtempSync(join(tmpdir(), 'hawser-frames-'))
execFileSync('mkfifo', [join(directory, 'fifo')])
const fd = openSync(join(directory, 'fifo'), constants.O_RDWR | constants.O_NONBLOCK)
after(() => {
  closeSync(fd)
  rmSync(directory, { recursive: true })
})

const { native, context, memory } = createTestContext()

interface Header {
  readonly flags?: number
  readonly gso?: number
  readonly headerLength?: number
  readonly gsoSize?: number
  readonly csumStart?: number
  readonly csumOffset?: number
}

function frame(header: Header, packet: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(10 + packet.length)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, header.flags ?? 0)
  view.setUint8(1, header.gso ?? 0)
  view.setUint16(2, header.headerLength ?? 0, true)
  view.setUint16(4, header.gsoSize ?? 0, true)
  view.setUint16(6, header.csumStart ?? 0, true)
  view.setUint16(8, header.csumOffset ?? 0, true)
  bytes.set(packet, 10)
  return bytes
}

/** Reads one frame into row 0. */
function read(bytes: Uint8Array): void {
  assert.equal(writeSync(fd, bytes), bytes.length)
  assert.equal(native.readTun(context, fd, 0, 0), 1)
  assert.equal(memory.state[STATE.DRAINED], 1)
  assert.equal(getRow(memory, 0, 'LENGTH'), Math.max(0, bytes.length - 10))
}

function checkRow(words: RowWords, about: string): void {
  for (const [name, value] of Object.entries(words)) {
    assert.equal(getRow(memory, 0, name as keyof RowWords), value, `${about}: ${name}`)
  }
}

const addresses: Record<4 | 6, readonly [string, string]> = {
  4: ['10.1.0.2', '10.2.0.2'],
  6: ['fd01::2', 'fd02::2'],
}

/** A right superpacket of a flow with its header, to spoil. */
function good(index: number, payloadLength = 2500) {
  const flow = flows[index]
  const made = unfinished(flow, payloadLength, ...addresses[flow.version])
  const { csumStart, csumOffset } = made
  const header = { flags: 1, gso: flow.gso, gsoSize: 1000, csumStart, csumOffset }
  return { ...made, header, flow }
}

const superWords = { GSO_SIZE: 1000, SEGMENTS: 3, DROP: 0 }
const loneWords = { GSO: 0, GSO_SIZE: 0, HEADER_LENGTH: 0, SEGMENTS: 1, DROP: 0 }

test('the words of a superpacket are taken from the packet, not from the hint', () => {
  for (const [index, { name, gso }] of flows.entries()) {
    const { packet, header, headerLength, csum } = good(index)
    for (const hint of [0, 20, headerLength, 60_000]) {
      read(frame({ ...header, headerLength: hint }, packet))
      checkRow({ ...superWords, GSO: gso, HEADER_LENGTH: headerLength, CSUM: csum }, name)
    }
  }
})

test('the ECN bit of TCP is accepted and left out of the row', () => {
  const { packet, header } = good(0)
  read(frame({ ...header, gso: 0x81 }, packet))
  checkRow({ ...superWords, GSO: 1 }, 'ECN')
  const other = good(2)
  read(frame({ ...other.header, gso: 0x85 }, other.packet))
  checkRow({ DROP: drop.malformedFrame }, 'ECN of UDP')
})

test('a superpacket of one segment is a lone packet', () => {
  for (const [index, { name }] of flows.entries()) {
    for (const payloadLength of [1, 999, 1000]) {
      const { packet, header, csum } = good(index, payloadLength)
      read(frame(header, packet))
      checkRow({ ...loneWords, CSUM: csum }, `${name} ${payloadLength}`)
    }
    const { packet, header } = good(index, 1001)
    read(frame(header, packet))
    checkRow({ ...superWords, SEGMENTS: 2 }, name)
  }
})

test('options and extension headers in front of the transport header', () => {
  const payload = pattern(2500)
  const options = new Uint8Array(8).fill(1)
  const csum = { flags: 1, gsoSize: 1000 }
  read(
    frame(
      { ...csum, gso: 1, csumStart: 28, csumOffset: 16 },
      ipv4({ options }, tcp({ options, payload })),
    ),
  )
  checkRow({ ...superWords, GSO: 1, HEADER_LENGTH: 28 + 28 }, 'options')
  const long = ipv6({ extensions: [extension(60)] }, udp({ payload }))
  read(frame({ ...csum, gso: 5, csumStart: 48, csumOffset: 6 }, long))
  checkRow({ ...superWords, GSO: 5, HEADER_LENGTH: 56 }, 'extension')
})

test('a lone packet keeps what is to be done with its checksum', () => {
  const { packet, csumStart, csumOffset, csum } = good(0, 100)
  read(frame({ flags: 1, csumStart, csumOffset }, packet))
  checkRow({ ...loneWords, CSUM: csum }, 'unfinished')
  read(frame({ flags: 2, csumStart, csumOffset }, packet)) // DATA_VALID
  checkRow({ ...loneWords, CSUM: 0 }, 'finished')
})

test('a header that does not fit its packet makes the frame malformed', () => {
  const [tcp4, tcp6, udp4, udp6] = [0, 1, 2, 3].map(index => good(index))
  const patched = (packet: Uint8Array, at: number, value: number) => {
    const copy = packet.slice()
    copy[at] = value
    return copy
  }
  const bad: Record<string, Uint8Array> = {
    'a short header': new Uint8Array(9),
    'no packet': frame({}, new Uint8Array(0)),
    'a packet shorter than an IP header': frame({}, new Uint8Array(19)),
    'a checksum behind the end': frame({ flags: 1, csumStart: 2500, csumOffset: 100 }, tcp4.packet),
    'a checksum far behind the end': frame(
      { flags: 1, csumStart: 65_535, csumOffset: 65_535 },
      tcp4.packet,
    ),
    'a checksum in the IP header': frame({ flags: 1, csumStart: 4, csumOffset: 6 }, tcp4.packet),
    'an unknown type': frame({ ...tcp4.header, gso: 2 }, tcp4.packet),
    UFO: frame({ ...udp4.header, gso: 3 }, udp4.packet),
    'a UDP tunnel': frame({ ...udp4.header, gso: 0x25 }, udp4.packet),
    'no checksum': frame({ ...tcp4.header, flags: 0 }, tcp4.packet),
    'segments of nothing': frame({ ...tcp4.header, gsoSize: 0 }, tcp4.packet),
    'IPv6 in TCPv4': frame({ ...tcp6.header, gso: 1 }, tcp6.packet),
    'IPv4 in TCPv6': frame({ ...tcp4.header, gso: 4 }, tcp4.packet),
    'no IP in UDP': frame(udp4.header, patched(udp4.packet, 0, 0x55)),
    'UDP in TCPv4': frame({ ...tcp4.header }, patched(tcp4.packet, 9, 17)),
    'TCP in UDPv4': frame({ ...udp4.header }, patched(udp4.packet, 9, 6)),
    'UDP in TCPv6': frame({ ...tcp6.header }, patched(tcp6.packet, 6, 17)),
    'TCP in UDPv6': frame({ ...udp6.header }, patched(udp6.packet, 6, 6)),
    'a fragment': frame(tcp4.header, patched(tcp4.packet, 6, 0x20)),
    'a later fragment': frame(tcp4.header, patched(tcp4.packet, 7, 1)),
    'another IHL': frame(tcp4.header, patched(tcp4.packet, 0, 0x46)),
    'a start that is not the end of the IPv6 header': frame(
      { ...tcp6.header, csumStart: 48 },
      tcp6.packet,
    ),
    'a checksum offset of UDP': frame({ ...tcp4.header, csumOffset: 6 }, tcp4.packet),
    'a checksum offset of TCP': frame({ ...udp4.header, csumOffset: 16 }, udp4.packet),
    'a TCP header that is too short': frame(tcp4.header, patched(tcp4.packet, 32, 0x40)),
    'a TCP header without data behind it': frame(tcp4.header, tcp4.packet.subarray(0, 40)),
    'a TCP header that is cut': frame(tcp4.header, tcp4.packet.subarray(0, 39)),
    'a UDP header without data behind it': frame(udp4.header, udp4.packet.subarray(0, 28)),
    'too many segments': frame({ ...tcp4.header, gsoSize: 2 }, tcp4.packet),
  }
  for (const [name, bytes] of Object.entries(bad)) {
    read(bytes)
    checkRow({ DROP: drop.malformedFrame, SEGMENTS: 1, GSO: 0 }, name)
  }
})

test('random frames never yield a row that does not fit its packet', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  for (let round = 0; round < rounds(5000); round++) {
    const { packet, header } = good(below(4), below(3000))
    const bytes = frame(header, packet.subarray(0, below(packet.length + 1)))
    for (let flips = below(4); flips > 0; flips--)
      bytes[below(Math.min(60, bytes.length))] = below(256)
    read(bytes)
    const row = (name: keyof RowWords) => getRow(memory, 0, name)
    if (row('DROP') !== 0) continue
    const start = row('CSUM') & 0xffff
    assert.ok(row('CSUM') === 0 || start + (row('CSUM') >>> 16) + 2 <= row('LENGTH'), `${seed}`)
    if (row('GSO') === 0) continue
    const payload = row('LENGTH') - row('HEADER_LENGTH')
    assert.ok(row('HEADER_LENGTH') >= start + 8 && row('CSUM') !== 0, `${seed}`)
    assert.equal(row('SEGMENTS'), Math.ceil(payload / row('GSO_SIZE')), `${seed}`)
  }
})

/** Writes row 0, which must succeed, and returns the frame. */
function write(words: RowWords): Uint8Array {
  setRow(memory, 0, words)
  assert.equal(native.writeTun(context, fd, 0, 1), 1)
  const bytes = new Uint8Array(70_000)
  return bytes.slice(0, readSync(fd, bytes))
}

test('a finished packet is written behind a header of zeros', () => {
  memory.slab.set(pattern(100), 640)
  assert.deepEqual(write({ OFFSET: 640, LENGTH: 100 }), frame({}, pattern(100)))
})

test('an unfinished packet and a superpacket are written with all words of the header', () => {
  memory.slab.set(pattern(5000), 640)
  const words = { OFFSET: 640, LENGTH: 5000, CSUM: 40 | (16 << 16) }
  const header = { flags: 1, csumStart: 40, csumOffset: 16 }
  assert.deepEqual(write(words), frame(header, pattern(5000)))
  const whole = { ...words, GSO: 4, GSO_SIZE: 1400, HEADER_LENGTH: 60 }
  const wholeHeader = { ...header, gso: 4, gsoSize: 1400, headerLength: 60 }
  assert.deepEqual(write(whole), frame(wholeHeader, pattern(5000)))
})

test('the pieces of a row are written one behind the other, as many as the kernel takes', () => {
  const small = createTestContext()
  // Room for more pieces than a writev may have: 1 024 with the header.
  const pieces = new Int32Array(2 * 1100)
  const wide = { ...small.memory, pieces }
  const number = native.createContext(wide)
  const text = pattern(1100)
  wide.slab.set(text, 0)
  for (let i = 0; i < 1100; i++) pieces.set([i, 1], i * 2)
  setRow(wide, 0, { LENGTH: 1023, PIECES: 3 | (1023 << 16) })
  setRow(wide, 1, { LENGTH: 1024, PIECES: 3 | (1024 << 16) })
  assert.equal(native.writeTun(number, fd, 0, 2), 1)
  assert.equal(getRow(wide, 1, 'DROP'), drop.tunWriteFailed)
  const bytes = new Uint8Array(2000)
  assert.equal(readSync(fd, bytes), 10 + 1023)
  assert.deepEqual(bytes.subarray(10, 1033), text.subarray(3, 1026))
})

test('numbers that point outside the slab or the pieces are refused', () => {
  const size = memory.slab.length
  memory.pieces.set([0, 100, size - 50, 100, -1, 10, 64, -10, 0x7fff_ffff, 0x7fff_ffff], 0)
  const bad: Record<string, RowWords> = {
    'an end behind the slab': { OFFSET: size - 50, LENGTH: 51 },
    'a negative offset': { OFFSET: -1, LENGTH: 20 },
    'no length': { OFFSET: 64, LENGTH: 0 },
    'a negative length': { OFFSET: 64, LENGTH: -1 },
    'numbers that overflow': { OFFSET: 0x7fff_ffff, LENGTH: 0x7fff_ffff },
    'a piece behind the slab': { LENGTH: 200, PIECES: 2 << 16 },
    'a piece before the slab': { LENGTH: 10, PIECES: 2 | (1 << 16) },
    'a piece of negative length': { LENGTH: -10, PIECES: 3 | (1 << 16) },
    'a piece that overflows': { LENGTH: -1, PIECES: 4 | (1 << 16) },
    'pieces behind the table': { LENGTH: 100, PIECES: 256 | (1 << 16) },
    'as many pieces as the word holds': { LENGTH: 100, PIECES: -1 },
    'another length than the pieces have': { LENGTH: 99, PIECES: 1 << 16 },
  }
  const column = noCable * COUNTER.WORDS + drop.tunWriteFailed
  for (const [name, words] of Object.entries(bad)) {
    const before = memory.counters[column]
    setRow(memory, 0, { ...words, CABLE: -1 })
    assert.equal(native.writeTun(context, fd, 0, 1), 0, name)
    assert.equal(getRow(memory, 0, 'DROP'), drop.tunWriteFailed, name)
    assert.equal(memory.counters[column], before + 1, name)
  }
})

test('only data is written', () => {
  setRow(memory, 0, { OFFSET: 64, LENGTH: 20, KIND: KIND.message })
  setRow(memory, 1, { OFFSET: 64, LENGTH: 0, KIND: KIND.keepalive })
  setRow(memory, 2, { OFFSET: 64, LENGTH: 20, DROP: -1 })
  assert.equal(native.writeTun(context, fd, 0, 3), 0)
  assert.deepEqual([getRow(memory, 0, 'DROP'), getRow(memory, 1, 'DROP')], [0, 0])
  assert.equal(native.readTun(context, fd, 0, 0), 0, 'nothing came out')
})
