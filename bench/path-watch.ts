// Looks at the way of the UDP stream ten times a second while it runs: what the kernel dropped of it
// since the look before, and how long the threads on it waited for a core. So each hole of the stream
// can be told what happened around it.

import { readdirSync, readFileSync } from 'node:fs'
import {
  type OverflowPlaces,
  type Overflows,
  overflowsBetween,
  readOverflows,
} from './overflows.ts'
import { parseWaitedMs } from './proc.ts'

/** What happened between two looks; times are monotonic. */
export interface Look {
  readonly sinceMs: number
  readonly atMs: number
  readonly overflows: Overflows
  /** Of the thread on the way that had waited longest for a core. */
  readonly waitedMs: number
}

export interface PathWatch {
  /** Stops it. All looks, in order. */
  end(): readonly Look[]
}

/** Threads of a process whose names begin so. */
export interface WatchedThreads {
  readonly pid: number
  readonly names: string
}

const everyMs = 100

export function watchPath(
  places: OverflowPlaces,
  threads: readonly WatchedThreads[],
  monotonicMs: () => number,
): PathWatch {
  const files = threads.flatMap(schedulesOf)
  const looks: Look[] = []
  const read = () => ({
    atMs: monotonicMs(),
    overflows: readOverflows(places),
    waits: readWaits(files),
  })
  let before = read()
  const look = () => {
    const now = read()
    looks.push({
      sinceMs: before.atMs,
      atMs: now.atMs,
      overflows: overflowsBetween(before.overflows, now.overflows),
      waitedMs: Math.max(0, ...now.waits.map((wait, i) => wait - before.waits[i])),
    })
    before = now
  }
  const timer = setInterval(() => {
    try {
      look()
    } catch {
      // One of the processes has ended: the stream is over, or the run fails and says why.
      clearInterval(timer)
    }
  }, everyMs).unref()
  return {
    end() {
      clearInterval(timer)
      return looks
    },
  }
}

/** All that was seen by the looks that fall into a time, at its edges too. */
export function seenBetween(
  looks: readonly Look[],
  fromMs: number,
  untilMs: number,
): Pick<Look, 'overflows' | 'waitedMs'> {
  let overflows: Overflows = { deviceQueue: 0, gatewaySocket: 0, streamSocket: 0 }
  let waitedMs = 0
  for (let at = firstBehind(looks, fromMs); at < looks.length; at++) {
    const look = looks[at]
    if (look.sinceMs > untilMs) break
    overflows = {
      deviceQueue: overflows.deviceQueue + look.overflows.deviceQueue,
      gatewaySocket: overflows.gatewaySocket + look.overflows.gatewaySocket,
      streamSocket: overflows.streamSocket + look.overflows.streamSocket,
    }
    waitedMs += look.waitedMs
  }
  return { overflows, waitedMs }
}

/** The first look that was made at `ms` or later. */
function firstBehind(looks: readonly Look[], ms: number): number {
  let [low, high] = [0, looks.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (looks[middle].atMs < ms) low = middle + 1
    else high = middle
  }
  return low
}

function schedulesOf({ pid, names }: WatchedThreads): string[] {
  return readdirSync(`/proc/${pid}/task`)
    .map(thread => `/proc/${pid}/task/${thread}`)
    .filter(folder => readFileSync(`${folder}/comm`, 'utf8').startsWith(names))
    .map(folder => `${folder}/schedstat`)
}

function readWaits(files: readonly string[]): number[] {
  return files.map(file => {
    try {
      return parseWaitedMs(readFileSync(file, 'utf8'))
    } catch {
      // A thread of a pool that has ended waits no more.
      return 0
    }
  })
}
