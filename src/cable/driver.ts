// A cable driver: what one kind of cable (WireGuard, VXLAN) knows about all its cables. It lives in
// the inbound worker, owns their sessions, and publishes what the outbound worker needs: a key slot
// and a remote in each cable's row. Data packets pass by it; it sees what is not data.

import type { DropReason } from '../tables/counters.ts'

/** A datagram that native `open` left to TypeScript; it lies in the slab until the breath ends. */
export interface Message {
  slab: Uint8Array
  offset: number
  lengthBytes: number
  /** The record (shared.ts REMOTE) of its sender, with the local address that it came to. */
  remote: Uint8Array
  /** VXLAN: the cable that it belongs to. -1: none is known yet. */
  cable: number
}

export interface CableDriver {
  remove(cable: number, nowMs: number): void
  /** Takes a message; 0 or the reason for which it was dropped (counted by the caller). */
  message(message: Message, nowMs: number): DropReason
  /** The outbound worker has packets for a cable and no key, or wants a newer one. */
  wanted(cable: number, nowMs: number): void
  /** The outbound worker has begun to send on a cable that was not watched. */
  watch(cable: number, nowMs: number): void
  /** The device went down or came up. */
  suspend(nowMs: number): void
  resume(nowMs: number): void
  /** Works off one queued message. False: nothing was queued. */
  step(nowMs: number): boolean
  tick(nowMs: number): void
  /** Infinity when nothing is pending. */
  nextDeadlineMs(): number
}
