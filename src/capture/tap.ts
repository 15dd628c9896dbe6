// The tap of a worker: shows rows and trains to the captures that run. It looks on and decides
// nothing. With no capture `isOn` is false, and that is all that the path looks at, once for a batch.
//
//   rows      of a batch, behind the verdicts and in front of what changes them (seal, writeTun)
//   sent      trains, behind seal
//   keep      trains as they came: copied before `open` decrypts them in place
//   received  the same behind the verdicts, with the reason for which a datagram went no further
//   secret    the ephemeral key of a handshake, in front of the messages that are made with it
//
// A record is written for each row and train that a capture wants; when its ring is full the packets
// are counted. The path never waits. Instants are the wall clock of each call, a nanosecond further
// for each record, so that the order of a worker's records is the order of their instants. Both workers
// add the same offset to the monotonic clock: what one does because of the other comes behind it.

import type { ContextMemory } from '../native.ts'
import { DROPPED_BITS, KIND, ROW, ROW_BYTES, TRAIN } from '../packet/batch.ts'
import { PacketView } from '../packet/packet-view.ts'
import { noCable } from '../tables/counters.ts'
import { CABLE, REMOTE, type SharedMemory, SLOT } from '../tables/shared.ts'
import type { Filter } from './filter.ts'
import { asksForDrop, createMatcher, type Matcher, type Subject } from './matcher.ts'
import { writeOuterHeader } from './outer-header.ts'
import { RECORD, stage } from './record.ts'
import { type Ring, RingWriter } from './ring.ts'

/** One capture, as a worker is told of it. Plain data. */
export interface TapSpec {
  readonly ring: Ring
  /** With the indices of its cables. */
  readonly filter: Filter | undefined
  readonly cables: readonly number[] | undefined
  /** Cables whose remotes tell whose a handshake message is; too many are not looked through. */
  readonly remotes: readonly number[]
  readonly snaplenBytes: number
  readonly whole: boolean
  readonly inner: boolean
  readonly wire: boolean
  readonly keys: boolean
}

/** All captures that run, and what all of them need. Plain data. */
export interface TapOrder {
  readonly specs: readonly TapSpec[]
  /** The local port of a socket by its descriptor. */
  readonly ports: ReadonlyMap<number, number>
  /** Wall clock minus monotonic clock, shared; the reader keeps it right. */
  readonly wallOffsetMs: Float64Array
}

interface Running {
  readonly spec: TapSpec
  readonly ring: RingWriter
  readonly matches: Matcher | undefined
  readonly cables: ReadonlySet<number> | undefined
  /** Its filter asks for a drop reason, which a train has only behind `open`. */
  readonly asksForDrop: boolean
}

export interface TapParts {
  readonly memory: SharedMemory
  readonly monotonicMs: () => number
  /** The key slot of a receiver index, or -1. */
  readonly slotOfIndex: (index: number) => number
}

export class Tap {
  isOn = false
  /** Whether a capture wants the ephemeral keys of handshakes. */
  wantsSecrets = false
  readonly #parts: TapParts
  readonly #slots: Uint32Array
  readonly #remotes: Int32Array
  /** A header that was made up, in room for the largest packet, so that it can be decoded. */
  readonly #outer = new Uint8Array(ROW_BYTES + 64)
  /** Received trains as they came, at their offsets in the slab. */
  #kept = new Uint8Array(0)
  /** By train of this breath: 1 where it was copied. */
  readonly #isKept = new Uint8Array(trainsMost)
  #wantsWire = false
  readonly #subject: Subject
  #running: readonly Running[] = []
  #ports: ReadonlyMap<number, number> = new Map()
  #wallOffsetMs: Float64Array = new Float64Array(1)
  #seconds = 0
  #nanos = 0

