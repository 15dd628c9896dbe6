// Numbered datagrams from one space to another, by the program beside this file.

import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { collect, ended } from '../../../src/lab/process.ts'
import { eventually } from '../eventually.ts'
import type { Spaces } from '../namespaces.ts'

const program = fileURLToPath(new URL('./numbered.py', import.meta.url))
const port = 7100

export interface Counted {
  readonly sent: number
  /** Sending alone, seconds. */
  readonly seconds: number
  readonly received: number
  /** Numbers that came at least once. */
  readonly distinct: number
  /** Datagrams behind a higher number, and the largest such distance. */
  readonly late: number
  readonly deepest: number
  /** What the receiver's socket had no room for. */
  readonly drops: number
}

export interface Way {
  readonly from: string
  readonly to: string
  readonly address: string
}

/** So many datagrams a second, each with its number, counted at the other end. */
export function sendNumbered(
  spaces: Spaces,
  way: Way,
  { count, perSecond, bytes }: { count: number; perSecond: number; bytes: number },
): Promise<Counted> {
  return run(spaces, way, ['send', way.address, port, count, perSecond, bytes])
}

/** What the way carries: as many as the sender can make, and how many of them arrive in a second. */
export async function carriedPerSecond(
  spaces: Spaces,
  way: Way,
  { seconds, bytes }: { seconds: number; bytes: number },
): Promise<number> {
  const counted = await run(spaces, way, ['flood', way.address, port, seconds, bytes])
  return counted.received / counted.seconds
}

async function run(spaces: Spaces, { from, to }: Way, args: readonly (string | number)[]) {
  const receiver = spaces.start(to, ['python3', program, 'receive', String(port)])
  const received = collect(receiver)
  const end = ended(receiver)
  await eventually(
    () => received().stdout.includes('ready'),
    () => String(received().stderr),
  )
  const sender = spaces.start(from, ['python3', program, ...args.map(String)])
  const sent = collect(sender)
  assert.equal(await ended(sender), 0, String(sent().stderr))
  assert.equal(await end, 0, String(received().stderr))
  const counts = String(received().stdout).split('\n')[1]
  return { ...JSON.parse(String(sent().stdout)), ...JSON.parse(counts) } as Counted
}
