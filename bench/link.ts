// What a contestant gives for a turn: a way between the two nodes, and what has to be known of it to
// measure it.

import { lastLine, type Running, stop } from './commands.ts'
import type { Side } from './network.ts'

/** The way between two nodes while a contestant provides it. */
export interface Link {
  /** The tunnel device of each node, null for plain routing. */
  readonly device: Readonly<Record<Side, string>> | null
  /** The daemons whose CPU time and memory count; empty where the kernel does the work. */
  readonly pids: readonly number[]
  /** Programs beside the daemons: their CPU time is not the daemons' and no foreign load either. */
  readonly companions: readonly number[]
  /** The last words of a program that died, or null while all live. */
  failure(): string | null
  /** What shows that the daemons do not do what the contestant's name says, or null. */
  disproof(): Promise<string | null>
  stop(): Promise<void>
}

/** Nothing but the kernel between the nodes. */
export function kernelLink(device: string | null): Link {
  return {
    device: device === null ? null : { a: device, b: device },
    pids: [],
    companions: [],
    failure: () => null,
    disproof: async () => null,
    stop: async () => {},
  }
}

/** A pair of daemons, one in each node. */
export function daemonLink(
  device: Readonly<Record<Side, string>>,
  daemon: Readonly<Record<Side, Running>>,
): Link {
  return {
    device,
    pids: [daemon.a.pid, daemon.b.pid],
    companions: [],
    failure: () => deathOf(daemon.a, 'daemon', 'a') ?? deathOf(daemon.b, 'daemon', 'b'),
    disproof: async () => null,
    stop: async () => {
      await Promise.all([stop(daemon.a), stop(daemon.b)])
    },
  }
}

export function deathOf(program: Running, what: string, side: Side): string | null {
  if (program.alive()) return null
  const words = lastLine(program.errors()) || 'it said nothing'
  return `the ${what} of node-${side} died: ${words}`
}
