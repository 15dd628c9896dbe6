// Which write is done when: one at a time for an object, after a failure later and later (50 ms to
// 30 s), all together no faster than a server is glad of (10 a second after a burst of 500, as admiral
// has it). Plans in, the next write out; no I/O, no clock.
//
// A plan replaces the one before: what is not in it is not wanted any more. A write that was done is
// not done again while the plan still asks for the very same thing: the watch has not brought it yet.

import type { Write } from './world.ts'

export interface WriteTimes {
  readonly firstMs: number
  readonly mostMs: number
  readonly perSecond: number
  readonly burst: number
  readonly atOnceMost: number
  /** For how long the watch may take to bring what was written. */
  readonly settleMs: number
}

export const writeTimes: WriteTimes = {
  firstMs: 50,
  mostMs: 30_000,
  perSecond: 10,
  burst: 500,
  atOnceMost: 8,
  settleMs: 5000,
}

export type WriteStep =
  | { readonly kind: 'write'; readonly id: string; readonly write: Write }
  | { readonly kind: 'wait'; readonly untilMs: number }

interface Entry {
  write: Write
  /** Tells whether the plan asks for the same as before. */
  text: string
  /** In the last plan. */
  isWanted: boolean
  isUnderWay: boolean
  failures: number
  dueMs: number
  /** What was written last, until then. */
  written: string | undefined
  settlesAtMs: number
}

export class WriteQueue {
  readonly #times: WriteTimes
  /** In the order of the plan. */
  #entries = new Map<string, Entry>()
  #tokens: number
  #tokensAtMs: number

  constructor(nowMs: number, times: WriteTimes = writeTimes) {
    this.#times = times
    this.#tokens = times.burst
    this.#tokensAtMs = nowMs
  }

  plan(nowMs: number, writes: readonly Write[]): void {
    const before = this.#entries
    this.#entries = new Map()
    for (const write of writes) {
      const id = idOf(write)
      // Of several for one object the first is to be done; then there will be another plan.
      if (this.#entries.has(id)) continue
      this.#entries.set(id, this.#entryOf(nowMs, write, before.get(id)))
    }
    for (const [id, entry] of before) {
      if (!entry.isUnderWay || this.#entries.has(id)) continue
      entry.isWanted = false
      this.#entries.set(id, entry)
    }
  }

  /** A write is given once and must be answered by `done` or `failed`. */
  next(nowMs: number): WriteStep {
    let untilMs = Number.POSITIVE_INFINITY
    let underWay = 0
    for (const { isUnderWay } of this.#entries.values()) underWay += isUnderWay ? 1 : 0
    if (underWay >= this.#times.atOnceMost) return { kind: 'wait', untilMs }
    for (const [id, entry] of this.#entries) {
      if (entry.isUnderWay || !entry.isWanted) continue
      const dueMs = this.#dueMs(entry)
      if (dueMs > nowMs) {
        untilMs = Math.min(untilMs, dueMs)
        continue
      }
      const tokenMs = this.#takeToken(nowMs)
      if (tokenMs > nowMs) return { kind: 'wait', untilMs: Math.min(untilMs, tokenMs) }
      entry.isUnderWay = true
      return { kind: 'write', id, write: entry.write }
    }
    return { kind: 'wait', untilMs }
  }

  /** `write`: the one that was given. */
  done(nowMs: number, id: string, write: Write): void {
    const entry = this.#ended(id)
    if (entry === undefined) return
    entry.failures = 0
    entry.dueMs = nowMs
    entry.written = textOf(write)
    entry.settlesAtMs = nowMs + this.#times.settleMs
  }

  failed(nowMs: number, id: string): void {
    const entry = this.#ended(id)
    if (entry === undefined) return
    const { firstMs, mostMs } = this.#times
    entry.dueMs = nowMs + Math.min(mostMs, firstMs * 2 ** Math.min(entry.failures, 30))
    entry.failures++
  }

  /** Those of the last plan that are not done, however often they were tried. */
  waiting(): readonly string[] {
    const open = [...this.#entries].filter(([, entry]) => entry.written !== entry.text)
    return open.flatMap(([id, entry]) => (entry.isWanted ? [id] : []))
  }

  #entryOf(nowMs: number, write: Write, before: Entry | undefined): Entry {
    const text = textOf(write)
    if (before === undefined) {
      const rest = { isWanted: true, isUnderWay: false, failures: 0, dueMs: nowMs }
      return { write, text, ...rest, written: undefined, settlesAtMs: nowMs }
    }
    before.write = write
    before.text = text
    before.isWanted = true
    return before
  }

  #dueMs(entry: Entry): number {
    return entry.written === entry.text ? Math.max(entry.dueMs, entry.settlesAtMs) : entry.dueMs
  }

  #ended(id: string): Entry | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    entry.isUnderWay = false
    if (entry.isWanted) return entry
    this.#entries.delete(id)
    return undefined
  }

  /** Takes one when there is one; else says when there will be. */
  #takeToken(nowMs: number): number {
    const { perSecond, burst } = this.#times
    const earned = ((nowMs - this.#tokensAtMs) * perSecond) / 1000
    this.#tokens = Math.min(burst, this.#tokens + earned)
    this.#tokensAtMs = nowMs
    if (this.#tokens < 1) return nowMs + ((1 - this.#tokens) * 1000) / perSecond
    this.#tokens--
    return nowMs
  }
}

function idOf({ server, key }: Write): string {
  return `${server} ${key}`
}

function textOf(write: Write): string {
  if (write.verb === 'delete') return `delete ${write.uid}`
  const { type, object } = write
  return `${write.verb} ${object.meta.resourceVersion} ${JSON.stringify(type.serialize(object))}`
}
