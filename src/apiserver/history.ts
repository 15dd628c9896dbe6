// The events of the last while, kind by kind, for watches and for lists in pages. Bounded by count and by
// bytes for all kinds together; what falls out raises the floor of its kind, and whoever asks for
// something from below a floor is told that it is too old (410) and lists anew.
//
// A reader is a position, never a queue: whoever reads slowly holds nothing back and costs nothing, until
// its position has fallen out.

import type { Body } from './body.ts'

/** One state of an object. */
export interface Revision {
  readonly key: string
  readonly version: number
  readonly body: Body
  /** The body as JSON, made once for all readers. */
  readonly text: string
}

/** A change of an object: created (no `before`), changed, or deleted (no `after`). */
export interface Change {
  readonly kind: string
  readonly key: string
  readonly version: number
  readonly before: Revision | undefined
  readonly after: Revision | undefined
  /** Of a deletion: the last state, with the version of the deletion. */
  readonly last: Revision | undefined
}

export interface HistoryLimits {
  readonly changesMost: number
  readonly bytesMost: number
}

export const historyLimits: HistoryLimits = { changesMost: 10_000, bytesMost: 32 * 1024 * 1024 }

interface Track {
  changes: Change[]
  /** Of changes that fell out before the first one. */
  dropped: number
  /** Everything after this version is known. */
  floor: number
}

export class History {
  readonly #limits: HistoryLimits
  readonly #tracks = new Map<string, Track>()
  /** Kinds of the changes, oldest first. */
  #order: string[] = []
  #orderStart = 0
  #bytes = 0

  constructor(limits: HistoryLimits = historyLimits) {
    this.#limits = limits
  }

  /** Nothing is known of a kind before this version. */
  begin(kind: string, version: number): void {
    this.#tracks.set(kind, { changes: [], dropped: 0, floor: version })
  }

  add(change: Change): void {
    this.#track(change.kind).changes.push(change)
    this.#order.push(change.kind)
    this.#bytes += bytesOf(change)
    while (
      this.#order.length - this.#orderStart > this.#limits.changesMost ||
      (this.#bytes > this.#limits.bytesMost && this.#order.length - this.#orderStart > 1)
    ) {
      this.#dropOldest()
    }
  }

  floor(kind: string): number {
    return this.#track(kind).floor
  }

  /** The position of the first change after a version; undefined when that is too long ago. */
  position(kind: string, version: number): number | undefined {
    const { changes, dropped, floor } = this.#track(kind)
    if (version < floor) return undefined
    let low = 0
    let high = changes.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (changes[middle].version <= version) low = middle + 1
      else high = middle
    }
    return dropped + low
  }

  /** The change at a position: `end` behind the newest one, `gone` when it has fallen out. */
  at(kind: string, position: number): Change | 'end' | 'gone' {
    const { changes, dropped } = this.#track(kind)
    if (position < dropped) return 'gone'
    return changes[position - dropped] ?? 'end'
  }

  /** The changes after a version, newest first; undefined when that is too long ago. */
  since(kind: string, version: number): Change[] | undefined {
    const { changes, dropped } = this.#track(kind)
    const start = this.position(kind, version)
    return start === undefined ? undefined : changes.slice(start - dropped).reverse()
  }

  #track(kind: string): Track {
    const track = this.#tracks.get(kind)
    if (track === undefined) throw new Error(`no history of ${kind}`)
    return track
  }

  #dropOldest(): void {
    const track = this.#track(this.#order[this.#orderStart++])
    const [oldest] = track.changes.splice(0, 1)
    track.dropped++
    track.floor = oldest.version
    this.#bytes -= bytesOf(oldest)
    // Now and then, so that dropping one does not move all the others each time.
    if (this.#orderStart > 1024 && this.#orderStart > this.#order.length / 2) {
      this.#order = this.#order.slice(this.#orderStart)
      this.#orderStart = 0
    }
  }
}

function bytesOf({ after, last }: Change): number {
  return (after ?? last)?.text.length ?? 0
}
