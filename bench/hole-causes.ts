// What lay behind each hole of a paced stream: a collection of a worker that the stream passes, or
// threads that waited for a core; where the kernel dropped what is missing; and what had just been done.
//
// A worker that stands still for P ms loses at most what was sent in P ms, and less by what queues
// hold. So a hole is a collection's when the worker's collections within it held the worker for half
// of the time in which the lost ones were sent, or longer. What else was seen is told beside it.

import { type Collection, pausedBetween } from './collections.ts'
import type { Hole } from './holes.ts'
import type { Overflows } from './overflows.ts'
import { type Look, seenBetween } from './path-watch.ts'

/** Something that was done to the gateways, at a time of the wall clock. */
export interface Deed {
  readonly atMs: number
  readonly what: 'snapshot' | 'cipher'
}

export interface ExplainedHole {
  /** Wall clock. */
  readonly atMs: number
  readonly lost: number
  readonly gapMs: number
  /** How long the stream takes to send as many. */
  readonly streamMs: number
  /** What was done right before. */
  readonly deed: Deed['what'] | null
  /** The thread of either gateway that collections within the hole held longest. */
  readonly held: { readonly thread: string; readonly pausedMs: number } | null
  /** Collections of a worker that the stream passes can explain it. */
  readonly isCollections: boolean
  readonly overflows: Overflows
  readonly waitedMs: number
}

export interface Evidence {
  readonly perSecond: number
  readonly deeds: readonly Deed[]
  readonly looks: readonly Look[]
  readonly collections: readonly Collection[]
  /** Whether the stream passes this thread. */
  readonly isOnPath: (thread: string) => boolean
}

/** A hole that begins within this after a deed is put down to it. */
export const blameMs = 1000
/** Of the time in which the lost ones were sent. */
const comparable = 0.5

export function explainHoles(holes: readonly Hole[], evidence: Evidence): ExplainedHole[] {
  const { perSecond, deeds, looks, collections } = evidence
  const onPath = collections.filter(({ thread }) => evidence.isOnPath(thread))
  return holes.map(({ atMs, lost, gapMs, sinceMs, seenMs }) => {
    const streamMs = (lost / perSecond) * 1000
    const pausedMs = pausedBetween(onPath, sinceMs, seenMs)?.pausedMs ?? 0
    const deed = deeds.findLast(deed => deed.atMs <= atMs && deed.atMs > atMs - blameMs)
    return {
      ...{ atMs, lost, gapMs, streamMs },
      deed: deed?.what ?? null,
      held: pausedBetween(collections, sinceMs, seenMs),
      isCollections: pausedMs > 0 && pausedMs >= streamMs * comparable,
      ...seenBetween(looks, sinceMs, seenMs),
    }
  })
}
