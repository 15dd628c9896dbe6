// Sends echo requests through the TUN device and reads the replies: the sockets of the pings. Bound to
// the device, so they go by the cable whatever the routes say; one for each source address. When the
// device is not there yet or was made anew, sockets are opened again at the next ping.
//
// The payload begins with a random word of this process: replies to anybody else's are not ours.

import { randomBytes } from 'node:crypto'
import { closeSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import { ECHO, type SetupFunctions } from '../native.ts'
import { type Address, equalBytes, formatAddress } from '../net/address.ts'

export type PingNative = Pick<SetupFunctions, 'openIcmp' | 'sendEcho' | 'receiveEchoes'>

export interface EchoReply {
  readonly from: Address
  readonly sequence: number
  /** Monotonic. */
  readonly receivedAtMs: number
}

export type Sent =
  | { readonly ok: true; readonly sentAtMs: number }
  | { readonly ok: false; readonly reason: string }

/** Replies that are read in one look at a socket. */
const rowsMost = 64
const tokenBytes = 8

interface OpenSocket {
  readonly fd: number
  readonly family: 4 | 6
}

export class PingSocket {
  readonly #native: PingNative
  readonly #device: string
  readonly #token = new Uint8Array(randomBytes(tokenBytes))
  readonly #identifier: number
  readonly #sockets = new Map<string, OpenSocket>()
  readonly #words = new Float64Array(1 + rowsMost * ECHO.WORDS)
  readonly #bytes = new Uint8Array(rowsMost * ECHO.BYTES)

  constructor(native: PingNative, device: string) {
    this.#native = native
    this.#device = device
    this.#identifier = randomBytes(2).readUInt16BE()
  }

  /** Messages that were no echo reply. */
  get malformed(): number {
    return this.#words[0]
  }

  send(from: Address, to: Address, sequence: number): Sent {
    try {
      const socket = this.#socketFor(from)
      const sent = this.#native.sendEcho(
        socket.fd,
        to.bytes,
        this.#identifier,
        sequence & 0xffff,
        this.#token,
      )
      if (sent >= 0) return { ok: true, sentAtMs: sent }
      // ENODEV, EADDRNOTAVAIL and the like: the next ping opens another one.
      this.#close(from)
      return { ok: false, reason: getSystemErrorName(sent) }
    } catch (error) {
      return { ok: false, reason: error instanceof Error ? error.message : String(error) }
    }
  }

  /** What has come since the last look. */
  receive(): EchoReply[] {
    return [...this.#sockets.values()].flatMap(socket => this.#receive(socket))
  }

  close(): void {
    for (const { fd } of this.#sockets.values()) closeSync(fd)
    this.#sockets.clear()
  }

  #receive({ fd, family }: OpenSocket): EchoReply[] {
    const replies: EchoReply[] = []
    const count = this.#native.receiveEchoes(fd, this.#words, this.#bytes)
    for (let row = 0; row < count; row++) {
      const word = 1 + row * ECHO.WORDS
      const byte = row * ECHO.BYTES
      const payload = this.#bytes.subarray(byte + ECHO.PAYLOAD, byte + ECHO.PAYLOAD + tokenBytes)
      const isOurs =
        this.#words[word + ECHO.LENGTH] >= tokenBytes && equalBytes(payload, this.#token)
      if (!isOurs) continue
      const bytes = this.#bytes.slice(byte, byte + (family === 4 ? 4 : 16))
      replies.push({
        from: { family, bytes },
        sequence: this.#words[word + ECHO.SEQUENCE],
        receivedAtMs: this.#words[word + ECHO.RECEIVED_MS],
      })
    }
    return replies
  }

  #socketFor(from: Address): OpenSocket {
    const key = formatAddress(from)
    const open = this.#sockets.get(key)
    if (open !== undefined) return open
    const { family } = from
    const fd = this.#native.openIcmp({ family, device: this.#device, source: from.bytes })
    const socket = { fd, family }
    this.#sockets.set(key, socket)
    return socket
  }

  #close(from: Address): void {
    const key = formatAddress(from)
    const open = this.#sockets.get(key)
    if (open === undefined) return
    closeSync(open.fd)
    this.#sockets.delete(key)
  }
}
