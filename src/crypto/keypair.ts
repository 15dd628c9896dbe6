// Keypairs: the two keys of a session with their limits, and the places that a peer has for them
// (whitepaper 6.2 and 6.3; noise.c of the Linux driver).
//
//   current    sent with, and received with
//   previous   the one before: what is still on the way is received with it
//   next       a responder's new one: received with, and sent with only once the initiator has
//              shown, by a data message under it, that it has the keys too
//   older      what a change has pushed out of the places: received with for some seconds more
//
// The Linux driver has no `older`, and loses what is on its way when two sides have initiated at the
// same moment: each then sends with the keypair of its own handshake, which the other has as
// previous, and which the next handshake would take away before its sender knows of a new one.
//
// Limits are instants and message counts, and both hold for sending and for receiving. The key bytes
// are here only until the driver has installed them into a slot.

import { inspect } from 'node:util'
import { method } from '../tables/shared.ts'
import { implementation, specification } from './messages.ts'

export interface KeypairParts {
  readonly cable: number
  readonly localIndex: number
  readonly remoteIndex: number
  readonly initiator: boolean
  /** shared.ts `method`. */
  readonly method: number
  /** The largest inner packet: what is sealed is never larger. */
  readonly mtuBytes: number
  readonly createdMs: number
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
}

export class Keypair {
  readonly cable: number
  readonly localIndex: number
  readonly remoteIndex: number
  readonly initiator: boolean
  readonly method: number
  readonly createdMs: number
  /** Only the initiator of a session renews it for its age: else both would at once. */
  readonly rekeyAtMs: number
  readonly rejectAtMs: number
  readonly rekeyAtMessages: number
  readonly rejectAfterMessages: number
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
  /** The key slot, -1 while there is none; the driver sets it. */
  slot = -1

  constructor(parts: KeypairParts) {
    this.cable = parts.cable
    this.localIndex = parts.localIndex
    this.remoteIndex = parts.remoteIndex
    this.initiator = parts.initiator
    this.method = parts.method
    this.createdMs = parts.createdMs
    const renewMs = parts.initiator ? specification.rekeyAfterMs : Number.POSITIVE_INFINITY
    this.rekeyAtMs = parts.createdMs + renewMs
    this.rejectAtMs = parts.createdMs + specification.rejectAfterMs
    const { rekeyAt, rejectAfter } = messageLimits(parts.method, parts.mtuBytes)
    this.rekeyAtMessages = rekeyAt
    this.rejectAfterMessages = rejectAfter
    this.sendKey = parts.sendKey
    this.receiveKey = parts.receiveKey
  }

  wipe(): void {
    this.sendKey.fill(0)
    this.receiveKey.fill(0)
  }

  toJSON(): object {
    return { cable: this.cable, localIndex: this.localIndex, slot: this.slot }
  }

  [inspect.custom](): string {
    return `Keypair(cable ${this.cable}, index ${this.localIndex}, slot ${this.slot})`
  }
}

/** A peer's keypairs. Each change returns those that are no longer needed. */
export class KeypairPlaces {
  previous: Keypair | undefined
  current: Keypair | undefined
  next: Keypair | undefined
  older: readonly Keypair[] = []

  has(keypair: Keypair): boolean {
    const isPlaced = keypair === this.current || keypair === this.next || keypair === this.previous
    return isPlaced || this.older.includes(keypair)
  }

  /** The current keypair while it may be sent with. */
  usable(nowMs: number): Keypair | undefined {
    const { current } = this
    return current !== undefined && nowMs < current.rejectAtMs ? current : undefined
  }

  /**
   * The initiator got its response, so both sides have the keys: current at once. A `next` that was
   * waiting becomes previous, for its initiator may be sending with it already.
   */
  takeInitiated(keypair: Keypair): readonly Keypair[] {
    const isCrossed = this.next !== undefined
    const gone = this.#age(isCrossed ? [this.current, this.previous] : [this.previous])
    this.previous = this.next ?? this.current
    this.next = undefined
    this.current = keypair
    return gone
  }

  /** The responder has answered, and waits for the first data message. */
  takeAnswered(keypair: Keypair): readonly Keypair[] {
    const gone = [this.next].filter(isKeypair)
    this.next = keypair
    return gone
  }

  /** A data message came under `next`. */
  promote(): readonly Keypair[] {
    const gone = this.#age([this.previous])
    this.previous = this.current
    this.current = this.next
    this.next = undefined
    return gone
  }

  /** Nothing under the older ones can be on its way any more. */
  dropOlder(): readonly Keypair[] {
    return this.#age([])
  }

  clear(): readonly Keypair[] {
    const gone = [...this.#age([]), this.previous, this.current, this.next]
    this.previous = undefined
    this.current = undefined
    this.next = undefined
    return gone.filter(isKeypair)
  }

  /** Puts these in the place of the older ones, which are returned. */
  #age(keypairs: readonly (Keypair | undefined)[]): readonly Keypair[] {
    const gone = this.older
    this.older = keypairs.filter(isKeypair)
    return gone
  }
}

function messageLimits(methodCode: number, mtuBytes: number) {
  const { chachaRekeyAtMessages, chachaRejectAfterMessages, aesRejectAfterMessages } =
    implementation
  if (methodCode !== method.aes256Gcm) {
    return { rekeyAt: chachaRekeyAtMessages, rejectAfter: chachaRejectAfterMessages }
  }
  const { messages } =
    aesRejectAfterMessages.find(({ bytes }) => mtuBytes <= bytes) ?? aesRejectAfterMessages[2]
  return { rekeyAt: messages / 2, rejectAfter: messages }
}

function isKeypair(keypair: Keypair | undefined): keypair is Keypair {
  return keypair !== undefined
}
