// How fast this machine seals with each cipher, measured when the data path starts: what `auto` goes
// by. A name of a CPU says little about it, the form of the AEAD that runs on it says more, and the
// clock says all. Some milliseconds, on the main thread, before there are workers.
//
// Each round seals a batch of full packets with every cipher, one after the other, so that whatever
// disturbs the machine disturbs them all; the median of the rounds counts.

import { SlotPool } from '../cable/slots.ts'
import type { ContextMemory } from '../native.ts'
import { createBatch, ROW, ROW_HEADROOM, STATE } from '../packet/batch.ts'
import { type CipherName, cipherMethods, cipherNames } from '../tables/cipher.ts'
import { COUNTER, noCable } from '../tables/counters.ts'
import { type SharedMemory, worker } from '../tables/shared.ts'
import type { CipherSpeed } from '../tables/status.ts'
import type { NativePath } from './build.ts'

const packetBytes = 1420
const packets = 45
/** Odd, for the median; the first round of all finds cold caches and is not counted. */
const rounds = 9
const rowBytes = packetBytes + ROW_HEADROOM

/** The fastest first. Leaves `memory` as it was: zero. */
export function measureCiphers(
  native: Pick<NativePath, 'createContext' | 'seal'>,
  memory: SharedMemory,
  nowMs: () => number,
): readonly CipherSpeed[] {
  const counters = memory.counters[worker.outbound]
  const size = { slabBytes: packets * rowBytes, rows: packets, trains: packets, pieces: 0 }
  const batch = createBatch({ ...size, sendSlabBytes: 2 * packets * rowBytes }, memory, counters)
  const context = native.createContext(batch)
  const pool = new SlotPool(memory)
  const contestants = cipherNames.map(name => ({ name, slot: addSlot(pool, name), ns: [0] }))
  for (let round = 0; round <= rounds; round++) {
    for (const { slot, ns } of contestants) {
      placeRows(batch, slot)
      const startMs = nowMs()
      native.seal(context, 0, packets)
      const spentNs = ((nowMs() - startMs) * 1e6) / packets
      if (round > 0) ns[round - 1] = spentNs
    }
  }
  pool.wipeAll()
  for (const row of [0, noCable]) {
    counters.fill(0, row * COUNTER.WORDS, (row + 1) * COUNTER.WORDS)
  }
  return contestants
    .map(({ name, ns }) => ({
      name,
      nsPerPacket: Math.round(ns.sort((a, b) => a - b)[rounds >> 1]),
    }))
    .sort((a, b) => a.nsPerPacket - b.nsPerPacket)
}

function addSlot(pool: SlotPool, name: CipherName): number {
  const never = Number.POSITIVE_INFINITY
  const key = new Uint8Array(32)
  return pool.add({
    ...{ method: cipherMethods[name], cable: 0, remoteIndex: 0, localIndex: 0, initiator: true },
    ...{ createdMs: 0, rekeyAtMs: never, rejectAtMs: never, rekeyAtMessages: never },
    ...{ rejectAfterMessages: 2 ** 28, sendKey: key, receiveKey: key },
  })
}

/** Full packets from the same place: what is in them costs no cipher anything. */
function placeRows({ rows, state }: ContextMemory, slot: number): void {
  rows.fill(0)
  for (let row = 0; row < packets; row++) {
    const at = row * ROW.WORDS
    rows[at + ROW.OFFSET] = row * rowBytes + ROW_HEADROOM
    rows[at + ROW.LENGTH] = packetBytes
    rows[at + ROW.SEGMENTS] = 1
    rows[at + ROW.SLOT] = slot
    rows[at + ROW.PAD] = packetBytes | (packets << 16)
  }
  state[STATE.TRAINS] = 0
  state[STATE.SEND_BYTES] = 0
}
