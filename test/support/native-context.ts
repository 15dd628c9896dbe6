// A context of the addon with memory of its own, for tests of single native functions.

import { type Context, type ContextMemory, loadNative, type Native } from '../../src/native.ts'
import { createBatch, POLL, ROW, STATE, TRAIN, TRAIN_BYTES } from '../../src/packet/batch.ts'
import { createSharedMemory } from '../../src/tables/memory.ts'
import { REMOTE, type SharedMemory } from '../../src/tables/shared.ts'

export interface TestContext {
  readonly native: Native
  readonly context: Context
  readonly memory: ContextMemory
  readonly shared: SharedMemory
}

export function createTestContext(rows = 64, trains = 16): TestContext {
  const native = loadNative()
  const shared = createSharedMemory()
  const memory = createBatch(
    { slabBytes: trains * TRAIN_BYTES, rows, trains, pieces: 256, sendSlabBytes: 1 << 20 },
    shared,
    shared.counters[0],
  )
  return { native, context: native.createContext(memory), memory, shared }
}

export type RowWords = Partial<Record<Exclude<keyof typeof ROW, 'WORDS'>, number>>

/** Sets a row: the words that are not named become 0. */
export function setRow(memory: ContextMemory, row: number, words: RowWords): void {
  memory.rows.fill(0, row * ROW.WORDS, (row + 1) * ROW.WORDS)
  for (const [name, value] of Object.entries(words)) {
    memory.rows[row * ROW.WORDS + ROW[name as keyof RowWords]] = value
  }
}

export function getRow(memory: ContextMemory, row: number, name: keyof RowWords): number {
  return memory.rows[row * ROW.WORDS + ROW[name]]
}

export type TrainWords = Partial<Record<Exclude<keyof typeof TRAIN, 'WORDS' | 'REMOTE'>, number>>

export interface RemoteFields {
  readonly family: 4 | 6
  readonly port: number
  /** 4 or 16 bytes. */
  readonly address: readonly number[]
  readonly source?: readonly number[]
}

/** Sets a train and its remote: what is not named becomes 0. */
export function setTrain(
  memory: ContextMemory,
  train: number,
  words: TrainWords,
  remote: RemoteFields,
): void {
  memory.trains.fill(0, train * TRAIN.WORDS, (train + 1) * TRAIN.WORDS)
  for (const [name, value] of Object.entries(words)) {
    memory.trains[train * TRAIN.WORDS + TRAIN[name as keyof TrainWords]] = value
  }
  const view = remoteView(memory, train)
  view.setUint16(REMOTE.FAMILY, remote.family === 4 ? 2 : 10, true)
  view.setUint16(REMOTE.PORT, remote.port, true)
  remote.address.forEach((byte, i) => {
    view.setUint8(REMOTE.ADDRESS + i, byte)
  })
  remote.source?.forEach((byte, i) => {
    view.setUint8(REMOTE.SOURCE + i, byte)
  })
}

export function getTrain(memory: ContextMemory, train: number, name: keyof TrainWords): number {
  return memory.trains[train * TRAIN.WORDS + TRAIN[name]]
}

/** The remote record of a train. */
export function remoteView(memory: ContextMemory, train: number): DataView {
  const { buffer, byteOffset } = memory.trains
  return new DataView(buffer, byteOffset + (train * TRAIN.WORDS + TRAIN.REMOTE) * 4, REMOTE.BYTES)
}

/** Waits for an event on a descriptor and returns its revents; fails after ten seconds. */
export function waitFor({ native, context, memory }: TestContext, fd: number, events: number) {
  memory.polls.set([fd, events, 0])
  if (native.poll(context, 1, 10_000, 0) !== 1) throw new Error(`nothing happened on ${fd}`)
  return memory.polls[POLL.WORDS - 1]
}

export function errnoOf({ memory }: TestContext): number {
  return memory.state[STATE.ERRNO]
}
