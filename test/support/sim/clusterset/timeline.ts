// Virtual time: events in the order of their instants, and of their making within one. Nothing waits;
// `run` jumps from one to the next. An alarm is one event that can be put off, brought forward or
// taken back, as a timer can.

interface Event {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

/** Within a millisecond: more is a loop that never waits. */
const eventsMost = 100_000

export class Timeline {
  nowMs = 0
  /** A heap: none is later than those below it. */
  readonly #events: Event[] = []
  #order = 0
  /** Events since then, all within a millisecond. */
  #markMs = 0
  #atOnce = 0

  after(ms: number, run: () => void): void {
    this.at(this.nowMs + ms, run)
  }

  at(atMs: number, run: () => void): void {
    const events = this.#events
    const event = { atMs: Math.max(atMs, this.nowMs), order: this.#order++, run }
    let place = events.length
    for (;;) {
      const parent = (place - 1) >> 1
      if (place === 0 || !isBefore(event, events[parent])) break
      events[place] = events[parent]
      place = parent
    }
    events[place] = event
  }

  run(untilMs: number): void {
    for (;;) {
      const first = this.#events[0]
      if (first === undefined || first.atMs > untilMs) break
      this.#takeFirst()
      if (first.atMs - this.#markMs < 1) {
        if (++this.#atOnce > eventsMost) throw new Error(`it goes in a circle at ${this.nowMs} ms`)
      } else {
        this.#markMs = first.atMs
        this.#atOnce = 0
      }
      this.nowMs = first.atMs
      first.run()
    }
    this.nowMs = untilMs
  }

  #takeFirst(): void {
    const events = this.#events
    const last = events.pop()
    if (last === undefined || events.length === 0) return
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child >= events.length) break
      if (child + 1 < events.length && isBefore(events[child + 1], events[child])) child++
      if (!isBefore(events[child], last)) break
      events[place] = events[child]
      place = child
    }
    events[place] = last
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

export class Alarm {
  readonly #timeline: Timeline
  readonly #ring: () => void
  /** Infinity: it is off. */
  #dueMs = Number.POSITIVE_INFINITY

  constructor(timeline: Timeline, ring: () => void) {
    this.#timeline = timeline
    this.#ring = ring
  }

  /** In place of what was set before. */
  set(atMs: number): void {
    if (atMs === this.#dueMs) return
    this.#dueMs = atMs
    if (atMs === Number.POSITIVE_INFINITY) return
    this.#timeline.at(atMs, () => {
      if (this.#dueMs !== atMs) return
      this.#dueMs = Number.POSITIVE_INFINITY
      this.#ring()
    })
  }

  /** No later than then. */
  setBy(atMs: number): void {
    if (atMs < this.#dueMs) this.set(Math.max(atMs, this.#timeline.nowMs))
  }

  off(): void {
    this.#dueMs = Number.POSITIVE_INFINITY
  }
}
