// A UDP socket of the addon for programs of the bench that send and take datagrams by the ten
// thousand a second: one sendmmsg for all that were put, trains of equal datagrams taken whole.

import { type Context, type ContextMemory, loadNative, type Native } from '../../src/native.ts'
import { createBatch, POLL, STATE, TRAIN, TRAIN_BYTES } from '../../src/packet/batch.ts'
import { createSharedMemory } from '../../src/tables/memory.ts'
import { REMOTE } from '../../src/tables/shared.ts'

const trainsTaken = 16
const familyIpv4 = 2

/** Called for each datagram: `bytes` from `at` on hold it; `from` is the word of its remote record. */
export type Taker = (bytes: Uint8Array, at: number, length: number, train: number) => void

export class DatagramSocket {
  readonly native: Native
  readonly port: number
  readonly #context: Context
  readonly #memory: ContextMemory
  readonly #fd: number
  readonly #mostBytes: number
  readonly #most: number
  readonly #remotes: Uint8Array
  #put = 0

  /** At most `most` datagrams of `mostBytes` bytes are put before they are sent. */
  constructor(port: number, most: number, mostBytes: number) {
    this.native = loadNative()
    const shared = createSharedMemory()
    this.#most = most
    this.#mostBytes = mostBytes
    const trains = Math.max(most, trainsTaken)
    this.#memory = createBatch(
      {
        slabBytes: trainsTaken * TRAIN_BYTES,
        rows: 1,
        trains,
        pieces: 1,
        sendSlabBytes: most * mostBytes,
      },
      shared,
      shared.counters[0],
    )
    this.#remotes = new Uint8Array(this.#memory.trains.buffer)
    this.#context = this.native.createContext(this.#memory)
    const socket = this.native.openUdp({ family: 4, port, fwmark: 0, gro: true })
    this.#fd = socket.fd
    this.port = socket.port
  }

  /** Waits until something has come, at most `forMs`; returns the monotonic time. */
  wait(forMs: number): number {
    this.#memory.polls.set([this.#fd, POLL.IN, 0])
    this.native.poll(this.#context, 1, forMs, 0)
    return this.#memory.state[STATE.NOW_MS]
  }

  /** Puts a datagram for a remote record (64 bytes) and returns where its bytes go. */
  put(remote: Uint8Array, length: number): Uint8Array {
    const { trains, sendSlab } = this.#memory
    const offset = this.#put * this.#mostBytes
    const at = this.#put * TRAIN.WORDS
    trains[at + TRAIN.OFFSET] = offset
    trains[at + TRAIN.LENGTH] = length
    trains[at + TRAIN.SEGMENT_SIZE] = length
    trains[at + TRAIN.FD] = this.#fd
    trains[at + TRAIN.SENT] = 0
    trains[at + TRAIN.TOS] = 0
    this.#remotes.set(remote, (at + TRAIN.REMOTE) * 4)
    this.#put++
    return sendSlab.subarray(offset, offset + length)
  }

  get isFull(): boolean {
    return this.#put === this.#most
  }

  /** Sends what was put; returns how many the kernel took. What it did not is forgotten. */
  send(): number {
    if (this.#put === 0) return 0
    const sent = this.native.sendUdp(this.#context, 0, this.#put, 1)
    const error = this.#memory.state[STATE.ERRNO]
    this.#put = 0
    if (error !== 0 && error !== EAGAIN) throw new Error(`sendUdp failed with errno ${error}`)
    return sent
  }

  /** Takes all that is there. */
  take(taker: Taker): void {
    const { trains, slab } = this.#memory
    for (;;) {
      const count = this.native.receiveUdp(this.#context, this.#fd, 0, trainsTaken)
      for (let train = 0; train < count; train++) {
        const at = train * TRAIN.WORDS
        const end = trains[at + TRAIN.OFFSET] + trains[at + TRAIN.LENGTH]
        const size = trains[at + TRAIN.SEGMENT_SIZE]
        for (let from = trains[at + TRAIN.OFFSET]; from < end; from += size) {
          taker(slab, from, Math.min(size, end - from), train)
        }
      }
      if (count < trainsTaken) return
    }
  }
}

const EAGAIN = 11

/** The remote record of an IPv4 address and port; `source` is the local address to send from. */
export function remoteRecord(
  address: readonly number[],
  port: number,
  source: readonly number[] = [],
): Uint8Array {
  const record = new Uint8Array(REMOTE.BYTES)
  const view = new DataView(record.buffer)
  view.setUint16(REMOTE.FAMILY, familyIpv4, true)
  view.setUint16(REMOTE.PORT, port, true)
  record.set(address, REMOTE.ADDRESS)
  record.set(source, REMOTE.SOURCE)
  return record
}
