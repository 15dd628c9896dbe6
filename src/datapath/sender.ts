// Seals the rows of one batch and sends the trains, as far as the socket takes them. What it does
// not take (EAGAIN) waits here, sealed, and the rest of the rows unsealed: the next breath resumes.
// Nothing is dropped for a full socket; the kernel's own TUN queue does that.

import type { Tap } from '../capture/tap.ts'
import type { BreathFunctions, Context, ContextMemory } from '../native.ts'
import { STATE, TRAIN } from '../packet/batch.ts'
import { COUNTER, drop, noCable } from '../tables/counters.ts'
import { CABLE, REMOTE, type SharedMemory } from '../tables/shared.ts'

const errno = { EIO: 5, EAGAIN: 11, EINVAL: 22, EMSGSIZE: 90 } as const

export class Sender {
  readonly #native: BreathFunctions
  readonly #context: Context
  readonly #batch: ContextMemory
  readonly #memory: SharedMemory
  /** By cable: the remote to which the kernel refused a train: datagrams go there one by one. */
  readonly #unsegmented: Int32Array
  readonly #tap: Tap
  /** A source address was refused since this was last set to false; the cable's row tells whose. */
  sourceFailed = false
  #nextRow = 0
  #endRow = 0
  #nextTrain = 0

  constructor(
    native: BreathFunctions,
    context: Context,
    batch: ContextMemory,
    memory: SharedMemory,
    unsegmented: Int32Array,
    tap: Tap,
  ) {
    this.#native = native
    this.#context = context
    this.#batch = batch
    this.#memory = memory
    this.#unsegmented = unsegmented
    this.#tap = tap
  }

  /** Sends rows [0, endRow) behind the trains that are there. False: the socket is full. */
  send(endRow: number): boolean {
    this.#nextRow = 0
    this.#endRow = endRow
    if (this.#tap.isOn) this.#showTrains()
    return this.resume()
  }

  /** Goes on where the socket was full. True when everything has left. */
  resume(): boolean {
    for (;;) {
      if (!this.#flush()) return false
      if (this.#nextRow === this.#endRow) return true
      this.#nextRow = this.#native.seal(this.#context, this.#nextRow, this.#endRow)
      if (this.#tap.isOn) this.#showTrains()
    }
  }

  /** Rows that are not yet sealed: [first, end). */
  get firstUnsealed(): number {
    return this.#nextRow
  }

  get endUnsealed(): number {
    return this.#endRow
  }

  /** All that are there: each call of seal finds none. */
  #showTrains(): void {
    const { sendSlab, trains, state } = this.#batch
    this.#tap.sent(sendSlab, trains, state[STATE.TRAINS])
  }

  /** The socket that was full, while something waits for it. */
  get blockedFd(): number | undefined {
    const { state, trains } = this.#batch
    if (this.#nextTrain >= state[STATE.TRAINS]) return undefined
    return trains[this.#nextTrain * TRAIN.WORDS + TRAIN.FD]
  }

  /** Gives up what has not left, for senders that must not wait, and counts it. */
  abandon(): void {
    this.dropSealed()
    this.#nextRow = this.#endRow
  }

  /** Gives up the trains that wait: their sockets are about to be closed. */
  dropSealed(): void {
    for (let train = this.#nextTrain; train < this.#batch.state[STATE.TRAINS]; train++) {
      this.#countFailed(train)
    }
    this.#reset()
  }

  #reset(): void {
    this.#batch.state[STATE.TRAINS] = 0
    this.#batch.state[STATE.SEND_BYTES] = 0
    this.#nextTrain = 0
  }

  #flush(): boolean {
    const { state } = this.#batch
    while (this.#nextTrain < state[STATE.TRAINS]) {
      this.#nextTrain = this.#native.sendUdp(this.#context, this.#nextTrain, state[STATE.TRAINS], 1)
      if (this.#nextTrain < state[STATE.TRAINS] && !this.#recover(state[STATE.ERRNO])) return false
    }
    this.#reset()
    return true
  }

  /** Deals with the train that was refused. False: it has to wait. */
  #recover(error: number): boolean {
    if (error === errno.EAGAIN) return false
    const train = this.#nextTrain
    if (error === errno.EMSGSIZE || error === errno.EIO) return this.#sendSingly(train)
    // A source address that is gone is refused as EINVAL or ENETUNREACH, depending on the kernel.
    if (this.#clearSource(train)) return true
    // Before Linux 6.9 more than 64 datagrams, and long after it segments beyond the MTU, are EINVAL too.
    if (error === errno.EINVAL && this.#isTrain(train)) return this.#sendSingly(train)
    this.#skip(train)
    return true
  }

  #isTrain(train: number): boolean {
    const { trains } = this.#batch
    const at = train * TRAIN.WORDS
    return trains[at + TRAIN.LENGTH] > trains[at + TRAIN.SEGMENT_SIZE]
  }

  /** The path takes no train of this size (or the device no offload): datagram by datagram. */
  #sendSingly(train: number): boolean {
    const { state, trains, counters } = this.#batch
    const cable = trains[train * TRAIN.WORDS + TRAIN.CABLE]
    if (cable >= 0 && cable < noCable) {
      this.#unsegmented[cable] = Atomics.load(
        this.#memory.cables,
        cable * CABLE.WORDS + CABLE.REMOTE,
      )
      counters[cable * COUNTER.WORDS + COUNTER.UNSEGMENTED]++
    }
    const next = this.#native.sendUdp(this.#context, train, train + 1, 0)
    if (next === train) {
      if (state[STATE.ERRNO] === errno.EAGAIN) return false
      this.#skip(train)
    } else this.#nextTrain = next
    return true
  }

  /**
   * The local address that the peer was last heard on is gone: let the kernel choose, now for this
   * train, and tell the inbound worker to publish the remote without it.
   */
  #clearSource(train: number): boolean {
    const { trains } = this.#batch
    const at = train * TRAIN.WORDS + TRAIN.REMOTE
    let had = 0
    for (let word = REMOTE.SOURCE >> 2; word <= REMOTE.SOURCE_IFINDEX >> 2; word++) {
      had |= trains[at + word]
      trains[at + word] = 0
    }
    const cable = trains[train * TRAIN.WORDS + TRAIN.CABLE]
    if (had !== 0 && cable >= 0) {
      Atomics.store(this.#memory.cables, cable * CABLE.WORDS + CABLE.SOURCE_FAILED, 1)
      this.sourceFailed = true
    }
    return had !== 0
  }

  #skip(train: number): void {
    this.#countFailed(train)
    this.#nextTrain = train + 1
  }

  #countFailed(train: number): void {
    const { trains, counters } = this.#batch
    const at = train * TRAIN.WORDS
    const cable = trains[at + TRAIN.CABLE]
    const datagrams = Math.ceil(trains[at + TRAIN.LENGTH] / trains[at + TRAIN.SEGMENT_SIZE])
    const row = cable >= 0 && cable < noCable ? cable : noCable
    counters[row * COUNTER.WORDS + drop.sendFailed] += datagrams - trains[at + TRAIN.SENT]
  }
}
