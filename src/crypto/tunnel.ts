// One peer: its handshake in progress, its keypairs and its timers. Bytes and `nowMs` go in, actions
// come out in the device's list; the protocol (protocol.ts) routes messages here by public key or by
// index, and calls `tick` when `timers.deadlineMs()` has passed.
//
// A changed cipher is a handshake with the new one while the session goes on: `swapDue` stands until
// a session has it, or until the peer was seen to take ChaCha20-Poly1305 alone.
//
// As initiator a tunnel keeps one initiation until it is answered, replaced or zeroed, however long
// that takes. As responder it keeps nothing between the two messages: an initiation is opened and
// answered in one step. Since the two do not share a state, peers that initiate at the same moment
// both complete.

import { type CipherName, cipherMethods, fallbackCipher } from '../tables/cipher.ts'
import { type DropReason, drop } from '../tables/counters.ts'
import type { ProtocolAction } from './actions.ts'
import { CookieHolder } from './cookie.ts'
import type { Scheduled } from './deadline-queue.ts'
import { claimIndex, type Device, jitterMs, randomKey } from './device.ts'
import { Keypair, KeypairPlaces } from './keypair.ts'
import {
  INITIATION,
  implementation,
  RESPONSE,
  readIndex,
  specification,
  writeIndex,
} from './messages.ts'
import {
  type InitiationIdentified,
  type InitiationSent,
  openInitiation,
  type PeerKeys,
  readResponse,
  type Suite,
  suiteOf,
  type TransportKeys,
  wipeHandshake,
  writeInitiation,
  writeResponse,
} from './noise.ts'
import { isLater, Stamps } from './tai64n.ts'
import { Timers } from './timers.ts'
import { agree, importPublicKey } from './x25519.ts'

const never = Number.NEGATIVE_INFINITY
const nothing = new Uint8Array(0)
/** What a device has that nobody has told otherwise. */
const usualMtuBytes = 1420
/** The initiator's last chance: the session ends before a later handshake would complete. */
const lastMinuteMs =
  specification.rejectAfterMs - specification.keepaliveTimeoutMs - specification.rekeyTimeoutMs

/** What a cable may be sealed with, as this side has worked it out from its table. */
export interface PeerCiphers {
  /** Opened in an initiation of the peer. */
  readonly accepted: readonly CipherName[]
  /** What an initiation of ours is made with, but for every third one without an answer. */
  readonly preferred: CipherName
}

/** A plain WireGuard peer's. */
export const plainCiphers: PeerCiphers = {
  accepted: [fallbackCipher],
  preferred: fallbackCipher,
}

interface Initiation {
  readonly index: number
  readonly sent: InitiationSent
  /** Made with ChaCha20-Poly1305 because others were not answered. */
  readonly isFallback: boolean
}

interface Session {
  readonly keys: TransportKeys
  readonly suite: Suite
  readonly localIndex: number
  readonly remoteIndex: number
  readonly initiator: boolean
}

export class Tunnel implements Scheduled {
  scheduledMs = Number.POSITIVE_INFINITY
  heapIndex = -1
  readonly cable: number
  readonly publicKey: Uint8Array
  readonly cookie: CookieHolder
  readonly keypairs = new KeypairPlaces()
  timers: Timers
  readonly #device: Device<Tunnel>
  readonly #presharedKey = new Uint8Array(specification.keyBytes)
  readonly #stamps = new Stamps()
  readonly #latestStamp = new Uint8Array(specification.timestampBytes)
  #peerKeys: PeerKeys | undefined
  #initiation: Initiation | undefined
  #ciphers = plainCiphers
  #swapDue = false
  mtuBytes: number = usualMtuBytes
  #consumedMs = never
  #lastMinuteMs = never
  #promotedMs = never

  constructor(device: Device<Tunnel>, cable: number, publicKey: Uint8Array) {
    this.#device = device
    this.cable = cable
    this.publicKey = publicKey.slice()
    this.cookie = new CookieHolder(device.deps.xchacha, this.publicKey)
    this.timers = new Timers(cable, device.deps.sent)
  }

  /** Holds from the next handshake on, also for one whose initiation is under way. */
  setPresharedKey(key: Uint8Array | undefined): void {
    if (key === undefined) this.#presharedKey.fill(0)
    else this.#presharedKey.set(key)
  }

  get ciphers(): PeerCiphers {
    return this.#ciphers
  }

