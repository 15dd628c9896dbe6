// Reads the shared memory into a status value, in the main thread. Counters are read while their
// writers go on; a remote is read again when its index changed meanwhile.

import { readRemote } from '../cable/remotes.ts'
import type { Remote } from '../net/address.ts'
import { type CipherName, cipherOf } from '../tables/cipher.ts'
import { COUNTER, dropNames, noCable, readCounter } from '../tables/counters.ts'
import { CABLE, INSTANT, REMOTE, type SharedMemory, SLOT } from '../tables/shared.ts'
import type { CableStatus } from '../tables/status.ts'
import type { CableTable } from '../tables/tables.ts'

/** Names of the counters behind the drop reasons, kebab-case, by column. */
const counterNames = Object.entries(COUNTER)
  .filter(([name]) => name !== 'WORDS')
  .map(([name, column]) => ({ name: name.toLowerCase().replaceAll('_', '-'), column }))

export function readCableStatus(
  memory: SharedMemory,
  cable: number,
  table: CableTable,
): CableStatus {
  const remote = readCableRemote(memory, cable)
  const cipher = readCableCipher(memory, cable)
  const { counters, drops } = readCounters(memory, cable)
  return {
    name: table.name,
    driver: table.driver,
    ...(remote === undefined ? {} : { remote }),
    ...(cipher === undefined ? {} : { cipher }),
    lastHandshakeMs: memory.instants[cable * INSTANT.WORDS + INSTANT.HANDSHAKE_WALL],
    rxBytes: readCounter(memory, cable, COUNTER.RX_BYTES),
    txBytes: readCounter(memory, cable, COUNTER.TX_BYTES),
    counters,
    drops,
  }
}

export interface NamedCounters {
  readonly counters: Readonly<Record<string, number>>
  readonly drops: Readonly<Record<string, number>>
}

/** The counters of a cable, or of no known cable, by name; zeros are left out. */
export function readCounters(memory: SharedMemory, cable: number = noCable): NamedCounters {
  const counters: Record<string, number> = {}
  const drops: Record<string, number> = {}
  for (const { name, column } of counterNames) {
    const value = readCounter(memory, cable, column)
    if (value !== 0) counters[name] = value
  }
  for (let reason = 1; reason < dropNames.length; reason++) {
    const value = readCounter(memory, cable, reason)
    if (value !== 0) drops[dropNames[reason]] = value
  }
  return { counters, drops }
}

/** The cipher of the slot that the cable's packets are sealed with now. */
function readCableCipher(memory: SharedMemory, cable: number): CipherName | undefined {
  const at = cable * CABLE.WORDS + CABLE.SLOT
  const words = new Uint32Array(memory.slots.buffer)
  for (;;) {
    const slot = Atomics.load(memory.cables, at)
    if (slot < 0) return undefined
    const methodCode = words[(slot * SLOT.BYTES + SLOT.METHOD) >> 2]
    if (Atomics.load(memory.cables, at) === slot) return cipherOf(methodCode)
  }
}

function readCableRemote(memory: SharedMemory, cable: number): Remote | undefined {
  const at = cable * CABLE.WORDS + CABLE.REMOTE
  for (;;) {
    const entry = Atomics.load(memory.cables, at)
    if (entry < 0) return undefined
    const record = memory.remotes.slice(entry * REMOTE.BYTES, (entry + 1) * REMOTE.BYTES)
    if (Atomics.load(memory.cables, at) === entry) return readRemote(record)
  }
}
