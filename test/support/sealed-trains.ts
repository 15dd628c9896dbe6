// What seal made: the trains of a send slab, cut into their datagrams as the kernel cuts them.

import type { ContextMemory } from '../../src/native.ts'
import { STATE, TRAIN } from '../../src/packet/batch.ts'
import { REMOTE } from '../../src/tables/shared.ts'

export interface SealedTrain {
  readonly fd: number
  readonly tos: number
  readonly cable: number
  readonly port: number
  readonly offset: number
  readonly segmentSize: number
  readonly datagrams: readonly Buffer[]
}

export function sealedTrains(memory: ContextMemory): SealedTrain[] {
  return Array.from({ length: memory.state[STATE.TRAINS] }, (_, i) => {
    const words = memory.trains.subarray(i * TRAIN.WORDS, (i + 1) * TRAIN.WORDS)
    const remote = new DataView(words.buffer, words.byteOffset + TRAIN.REMOTE * 4, REMOTE.BYTES)
    const start = words[TRAIN.OFFSET]
    const end = start + words[TRAIN.LENGTH]
    const segmentSize = words[TRAIN.SEGMENT_SIZE]
    const datagrams: Buffer[] = []
    for (let at = start; at < end; at += segmentSize) {
      datagrams.push(Buffer.from(memory.sendSlab.slice(at, Math.min(at + segmentSize, end))))
    }
    return {
      ...{ fd: words[TRAIN.FD], tos: words[TRAIN.TOS], cable: words[TRAIN.CABLE] },
      ...{ port: remote.getUint16(REMOTE.PORT, true), offset: start, segmentSize, datagrams },
    }
  })
}

/** Empties the send slab, as the sender does when everything has left. */
export function forgetTrains(memory: ContextMemory): void {
  memory.state[STATE.TRAINS] = 0
  memory.state[STATE.SEND_BYTES] = 0
}
