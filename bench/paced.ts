// A paced UDP stream from pod-a to pod-b: bench/support/paced-stream.ts at either end.

import { lastLine, type Running, start, stop } from './commands.ts'
import type { Hole, Received } from './holes.ts'
import { addresses, inPod } from './network.ts'
import type { Sent } from './support/paced-stream.ts'

export interface Paced {
  readonly sent: number
  readonly seconds: number
  readonly received: number
  /** All that was sent and did not come. */
  readonly lost: number
  readonly longestGapMs: number
  readonly holes: readonly Hole[]
}

export interface PacedStream {
  readonly receiverPid: number
  /** Those until now. */
  holes(): readonly Hole[]
  /** Resolves when the stream has run its time. */
  readonly ended: Promise<Paced>
}

const program = new URL('support/paced-stream.ts', import.meta.url).pathname
const port = 5400
const lastOnesMs = 500

/** Starts a stream of `perSecond` datagrams of `bytes` bytes. Resolves when it has begun. */
export async function startPaced(
  perSecond: number,
  bytes: number,
  seconds: number,
): Promise<PacedStream> {
  const receiver = start(inPod('b', [process.execPath, program, 'receive', String(port)]))
  await begun(receiver)
  const numbers = [port, perSecond, bytes, seconds].map(String)
  const argv = [process.execPath, program, 'send', addresses.pod.b, ...numbers]
  const sender = start(inPod('a', argv))
  await begun(sender)
  return {
    receiverPid: receiver.pid,
    holes: () => linesOf<Hole>(receiver, 'hole'),
    ended: finish(sender, receiver),
  }
}

async function begun(end: Running): Promise<void> {
  while (!end.output().includes('begun')) {
    if (!end.alive()) throw new Error(`the paced stream ended: ${lastLine(end.errors())}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

async function finish(sender: Running, receiver: Running): Promise<Paced> {
  await sender.ended
  await new Promise(resolve => setTimeout(resolve, lastOnesMs))
  await stop(receiver)
  const { sent, seconds } = linesOf<Sent>(sender, 'sent')[0]
  const { received, longestGapMs } = linesOf<Received>(receiver, 'received')[0]
  const holes = linesOf<Hole>(receiver, 'hole')
  return { sent, seconds, received, lost: sent - received, longestGapMs, holes }
}

function linesOf<Line extends { readonly kind: string }>(end: Running, kind: Line['kind']): Line[] {
  const lines = end
    .output()
    .split('\n')
    .filter(line => line.startsWith(`{"kind":"${kind}"`))
    .map(line => JSON.parse(line) as Line)
  if (lines.length === 0 && kind !== 'hole') {
    throw new Error(`the paced stream said nothing: ${lastLine(end.errors())}`)
  }
  return lines
}
