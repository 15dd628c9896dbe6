// Publishes cables to the outbound worker: key slots, remotes and flags in the cables' rows. What is
// replaced is retired, not changed (shared.ts has the rules).
//
// Only the inbound worker has one, so that every word written here has one writer. The index goes
// last: whoever reads it finds behind it what is complete and stays as it is.

import { COUNTER } from '../tables/counters.ts'
import { CABLE, cableFlag, INSTANT, REMOTE, type SharedMemory } from '../tables/shared.ts'
import { IndexTable } from './index-table.ts'
import { isIpv4Remote, RemotePool } from './remotes.ts'
import { SlotPool } from './slots.ts'

export class Publisher {
  readonly memory: SharedMemory
  readonly slots: SlotPool
  readonly remotes: RemotePool
  readonly indices: IndexTable
  /** The inbound worker's counters. */
  readonly counters: Float64Array

  constructor(memory: SharedMemory, counters: Float64Array) {
    this.memory = memory
    this.counters = counters
    this.slots = new SlotPool(memory)
    this.remotes = new RemotePool(memory)
    this.indices = new IndexTable(memory.indices)
  }

  /** Begins a cable's row: no key and no remote yet. */
  begin(cable: number, isVxlan: boolean, mtuBytes: number): void {
    const { cables, instants } = this.memory
    const received = cable * INSTANT.WORDS + INSTANT.RECEIVED
    const at = cable * CABLE.WORDS
    // Only our half: what the outbound worker writes, it forgets itself.
    instants.fill(0, received, (cable + 1) * INSTANT.WORDS)
    this.counters.fill(0, cable * COUNTER.WORDS, (cable + 1) * COUNTER.WORDS)
    Atomics.store(cables, at + CABLE.SLOT, -1)
    Atomics.store(cables, at + CABLE.REMOTE, -1)
    Atomics.store(cables, at + CABLE.MTU, mtuBytes)
    // WireGuard's timers look for themselves; only ARP wants to hear of sends after silence.
    cables[at + CABLE.WATCHED] = isVxlan ? 0 : 1
    const flags = cableFlag.present | (isVxlan ? cableFlag.vxlan : 0)
    Atomics.store(cables, at + CABLE.FLAGS, flags)
  }

  end(cable: number): void {
    // The index may be another worker's next time, which has counters of its own.
    this.counters.fill(0, cable * COUNTER.WORDS, (cable + 1) * COUNTER.WORDS)
    Atomics.store(this.memory.cables, cable * CABLE.WORDS + CABLE.FLAGS, 0)
    this.setRemote(cable, undefined)
    this.setSlot(cable, -1)
  }

  setMtu(cable: number, mtuBytes: number): void {
    Atomics.store(this.memory.cables, cable * CABLE.WORDS + CABLE.MTU, mtuBytes)
  }

  /** The slot to seal with, -1 for none. The one before is the caller's to retire. */
  setSlot(cable: number, slot: number): void {
    Atomics.store(this.memory.cables, cable * CABLE.WORDS + CABLE.SLOT, slot)
  }

  slotOf(cable: number): number {
    return this.memory.cables[cable * CABLE.WORDS + CABLE.SLOT]
  }

  /** Publishes a remote record. False: the pool is full, and the remote before stays. */
  setRemote(cable: number, record: Uint8Array | undefined): boolean {
    const at = cable * CABLE.WORDS + CABLE.REMOTE
    const before = this.memory.cables[at]
    const entry = record === undefined ? -1 : this.remotes.add(record)
    if (record !== undefined && entry < 0) return false
    Atomics.store(this.memory.cables, at, entry)
    this.remotes.retire(before)
    return true
  }

  /** Index of the cable's remote, -1 for none. */
  remoteOf(cable: number): number {
    return this.memory.cables[cable * CABLE.WORDS + CABLE.REMOTE]
  }

  /** The cable's remote record, or undefined. */
  remoteRecord(cable: number): Uint8Array | undefined {
    const entry = this.remoteOf(cable)
    return entry < 0 ? undefined : this.remotes.record(entry)
  }

  /** The remote goes on without its source address: the kernel chooses again. */
  clearSource(cable: number): void {
    const record = this.remoteRecord(cable)
    if (record === undefined) return
    const bare = Uint8Array.from(record).fill(0, REMOTE.SOURCE, REMOTE.SOURCE_IFINDEX + 4)
    this.setRemote(cable, bare)
  }

  isIpv4(cable: number): boolean {
    return isIpv4Remote(this.memory.remotes, this.remoteOf(cable) * REMOTE.BYTES)
  }

  giveUpWaiting(cable: number): void {
    Atomics.add(this.memory.cables, cable * CABLE.WORDS + CABLE.GAVE_UP, 1)
  }
}
