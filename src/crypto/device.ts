// What the tunnels of one device share: the outside, the lists that they fill, the device's identity,
// and the receiver indices, which must be unique over all peers because they are all that a message
// says about whom it belongs to.

import type { DroppedMessage, ProtocolAction, ProtocolDeps } from './actions.ts'
import { implementation, readIndex, specification } from './messages.ts'
import type { Identity } from './noise.ts'

export interface Device<Owner> {
  readonly deps: ProtocolDeps
  readonly actions: ProtocolAction[]
  readonly dropped: DroppedMessage[]
  /** Whose handshake or keypair has this local index. */
  readonly indices: Map<number, Owner>
  identity: Identity | undefined
  /** Wall-clock time minus monotonic time, as of the last call that knew both. */
  wallOffsetMs: number
}

/** A random index that nobody on this device has: it must not be guessable (whitepaper 5.4.2). */
export function claimIndex<Owner>(device: Device<Owner>, owner: Owner): number {
  let index = randomIndex(device)
  while (device.indices.has(index)) index = randomIndex(device)
  device.indices.set(index, owner)
  return index
}

function randomIndex<Owner>(device: Device<Owner>): number {
  const { pair, pairs } = device.deps.place ?? { pair: 0, pairs: 1 }
  return ((randomWord(device) & -pairs) | pair) >>> 0
}

/** 32 random bytes, the caller's to wipe. */
export function randomKey<Owner>(device: Device<Owner>): Uint8Array {
  const key = new Uint8Array(specification.keyBytes)
  device.deps.random(key)
  return key
}

/** By how much a retry is late, 0 to 333 ms. */
export function jitterMs<Owner>(device: Device<Owner>): number {
  return randomWord(device) % implementation.jitterMs
}

function randomWord<Owner>(device: Device<Owner>): number {
  const bytes = new Uint8Array(4)
  device.deps.random(bytes)
  return readIndex(bytes, 0)
}
