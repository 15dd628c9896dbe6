// Key slots in shared memory (shared.ts SLOT): prepared here, published by the publisher, then
// constant until they are retired and wiped. Each inbound worker writes a part of them; the addon reads
// them, and takes nonces from their send counters.

import { partOfPair, RetiredEntries } from '../tables/memory.ts'
import { limits, method, REPLAY, type SharedMemory, SLOT } from '../tables/shared.ts'

export interface SlotKeys {
  readonly method: number
  readonly cable: number
  readonly remoteIndex: number
  readonly localIndex: number
  readonly initiator: boolean
  readonly createdMs: number
  readonly rekeyAtMs: number
  readonly rejectAtMs: number
  readonly rekeyAtMessages: number
  readonly rejectAfterMessages: number
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
}

/** Where the outbound worker reads a slot's limits. */
export class SlotView {
  readonly #doubles: Float64Array
  readonly #words: Uint32Array

  constructor(memory: SharedMemory) {
    this.#doubles = new Float64Array(memory.slots.buffer)
    this.#words = new Uint32Array(memory.slots.buffer)
  }

  rekeyAtMs(slot: number): number {
    return this.#doubles[(slot * SLOT.BYTES + SLOT.REKEY_AT_MS) >> 3]
  }

  rejectAtMs(slot: number): number {
    return this.#doubles[(slot * SLOT.BYTES + SLOT.REJECT_AT_MS) >> 3]
  }

  /** Whether so many messages were sealed that a new key is due. */
  isWornOut(slot: number): boolean {
    const base = slot * SLOT.BYTES
    const low = this.#words[(base + SLOT.SEND_COUNTER) >> 2]
    const high = this.#words[((base + SLOT.SEND_COUNTER) >> 2) + 1]
    const sent = high * 4_294_967_296 + low
    return sent >= this.#doubles[(base + SLOT.REKEY_AT_MESSAGES) >> 3]
  }
}

/**
 * The addon keeps a cipher context for each slot, tagged with its generation, and keeps them for its
 * thread: so no number comes twice in a thread, whoever's memory the slot lies in.
 */
let generation = 0

export class SlotPool {
  readonly #memory: SharedMemory
  readonly #view: DataView
  readonly #free: number[] = []
  readonly #retired: RetiredEntries
  /** The pair's own part of the pool: [first, end). */
  readonly #first: number
  readonly #end: number
  /** Behind all that were ever taken. */
  #next: number

  constructor(memory: SharedMemory) {
    this.#memory = memory
    this.#view = new DataView(memory.slots.buffer)
    this.#retired = new RetiredEntries(memory)
    const part = partOfPair(memory, limits.slots)
    this.#first = part.first
    this.#end = part.end
    this.#next = part.first
  }

  /** Prepares a slot for keys; it is not yet published. Returns -1 when there is none left. */
  add(keys: SlotKeys): number {
    const slot = this.#take()
    if (slot < 0) return -1
    const at = slot * SLOT.BYTES
    const view = this.#view
    view.setUint32(at + SLOT.REMOTE_INDEX, keys.remoteIndex, true)
    view.setUint32(at + SLOT.LOCAL_INDEX, keys.localIndex, true)
    view.setUint32(at + SLOT.FLAGS, keys.initiator ? 1 : 0, true)
    setUint64(view, at + SLOT.REJECT_AFTER_MESSAGES, keys.rejectAfterMessages)
    view.setFloat64(at + SLOT.REKEY_AT_MESSAGES, keys.rekeyAtMessages, true)
    view.setFloat64(at + SLOT.CREATED_AT_MS, keys.createdMs, true)
    view.setFloat64(at + SLOT.REKEY_AT_MS, keys.rekeyAtMs, true)
    view.setFloat64(at + SLOT.REJECT_AT_MS, keys.rejectAtMs, true)
    this.#memory.slots.set(keys.sendKey, at + SLOT.SEND_KEY)
    this.#memory.slots.set(keys.receiveKey, at + SLOT.RECEIVE_KEY)
    this.#finish(at, keys.method, keys.cable)
    return slot
  }

  /** Prepares a VXLAN slot: `header` is VXLAN header, destination MAC, source MAC (20 bytes). */
  addVxlan(cable: number, header: Uint8Array): number {
    const slot = this.#take()
    if (slot < 0) return -1
    const at = slot * SLOT.BYTES
    this.#view.setFloat64(at + SLOT.REKEY_AT_MESSAGES, Number.POSITIVE_INFINITY, true)
    this.#view.setFloat64(at + SLOT.REKEY_AT_MS, Number.POSITIVE_INFINITY, true)
    this.#view.setFloat64(at + SLOT.REJECT_AT_MS, Number.POSITIVE_INFINITY, true)
    this.#memory.slots.set(header, at + SLOT.VXLAN_HEADER)
    this.#finish(at, method.vxlan, cable)
    return slot
  }

  /** Call it after the slot was unpublished and its index forgotten. */
  retire(slot: number): void {
    if (slot >= 0) this.#retired.retire(slot)
  }

  /** Wipes the keys of retired slots that nobody can hold any more. Call it once a breath. */
  collect(): void {
    if (this.#retired.length > 0) this.#retired.collect(slot => this.#wipe(slot))
  }

  /** Wipes every slot of the pair, in use or not: for the end of the process. */
  wipeAll(): void {
    this.#memory.slots.fill(0, this.#first * SLOT.BYTES, this.#next * SLOT.BYTES)
  }

  /** METHOD and GENERATION are the caller's last stores: whoever sees them sees the keys. */
  #take(): number {
    let slot = this.#free.pop() ?? -1
    if (slot < 0) {
      if (this.#next === this.#end) return -1
      slot = this.#next++
    }
    this.#memory.replay.fill(0, slot * REPLAY.BYTES, (slot + 1) * REPLAY.BYTES)
    return slot
  }

  #finish(at: number, methodCode: number, cable: number): void {
    generation = (generation + 1) >>> 0
    this.#view.setUint32(at + SLOT.CABLE, cable, true)
    this.#view.setUint32(at + SLOT.GENERATION, generation, true)
    this.#view.setUint32(at + SLOT.METHOD, methodCode, true)
  }

  #wipe(slot: number): void {
    this.#memory.slots.fill(0, slot * SLOT.BYTES, (slot + 1) * SLOT.BYTES)
    this.#free.push(slot)
  }
}

function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 4_294_967_296, true)
  view.setUint32(at + 4, Math.floor(value / 4_294_967_296), true)
}
