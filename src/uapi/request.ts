// Requests out of a stream of bytes, however they are cut: lines `key=value`, the first one `get=1`
// or `set=1`, an empty line or the end of the stream behind the last one. One connection may carry
// several requests.
//
// A refused request is still read to its end, so that the answer comes after the question: `wg`
// writes all of a set before it reads. Its lines are not parsed any more. Everything has a limit:
// the length of a line, the lines of a request and its bytes; past the last one the stream cannot
// go on (`last`), because its end may never come.
//
// Bytes that may hold keys live in the caller's chunk (which the caller wipes) and in one buffer
// for a line that was cut, which is wiped here as soon as the line is whole.

import { GatewayError } from '../net/errors.ts'
import { E2BIG, EINVAL, EPERM, EPROTO, type Errno, errnoOf, errnoOk } from './errno.ts'
import { keyOf, type Operation, parseOperation } from './operation.ts'

export interface Request {
  /** `none`: the first line was neither get=1 nor set=1. */
  readonly action: 'get' | 'set' | 'none'
  readonly operations: readonly Operation[]
  /** Why it is refused, or 0. */
  readonly errno: Errno
  /** The same in words, for the log; never with a secret in it. */
  readonly problem: string
  /** The stream cannot be read on after this one. */
  readonly last: boolean
}

/** `wg` never writes a line of more than 80 bytes. */
export const lineBytesMax = 1024
/** 130 560 allowed IPs, the kernel's own test, are 3 MB. */
const requestBytesMax = 64 * 1024 * 1024
const operationsMax = 1024 * 1024

export interface RequestParserOptions {
  /** Answers a set with EPERM. */
  readonly readOnly: boolean
  /** Refuses every request with this errno. */
  readonly refuse?: Errno
  /** Tests lower it. */
  readonly bytesMax?: number
}

const newline = 0x0a

export class RequestParser {
  readonly #options: RequestParserOptions
  readonly #bytesMax: number
  readonly #held = Buffer.alloc(lineBytesMax)
  #heldLength = 0
  #overlong = false
  #action: Request['action'] | undefined
  #operations: Operation[] = []
  #errno: Errno = errnoOk
  #problem = ''
  #bytes = 0
  #ended = false

  constructor(options: RequestParserOptions) {
    this.#options = options
    this.#bytesMax = options.bytesMax ?? requestBytesMax
  }

  /** Takes the next bytes and returns the requests that they complete. */
  feed(chunk: Uint8Array): Request[] {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const complete: Request[] = []
    let start = 0
    while (start < bytes.length && !this.#ended) {
      const found = bytes.indexOf(newline, start)
      const end = found < 0 ? bytes.length : found
      this.#bytes += end - start + 1
      if (this.#bytes > this.#bytesMax) {
        this.#refuse(E2BIG, 'the request is too large')
        complete.push(this.#finish(true))
      } else if (found < 0) this.#hold(bytes, start, end)
      else if (this.#endOfLine(bytes, start, end)) complete.push(this.#finish(false))
      start = end + 1
    }
    return complete
  }

  /** The stream has ended: the request that was under way, if any. */
  end(): Request | undefined {
    if (this.#ended) return undefined
    if (this.#heldLength > 0 || this.#overlong) {
      this.#action ??= 'none'
      this.#refuse(EPROTO, 'the last line is incomplete')
    }
    return this.#action === undefined ? undefined : this.#finish(true)
  }

  /** Forgets the request that was under way. */
  wipe(): void {
    for (const operation of this.#operations) keyOf(operation)?.fill(0)
    this.#operations = []
    this.#held.fill(0)
    this.#ended = true
  }

  #hold(bytes: Buffer, start: number, end: number): void {
    if (this.#heldLength + end - start > lineBytesMax) {
      this.#overlong = true
      return
    }
    bytes.copy(this.#held, this.#heldLength, start, end)
    this.#heldLength += end - start
  }

  /** Returns whether the line was the empty one. */
  #endOfLine(bytes: Buffer, start: number, end: number): boolean {
    if (this.#heldLength === 0 && !this.#overlong) return this.#line(bytes, start, end)
    this.#hold(bytes, start, end)
    const empty = this.#line(this.#held, 0, this.#heldLength)
    this.#held.fill(0, 0, this.#heldLength)
    this.#heldLength = 0
    this.#overlong = false
    return empty
  }

  #line(bytes: Buffer, start: number, end: number): boolean {
    if (start === end) return true
    if (this.#overlong || end - start > lineBytesMax) {
      this.#action ??= 'none'
      this.#refuse(EPROTO, 'a line is too long')
    } else if (this.#action === undefined) this.#firstLine(bytes.toString('latin1', start, end))
    else if (this.#errno === errnoOk) this.#nextLine(bytes, start, end)
    return false
  }

  #firstLine(line: string): void {
    const { readOnly, refuse } = this.#options
    this.#action = line === 'get=1' ? 'get' : line === 'set=1' ? 'set' : 'none'
    if (refuse !== undefined) this.#refuse(refuse, 'too many connections')
    else if (this.#action === 'none') this.#refuse(EPROTO, 'neither get=1 nor set=1')
    else if (this.#action === 'set' && readOnly) this.#refuse(EPERM, 'this socket only reads')
  }

  #nextLine(bytes: Buffer, start: number, end: number): void {
    if (this.#action === 'get') {
      this.#refuse(EINVAL, 'a get has no further lines')
      return
    }
    try {
      this.#operations.push(parseOperation(bytes, start, end))
      if (this.#operations.length > operationsMax) this.#refuse(E2BIG, 'too many lines')
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      this.#refuse(errnoOf(error), error.message)
    }
  }

  /** The first reason stands. What was parsed so far is of no use any more. */
  #refuse(errno: Errno, problem: string): void {
    if (this.#errno !== errnoOk) return
    for (const operation of this.#operations) keyOf(operation)?.fill(0)
    this.#operations = []
    this.#errno = errno
    this.#problem = problem
  }

  #finish(last: boolean): Request {
    if (this.#action === undefined) this.#refuse(EPROTO, 'an empty request')
    const request: Request = {
      action: this.#action ?? 'none',
      operations: this.#operations,
      errno: this.#errno,
      problem: this.#problem,
      last,
    }
    this.#action = undefined
    this.#operations = []
    this.#errno = errnoOk
    this.#problem = ''
    this.#bytes = 0
    if (last) this.#ended = true
    return request
  }
}
