// A network in memory on a virtual clock: UDP datagrams between addresses over links that lose,
// duplicate, delay and reorder, all from one seed. Nothing waits: `run` jumps from event to event.

export interface LinkQuality {
  /** Shares of datagrams, 0 to 1. */
  loss: number
  duplicate: number
  /** One-way delay: `delayMs` and up to `jitterMs` more, so that datagrams overtake each other. */
  delayMs: number
  jitterMs: number
}

export interface Datagram {
  readonly from: string
  readonly to: string
  readonly bytes: Uint8Array
  readonly tos: number
}

interface Event {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class SimNetwork {
  nowMs = 1000
  quality: LinkQuality = { loss: 0, duplicate: 0, delayMs: 5, jitterMs: 0 }
  /** Every datagram that was sent, for those who want to look on or replay. */
  readonly taps: ((datagram: Datagram) => void)[] = []
  readonly #random: () => number
  readonly #receivers = new Map<string, (datagram: Datagram) => void>()
  readonly #events: Event[] = []
  #order = 0

  constructor(random: () => number) {
    this.#random = random
  }

  /** Address and port -> who takes its datagrams. */
  listen(address: string, receiver: (datagram: Datagram) => void): void {
    this.#receivers.set(address, receiver)
  }

  unlisten(address: string): void {
    this.#receivers.delete(address)
  }

  send(datagram: Datagram): void {
    for (const tap of this.taps) tap(datagram)
    const { loss, duplicate } = this.quality
    if (this.#random() < loss) return
    const copies = this.#random() < duplicate ? 2 : 1
    for (let copy = 0; copy < copies; copy++) this.inject(datagram)
  }

  /** Delivers a datagram after the delay of the link, whatever its loss. */
  inject(datagram: Datagram): void {
    const { delayMs, jitterMs } = this.quality
    this.at(this.nowMs + delayMs + this.#random() * jitterMs, () => {
      this.#receivers.get(datagram.to)?.(datagram)
    })
  }

  at(atMs: number, run: () => void): void {
    const event = { atMs: Math.max(atMs, this.nowMs), order: this.#order++, run }
    // Binary insertion: nearly all events belong near the end.
    let low = 0
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (isBefore(event, this.#events[middle])) low = middle + 1
      else high = middle
    }
    this.#events.splice(low, 0, event)
  }

  /** Runs all events until `untilMs`, then stands there. */
  run(untilMs: number): void {
    for (;;) {
      const event = this.#events.at(-1)
      if (!event || event.atMs > untilMs) break
      this.#events.pop()
      this.nowMs = event.atMs
      event.run()
    }
    this.nowMs = untilMs
  }

  runFor(ms: number): void {
    this.run(this.nowMs + ms)
  }
}

/** The earliest event stands last. */
function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
