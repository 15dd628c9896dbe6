// What the protocol engine needs from outside and what it asks the outside to do. The engine does
// no I/O: functions are handed in once, decisions come out as a list that the cable driver works
// off after each call.

import type { DropReason } from '../tables/counters.ts'
import type { Keypair } from './keypair.ts'

/**
 * One AEAD operation of a handshake with nonce 0, as native.handshakeAead: `method` of shared.ts,
 * the tag behind the text. 0, or negative when it failed.
 */
export type Aead = (
  seal: boolean,
  methodCode: number,
  key: Uint8Array,
  additional: Uint8Array,
  input: Uint8Array,
  output: Uint8Array,
) => number

/** XChaCha20-Poly1305 with a nonce of 24 bytes; `open` gives undefined when the tag is wrong. */
export interface Xchacha {
  seal(key: Uint8Array, nonce: Uint8Array, additional: Uint8Array, plain: Uint8Array): Uint8Array
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    additional: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined
}

/** What the outbound worker published for a cable: monotonic ms, 0 for never. */
export interface SentInstants {
  sentMs(cable: number): number
  dataSentMs(cable: number): number
  /** The first data sent since something authenticated was received. */
  unansweredMs(cable: number): number
}

export interface ProtocolDeps {
  readonly aead: Aead
  readonly xchacha: Xchacha
  /** Fills an array with random bytes. */
  readonly random: (bytes: Uint8Array) => void
  readonly sent: SentInstants
  /**
   * One of several engines that share the device's peers between them: the low bits of the receiver
   * indices that it gives out are `pair`, of `pairs`, a power of two. Absent: the only one.
   */
  readonly place?: { readonly pair: number; readonly pairs: number }
  /** Whether ephemeral keys are told, to a capture that shows what they protect. Absent: never. */
  readonly wantsEphemerals?: () => boolean
}

export type ProtocolAction =
  /**
   * A handshake message. `to` is the remote record to answer to, undefined for the cable's current
   * remote; the cable is -1 for a cookie reply, which answers somebody unknown.
   */
  | {
      readonly kind: 'send'
      readonly cable: number
      readonly message: Uint8Array
      readonly to: Uint8Array | undefined
      readonly initiation: boolean
    }
  /** The ephemeral private key of the handshake message that follows; the driver wipes it. */
  | { readonly kind: 'ephemeral'; readonly cable: number; readonly key: Uint8Array }
  /** Install into a slot, then `keypair.wipe()`. `current` is sent with, `next` only received. */
  | {
      readonly kind: 'keypair'
      readonly cable: number
      readonly keypair: Keypair
      readonly use: 'current' | 'next'
    }
  /** The next keypair was confirmed: send with it from now on. */
  | { readonly kind: 'promoted'; readonly cable: number; readonly keypair: Keypair }
  /** Remove from the receiver-index table and wipe the slot. */
  | { readonly kind: 'retired'; readonly cable: number; readonly keypair: Keypair }
  /** Send an empty data message with the current keypair. */
  | { readonly kind: 'keepalive'; readonly cable: number }
  /** An authenticated handshake message of `bytes` bytes came from this remote record. */
  | {
      readonly kind: 'roamed'
      readonly cable: number
      readonly remote: Uint8Array
      readonly bytes: number
    }
  /** An initiation of a peer that another pair's engine has, with the remote record it came from. */
  | {
      readonly kind: 'handOver'
      readonly cable: number
      readonly pair: number
      readonly message: Uint8Array
      readonly remote: Uint8Array
    }
  /** Forget the source address in use: it may be why nothing is answered. */
  | { readonly kind: 'clearSource'; readonly cable: number }
  /** A handshake completed. */
  | { readonly kind: 'handshake'; readonly cable: number; readonly wallMs: number }
  /** No answer for 90 s: waiting packets are to be dropped. */
  | { readonly kind: 'gaveUp'; readonly cable: number }

/** A handshake message that was queued and then failed; the cable is -1 while none is known. */
export interface DroppedMessage {
  readonly cable: number
  readonly reason: DropReason
}
