// A thread that seals keepalives on a slot which another thread uses too, and marks the nonce of
// each in a shared bitmap. Posts how many were marked already.

import { parentPort, workerData } from 'node:worker_threads'
import { loadNative } from '../../src/native.ts'
import { createBatch, STATE, TRAIN } from '../../src/packet/batch.ts'
import type { SharedMemory } from '../../src/tables/shared.ts'
import { setRow } from './native-context.ts'

const { shared, slot, remote, cable, seen, keepalives } = workerData as {
  readonly shared: SharedMemory
  readonly slot: number
  readonly remote: number
  readonly cable: number
  readonly seen: SharedArrayBuffer
  readonly keepalives: number
}

const [rows, messageBytes] = [64, 32]
const native = loadNative()
const counters = new Float64Array(shared.counters[0].length)
const memory = createBatch(
  { slabBytes: 64, rows, trains: 2, pieces: 1, sendSlabBytes: (rows + 4) * messageBytes },
  shared,
  counters,
)
const context = native.createContext(memory)
const bitmap = new Uint8Array(seen)
const datagrams = new DataView(memory.sendSlab.buffer)

for (let row = 0; row < rows; row++) {
  setRow(memory, row, { SLOT: slot, REMOTE: remote, CABLE: cable, PAD: rows << 16 })
}

let twice = 0
for (let sealed = 0; sealed < keepalives; sealed += rows) {
  memory.state[STATE.TRAINS] = 0
  memory.state[STATE.SEND_BYTES] = 0
  if (native.seal(context, 0, rows) !== rows) throw new Error('not all rows were sealed')
  if (memory.trains[TRAIN.LENGTH] !== rows * messageBytes) throw new Error('a keepalive is missing')
  for (let i = 0; i < rows; i++) {
    const counter = datagrams.getUint32(i * messageBytes + 8, true)
    const bit = 1 << (counter & 7)
    if ((Atomics.or(bitmap, counter >>> 3, bit) & bit) !== 0) twice++
  }
}
parentPort?.postMessage(twice)
