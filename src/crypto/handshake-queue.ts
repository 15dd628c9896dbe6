// Handshake messages that passed their MACs and wait for the Diffie-Hellman operations: a ring of
// fixed entries, so that a flood allocates nothing. When it is full the newest is dropped, because
// those before it have waited longer.

import { REMOTE } from '../tables/shared.ts'
import { INITIATION } from './messages.ts'

const REMOTE_AT = 160
const ENTRY_BYTES = 256

export interface QueuedMessage {
  /** Both are views that hold until the next push. */
  readonly message: Uint8Array
  readonly remote: Uint8Array
}

export class HandshakeQueue {
  readonly #capacity: number
  readonly #bytes: Uint8Array
  readonly #lengths: Uint8Array
  #first = 0
  #count = 0

  constructor(capacity: number) {
    this.#capacity = capacity
    this.#bytes = new Uint8Array(capacity * ENTRY_BYTES)
    this.#lengths = new Uint8Array(capacity)
  }

  get length(): number {
    return this.#count
  }

  /** Copies both. False when the queue is full, or the message no handshake message. */
  push(message: Uint8Array, remote: Uint8Array): boolean {
    if (this.#count === this.#capacity || message.length > INITIATION.BYTES) return false
    const entry = (this.#first + this.#count) % this.#capacity
    this.#bytes.set(message, entry * ENTRY_BYTES)
    this.#bytes.set(remote.subarray(0, REMOTE.BYTES), entry * ENTRY_BYTES + REMOTE_AT)
    this.#lengths[entry] = message.length
    this.#count++
    return true
  }

  shift(): QueuedMessage | undefined {
    if (this.#count === 0) return undefined
    const entry = this.#first
    const at = entry * ENTRY_BYTES
    this.#first = (entry + 1) % this.#capacity
    this.#count--
    return {
      message: this.#bytes.subarray(at, at + this.#lengths[entry]),
      remote: this.#bytes.subarray(at + REMOTE_AT, at + REMOTE_AT + REMOTE.BYTES),
    }
  }

  clear(): void {
    this.#count = 0
  }
}
