// One client of the data path's socket, as the server sees it: says hello, asks, is answered. The
// client may send anything; the worst that it reaches is the end of its own connection, with a
// reason (an error frame with id 0). What it does not read is bounded: requests are read only while
// few are unanswered and few bytes wait to be sent, and datagrams pushed to it are dropped instead
// of queued, and counted.

import type { Socket } from 'node:net'
import type { Remote } from '../net/address.ts'
import { GatewayError } from '../net/errors.ts'
import type { CaptureReader, CaptureRequest } from '../tables/capture.ts'
import type { DatapathStatus, ForeignDatagram } from '../tables/status.ts'
import type { Tables } from '../tables/tables.ts'
import { decodeCaptureRequest, encodeCaptureBlock } from './capture.ts'
import {
  agreeVersion,
  decodeSend,
  decodeVersions,
  decodeWantsKeys,
  encodeError,
  encodeForeign,
  plainBody,
  protocol,
} from './codec.ts'
import {
  type Body,
  encodeFrame,
  type Frame,
  FrameReader,
  frameBytesMax,
  frameType,
  helloBytesMax,
  parseHead,
} from './frames.ts'
import { encodeStatus } from './status.ts'
import { decodeTables, encodeTables, wipeTables } from './tables.ts'

/** What a connection may ask of the data path. */
export interface ConnectionTarget {
  readonly interfaceName: string
  readonly tables: Tables
  apply(tables: Tables): Promise<void>
  status(): DatapathStatus
  sendForeign(to: Remote, bytes: Uint8Array): boolean
  startCapture(request: CaptureRequest): Promise<CaptureReader>
}

/** Limits of one connection. */
export const connectionLimits = {
  /** A client that does not say hello by then makes room for others. */
  helloMs: 5000,
  /** Snapshots that are read before earlier ones were answered. */
  unansweredRequests: 64,
  /** Answers that wait to be read by the client before its next request is. */
  unsentBytes: 1024 * 1024,
  /** Pushed datagrams that wait to be read by the client; more are dropped. */
  unsentPushedBytes: 256 * 1024,
  /** Datagrams pushed to one subscriber: at most so many in a second, after a burst. */
  pushesPerSecond: 1000,
  pushBurst: 256,
  /** Captured packets that wait to be read by the client; no more are taken before it has. */
  unsentCapturedBytes: 4 * 1024 * 1024,
  /** Of one worker, in one frame. */
  captureBlockBytes: 1024 * 1024,
  /** How often a capture without packets is looked at. */
  captureIdleMs: 10,
  /** How long a client may take to read the last bytes, once its connection ends. */
  farewellMs: 2000,
} as const

export class Connection {
  readonly #socket: Socket
  readonly #target: ConnectionTarget
  readonly #log: (line: string) => void
  readonly #reader = new FrameReader(helloBytesMax)
  readonly #helloTimer: NodeJS.Timeout
  #greeted = false
  #version = protocol.newest
  #unanswered = 0
  #unansweredBytes = 0
  #inputEnded = false
  #ended = false
  #subscribed = false
  #missed = 0
  #capture: CaptureReader | 'starting' | undefined
  /** Set when a capture ends: called once nothing is left of it. */
  #whenRead: (() => void) | undefined
  #captureTimer: NodeJS.Timeout | undefined
  #pushTokens: number = connectionLimits.pushBurst
  #pushTokensAtMs = 0

  constructor(socket: Socket, target: ConnectionTarget, log: (line: string) => void) {
    this.#socket = socket
    this.#target = target
    this.#log = log
    const late = new GatewayError('ETIMEDOUT', 'no hello within five seconds')
    this.#helloTimer = setTimeout(() => this.refuse(late), connectionLimits.helloMs)
    this.#helloTimer.unref()
    socket.on('data', chunk => this.#take(chunk))
    socket.on('drain', () => this.#pump())
    socket.on('end', () => {
      this.#inputEnded = true
      this.#pump()
    })
    // ECONNRESET and EPIPE: the client is gone. `close` follows.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(this.#helloTimer)
      this.#ended = true
      this.#reader.wipe()
      this.#stopCapture()
    })
  }

  /** False once the connection is only waiting for the client to hang up. */
  get isServed(): boolean {
    return !this.#ended
  }

