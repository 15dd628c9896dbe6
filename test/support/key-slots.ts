// Key slots of shared memory for tests of the addon: written as the inbound worker would, but without
// the books that it keeps.

import { IndexTable } from '../../src/cable/index-table.ts'
import { limits, method, REMOTE, type SharedMemory, SLOT } from '../../src/tables/shared.ts'

export interface KeySlot {
  readonly slot: number
  readonly method: number
  readonly generation?: number
  readonly cable?: number
  readonly remoteIndex?: number
  readonly localIndex?: number
  readonly sendCounter?: bigint
  readonly rejectAfterMessages?: bigint
  readonly rejectAtMs?: number
  readonly sendKey?: Uint8Array
  readonly receiveKey?: Uint8Array
  readonly vxlanHeader?: Uint8Array
}

/** A table of slots that nothing shares. */
export function emptySlots(): Uint8Array {
  return new Uint8Array(limits.slots * SLOT.BYTES)
}

export function writeSlot(slots: Uint8Array, fields: KeySlot): void {
  const at = slots.byteOffset + fields.slot * SLOT.BYTES
  const record = new Uint8Array(slots.buffer, at, SLOT.BYTES).fill(0)
  const view = new DataView(slots.buffer, at, SLOT.BYTES)
  view.setUint32(SLOT.METHOD, fields.method, true)
  view.setUint32(SLOT.GENERATION, fields.generation ?? 1, true)
  view.setUint32(SLOT.CABLE, fields.cable ?? 0, true)
  view.setUint32(SLOT.REMOTE_INDEX, fields.remoteIndex ?? 0, true)
  view.setUint32(SLOT.LOCAL_INDEX, fields.localIndex ?? 0, true)
  view.setBigUint64(SLOT.SEND_COUNTER, fields.sendCounter ?? 0n, true)
  view.setBigUint64(SLOT.REJECT_AFTER_MESSAGES, fields.rejectAfterMessages ?? 2n ** 53n, true)
  view.setFloat64(SLOT.REJECT_AT_MS, fields.rejectAtMs ?? Infinity, true)
  record.set(fields.sendKey ?? new Uint8Array(32), SLOT.SEND_KEY)
  record.set(fields.receiveKey ?? new Uint8Array(32), SLOT.RECEIVE_KEY)
  record.set(fields.vxlanHeader ?? new Uint8Array(20), SLOT.VXLAN_HEADER)
}

/** Writes the slot and enters its local index, if it has one, in the receiver-index table. */
export function publishSlot(memory: SharedMemory, fields: KeySlot): void {
  writeSlot(memory.slots, fields)
  if (fields.method !== method.vxlan && fields.localIndex !== undefined) {
    new IndexTable(memory.indices).set(fields.localIndex, fields.slot)
  }
}

export function sendCounterOf(memory: SharedMemory, slot: number): bigint {
  const { buffer, byteOffset } = memory.slots
  return new DataView(buffer, byteOffset + slot * SLOT.BYTES).getBigUint64(SLOT.SEND_COUNTER, true)
}

/** A remote that differs from others in its port. */
export function writePort(memory: SharedMemory, remote: number, port: number): void {
  const { buffer, byteOffset } = memory.remotes
  const view = new DataView(buffer, byteOffset + remote * REMOTE.BYTES, REMOTE.BYTES)
  view.setUint16(REMOTE.FAMILY, 2, true)
  view.setUint16(REMOTE.PORT, port, true)
}
