// Holes in a row of rising numbers: what a paced stream has lost, and for how long nothing came.

/** A hole in the numbers, as the receiver saw it. */
export interface Hole {
  readonly kind: 'hole'
  /** Wall-clock ms. */
  readonly atMs: number
  readonly lost: number
  /** Since the datagram before. */
  readonly gapMs: number
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

const holesTold = 10_000

/** Counts what is missing in a row of rising numbers. */
export class HoleCounter {
  readonly #tellHole: (hole: Hole) => void
  #received = 0
  #lost = 0
  #late = 0
  #next = 0
  #lastMs = Number.NaN
  #longestGapMs = 0
  #told = 0

  constructor(tellHole: (hole: Hole) => void) {
    this.#tellHole = tellHole
  }

  take(number: number, nowMs: number): void {
    const gapMs = this.#received === 0 ? 0 : nowMs - this.#lastMs
    this.#received++
    this.#lastMs = nowMs
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
    if (this.#told++ < holesTold) this.#tellHole({ kind: 'hole', atMs: Date.now(), lost, gapMs })
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