  /** Ends the connection, telling the client why. */
  refuse(error: GatewayError): void {
    if (this.#ended) return
    this.#log(`client cut off: ${error.code}: ${error.message}`)
    this.#hangUp(encodeFrame(frameType.error, 0, encodeError(error)))
  }

  /** Hands a datagram to a subscriber: at once, or not at all. False: this client is none. */
  push(datagram: ForeignDatagram, nowMs: number): boolean {
    if (!this.#subscribed || this.#ended) return false
    const { pushBurst, pushesPerSecond, unsentPushedBytes } = connectionLimits
    const earned = ((nowMs - this.#pushTokensAtMs) * pushesPerSecond) / 1000
    this.#pushTokens = Math.min(pushBurst, this.#pushTokens + earned)
    this.#pushTokensAtMs = nowMs
    if (this.#pushTokens < 1 || this.#socket.writableLength > unsentPushedBytes) {
      this.#missed++
      return true
    }
    this.#pushTokens--
    const frame = encodeFrame(frameType.foreign, 0, encodeForeign(datagram, this.#missed))
    this.#socket.write(frame)
    return true
  }

  #take(chunk: Uint8Array): void {
    if (!this.#ended) this.#reader.push(chunk)
    this.#pump()
  }

  /** Serves what has arrived, as far as the limits allow. Runs again when something gives way. */
  #pump(): void {
    while (!this.#ended && !this.#isFull()) {
      const frame = this.#nextFrame()
      if (frame === undefined) break
      this.#serve(frame)
    }
    if (this.#ended || !this.#isFull()) this.#socket.resume()
    else this.#socket.pause()
    if (this.#inputEnded && !this.#ended && !this.#isFull()) this.#finish()
  }

  #isFull(): boolean {
    return (
      this.#unanswered >= connectionLimits.unansweredRequests ||
      this.#unansweredBytes > frameBytesMax ||
      this.#socket.writableLength > connectionLimits.unsentBytes
    )
  }

  #nextFrame(): Frame | undefined {
    try {
      return this.#reader.next()
    } catch (error) {
      this.refuse(asGatewayError(error))
      return undefined
    }
  }

  /** The client has said its last: answer what it asked, then close. */
  #finish(): void {
    if (this.#reader.pendingBytes > 0)
      this.refuse(new GatewayError('EPROTO', 'the connection ended inside a frame'))
    else if (this.#unanswered === 0) this.#hangUp(new Uint8Array(0))
  }

  /**
   * Nothing is taken from here on. The client has some time to read what is under way: its side
   * closes then. Closing first would fail its next write, and it would never see the reason.
   */
  #hangUp(lastBytes: Uint8Array): void {
    const socket = this.#socket
    this.#ended = true
    this.#reader.wipe()
    this.#stopCapture()
    const timer = setTimeout(() => socket.destroy(), connectionLimits.farewellMs)
    timer.unref()
    socket.on('close', () => clearTimeout(timer))
    socket.resume()
    socket.end(lastBytes)
  }

  #serve(frame: Frame): void {
    let body: Body
    try {
      body = { head: parseHead(frame), trailer: frame.trailer }
      if (!this.#greeted) {
        this.#greet(frame, body)
        return
      }
    } catch (error) {
      this.refuse(asGatewayError(error))
      return
    }
    try {
      const answer = this.#answer(frame, body)
      if (answer) this.#send(frameType.ok, frame.id, answer)
    } catch (error) {
      this.#fail(frame, error)
    }
  }

  #greet(frame: Frame, body: Body): void {
    if (frame.type !== frameType.hello)
      throw new GatewayError('EPROTO', `a frame of type ${frame.type} before the hello`)
    const version = agreeVersion(protocol, decodeVersions(body))
    this.#version = version
    clearTimeout(this.#helloTimer)
    this.#greeted = true
    this.#reader.maxBytes = frameBytesMax
    const { interfaceName } = this.#target
    this.#send(frameType.ok, frame.id, plainBody({ version, interfaceName }))
  }

  /** The answer, unless it comes later. */
  #answer(frame: Frame, body: Body): Body | undefined {
    const target = this.#target
    switch (frame.type) {
      case frameType.apply:
        this.#apply(frame, body)
        return undefined
      case frameType.readTables:
        return encodeTables(target.tables, decodeWantsKeys(body), this.#version)
      case frameType.status:
        return encodeStatus(target.status())
      case frameType.subscribe:
        this.#subscribed = true
        return plainBody({})
      case frameType.capture:
        this.#startCapture(frame, decodeCaptureRequest(body))
        return undefined
      case frameType.endCapture:
        this.#endCapture(frame)
        return undefined
      case frameType.sendForeign: {
        const { to, bytes } = decodeSend(body)
        return plainBody({ sent: target.sendForeign(to, bytes) })
      }
      default:
        throw new GatewayError('ENOSYS', `no request has the type ${frame.type}`)
    }
  }

  #apply(frame: Frame, body: Body): void {
    const tables = decodeTables(body)
    const frameBytes = frame.bytes.length
    frame.bytes.fill(0)
    this.#unanswered++
    this.#unansweredBytes += frameBytes
    const answered = () => {
      this.#unanswered--
      this.#unansweredBytes -= frameBytes
      this.#pump()
    }
    this.#target.apply(tables).then(
      () => {
        this.#send(frameType.ok, frame.id, plainBody({}))
        answered()
      },
      (error: unknown) => {
        wipeTables(tables)
        this.#fail(frame, error)
        answered()
      },
    )
  }

  #startCapture(frame: Frame, request: CaptureRequest): void {
    if (this.#capture !== undefined)
      throw new GatewayError('EBUSY', 'this connection has a capture already')
    this.#capture = 'starting'
    this.#unanswered++
    const answered = () => {
      this.#unanswered--
      this.#pump()
    }
    this.#target.startCapture(request).then(
      reader => {
        this.#capture = reader
        // The client may have gone meanwhile.
        if (this.#ended) this.#stopCapture()
        else {
          this.#send(frameType.ok, frame.id, plainBody({}))
          this.#pushCaptured(reader, request.keys)
        }
        answered()
      },
      (error: unknown) => {
        this.#capture = undefined
        this.#fail(frame, error)
        answered()
      },
    )
  }

  /** Takes what was captured as fast as the client reads; what it does not, the capture loses. */
  #pushCaptured(reader: CaptureReader, isSecret: boolean): void {
    const { unsentCapturedBytes, captureBlockBytes, captureIdleMs } = connectionLimits
    const again = (ms: number) => {
      const push = () => this.#pushCaptured(reader, isSecret)
      if (this.#capture !== reader) return
      if (ms === 0) setImmediate(push)
      else this.#captureTimer = setTimeout(push, ms)
    }
    if (this.#capture !== reader) return
    if (this.#socket.writableLength > unsentCapturedBytes) {
      again(captureIdleMs)
      return
    }
    reader.read(captureBlockBytes).then(
      block => {
        if (this.#ended || block === undefined) {
          this.#whenRead?.()
          again(captureIdleMs)
          return
        }
        const bytes = encodeFrame(frameType.captured, 0, encodeCaptureBlock(block))
        this.#socket.write(bytes, () => isSecret && bytes.fill(0))
        again(0)
      },
      (error: unknown) => this.refuse(asGatewayError(error)),
    )
  }

  /** Answered when all that was captured until now has been pushed. */
  #endCapture(frame: Frame): void {
    const reader = this.#capture
    if (reader === undefined || reader === 'starting')
      throw new GatewayError('ENOENT', 'this connection has no capture')
    this.#unanswered++
    void reader.stop().then(() => {
      this.#whenRead = () => {
        this.#stopCapture()
        this.#send(frameType.ok, frame.id, plainBody({}))
        this.#unanswered--
        this.#pump()
      }
    })
  }

  #stopCapture(): void {
    clearTimeout(this.#captureTimer)
    const reader = this.#capture
    if (reader === undefined || reader === 'starting') return
    this.#capture = undefined
    this.#whenRead = undefined
    void reader.stop().then(() => reader.wipe())
  }

  #fail(frame: Frame, error: unknown): void {
    const known = asGatewayError(error)
    if (known !== error) this.#log(`request of type ${frame.type} failed: ${known.message}`)
    this.#send(frameType.error, frame.id, encodeError(known))
  }

  #send(type: number, id: number, body: Body): void {
    if (this.#ended) return
    let bytes: Uint8Array
    try {
      bytes = encodeFrame(type, id, body)
    } catch (error) {
      bytes = encodeFrame(frameType.error, id, encodeError(asGatewayError(error)))
    }
    // Read-back tables hold keys.
    this.#socket.write(bytes, () => bytes.fill(0))
    body.trailer.fill(0)
  }
}

/** Anything thrown, as an error with a code: what has none of ours is a bug of ours. */
function asGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new GatewayError('INTERNAL', message, { cause: error })
}
