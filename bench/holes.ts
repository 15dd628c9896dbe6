// Holes in a row of rising numbers: what a paced stream has lost, and for how long nothing came.

/** A hole in the numbers, as the receiver saw it. */
export interface Hole {
  readonly kind: 'hole'
  /** Wall-clock ms. */
  readonly atMs: number
  readonly lost: number
  /** Since the datagram before. */
  readonly gapMs: number
  /** Monotonic: when the datagram before was sent, and the one behind the hole came. */
  readonly sinceMs: number
  readonly seenMs: number
}

export interface Received {
  readonly kind: 'received'
  readonly received: number
  /** Of those below the highest number that came. */
  readonly lost: number
  /** Came behind a later one; not counted as lost. */
  readonly late: number
  readonly longestGapMs: number
  readonly highest: number
}

/** Of more, only the number of what was lost is told. */
export const holesTold = 10_000

/** Counts what is missing in a row of rising numbers. */
export class HoleCounter {
  readonly #tellHole: (hole: Hole) => void
  #received = 0
  #lost = 0
  #late = 0
  #next = 0
  #lastMs = Number.NaN
  #lastSentMs = Number.NaN
  #longestGapMs = 0
  #told = 0

  constructor(tellHole: (hole: Hole) => void) {
    this.#tellHole = tellHole
  }

  /** A datagram with its number, the instant at which it was sent, and that at which it came. */
  take(number: number, sentMs: number, nowMs: number): void {
    const isFirst = this.#received === 0
    const gapMs = isFirst ? 0 : nowMs - this.#lastMs
    const sinceMs = isFirst ? sentMs : this.#lastSentMs
    this.#received++
    this.#lastMs = nowMs
    this.#lastSentMs = sentMs
    this.#longestGapMs = Math.max(this.#longestGapMs, gapMs)
    if (number < this.#next) {
      this.#late++
      this.#lost--
      return
    }
    const lost = number - this.#next
    this.#next = number + 1
    if (lost === 0) return
    this.#lost += lost
    if (this.#told++ >= holesTold) return
    this.#tellHole({ kind: 'hole', atMs: Date.now(), lost, gapMs, sinceMs, seenMs: nowMs })
  }

  summary(): Received {
    return {
      kind: 'received',
      received: this.#received,
      lost: this.#lost,
      late: this.#late,
      longestGapMs: this.#longestGapMs,
      highest: this.#next - 1,
    }
  }
}
