// The WireGuard protocol of one device: all its peers, without any I/O. Messages, instants and
// settings go in; `actions` and `dropped` come out, and the driver works them off after each call.
//
//   receive   judges a handshake message at once (form, MACs, cookie, rate) and queues it
//   step      works off one queued message: the curve operations
//   tick      acts on timers that are due; nextDeadlineMs says when the next is
//   authenticated, wantHandshake   what the data path has seen
//
// Invariants: nothing thrown for anything that a remote can send; a message costs hashing alone
// until its mac1 is right, and no curve operation under load until its sender has shown a cookie;
// a step or a tick makes at most one handshake message.
//
// Specification: the WireGuard whitepaper (wireguard.com/papers/wireguard.pdf), sections 5 and 6.

import { type CipherName, cipherNames, fallbackCipher } from '../tables/cipher.ts'
import { type DropReason, drop } from '../tables/counters.ts'
import type { DroppedMessage, ProtocolAction, ProtocolDeps } from './actions.ts'
import { CookieChecker } from './cookie.ts'
import { DeadlineQueue } from './deadline-queue.ts'
import type { Device } from './device.ts'
import { HandshakeQueue } from './handshake-queue.ts'
import type { Keypair } from './keypair.ts'
import {
  COOKIE_REPLY,
  handshakeType,
  INITIATION,
  implementation,
  RESPONSE,
  readIndex,
  specification,
} from './messages.ts'
import { identify, type Suite, suiteOf, wipeHandshake } from './noise.ts'
import { RateLimiter } from './rate-limiter.ts'
import { type PeerCiphers, plainCiphers, Tunnel } from './tunnel.ts'
import { importPrivateKey, publicKeyOf } from './x25519.ts'

export type { DroppedMessage, ProtocolAction, ProtocolDeps, SentInstants } from './actions.ts'
export { Keypair } from './keypair.ts'
export type { PeerCiphers } from './tunnel.ts'

/** A peer that another pair's engine has. */
export interface PeerElsewhere {
  readonly cable: number
  readonly pair: number
  readonly publicKey: Uint8Array
  readonly ciphers: PeerCiphers
}

export interface PeerSettings {
  readonly publicKey: Uint8Array
  readonly presharedKey?: Uint8Array
  readonly keepaliveSeconds: number
  /** Absent: ChaCha20-Poly1305 alone. */
  readonly ciphers?: PeerCiphers
  /** The largest inner packet, which the limits of a key go by. */
  readonly mtuBytes?: number
}

export class Protocol {
  /** What is to be done, in order; the driver empties it after each call. */
  readonly actions: ProtocolAction[] = []
  /** Queued messages that failed in `step`; the driver counts and empties it. */
  readonly dropped: DroppedMessage[] = []
  readonly #device: Device<Tunnel>
  readonly #checker: CookieChecker
  readonly #limiter = new RateLimiter()
  readonly #queue = new HandshakeQueue(implementation.handshakeQueue)
  readonly #deadlines = new DeadlineQueue<Tunnel>()
  readonly #byCable = new Map<number, Tunnel>()
  readonly #byKey = new Map<string, Tunnel>()
  /** Peers of other pairs whose initiations arrive here, by cable and by key. */
  readonly #elsewhere = new Map<number, PeerElsewhere>()
  readonly #elsewhereByKey = new Map<string, PeerElsewhere>()
  /** How many peers accept each cipher, and the constructions that this makes worth trying. */
  readonly #accepting = new Map<CipherName, number>()
  #suites: readonly Suite[] = [suiteOf[fallbackCipher]]
  #underLoadUntilMs = Number.NEGATIVE_INFINITY
  #isUp = true

  constructor(deps: ProtocolDeps) {
    const { actions, dropped } = this
    const indices = new Map<number, Tunnel>()
    this.#device = { deps, actions, dropped, indices, identity: undefined, wallOffsetMs: 0 }
    this.#checker = new CookieChecker(deps.xchacha, deps.random)
  }

  get publicKey(): Uint8Array | undefined {
    return this.#device.identity?.publicKey
  }