  /** The session goes on. One with another cipher than is preferred now is replaced at once. */
  setCiphers(ciphers: PeerCiphers, nowMs: number): void {
    const { preferred: before } = this.#ciphers
    this.#ciphers = ciphers
    const current = this.keypairs.usable(nowMs)
    const isChanged = before !== ciphers.preferred
    const isRefused = current !== undefined && !this.#accepts(current.method)
    if (!isChanged && !isRefused) return
    this.timers.cipherChanged()
    const wanted = cipherMethods[ciphers.preferred]
    const isOther = (methodCode: number | undefined) =>
      methodCode !== undefined && methodCode !== wanted
    const isOtherNow = isOther(current?.method)
    this.#swapDue =
      isOtherNow ||
      isOther(this.keypairs.next?.method) ||
      isOther(this.#initiation?.sent.suite.method)
    if (isOtherNow) this.timers.handshakeWanted(nowMs)
  }

  /** Everything that the old private key made is void. */
  identityChanged(nowMs: number): void {
    this.#forgetPeerKeys()
    this.forget()
    this.timers.identityChanged(nowMs)
  }

  /** The device went down: no session, no timer; only the interval of keepalives stays. */
  suspend(): void {
    const { keepaliveMs } = this.timers
    this.forget()
    this.timers = new Timers(this.cable, this.#device.deps.sent)
    this.timers.keepaliveMs = keepaliveMs
  }

  /** The peer was removed. */
  dispose(): void {
    this.forget()
    this.#forgetPeerKeys()
    this.cookie.wipe()
    this.#presharedKey.fill(0)
  }

  /** Retires all keypairs and wipes the handshake. */
  forget(): void {
    this.#retire(this.keypairs.clear())
    this.#dropInitiation()
    this.#swapDue = false
    this.timers.zeroAtMs = Number.POSITIVE_INFINITY
    this.timers.watchAtMs = Number.POSITIVE_INFINITY
  }

  /**
   * Acts on every timer that is due, and says whether it initiated. An initiation costs curve
   * operations, so the protocol allows one in a breath; one that is not allowed stays due.
   */
  tick(nowMs: number, wallMs: number, mayInitiate: boolean): boolean {
    const { timers } = this
    if (nowMs >= timers.zeroAtMs) this.forget()
    if (nowMs >= timers.giveUpAtMs()) {
      timers.gaveUp(nowMs)
      this.#swapDue = false
      this.#act({ kind: 'gaveUp', cable: this.cable })
    }
    if (nowMs >= timers.watchAtMs) this.#watch(nowMs)
    if (timers.takePassive(nowMs)) this.sendKeepalive(nowMs)
    if (timers.takePersistent(nowMs)) this.sendKeepalive(nowMs)
    if (nowMs < timers.initiateAtMs || !mayInitiate) return false
    this.#initiate(nowMs, wallMs)
    return true
  }

  /** An empty data message, or a handshake when there is no session to send it in. */
  sendKeepalive(nowMs: number): void {
    const keypair = this.keypairs.usable(nowMs)
    if (keypair === undefined) {
      this.timers.handshakeWanted(nowMs)
      return
    }
    this.#act({ kind: 'keepalive', cable: this.cable })
    this.timers.authenticatedSent(nowMs)
    if (nowMs >= keypair.rekeyAtMs) this.timers.handshakeWanted(nowMs)
  }

  /** A data message was opened under this keypair, `counter` being its number if known. */
  authenticated(keypair: Keypair, hasData: boolean, nowMs: number, counter: number): void {
    if (!this.keypairs.has(keypair)) return
    if (keypair === this.keypairs.next) this.#promote(keypair, nowMs)
    if (this.keypairs.older.length > 0) this.#dropOlder(nowMs)
    this.timers.authenticatedReceived(nowMs)
    if (hasData) this.timers.dataReceived(nowMs)
    this.#keepFresh(nowMs, counter)
  }

  /** Opens an initiation of this peer and answers it. */
  answer(
    identified: InitiationIdentified,
    message: Uint8Array,
    remote: Uint8Array,
    nowMs: number,
  ): DropReason {
    const { deps } = this.#device
    const { suite } = identified
    if (!this.#accepts(suite.method)) {
      wipeHandshake(identified)
      return drop.cipherNotEnabled
    }
    const peer = this.#keysOfPeer()
    if (peer === undefined) return drop.handshakeDecryptFailed
    const stamp = new Uint8Array(specification.timestampBytes)
    const opened = openInitiation(deps.aead, identified, peer, stamp)
    if (opened === undefined) return drop.handshakeDecryptFailed
    const reason = this.#judge(stamp, nowMs)
    if (reason !== drop.none) {
      wipeHandshake(opened)
      return reason
    }
    const localIndex = claimIndex(this.#device, this)
    const response = frame(RESPONSE.TYPE, RESPONSE.BYTES, localIndex)
    const remoteIndex = readIndex(message, INITIATION.SENDER)
    writeIndex(response, RESPONSE.RECEIVER, remoteIndex)
    const noise = response.subarray(RESPONSE.NOISE, RESPONSE.NOISE_END)
    const ephemeral = this.#newEphemeral()
    const keys = writeResponse(
      deps.aead,
      opened,
      peer,
      this.#presharedKey,
      ephemeral,
      nothing,
      noise,
    )
    if (keys === undefined) {
      this.#device.indices.delete(localIndex)
      return drop.handshakeDecryptFailed
    }
    this.#latestStamp.set(stamp)
    this.#consumedMs = nowMs
    this.cookie.stamp(response, nowMs)
    const session = { keys, suite, localIndex, remoteIndex, initiator: false }
    this.#takeSession(session, remote, message.length, nowMs)
    this.timers.responseSent(nowMs)
    const to = remote.slice()
    this.#act({ kind: 'send', cable: this.cable, message: response, to, initiation: false })
    return drop.none
  }

  /** Takes the response to our initiation. */
  finish(message: Uint8Array, remote: Uint8Array, nowMs: number, wallMs: number): DropReason {
    const { deps, identity } = this.#device
    const index = readIndex(message, RESPONSE.RECEIVER)
    const initiation = this.#initiation
    if (identity === undefined || initiation?.index !== index) return drop.responseMismatch
    const noise = message.subarray(RESPONSE.NOISE, RESPONSE.NOISE_END)
    const keys = readResponse(
      deps.aead,
      initiation.sent,
      identity,
      this.#presharedKey,
      noise,
      nothing,
    )
    if (keys === undefined) return drop.presharedKeyMismatch
    this.#initiation = undefined
    const { suite } = initiation.sent
    const remoteIndex = readIndex(message, RESPONSE.SENDER)
    const session = { keys, suite, localIndex: index, remoteIndex, initiator: true }
    this.#takeSession(session, remote, message.length, nowMs)
    this.timers.handshakeCompleted()
    this.timers.currentChanged(nowMs)
    this.#settleSwap(suite.method, initiation.isFallback, nowMs)
    this.#act({ kind: 'handshake', cable: this.cable, wallMs })
    // The responder may not send before it has seen a data message: the key confirmation.
    this.sendKeepalive(nowMs)
    return drop.none
  }

  #initiate(nowMs: number, wallMs: number): void {
    const { cable, timers } = this
    if (timers.isRetry) this.#act({ kind: 'clearSource', cable })
    timers.initiationTried(nowMs, jitterMs(this.#device))
    const message = this.#writeInitiation(wallMs, timers.attempts)
    if (message === undefined) return
    this.cookie.stamp(message, nowMs)
    timers.authenticatedSent(nowMs)
    this.#act({ kind: 'send', cable, message, to: undefined, initiation: true })
  }

  #writeInitiation(wallMs: number, attempt: number): Uint8Array | undefined {
    const { deps, identity } = this.#device
    const peer = this.#keysOfPeer()
    if (identity === undefined || peer === undefined) return undefined
    this.#dropInitiation()
    const index = claimIndex(this.#device, this)
    const message = frame(INITIATION.TYPE, INITIATION.BYTES, index)
    const stamp = new Uint8Array(specification.timestampBytes)
    this.#stamps.next(wallMs, stamp)
    const noise = message.subarray(INITIATION.NOISE, INITIATION.NOISE_END)
    const ephemeral = this.#newEphemeral()
    const { preferred } = this.#ciphers
    const isFallback = preferred !== fallbackCipher && attempt % implementation.fallbackEvery === 0
    const suite = suiteOf[isFallback ? fallbackCipher : preferred]
    const sent = writeInitiation(deps.aead, suite, identity, peer, ephemeral, stamp, noise)
    if (sent === undefined) {
      this.#device.indices.delete(index)
      return undefined
    }
    this.#initiation = { index, sent, isFallback }
    return message
  }

  /** Whether an authentic initiation is new, and not too soon after the one before. */
  #judge(stamp: Uint8Array, nowMs: number): DropReason {
    if (!isLater(stamp, this.#latestStamp)) return drop.replayedTimestamp
    if (nowMs < this.#consumedMs + implementation.initiationSpacingMs) return drop.initiationFlood
    return drop.none
  }

  #takeSession(session: Session, remote: Uint8Array, bytes: number, nowMs: number): void {
    const { cable, mtuBytes } = this
    const { keys, suite, localIndex, remoteIndex, initiator } = session
    const keypair = new Keypair({
      cable,
      localIndex,
      remoteIndex,
      initiator,
      mtuBytes,
      method: suite.method,
      createdMs: nowMs,
      sendKey: keys.send,
      receiveKey: keys.receive,
    })
    this.#act({ kind: 'roamed', cable, remote: remote.slice(), bytes })
    this.#act({ kind: 'keypair', cable, keypair, use: initiator ? 'current' : 'next' })
    const { keypairs } = this
    this.#retire(initiator ? keypairs.takeInitiated(keypair) : keypairs.takeAnswered(keypair))
    this.timers.authenticatedReceived(nowMs)
    this.timers.sessionDerived(nowMs)
  }

  #promote(keypair: Keypair, nowMs: number): void {
    const gone = this.keypairs.promote()
    this.#promotedMs = nowMs
    this.#act({ kind: 'promoted', cable: this.cable, keypair })
    this.#retire(gone)
    this.timers.handshakeCompleted()
    this.timers.currentChanged(nowMs)
    this.#settleSwap(keypair.method, false, nowMs)
    const wallMs = nowMs + this.#device.wallOffsetMs
    this.#act({ kind: 'handshake', cable: this.cable, wallMs })
  }

  #accepts(methodCode: number): boolean {
    return this.#ciphers.accepted.some(name => cipherMethods[name] === methodCode)
  }

  /** A session was confirmed: is it the one that a changed cipher asked for? */
  #settleSwap(methodCode: number, isFallback: boolean, nowMs: number): void {
    if (!this.#swapDue) return
    this.#swapDue = !isFallback && methodCode !== cipherMethods[this.#ciphers.preferred]
    if (this.#swapDue) this.timers.handshakeWanted(nowMs)
  }

  /**
   * The receiving side's re-keys. For age: who initiated a session that is about to end and sends
   * nothing (else it had re-keyed at 120 s) does so once. For the message count: either side.
   */
  #keepFresh(nowMs: number, counter: number): void {
    const current = this.keypairs.usable(nowMs)
    if (current === undefined) return
    const isLastMinute =
      current.initiator &&
      nowMs >= current.createdMs + lastMinuteMs &&
      this.#lastMinuteMs < current.createdMs
    if (isLastMinute) this.#lastMinuteMs = nowMs
    if (isLastMinute || counter >= current.rekeyAtMessages) this.timers.handshakeWanted(nowMs)
  }

  #dropOlder(nowMs: number): void {
    const { current } = this.keypairs
    const changedMs = Math.max(current?.createdMs ?? never, this.#promotedMs)
    if (nowMs >= changedMs + implementation.olderMs) this.#retire(this.keypairs.dropOlder())
  }

  #watch(nowMs: number): void {
    if (this.keypairs.usable(nowMs) === undefined) {
      this.timers.watchAtMs = Number.POSITIVE_INFINITY
      return
    }
    if (!this.timers.takeUnanswered(nowMs, jitterMs(this.#device))) return
    this.#act({ kind: 'clearSource', cable: this.cable })
    this.timers.handshakeWanted(nowMs)
  }

  /** Derived when first needed; undefined without a private key, or for a key that is refused. */
  #keysOfPeer(): PeerKeys | undefined {
    const { identity } = this.#device
    if (this.#peerKeys !== undefined || identity === undefined) return this.#peerKeys
    const { publicKey } = this
    if (Buffer.compare(publicKey, identity.publicKey) === 0) return undefined
    const publicKeyObject = importPublicKey(publicKey)
    const staticStatic = agree(identity.privateKey, publicKeyObject)
    if (staticStatic === undefined) return undefined
    this.#peerKeys = { publicKey, publicKeyObject, staticStatic }
    return this.#peerKeys
  }

  #forgetPeerKeys(): void {
    this.#peerKeys?.staticStatic.fill(0)
    this.#peerKeys = undefined
  }

  #dropInitiation(): void {
    if (this.#initiation === undefined) return
    wipeHandshake(this.#initiation.sent)
    this.#device.indices.delete(this.#initiation.index)
    this.#initiation = undefined
  }

  #retire(keypairs: readonly Keypair[]): void {
    for (const keypair of keypairs) {
      this.#device.indices.delete(keypair.localIndex)
      this.#act({ kind: 'retired', cable: this.cable, keypair })
      keypair.wipe()
    }
  }

  /** Told only while a capture asks for it: whoever has it can read the session. */
  #newEphemeral(): Uint8Array {
    const key = randomKey(this.#device)
    if (this.#device.deps.wantsEphemerals?.())
      this.#act({ kind: 'ephemeral', cable: this.cable, key: key.slice() })
    return key
  }

  #act(action: ProtocolAction): void {
    this.#device.actions.push(action)
  }
}

function frame(type: number, bytes: number, senderIndex: number): Uint8Array {
  const message = new Uint8Array(bytes)
  message[0] = type
  writeIndex(message, INITIATION.SENDER, senderIndex)
  return message
}
