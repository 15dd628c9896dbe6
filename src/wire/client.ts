// The other end of the data path's socket (docs/wire.md): for the CLI, the lab and the control
// daemon. Several requests may be in flight; each is answered under its own id. When the connection
// ends, for whatever reason, all that wait fail with UNREACHABLE and `closed` resolves: whoever must
// stay attached connects again. A data path that does not answer in time ends it with TIMED_OUT.

import { connect, type Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import type { Remote } from '../net/address.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import type { CaptureBlock, CaptureRequest } from '../tables/capture.ts'
import type { DatapathStatus, ForeignDatagram } from '../tables/status.ts'
import type { Tables } from '../tables/tables.ts'
import { decodeCaptureBlock, encodeCaptureRequest } from './capture.ts'
import {
  decodeError,
  decodeForeign,
  decodeSent,
  decodeVersion,
  encodeSend,
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
  parseHead,
} from './frames.ts'
import { decodeStatus } from './status.ts'
import { decodeTables, encodeTables } from './tables.ts'

/** Where `hawser datapath` listens when it is not told otherwise: NAME.sock in here. */
export const socketDirectory = '/run/hawser'

/** How long a data path may take to answer. Its main thread answers at once, unless it hangs. */
export const answerLimitMs = {
  usual: 5000,
  /** The workers have to do it, after what was asked of them before. */
  work: 30_000,
} as const

/** `missed` counts the datagrams since the subscription that were not pushed: too many, too slow. */
export type ForeignListener = (datagram: ForeignDatagram, missed: number) => void

interface Waiting {
  readonly resolve: (body: Body) => void
  readonly reject: (error: GatewayError) => void
  readonly timer: NodeJS.Timeout
}

export class DatapathClient {
  readonly path: string
  /** Resolves with the reason when the connection has ended. */
  readonly closed: Promise<string>
  readonly #socket: Socket
  readonly #reader = new FrameReader(frameBytesMax)
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0
  #listener: ForeignListener | undefined
  #captureListener: ((block: CaptureBlock) => void) | undefined
  /** Why the connection ends, once that is known, and the error of whoever waits. */
  #reason: string | undefined
  #failure: GatewayError | undefined

  /** Connects and says hello. Throws UNREACHABLE with exit code 3, TIMED_OUT with 4. */
  static async connect(path: string): Promise<DatapathClient> {
    const client = new DatapathClient(path, await openSocket(path))
    try {
      const answer = await client.#request(frameType.hello, plainBody(protocol))
      decodeVersion(answer)
      return client
    } catch (error) {
      client.close()
      throw error
    }
  }

  private constructor(path: string, socket: Socket) {
    this.path = path
    this.#socket = socket
    socket.on('data', chunk => this.#take(chunk))
    socket.on('error', error => {
      this.#reason ??= error.message
    })
    this.closed = new Promise(resolve => {
      socket.on('close', () => {
        this.#reason ??= 'it closed the connection'
        this.#reader.wipe()
        for (const id of [...this.#waiting.keys()]) this.#settle(id)?.reject(this.#ended())
        resolve(this.#reason)
      })
    })
  }

  /** Resolves when the data path forwards by the snapshot. Rejects with what it said against it. */
  async apply(tables: Tables): Promise<void> {
    await this.#request(frameType.apply, encodeTables(tables, true), answerLimitMs.work)
  }

  /** The snapshot in force; private and preshared keys only when asked for. */
  async readTables(options: { keys: boolean } = { keys: false }): Promise<Tables> {
    const body = await this.#request(frameType.readTables, plainBody(options))
    const tables = decodeTables(body)
    body.trailer.fill(0)
    return tables
  }

  async status(): Promise<DatapathStatus> {
    return decodeStatus(await this.#request(frameType.status, plainBody({})))
  }

  /** From now on datagrams that are no cable packet are handed to the listener. */
  async onForeign(listener: ForeignListener): Promise<void> {
    this.#listener = listener
    await this.#request(frameType.subscribe, plainBody({}))
  }

  /** From now on captured packets are handed to the listener. One capture for a connection. */
  async capture(request: CaptureRequest, listener: (block: CaptureBlock) => void): Promise<void> {
    this.#captureListener = listener
    await this.#request(frameType.capture, encodeCaptureRequest(request), answerLimitMs.work)
  }

  /** Resolves when the listener has been given all that was captured until now. */
  async endCapture(): Promise<void> {
    await this.#request(frameType.endCapture, plainBody({}), answerLimitMs.work)
  }

  /** Reads nothing more from the data path until `resume`. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Sends a datagram from the cable port. False when the data path's queue was full. */
  async sendForeign(to: Remote, bytes: Uint8Array): Promise<boolean> {
    return decodeSent(await this.#request(frameType.sendForeign, encodeSend(to, bytes)))
  }

  close(): void {
    this.#reason ??= 'this side closed the connection'
    this.#socket.destroy()
  }

  #request(type: number, body: Body, limitMs: number = answerLimitMs.usual): Promise<Body> {
    return new Promise((resolve, reject) => {
      if (this.#reason !== undefined) {
        reject(this.#ended())
        return
      }
      const id = ++this.#lastId
      const bytes = encodeFrame(type, id, body)
      body.trailer.fill(0)
      const timer = setTimeout(() => {
        this.#reason ??= `no answer within ${limitMs / 1000} s`
        this.#failure ??= timedOut(this.path, limitMs)
        this.#socket.destroy()
      }, limitMs)
      this.#waiting.set(id, { resolve, reject, timer })
      // An applied snapshot holds keys.
      this.#socket.write(bytes, () => bytes.fill(0))
    })
  }

  #take(chunk: Uint8Array): void {
    this.#reader.push(chunk)
    try {
      for (let frame = this.#reader.next(); frame; frame = this.#reader.next()) this.#read(frame)
    } catch (error) {
      this.#reason ??= `it sent what cannot be read: ${(error as Error).message}`
      this.#socket.destroy()
    }
  }

  #read(frame: Frame): void {
    const body: Body = { head: parseHead(frame), trailer: frame.trailer }
    if (frame.type === frameType.foreign) {
      const { datagram, missed } = decodeForeign(body)
      this.#listener?.(datagram, missed)
    } else if (frame.type === frameType.captured) {
      this.#captureListener?.(decodeCaptureBlock(body))
      frame.bytes.fill(0)
    } else if (frame.type === frameType.ok) {
      this.#settle(frame.id)?.resolve(body)
    } else if (frame.type === frameType.error) {
      const error = decodeError(body)
      // An error without a request is about the connection: what waits failed for that reason.
      if (frame.id !== 0) this.#settle(frame.id)?.reject(error)
      else {
        this.#reason ??= error.message
        this.#failure ??= farewell(this.path, error)
      }
    }
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    if (waiting) clearTimeout(waiting.timer)
    this.#waiting.delete(id)
    return waiting
  }

  #ended(): GatewayError {
    return this.#failure ?? unreachable(this.path, this.#reason ?? 'the connection ended')
  }
}

function openSocket(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const fail = (cause: NodeJS.ErrnoException) => reject(unreachable(path, why(cause), cause))
    socket.once('error', fail)
    socket.once('connect', () => {
      socket.off('error', fail)
      resolve(socket)
    })
  })
}

/** The error for a data path that does not answer, with the command that starts one. */
export function unreachable(path: string, reason: string, cause?: unknown): GatewayError {
  const usual = dirname(path) === socketDirectory && path.endsWith('.sock')
  const start = usual
    ? `hawser datapath --interface ${basename(path, '.sock')}`
    : `hawser datapath --interface NAME --socket ${path}`
  return new GatewayError('UNREACHABLE', `cannot reach the data path at ${path}: ${reason}`, {
    hint: start,
    exit: exitCode.unreachable,
    cause,
  })
}

/** Somebody holds the socket and hangs, or is no data path. */
function timedOut(path: string, limitMs: number): GatewayError {
  const message = `the data path at ${path} does not answer: nothing within ${limitMs / 1000} s`
  return new GatewayError('TIMED_OUT', message, {
    hint: `ss -xlp src ${path} names its process; if it hangs, start it again`,
    exit: exitCode.timedOut,
  })
}

/** What the data path said when it ended the connection. */
function farewell(path: string, { code, message, hint }: GatewayError): GatewayError {
  return new GatewayError(code, `the data path at ${path} ended the connection: ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    exit: exitCode.unreachable,
  })
}

function why(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'no such socket'
  if (error.code === 'ECONNREFUSED') return 'nobody listens there'
  if (error.code === 'EACCES') return 'permission denied; it belongs to another user'
  return error.code ?? error.message
}
