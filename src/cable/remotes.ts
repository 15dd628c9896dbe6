// Remotes in shared memory: 64-byte records that are constant once published (shared.ts REMOTE).
// The inbound worker writes them; both workers send to them. A peer that roams gets another record:
// an address that changed under a sender could be half of each.

import type { Remote } from '../net/address.ts'
import { partOfPair, RetiredEntries } from '../tables/memory.ts'
import { limits, REMOTE, type SharedMemory } from '../tables/shared.ts'

const AF_INET = 2
const AF_INET6 = 10

/** Writes the record of a UDP address, without a source, and returns it. */
export function writeRemote(record: Uint8Array, remote: Remote): Uint8Array {
  record.fill(0)
  const view = new DataView(record.buffer, record.byteOffset, REMOTE.BYTES)
  view.setUint16(REMOTE.FAMILY, remote.address.family === 4 ? AF_INET : AF_INET6, true)
  view.setUint16(REMOTE.PORT, remote.port, true)
  view.setUint32(REMOTE.SCOPE, remote.scope, true)
  record.set(remote.address.bytes, REMOTE.ADDRESS)
  return record
}

/** The UDP address of a record. */
export function readRemote(record: Uint8Array): Remote {
  const view = new DataView(record.buffer, record.byteOffset, REMOTE.BYTES)
  const isV4 = view.getUint16(REMOTE.FAMILY, true) === AF_INET
  return {
    address: {
      family: isV4 ? 4 : 6,
      bytes: record.slice(REMOTE.ADDRESS, REMOTE.ADDRESS + (isV4 ? 4 : 16)),
    },
    port: view.getUint16(REMOTE.PORT, true),
    scope: view.getUint32(REMOTE.SCOPE, true),
  }
}

export function isIpv4Remote(record: Uint8Array, offset: number): boolean {
  return record[offset] === AF_INET
}

/** Remotes of the pool; index -1 stands for none. */
export class RemotePool {
  readonly #bytes: Uint8Array
  readonly #words: Int32Array
  readonly #free: number[] = []
  readonly #retired: RetiredEntries
  /** Of the pair's own part: behind all that were ever taken, and its end. */
  #next: number
  readonly #end: number

  constructor(memory: SharedMemory) {
    this.#bytes = memory.remotes
    this.#words = new Int32Array(memory.remotes.buffer)
    this.#retired = new RetiredEntries(memory)
    const { first, end } = partOfPair(memory, limits.remotes)
    this.#next = first
    this.#end = end
  }

  /** Copies a record into the pool. Returns its index, or -1 when the pool is full. */
  add(record: Uint8Array): number {
    let entry = this.#free.pop() ?? -1
    if (entry < 0) {
      if (this.#next === this.#end) return -1
      entry = this.#next++
    }
    this.#bytes.set(record, entry * REMOTE.BYTES)
    return entry
  }

  /** Call it after the entry's index was unpublished. */
  retire(entry: number): void {
    if (entry >= 0) this.#retired.retire(entry)
  }

  /** Frees what nobody can hold any more. Call it once a breath, when nothing of it is left. */
  collect(): void {
    if (this.#retired.length > 0) this.#retired.collect(entry => this.#free.push(entry))
  }

  record(entry: number): Uint8Array {
    return this.#bytes.subarray(entry * REMOTE.BYTES, (entry + 1) * REMOTE.BYTES)
  }

  /** Whether entry and the record at word `word` of `words` are the same, source included. */
  equals(entry: number, words: Int32Array, word: number): boolean {
    const own = (entry * REMOTE.BYTES) >> 2
    for (let i = 0; i <= REMOTE.SOURCE_IFINDEX >> 2; i++) {
      if (this.#words[own + i] !== words[word + i]) return false
    }
    return true
  }
}
