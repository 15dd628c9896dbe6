// CPU time: what the daemons used, and what others used while a run went on.
//
// The machine's busy time is the first line of /proc/stat. Ours is the bench itself with all the
// programs that it started and that have ended, the daemons with what runs beside them, and the
// kernel's softirq threads, which do nothing worth naming but our packets. The rest is foreign: another job on the machine,
// or the hypervisor's. The kernel samples the machine's total at each tick and accounts processes
// exactly, so a difference of a few hundredths of a core is noise of the meter.

import { readdirSync } from 'node:fs'
import type { Link } from './link.ts'
import { readBusySeconds, readProcess } from './proc.ts'

/** Whose CPU time is told apart from that of others. */
type Watched = Pick<Link, 'pids' | 'companions'>

export interface Usage {
  readonly elapsedSeconds: number
  readonly daemonSeconds: number
  /** Cores, on average. */
  readonly foreignCores: number
}

interface Snapshot {
  readonly atMs: number
  readonly busySeconds: number
  readonly daemonSeconds: number
  readonly oursSeconds: number
}

/** A run must find the machine with less than this in use by others, in cores. */
const quietCores = 0.08
/** A run that was disturbed by more than this is worth a second try. */
export const disturbedCores = 0.2

const gateWindowMs = 500
const longestWaitMs = 15_000

export class Meter {
  readonly #watched: Watched
  readonly #softirqThreads: readonly number[]
  readonly #begin: Snapshot

  constructor(watched: Watched) {
    this.#watched = watched
    this.#softirqThreads = softirqThreads()
    this.#begin = this.#snapshot()
  }

  /** Usage since the meter was made. Call it when the load's programs have been waited for. */
  read(): Usage {
    const end = this.#snapshot()
    const begin = this.#begin
    const elapsedSeconds = (end.atMs - begin.atMs) / 1000
    const foreign = end.busySeconds - begin.busySeconds - (end.oursSeconds - begin.oursSeconds)
    return {
      elapsedSeconds,
      daemonSeconds: end.daemonSeconds - begin.daemonSeconds,
      foreignCores: Math.max(0, foreign / elapsedSeconds),
    }
  }

  #snapshot(): Snapshot {
    const own = readProcess('self')
    const daemonSeconds = ownSeconds(this.#watched.pids)
    const besideSeconds = ownSeconds([...this.#watched.companions, ...this.#softirqThreads])
    return {
      atMs: performance.now(),
      busySeconds: readBusySeconds(),
      daemonSeconds,
      oursSeconds: own.ownSeconds + own.childrenSeconds + daemonSeconds + besideSeconds,
    }
  }
}

/**
 * Waits until others use less than `quietCores`, or until the patience is spent. Returns the
 * seconds that it took beyond the one window that it always looks at.
 */
export async function waitForQuiet(watched: Watched, patienceSeconds: number): Promise<number> {
  const begin = performance.now()
  const limitMs = Math.min(longestWaitMs, patienceSeconds * 1000)
  for (;;) {
    const meter = new Meter(watched)
    await new Promise(resolve => setTimeout(resolve, gateWindowMs))
    const waitedMs = performance.now() - begin - gateWindowMs
    if (meter.read().foreignCores < quietCores || waitedMs >= limitMs) {
      return Math.max(0, waitedMs) / 1000
    }
  }
}

function ownSeconds(pids: readonly number[]): number {
  let sum = 0
  for (const pid of pids) {
    try {
      sum += readProcess(pid).ownSeconds
    } catch {
      // It died; the run is invalid for that reason, which Link.failure reports.
    }
  }
  return sum
}

function softirqThreads(): number[] {
  const found: number[] = []
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    try {
      if (readProcess(pid).command.startsWith('ksoftirqd/')) found.push(pid)
    } catch {
      // It ended between the listing and the reading.
    }
  }
  return found
}
