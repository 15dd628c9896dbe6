// One run: everybody joins, then things go wrong for a while, then nothing does any more, and within a
// bounded time everything must be as it should, and quiet. A failure tells the seed and what happened.

import { Clusterset } from './clusterset.ts'
import { unfinished } from './converged.ts'
import { Trouble } from './trouble.ts'

/** Without trouble, from the first start. */
const joinMostMs = 30_000
/** A watch that nobody ends is dead after 90 s; then come waits that have grown. */
const convergeMostMs = 180_000
const quietMs = 10_000
const never = Number.POSITIVE_INFINITY

export interface RunResult {
  readonly seed: number
  /** Virtual. */
  readonly convergedAfterMs: number
  readonly requestsInSecond: number
  readonly requestsInTen: number
}

/** Throws an Error that tells how to repeat it. */
export function runSeed(seed: number): RunResult {
  const set = new Clusterset(seed)
  const trouble = new Trouble(set)
  try {
    for (const cluster of set.clusters) cluster.join()
    if (!set.oneIn(8)) settle(set, { mostMs: joinMostMs, hasLiar: false })
    trouble.begin()
    set.timeline.run(set.timeline.nowMs + set.between(15_000, 40_000))
    trouble.calm()
    const calmAtMs = set.timeline.nowMs
    settle(set, { mostMs: convergeMostMs, hasLiar: true })
    return {
      seed,
      convergedAfterMs: set.timeline.nowMs - calmAtMs - quietMs,
      requestsInSecond: Math.max(...set.nodes.map(node => node.mostInSecond)),
      requestsInTen: Math.max(...set.nodes.map(node => node.mostInTen)),
    }
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error)
    const story = trouble.story.slice(-60).join('\n  ')
    const hint = `repeat it: HAWSER_SEED=${seed} npm run sim`
    throw new Error(`seed ${seed}: ${what}\n${hint}\n  ${story}`, { cause: error })
  }
}

function settle(
  set: Clusterset,
  { mostMs, hasLiar }: { readonly mostMs: number; readonly hasLiar: boolean },
): void {
  const { timeline } = set
  const untilMs = timeline.nowMs + mostMs
  let sinceMs = never
  let problem: string | undefined
  while (timeline.nowMs < untilMs) {
    timeline.run(timeline.nowMs + 1000)
    problem = noise(set, sinceMs)
    const isQuiet = problem === undefined && timeline.nowMs - sinceMs >= quietMs
    // It was as it should; whether it still is, is looked at when it has been quiet for long enough.
    if (sinceMs !== never && problem === undefined && !isQuiet) continue
    problem ??= unfinished(set, hasLiar)
    if (problem !== undefined) sinceMs = never
    else if (isQuiet) return
    else {
      sinceMs = timeline.nowMs
      for (const cluster of set.clusters) cluster.trustedFromMs = timeline.nowMs
    }
  }
  const processes = set.nodes.map(({ hostname, process }) => `${hostname}: ${process?.describe()}`)
  const what = problem ?? 'it is not quiet'
  set.violated(`not converged after ${mostMs / 1000} s: ${what}\n  ${processes.join('\n  ')}`)
}

/** A write since then that is not made all the time. */
function noise(set: Clusterset, sinceMs: number): string | undefined {
  return set.nodes.find(node => node.lastWriteMs > sinceMs)?.lastWrite
}