  constructor(parts: TapParts) {
    this.#parts = parts
    this.#slots = new Uint32Array(parts.memory.slots.buffer)
    this.#remotes = new Int32Array(parts.memory.remotes.buffer)
    const packet = new PacketView(this.#outer)
    const none = { isPacket: false, isWire: false, isOutbound: false, cable: -1, drop: 0 }
    this.#subject = { packet, ...none }
  }

  /** From now on these captures run. */
  use({ specs, ports, wallOffsetMs }: TapOrder): void {
    this.#running = specs.map(spec => ({
      spec,
      ring: new RingWriter(spec.ring),
      matches: spec.filter && createMatcher(spec.filter),
      cables: spec.cables && new Set(spec.cables),
      asksForDrop: spec.filter !== undefined && asksForDrop(spec.filter),
    }))
    this.#ports = ports
    this.#wallOffsetMs = wallOffsetMs
    this.isOn = specs.length > 0
    this.wantsSecrets = specs.some(({ keys }) => keys)
    this.#wantsWire = specs.some(({ wire }) => wire)
    if (!this.#wantsWire) this.#kept = new Uint8Array(0)
  }

  /** Rows [0, count) of packets. `isOutbound`: they are on their way to the network. */
  rows(batch: ContextMemory, count: number, isOutbound: boolean): void {
    const subject = this.#begin(batch.slab, false, isOutbound)
    const { rows } = batch
    for (let base = 0; base < count * ROW.WORDS; base += ROW.WORDS) {
      if (rows[base + ROW.KIND] !== KIND.data || rows[base + ROW.LENGTH] <= 0) continue
      subject.cable = rows[base + ROW.CABLE]
      subject.drop = Math.max(0, rows[base + ROW.DROP])
      subject.isPacket = subject.packet.decode(rows[base + ROW.OFFSET], rows[base + ROW.LENGTH])
      for (const running of this.#running) {
        if (running.spec.inner && wants(running, subject)) this.#addRow(running, batch, base)
      }
    }
  }

  /** Trains [0, count), which lie in `slab` and are about to be sent. */
  sent(slab: Uint8Array, trains: Int32Array, count: number): void {
    const subject = this.#begin(this.#outer, true, true)
    subject.drop = 0
    for (let at = 0; at < count * TRAIN.WORDS; at += TRAIN.WORDS) {
      const length = trains[at + TRAIN.LENGTH]
      if (length <= 0) continue
      subject.cable = trains[at + TRAIN.CABLE]
      this.#showTrain(slab, trains, at, this.#outerHeader(trains, at), 0, length)
    }
  }

  /**
   * Copies those of trains [0, count) that a capture may want, as they came, before `open` decrypts
   * them in place. What goes no further is marked in them from here on; then `received` shows them, with
   * the instant of now.
   */
  keep(slab: Uint8Array, trains: Int32Array, count: number): void {
    if (!this.#wantsWire) return
    const subject = this.#begin(this.#outer, true, false)
    subject.drop = 0
    if (this.#kept.length < slab.length) this.#kept = new Uint8Array(slab.length)
    for (let train = 0; train < count; train++) {
      const at = train * TRAIN.WORDS
      const isKept = trains[at + TRAIN.LENGTH] > 0 && this.#mayWant(slab, trains, at)
      this.#isKept[train] = isKept ? 1 : 0
      if (!isKept) continue
      const offset = trains[at + TRAIN.OFFSET]
      this.#kept.set(slab.subarray(offset, offset + trains[at + TRAIN.LENGTH]), offset)
      trains.fill(0, at + TRAIN.DROP, at + TRAIN.DROPPED + DROPPED_BITS / 32)
    }
  }

  /** Marks a datagram of a train, as `open` does: the one that `offset` lies in. */
  dropped(trains: Int32Array, at: number, offset: number, reason: number): void {
    if (trains[at + TRAIN.DROP] === 0) trains[at + TRAIN.DROP] = reason
    const index = Math.floor((offset - trains[at + TRAIN.OFFSET]) / datagramBytes(trains, at))
    if (trains[at + TRAIN.DROP] !== reason || index >= DROPPED_BITS) return
    trains[at + TRAIN.DROPPED + (index >> 5)] |= 1 << (index & 31)
  }

  /** Trains [0, count) that were kept: each run of datagrams that fared alike is a record. */
  received(trains: Int32Array, count: number): void {
    if (!this.#wantsWire) return
    const slab = this.#kept
    const subject = this.#about(this.#outer, true, false)
    for (let train = 0; train < count; train++) {
      if (this.#isKept[train] === 0) continue
      const at = train * TRAIN.WORDS
      const length = trains[at + TRAIN.LENGTH]
      subject.cable = this.#cableOf(slab, trains, at)
      const headerBytes = this.#outerHeader(trains, at)
      const size = datagramBytes(trains, at)
      for (let from = 0, end = 0; from < length; from = end) {
        const isDropped = wasDropped(trains, at, from / size)
        do end = Math.min(length, end + size)
        while (end < length && wasDropped(trains, at, end / size) === isDropped)
        subject.drop = isDropped ? trains[at + TRAIN.DROP] : 0
        this.#showTrain(slab, trains, at, headerBytes, from, end)
      }
    }
  }

  /** Whether some capture wants a received train, or may when it is known how it fared. */
  #mayWant(slab: Uint8Array, trains: Int32Array, at: number): boolean {
    const subject = this.#subject
    subject.cable = this.#cableOf(slab, trains, at)
    this.#outerHeader(trains, at)
    for (const running of this.#running) {
      if (!running.spec.wire) continue
      if (running.asksForDrop || wants(running, subject)) return true
    }
    return false
  }

  /** The ephemeral private key of a handshake that begins or is answered. */
  secret(cable: number, key: Uint8Array): void {
    const subject = this.#begin(this.#outer, false, true)
    subject.cable = cable
    for (const { spec, ring, cables } of this.#running) {
      if (!spec.keys || (cables !== undefined && !cables.has(cable))) continue
      const word = ring.reserve(key.length)
      if (word < 0) ring.lose(cable, stage.secret, 1)
      else {
        this.#fill(ring.words, word, stage.secret, key.length)
        ring.bytes.set(key, word * 4 + RECORD.BYTES)
        ring.commit()
      }
    }
  }

  #begin(slab: Uint8Array, isWire: boolean, isOutbound: boolean): Subject {
    this.#tick()
    return this.#about(slab, isWire, isOutbound)
  }

  #tick(): void {
    const nowMs = this.#parts.monotonicMs() + this.#wallOffsetMs[0]
    const seconds = Math.floor(nowMs / 1000)
    const nanos = Math.round((nowMs - seconds * 1000) * 1e6)
    // Never back behind what was told already, which may be some nanoseconds ahead.
    if (seconds > this.#seconds || (seconds === this.#seconds && nanos > this.#nanos)) {
      this.#seconds = seconds
      this.#nanos = nanos
    }
  }

  #about(slab: Uint8Array, isWire: boolean, isOutbound: boolean): Subject {
    const subject = this.#subject
    subject.packet.slab = slab
    subject.isWire = isWire
    subject.isOutbound = isOutbound
    return subject
  }

  #addRow({ spec, ring }: Running, batch: ContextMemory, base: number): void {
    const { rows } = batch
    const length = rows[base + ROW.LENGTH]
    const isCut = !spec.whole && isSuperpacket(rows, base)
    const segments = isCut ? rows[base + ROW.SEGMENTS] : 1
    const header = isCut ? rows[base + ROW.HEADER_LENGTH] : 0
    const size = isCut ? rows[base + ROW.GSO_SIZE] : length
    const kept = Math.min(size, Math.max(0, spec.snaplenBytes - header))
    const last = length - header - (segments - 1) * size
    const stored = header + (segments - 1) * kept + Math.min(kept, last)
    const word = ring.reserve(stored)
    if (word < 0) {
      ring.lose(this.#row(), stage.inner, segments)
      return
    }
    const { words } = ring
    this.#fill(words, word, stage.inner, length)
    words[word + RECORD.HEADER] = header
    words[word + RECORD.SIZE] = size
    words[word + RECORD.SEGMENTS] = segments
    words[word + RECORD.KEPT] = kept
    words[word + RECORD.CSUM] = rows[base + ROW.CSUM]
    let to = word * 4 + RECORD.BYTES
    if (kept === size) copyRow(batch, base, 0, length, ring.bytes, to)
    else {
      copyRow(batch, base, 0, header, ring.bytes, to)
      to += header
      for (let from = header; from < length; from += size) {
        const bytes = Math.min(kept, length - from)
        copyRow(batch, base, from, bytes, ring.bytes, to)
        to += bytes
      }
    }
    ring.commit()
  }

  /** Writes the outer header of a train and decodes it; returns its length. */
  #outerHeader(trains: Int32Array, at: number): number {
    const subject = this.#subject
    const port = this.#ports.get(trains[at + TRAIN.FD]) ?? 0
    const headerBytes = writeOuterHeader(trains, at, port, subject.isOutbound, this.#outer)
    subject.isPacket = subject.packet.decode(0, headerBytes + trains[at + TRAIN.LENGTH])
    return headerBytes
  }

  /** Bytes [from, end) of a train: whole datagrams of it. */
  #showTrain(
    slab: Uint8Array,
    trains: Int32Array,
    at: number,
    headerBytes: number,
    from: number,
    end: number,
  ): void {
    const offset = trains[at + TRAIN.OFFSET] + from
    const size = Math.min(end - from, datagramBytes(trains, at))
    for (const running of this.#running) {
      if (!running.spec.wire || !wants(running, this.#subject)) continue
      this.#addTrain(running, slab, offset, end - from, size, headerBytes)
    }
  }

  #addTrain(
    { spec, ring }: Running,
    slab: Uint8Array,
    offset: number,
    length: number,
    size: number,
    headerBytes: number,
  ): void {
    const datagrams = Math.ceil(length / size)
    const kept = Math.min(size, Math.max(0, spec.snaplenBytes - headerBytes))
    const last = length - (datagrams - 1) * size
    const stored = headerBytes + (datagrams - 1) * kept + Math.min(kept, last)
    const word = ring.reserve(stored)
    if (word < 0) {
      ring.lose(this.#row(), stage.wire, datagrams)
      return
    }
    const { words, bytes } = ring
    this.#fill(words, word, stage.wire, headerBytes + length)
    words[word + RECORD.HEADER] = headerBytes
    words[word + RECORD.SIZE] = size
    words[word + RECORD.SEGMENTS] = datagrams
    words[word + RECORD.KEPT] = kept
    words[word + RECORD.CSUM] = 0
    let to = word * 4 + RECORD.BYTES
    bytes.set(this.#outer.subarray(0, headerBytes), to)
    to += headerBytes
    if (kept === size) bytes.set(slab.subarray(offset, offset + length), to)
    else {
      for (let from = 0; from < length; from += size) {
        const part = Math.min(kept, length - from)
        bytes.set(slab.subarray(offset + from, offset + from + part), to)
        to += part
      }
    }
    ring.commit()
  }

  /** The words that all records have. LENGTH and STORED stand there already. */
  #fill(words: Int32Array, word: number, stageCode: number, whole: number): void {
    const { isOutbound, drop } = this.#subject
    if (++this.#nanos >= 1e9) {
      this.#nanos -= 1e9
      this.#seconds++
    }
    words[word + RECORD.STAGE] = stageCode
    words[word + RECORD.OUTBOUND] = isOutbound ? 1 : 0
    words[word + RECORD.SECONDS] = this.#seconds
    words[word + RECORD.NANOS] = this.#nanos
    words[word + RECORD.CABLE] = this.#row()
    words[word + RECORD.WHOLE] = whole
    words[word + RECORD.DROP] = drop
    words[word + RECORD.DROP + 1] = 0
    words[word + RECORD.DROP + 2] = 0
  }

  /** The cable as a row of counters. */
  #row(): number {
    const { cable } = this.#subject
    return cable < 0 ? noCable : cable
  }

  /** Whose a received train is: its slot tells, its receiver index, or else who sent it. */
  #cableOf(slab: Uint8Array, trains: Int32Array, at: number): number {
    const slot = trains[at + TRAIN.SLOT]
    if (slot >= 0) return this.#slots[(slot * SLOT.BYTES + SLOT.CABLE) >> 2]
    const offset = trains[at + TRAIN.OFFSET]
    if (trains[at + TRAIN.LENGTH] >= 16 && slab[offset] === messageData) {
      const index = read32Little(slab, offset + 4)
      const found = this.#parts.slotOfIndex(index)
      if (found >= 0) return this.#slots[(found * SLOT.BYTES + SLOT.CABLE) >> 2]
    }
    const { cables } = this.#parts.memory
    for (const { spec } of this.#running) {
      for (const cable of spec.remotes) {
        const remote = Atomics.load(cables, cable * CABLE.WORDS + CABLE.REMOTE)
        if (remote >= 0 && this.#isFrom(remote, trains, at + TRAIN.REMOTE)) return cable
      }
    }
    return -1
  }

  /** Family, port and address of a remote, wherever on our side it was heard. */
  #isFrom(remote: number, words: Int32Array, word: number): boolean {
    const own = (remote * REMOTE.BYTES) >> 2
    for (let i = 0; i < REMOTE.SOURCE >> 2; i++) {
      if (i !== REMOTE.SCOPE >> 2 && this.#remotes[own + i] !== words[word + i]) return false
    }
    return true
  }
}

