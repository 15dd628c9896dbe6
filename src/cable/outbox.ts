// What the inbound worker sends itself: handshake messages, cookie replies, keepalives, ARP, and what
// control asks for. Collected during a breath, sent at its end. These datagrams do not wait: when the
// socket is full they are given up and counted, their protocols send again.

import type { ContextMemory } from '../native.ts'
import { ROW, STATE, TRAIN } from '../packet/batch.ts'
import { COUNTER, drop, noCable } from '../tables/counters.ts'
import { REMOTE } from '../tables/shared.ts'
import { isIpv4Remote } from './remotes.ts'

/** Sends the rows and trains of the outbox's batch; datapath/sender.ts is the real one. */
export interface OutboxSender {
  send(endRow: number): boolean
  abandon(): void
  /** A source address was refused since this was last set to false. */
  sourceFailed: boolean
}

export class Outbox {
  readonly #batch: ContextMemory
  readonly #sender: OutboxSender
  #rows = 0
  /** Sockets by family, -1 for none. */
  #fd4 = -1
  #fd6 = -1

  constructor(batch: ContextMemory, sender: OutboxSender) {
    this.#batch = batch
    this.#sender = sender
  }

  useSockets(fd4: number, fd6: number): void {
    this.#fd4 = fd4
    this.#fd6 = fd6
  }

  /**
   * A whole datagram to a remote record (64 bytes). `cable` -1: none is known.
   * Returns false when there is no room or no socket of that family; then it is counted.
   */
  datagram(cable: number, remote: Uint8Array, bytes: Uint8Array, tos: number): boolean {
    const { state, trains, sendSlab, counters } = this.#batch
    const index = state[STATE.TRAINS]
    const offset = state[STATE.SEND_BYTES]
    const fd = isIpv4Remote(remote, 0) ? this.#fd4 : this.#fd6
    const row = (cable < 0 ? noCable : cable) * COUNTER.WORDS
    const at = index * TRAIN.WORDS
    if (fd < 0 || at >= trains.length || offset + bytes.length > sendSlab.length) {
      counters[row + drop.sendFailed]++
      return false
    }
    sendSlab.set(bytes, offset)
    trains[at + TRAIN.OFFSET] = offset
    trains[at + TRAIN.LENGTH] = bytes.length
    trains[at + TRAIN.SEGMENT_SIZE] = bytes.length
    trains[at + TRAIN.TOS] = tos
    trains[at + TRAIN.FD] = fd
    trains[at + TRAIN.SLOT] = -1
    trains[at + TRAIN.SENT] = 0
    trains[at + TRAIN.CABLE] = cable
    copyRecord(remote, trains, at + TRAIN.REMOTE)
    state[STATE.TRAINS] = index + 1
    state[STATE.SEND_BYTES] = (offset + bytes.length + 63) & ~63
    counters[row + COUNTER.TX_DATAGRAMS]++
    counters[row + COUNTER.TX_BYTES] += bytes.length
    return true
  }

  /** An empty data message, sealed with a slot; `remote` is the index of a remote. */
  keepalive(cable: number, slot: number, remote: number, isIpv4: boolean): boolean {
    const { rows } = this.#batch
    const at = this.#rows * ROW.WORDS
    const fd = isIpv4 ? this.#fd4 : this.#fd6
    if (at >= rows.length || fd < 0) {
      this.#batch.counters[cable * COUNTER.WORDS + drop.sendFailed]++
      return false
    }
    rows.fill(0, at, at + ROW.WORDS)
    rows[at + ROW.OFFSET] = 64
    rows[at + ROW.SEGMENTS] = 1
    rows[at + ROW.SLOT] = slot
    rows[at + ROW.REMOTE] = remote
    rows[at + ROW.FD] = fd
    rows[at + ROW.CABLE] = cable
    this.#rows++
    return true
  }

  flush(): void {
    if (this.#rows === 0 && this.#batch.state[STATE.TRAINS] === 0) return
    if (!this.#sender.send(this.#rows)) this.#sender.abandon()
    this.#rows = 0
  }

  /** Whether a source address was refused since the last call; the cables' rows tell whose. */
  takeSourceFailed(): boolean {
    const { sourceFailed } = this.#sender
    this.#sender.sourceFailed = false
    return sourceFailed
  }
}

function copyRecord(record: Uint8Array, words: Int32Array, at: number): void {
  for (let i = 0; i < REMOTE.BYTES / 4; i++) {
    const byte = i * 4
    words[at + i] =
      record[byte] | (record[byte + 1] << 8) | (record[byte + 2] << 16) | (record[byte + 3] << 24)
  }
}
