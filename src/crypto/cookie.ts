// The two MACs at the end of handshake messages, and the cookies that make the second one
// (whitepaper 5.3, 5.4.4 and 5.4.7). mac1 proves that the sender knows whom it talks to; mac2, asked
// for under load only, that it can receive at the address from which it seems to send.
//
//   sender                              receiver under load
//   initiation, mac1, mac2 = 0   --->   no mac2: no Diffie-Hellman, but
//   keep the cookie              <---   cookie reply: the cookie, sealed for who knows mac1
//   5 s later: initiation, mac2  --->   mac2 fits: rate limit, then the handshake
//
// A cookie is a MAC of the source address *and port* under a secret that changes every 120 s, so the
// receiver keeps nothing for anybody. A cookie reply is no proof of who sent it: its source address
// is never taken over, and it does not trigger a resend.

import { REMOTE } from '../tables/shared.ts'
import type { Xchacha } from './actions.ts'
import { equalMac, hashInto, macInto } from './blake2s.ts'
import { COOKIE_REPLY, implementation, MACS, specification, writeIndex } from './messages.ts'

const MAC = MACS.BYTES
const NONCE_BYTES = COOKIE_REPLY.COOKIE - COOKIE_REPLY.NONCE
const AF_INET = 2

/** The receiver's side: one for each device. */
export class CookieChecker {
  readonly #xchacha: Xchacha
  readonly #random: (bytes: Uint8Array) => void
  readonly #mac1Key = new Uint8Array(specification.keyBytes)
  readonly #cookieKey = new Uint8Array(specification.keyBytes)
  readonly #secret = new Uint8Array(specification.keyBytes)
  #secretSinceMs = Number.NEGATIVE_INFINITY
  readonly #mac = new Uint8Array(MAC)
  readonly #cookie = new Uint8Array(MAC)

  constructor(xchacha: Xchacha, random: (bytes: Uint8Array) => void) {
    this.#xchacha = xchacha
    this.#random = random
  }

  setPublicKey(publicKey: Uint8Array): void {
    deriveKey(this.#mac1Key, specification.labelMac1, publicKey)
    deriveKey(this.#cookieKey, specification.labelCookie, publicKey)
  }

  hasMac1(message: Uint8Array): boolean {
    const at = message.length - MACS.MAC1_FROM_END
    macInto(this.#mac, this.#mac1Key, message.subarray(0, at))
    return equalMac(this.#mac, message.subarray(at, at + MAC))
  }

  hasMac2(message: Uint8Array, remote: Uint8Array, nowMs: number): boolean {
    const at = message.length - MACS.MAC2_FROM_END
    this.#makeCookie(remote, nowMs)
    macInto(this.#mac, this.#cookie, message.subarray(0, at))
    return equalMac(this.#mac, message.subarray(at, at + MAC))
  }

  /** The cookie reply to a message with a right mac1, sent back to where it came from. */
  reply(message: Uint8Array, senderIndex: number, remote: Uint8Array, nowMs: number): Uint8Array {
    const reply = new Uint8Array(COOKIE_REPLY.BYTES)
    reply[0] = COOKIE_REPLY.TYPE
    writeIndex(reply, COOKIE_REPLY.RECEIVER, senderIndex)
    const nonce = reply.subarray(COOKIE_REPLY.NONCE, COOKIE_REPLY.NONCE + NONCE_BYTES)
    this.#random(nonce)
    this.#makeCookie(remote, nowMs)
    const at = message.length - MACS.MAC1_FROM_END
    const mac1 = message.subarray(at, at + MAC)
    reply.set(this.#xchacha.seal(this.#cookieKey, nonce, mac1, this.#cookie), COOKIE_REPLY.COOKIE)
    return reply
  }

  /** τ = Mac(secret, address ‖ port), the port big-endian. */
  #makeCookie(remote: Uint8Array, nowMs: number): void {
    if (nowMs >= this.#secretSinceMs + specification.cookieMs) {
      this.#random(this.#secret)
      this.#secretSinceMs = nowMs
    }
    const bytes = remote[REMOTE.FAMILY] === AF_INET ? 4 : 16
    const address = remote.subarray(REMOTE.ADDRESS, REMOTE.ADDRESS + bytes)
    const port = Uint8Array.of(remote[REMOTE.PORT + 1], remote[REMOTE.PORT])
    macInto(this.#cookie, this.#secret, address, port)
  }
}

/** The sender's side: one for each peer. */
export class CookieHolder {
  readonly #xchacha: Xchacha
  readonly #mac1Key = new Uint8Array(specification.keyBytes)
  readonly #cookieKey = new Uint8Array(specification.keyBytes)
  readonly #lastMac1 = new Uint8Array(MAC)
  /** A cookie reply is taken for the last message only, and once. */
  #awaitsReply = false
  #cookie: { readonly bytes: Uint8Array; readonly sinceMs: number } | undefined

  constructor(xchacha: Xchacha, peerPublicKey: Uint8Array) {
    this.#xchacha = xchacha
    deriveKey(this.#mac1Key, specification.labelMac1, peerPublicKey)
    deriveKey(this.#cookieKey, specification.labelCookie, peerPublicKey)
  }

  /** Writes mac1, and mac2 when there is a fresh cookie; else mac2 stays zero. */
  stamp(message: Uint8Array, nowMs: number): void {
    const at1 = message.length - MACS.MAC1_FROM_END
    const at2 = message.length - MACS.MAC2_FROM_END
    macInto(this.#lastMac1, this.#mac1Key, message.subarray(0, at1))
    message.set(this.#lastMac1, at1)
    this.#awaitsReply = true
    const usableMs = specification.cookieMs - implementation.cookieLatencyMs
    if (this.#cookie === undefined || nowMs >= this.#cookie.sinceMs + usableMs) return
    macInto(message.subarray(at2, at2 + MAC), this.#cookie.bytes, message.subarray(0, at2))
  }

  /** Takes the cookie out of a reply. False when the reply does not answer the last message. */
  take(reply: Uint8Array, nowMs: number): boolean {
    if (!this.#awaitsReply) return false
    const nonce = reply.subarray(COOKIE_REPLY.NONCE, COOKIE_REPLY.NONCE + NONCE_BYTES)
    const sealed = reply.subarray(COOKIE_REPLY.COOKIE)
    const bytes = this.#xchacha.open(this.#cookieKey, nonce, this.#lastMac1, sealed)
    if (bytes === undefined) return false
    this.wipe()
    this.#cookie = { bytes, sinceMs: nowMs }
    return true
  }

  wipe(): void {
    this.#cookie?.bytes.fill(0)
    this.#cookie = undefined
    this.#awaitsReply = false
  }
}

/** Hash(label ‖ public key). */
function deriveKey(out: Uint8Array, label: string, publicKey: Uint8Array): void {
  hashInto(out, Buffer.from(label), publicKey)
}
