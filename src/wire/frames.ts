// Frames of the data path's socket (docs/wire.md): a length, a type, a request id, a JSON head and
// a binary trailer. The head says what there is; bytes (keys, datagrams) lie in the trailer, and
// the head refers to them as [offset, length], so that no key ever becomes a string.
//
//    0        4      5        8            12            16          16+h         4+length
//    +--------+------+--------+------------+-------------+-----------+------------+
//    | length | type | 0 0 0  | request id | head length | head JSON | trailer    |
//    +--------+------+--------+------------+-------------+-----------+------------+
//
// All numbers are little-endian; `length` counts what follows it. A reader wipes every byte once it
// was handed out: a frame may have held private keys, and the frame's owner wipes its own copy.

import { GatewayError } from '../net/errors.ts'

/** Types of frames. Requests go to the data path, the others come from it. */
export const frameType = {
  hello: 1,
  apply: 2,
  readTables: 3,
  status: 4,
  subscribe: 5,
  sendForeign: 6,
  capture: 7,
  endCapture: 8,
  /** The answer to the request with this id. */
  ok: 0x80,
  /** The request with this id failed; with id 0 the connection did, and ends. */
  error: 0x81,
  /** A datagram that is no cable packet, to those who subscribed. Its id is 0. */
  foreign: 0x82,
  /** Captured packets, to those who asked for a capture. Its id is 0. */
  captured: 0x83,
} as const

/** More than the largest legal snapshot takes (16 384 cables, 130 560 prefixes: about 12 MB). */
export const frameBytesMax = 64 * 1024 * 1024

/** Parsed JSON takes up to forty times its size: 16 MiB of nothing but brackets are 700 MB. */
export const headBytesMax = 16 * 1024 * 1024

/** Before a hello nobody needs more. */
export const helloBytesMax = 4096

const HEADER_BYTES = 16

const smallBufferBytes = 16 * 1024

/** What a frame carries. */
export interface Body {
  readonly head: unknown
  readonly trailer: Uint8Array
}

export interface Frame {
  readonly type: number
  readonly id: number
  readonly head: Uint8Array
  readonly trailer: Uint8Array
  /** All bytes of the frame: head and trailer lie in it. Wipe it when done. */
  readonly bytes: Uint8Array
}

/** Throws EMSGSIZE when the frame is larger than any reader takes. */
export function encodeFrame(type: number, id: number, body: Body): Uint8Array {
  const head = new TextEncoder().encode(JSON.stringify(body.head))
  const size = HEADER_BYTES + head.length + body.trailer.length
  if (size > frameBytesMax) throw tooLarge('frame', size, frameBytesMax)
  if (head.length > headBytesMax) throw tooLarge('head', head.length, headBytesMax)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, size - 4, true)
  view.setUint8(4, type)
  view.setUint32(8, id, true)
  view.setUint32(12, head.length, true)
  bytes.set(head, HEADER_BYTES)
  bytes.set(body.trailer, HEADER_BYTES + head.length)
  return bytes
}

/** Parses a frame's head. Throws EPROTO when it is not JSON in UTF-8. */
export function parseHead(frame: Frame): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(frame.head))
  } catch (cause) {
    throw new GatewayError('EPROTO', 'the head of the frame is not JSON in UTF-8', { cause })
  }
}

/** Cuts a byte stream into frames. Memory grows with what arrives, not with what is announced. */
export class FrameReader {
  #buffer = new Uint8Array(smallBufferBytes)
  #start = 0
  #end = 0
  maxBytes: number

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Bytes that wait for the rest of their frame. */
  get pendingBytes(): number {
    return this.#end - this.#start
  }

  /** Takes bytes over and wipes the chunk. */
  push(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#buffer.length) this.#makeRoom(chunk.length)
    this.#buffer.set(chunk, this.#end)
    this.#end += chunk.length
    chunk.fill(0)
  }

  /** The next whole frame, or undefined. Throws EMSGSIZE or EPROTO: the stream is then lost. */
  next(): Frame | undefined {
    if (this.pendingBytes < 4) return undefined
    const view = new DataView(this.#buffer.buffer, this.#start, this.pendingBytes)
    const size = 4 + view.getUint32(0, true)
    if (size > this.maxBytes) throw tooLarge('frame', size, this.maxBytes)
    if (size < HEADER_BYTES)
      throw new GatewayError('EPROTO', `a frame of ${size} bytes is shorter than its header`)
    if (this.pendingBytes < HEADER_BYTES) return undefined
    const headBytes = view.getUint32(12, true)
    if (headBytes > headBytesMax) throw tooLarge('head', headBytes, headBytesMax)
    if (headBytes > size - HEADER_BYTES)
      throw new GatewayError('EPROTO', `a head of ${headBytes} bytes in a frame of ${size}`)
    if (this.pendingBytes < size) return undefined
    const bytes = this.#buffer.slice(this.#start, this.#start + size)
    const frame: Frame = {
      type: view.getUint8(4),
      id: view.getUint32(8, true),
      head: bytes.subarray(HEADER_BYTES, HEADER_BYTES + headBytes),
      trailer: bytes.subarray(HEADER_BYTES + headBytes),
      bytes,
    }
    this.#consume(size)
    return frame
  }

  /** Forgets and zeroes what is left. */
  wipe(): void {
    this.#buffer.fill(0)
    this.#start = 0
    this.#end = 0
  }

  #consume(size: number): void {
    this.#buffer.fill(0, this.#start, this.#start + size)
    this.#start += size
    if (this.#start < this.#end) return
    this.#start = 0
    this.#end = 0
    // A large snapshot comes once in a while: do not keep its room.
    if (this.#buffer.length > smallBufferBytes) this.#buffer = new Uint8Array(smallBufferBytes)
  }

  #makeRoom(more: number): void {
    const kept = this.pendingBytes
    const old = this.#buffer
    const fits = kept + more <= old.length
    const target = fits ? old : new Uint8Array(Math.max(2 * old.length, kept + more))
    if (fits) {
      old.copyWithin(0, this.#start, this.#end)
      old.fill(0, kept)
    } else {
      target.set(old.subarray(this.#start, this.#end))
      old.fill(0)
    }
    this.#buffer = target
    this.#start = 0
    this.#end = kept
  }
}

function tooLarge(what: string, size: number, most: number): GatewayError {
  return new GatewayError('EMSGSIZE', `a ${what} of ${size} bytes; at most ${most} are taken`)
}