/** Bytes of each datagram of a train, at most. */
function datagramBytes(trains: Int32Array, at: number): number {
  return Math.max(1, Math.min(trains[at + TRAIN.LENGTH], trains[at + TRAIN.SEGMENT_SIZE]))
}

function wasDropped(trains: Int32Array, at: number, index: number): boolean {
  if (index >= DROPPED_BITS) return false
  return ((trains[at + TRAIN.DROPPED + (index >> 5)] >>> (index & 31)) & 1) !== 0
}

/** Trains that one receive may take (native kMaxTrains). */
const trainsMost = 16

/** First byte of a data message. */
const messageData = 4

function wants({ cables, matches }: Running, subject: Subject): boolean {
  if (cables !== undefined && !cables.has(subject.cable)) return false
  return matches === undefined || matches(subject)
}

/** Whether the words of a superpacket fit each other: a malformed frame's may not. */
function isSuperpacket(rows: Int32Array, base: number): boolean {
  if (rows[base + ROW.GSO] === 0) return false
  const header = rows[base + ROW.HEADER_LENGTH]
  const size = rows[base + ROW.GSO_SIZE]
  const payload = rows[base + ROW.LENGTH] - header
  const segments = rows[base + ROW.SEGMENTS]
  return header >= 28 && size > 0 && payload > (segments - 1) * size && payload <= segments * size
}

/** Bytes [from, from + length) of a row, which may lie in several pieces. */
function copyRow(
  { slab, rows, pieces }: ContextMemory,
  base: number,
  from: number,
  length: number,
  to: Uint8Array,
  toAt: number,
): void {
  const word = rows[base + ROW.PIECES]
  if (word >>> 16 === 0) {
    const start = rows[base + ROW.OFFSET] + from
    to.set(slab.subarray(start, start + length), toAt)
    return
  }
  let skip = from
  let left = length
  const end = (word & 0xffff) + (word >>> 16)
  for (let piece = word & 0xffff; piece < end && left > 0; piece++) {
    const bytes = pieces[piece * 2 + 1]
    if (skip < bytes) {
      const start = pieces[piece * 2] + skip
      const part = Math.min(left, bytes - skip)
      to.set(slab.subarray(start, start + part), toAt + length - left)
      left -= part
      skip = 0
    } else skip -= bytes
  }
}

function read32Little(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
}
