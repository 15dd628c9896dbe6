// Handshake initiations on their way to the pair that owns their peer. An initiation names nobody:
// all arrive at pair 0, which checks them and finds out whose they are, and hands those of other
// pairs on. A ring for each pair in shared memory (shared.ts HANDOVERS): pair 0 writes, the owner
// reads. Full, the newest is dropped, as in the handshake queue.

import { HANDOVERS, REMOTE } from '../tables/shared.ts'

export interface HandedOver {
  readonly message: Uint8Array
  readonly remote: Uint8Array
}

/** Puts a message with its sender into the ring. False when it is full. */
export function handOver(ring: Uint8Array, message: Uint8Array, remote: Uint8Array): boolean {
  const words = new Int32Array(ring.buffer)
  const written = words[HANDOVERS.WRITTEN]
  const read = Atomics.load(words, HANDOVERS.READ)
  if (((written - read) | 0) >= HANDOVERS.ENTRIES) return false
  const at = entryAt(written)
  ring.set(message, at + HANDOVERS.MESSAGE)
  ring.set(remote, at + HANDOVERS.REMOTE)
  Atomics.store(words, HANDOVERS.WRITTEN, (written + 1) | 0)
  return true
}

/** Takes the oldest message out of the ring: a copy, the entry may be written again at once. */
export function takeHandover(ring: Uint8Array): HandedOver | undefined {
  const words = new Int32Array(ring.buffer)
  const read = words[HANDOVERS.READ]
  if (read === Atomics.load(words, HANDOVERS.WRITTEN)) return undefined
  const at = entryAt(read)
  const text = at + HANDOVERS.MESSAGE
  const message = ring.slice(text, text + HANDOVERS.MESSAGE_BYTES)
  const remote = ring.slice(at + HANDOVERS.REMOTE, at + HANDOVERS.REMOTE + REMOTE.BYTES)
  Atomics.store(words, HANDOVERS.READ, (read + 1) | 0)
  return { message, remote }
}

function entryAt(count: number): number {
  return HANDOVERS.FIRST + (count & (HANDOVERS.ENTRIES - 1)) * HANDOVERS.ENTRY_BYTES
}