  /**
   * Changes the device's identity; undefined takes it away. All sessions end, because they were
   * made with the old one; handshakes that are wanted begin anew with the new one.
   */
  setPrivateKey(key: Uint8Array | undefined, nowMs: number): void {
    const device = this.#device
    const privateKey = key === undefined ? undefined : importPrivateKey(key)
    const publicKey = privateKey === undefined ? undefined : publicKeyOf(privateKey)
    if (isSame(publicKey, device.identity?.publicKey)) return
    const isFirst = device.identity === undefined
    device.identity =
      privateKey === undefined || publicKey === undefined ? undefined : { privateKey, publicKey }
    if (publicKey !== undefined) this.#checker.setPublicKey(publicKey)
    this.#queue.clear()
    for (const tunnel of this.#byCable.values()) {
      tunnel.identityChanged(nowMs)
      if (isFirst && this.#isUp && tunnel.timers.keepaliveMs > 0) tunnel.sendKeepalive(nowMs)
      this.#schedule(tunnel)
    }
  }

  /**
   * Adds a peer, or changes the one that the cable has; another public key makes it another peer.
   * A peer that has our own key, or a key of low order, is kept but never spoken with.
   */
  addPeer(cable: number, settings: PeerSettings, nowMs: number): void {
    const key = keyOf(settings.publicKey)
    const namesake = this.#byKey.get(key)
    if (namesake !== undefined && namesake.cable !== cable) this.removePeer(namesake.cable)
    if (namesake?.cable !== cable) {
      this.removePeer(cable)
      const tunnel = new Tunnel(this.#device, cable, settings.publicKey)
      this.#byCable.set(cable, tunnel)
      this.#byKey.set(key, tunnel)
      this.#countCiphers(tunnel.ciphers, 1)
    }
    if (settings.mtuBytes !== undefined) this.setMtu(cable, settings.mtuBytes)
    this.setCiphers(cable, settings.ciphers ?? plainCiphers, nowMs)
    this.setPresharedKey(cable, settings.presharedKey)
    this.setKeepalive(cable, settings.keepaliveSeconds, nowMs)
  }

  /** Adds a peer of another pair, or changes it: what it initiates here is handed over. */
  addElsewhere(peer: PeerElsewhere): void {
    this.removeElsewhere(peer.cable)
    this.#elsewhere.set(peer.cable, peer)
    this.#elsewhereByKey.set(keyOf(peer.publicKey), peer)
    this.#countCiphers(peer.ciphers, 1)
  }

  removeElsewhere(cable: number): void {
    const peer = this.#elsewhere.get(cable)
    if (peer === undefined) return
    this.#countCiphers(peer.ciphers, -1)
    this.#elsewhere.delete(cable)
    const key = keyOf(peer.publicKey)
    // The key may have moved on to another cable meanwhile.
    if (this.#elsewhereByKey.get(key) === peer) this.#elsewhereByKey.delete(key)
  }

  removePeer(cable: number): void {
    const tunnel = this.#byCable.get(cable)
    if (tunnel === undefined) return
    this.#countCiphers(tunnel.ciphers, -1)
    tunnel.dispose()
    this.#deadlines.remove(tunnel)
    this.#byCable.delete(cable)
    this.#byKey.delete(keyOf(tunnel.publicKey))
  }

  /** The session goes on, until one with the cipher that is preferred now is there. */
  setCiphers(cable: number, ciphers: PeerCiphers, nowMs: number): void {
    const tunnel = this.#byCable.get(cable)
    if (tunnel === undefined) return
    this.#countCiphers(tunnel.ciphers, -1)
    this.#countCiphers(ciphers, 1)
    tunnel.setCiphers(ciphers, nowMs)
    this.#schedule(tunnel)
  }

  /** Holds from the next handshake. */
  setMtu(cable: number, mtuBytes: number): void {
    const tunnel = this.#byCable.get(cable)
    if (tunnel !== undefined) tunnel.mtuBytes = mtuBytes
  }

  /** The session goes on; the key holds from the next handshake. */
  setPresharedKey(cable: number, key: Uint8Array | undefined): void {
    this.#byCable.get(cable)?.setPresharedKey(key)
  }

  /** Switching keepalives on sends one at once. */
  setKeepalive(cable: number, seconds: number, nowMs: number): void {
    const tunnel = this.#byCable.get(cable)
    if (tunnel === undefined) return
    const wasOff = tunnel.timers.keepaliveMs === 0
    tunnel.timers.keepaliveMs = seconds * 1000
    if (wasOff && seconds > 0 && this.#isUp) tunnel.sendKeepalive(nowMs)
    this.#schedule(tunnel)
  }

  /** The device went down: sessions and timers end. */
  suspend(): void {
    this.#isUp = false
    this.#queue.clear()
    for (const tunnel of this.#byCable.values()) {
      tunnel.suspend()
      this.#deadlines.remove(tunnel)
    }
  }

  /** The device came up: peers with persistent keepalive are spoken to at once. */
  resume(nowMs: number): void {
    this.#isUp = true
    for (const tunnel of this.#byCable.values()) {
      if (tunnel.timers.keepaliveMs > 0) tunnel.sendKeepalive(nowMs)
      this.#schedule(tunnel)
    }
  }

  /**
   * Judges a message of types 1 to 3 and queues it. Returns 0 when it was queued, taken or answered
   * with a cookie, else why it was dropped. Copies what it keeps. `remote` is a record of shared.ts.
   */
  receive(message: Uint8Array, remote: Uint8Array, nowMs: number): DropReason {
    const type = handshakeType(message)
    if (type === 0) return drop.malformedDatagram
    if (type === COOKIE_REPLY.TYPE) return this.#takeCookie(message, nowMs)
    // Without a private key nobody can know whom to address.
    if (this.#device.identity === undefined) return drop.badMac1
    if (!this.#isUp) return drop.deviceDown
    if (!this.#checker.hasMac1(message)) return drop.badMac1
    if (this.#isUnderLoad(nowMs)) {
      if (!this.#checker.hasMac2(message, remote, nowMs)) {
        this.#answerCookie(message, remote, nowMs)
        return drop.none
      }
      if (!this.#limiter.allow(remote, nowMs)) return drop.rateLimited
    }
    return this.#queue.push(message, remote) ? drop.none : drop.handshakeQueueFull
  }

  /** Queues an initiation that another pair has judged. Returns why it was dropped, or 0. */
  accept(message: Uint8Array, remote: Uint8Array): DropReason {
    if (!this.#isUp) return drop.deviceDown
    return this.#queue.push(message, remote) ? drop.none : drop.handshakeQueueFull
  }

  /** Works off one queued message. False when there was none. */
  step(nowMs: number, wallMs: number): boolean {
    const queued = this.#queue.shift()
    if (queued === undefined) return false
    this.#device.wallOffsetMs = wallMs - nowMs
    const { message, remote } = queued
    if (message[0] === INITIATION.TYPE) this.#answer(message, remote, nowMs)
    else this.#finish(message, remote, nowMs, wallMs)
    return true
  }

  /**
   * The outbound worker has packets and no key, or a key that is due for renewal. `isForced`: a new
   * session is wanted however young the one in use is.
   */
  wantHandshake(cable: number, nowMs: number, wallMs: number, isForced = false): void {
    const tunnel = this.#byCable.get(cable)
    if (tunnel === undefined) return
    this.#device.wallOffsetMs = wallMs - nowMs
    // Asked before the outbound worker had seen the session that was just made.
    const current = tunnel.keypairs.usable(nowMs)
    const isYoung = current && nowMs < current.createdMs + specification.rekeyTimeoutMs
    if (isYoung && !isForced) return
    tunnel.timers.handshakeWanted(nowMs)
    // Packets come only from a device that is up: `resume` is about to tell so.
    if (!this.#isUp) return
    if (nowMs >= tunnel.timers.initiateAtMs) tunnel.tick(nowMs, wallMs, true)
    this.#schedule(tunnel)
  }

  /**
   * A data message was opened under this keypair; once for each batch is enough. `counter` is the
   * highest number seen under it, if known: past the cipher's limit it asks for new keys.
   */
  authenticated(keypair: Keypair, hasData: boolean, nowMs: number, counter = 0): void {
    const tunnel = this.#byCable.get(keypair.cable)
    if (tunnel === undefined) return
    tunnel.authenticated(keypair, hasData, nowMs, counter)
    this.#schedule(tunnel)
  }

  /** Acts on the timers that are due, up to one initiation; the others stay due. */
  tick(nowMs: number, wallMs: number): void {
    if (!this.#isUp) return
    this.#device.wallOffsetMs = wallMs - nowMs
    let hasInitiated = false
    for (;;) {
      const tunnel = this.#deadlines.first
      if (tunnel === undefined || tunnel.scheduledMs > nowMs) return
      if (hasInitiated && nowMs >= tunnel.timers.initiateAtMs) return
      if (tunnel.tick(nowMs, wallMs, !hasInitiated)) hasInitiated = true
      this.#deadlines.place(tunnel, tunnel.timers.deadlineMs())
    }
  }

  /** Infinity when nothing is pending. May be too early, never too late. */
  nextDeadlineMs(): number {
    return this.#deadlines.firstMs
  }

  #answer(message: Uint8Array, remote: Uint8Array, nowMs: number): void {
    const { deps, identity } = this.#device
    if (identity === undefined) return
    const noise = message.subarray(INITIATION.NOISE, INITIATION.NOISE_END)
    const identified = identify(deps.aead, this.#suites, identity, noise)
    if (identified === undefined) {
      this.#drop(-1, drop.handshakeDecryptFailed)
      return
    }
    const key = keyOf(identified.remoteStatic)
    const tunnel = this.#byKey.get(key)
    const isOwn = isSame(identified.remoteStatic, identity.publicKey)
    if (tunnel === undefined || isOwn) {
      wipeHandshake(identified)
      const elsewhere = isOwn ? undefined : this.#elsewhereByKey.get(key)
      if (elsewhere === undefined) this.#drop(-1, isOwn ? drop.ownKey : drop.unknownPeer)
      else {
        const { cable, pair } = elsewhere
        this.actions.push({ kind: 'handOver', cable, pair, message, remote })
      }
      return
    }
    this.#settle(tunnel, tunnel.answer(identified, message, remote, nowMs))
  }

  #finish(message: Uint8Array, remote: Uint8Array, nowMs: number, wallMs: number): void {
    const tunnel = this.#device.indices.get(readIndex(message, RESPONSE.RECEIVER))
    if (tunnel === undefined) this.#drop(-1, drop.unknownIndex)
    else this.#settle(tunnel, tunnel.finish(message, remote, nowMs, wallMs))
  }

  #settle(tunnel: Tunnel, reason: DropReason): void {
    if (reason !== drop.none) this.#drop(tunnel.cable, reason)
    this.#schedule(tunnel)
  }

  #takeCookie(reply: Uint8Array, nowMs: number): DropReason {
    const tunnel = this.#device.indices.get(readIndex(reply, COOKIE_REPLY.RECEIVER))
    if (tunnel === undefined) return drop.unknownIndex
    return tunnel.cookie.take(reply, nowMs) ? drop.none : drop.badCookieReply
  }

  #answerCookie(message: Uint8Array, remote: Uint8Array, nowMs: number): void {
    const senderIndex = readIndex(message, INITIATION.SENDER)
    const reply = this.#checker.reply(message, senderIndex, remote, nowMs)
    const to = remote.slice()
    this.actions.push({ kind: 'send', cable: -1, message: reply, to, initiation: false })
  }

  #countCiphers({ accepted }: PeerCiphers, step: 1 | -1): void {
    for (const name of accepted) {
      this.#accepting.set(name, (this.#accepting.get(name) ?? 0) + step)
    }
    this.#suites = cipherNames
      .filter(name => name === fallbackCipher || (this.#accepting.get(name) ?? 0) > 0)
      .map(name => suiteOf[name])
  }

  #isUnderLoad(nowMs: number): boolean {
    if (this.#queue.length >= implementation.underLoadQueue) {
      this.#underLoadUntilMs = nowMs + implementation.underLoadMs
    }
    return nowMs < this.#underLoadUntilMs
  }

  #schedule(tunnel: Tunnel): void {
    if (this.#isUp) this.#deadlines.advance(tunnel, tunnel.timers.deadlineMs())
  }

  #drop(cable: number, reason: DropReason): void {
    this.dropped.push({ cable, reason })
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return Buffer.compare(a, b) === 0
}

/** A public key as the key of a map. */
function keyOf(publicKey: Uint8Array): string {
  return Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString('latin1')
}
