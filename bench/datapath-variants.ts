// Pairs of `hawser datapath` with an AES cable that differ from the plain pair in one thing, to
// measure what that thing costs. Their base is the contestant hawser-aes: the same command, cable and
// cipher in the same round. AES and not ChaCha, because the less the cipher costs, the larger is the
// share of everything else.

import { lastLine, type Running, start, stop } from './commands.ts'
import { aesCable, type Datapaths, startDatapaths } from './datapath-daemons.ts'
import { deathOf, type Link } from './link.ts'
import type { Side } from './network.ts'
import { rewrites, rewritten } from './support/verdict-rewrite.ts'

const preload = new URL('./support/noop-verdict.ts', import.meta.url).href
const sides: readonly Side[] = ['a', 'b']
/** TEST-NET-3 (RFC 5737): nobody here has it. */
const matchesNothing = 'host 203.0.113.1'
const startTimeoutMs = 10_000

/**
 * Both verdicts, outbound and inbound, are replaced by the least that still forwards. Throws unless
 * the workers of both daemons have said that they run the replaced ones.
 */
export async function startWithoutVerdict(program: string): Promise<Link> {
  // What the other contestants inherit stays.
  const environment = { NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import ${preload}` }
  const pair = await startDatapaths(program, aesCable, environment)
  for (const side of sides) {
    const said = pair.daemon[side].errors()
    const missing = rewrites.find(({ file }) => !said.includes(rewritten(file)))
    if (missing === undefined) continue
    await pair.stop()
    throw new Error(`node-${side} runs ${missing.file} as it is: ${lastLine(said) || 'no word'}`)
  }
  return pair
}

/** A capture of everything, inside and on the wire, looks on at both ends and never sees its host. */
export async function startCaptured(program: string): Promise<Link> {
  const pair = await startDatapaths(program, aesCable)
  const launch = (side: Side) =>
    start([program, 'capture', '--socket', pair.socket[side], '-w', '/dev/null', matchesNothing])
  const capture = { a: launch('a'), b: launch('b') }
  const link = captured(pair, capture)
  try {
    await Promise.all([capturing(capture.a), capturing(capture.b)])
    return link
  } catch (cause) {
    await link.stop()
    throw cause
  }
}

function captured(pair: Datapaths, capture: Readonly<Record<Side, Running>>): Link {
  return {
    ...pair,
    companions: [capture.a.pid, capture.b.pid],
    failure: () =>
      pair.failure() ?? deathOf(capture.a, 'capture', 'a') ?? deathOf(capture.b, 'capture', 'b'),
    stop: async () => {
      await Promise.all([stop(capture.a), stop(capture.b)])
      await pair.stop()
    },
  }
}

/** Resolves when a capture says that it has begun, which the workers have confirmed by then. */
async function capturing(capture: Running): Promise<void> {
  const deadline = performance.now() + startTimeoutMs
  while (!capture.errors().includes('capturing to')) {
    if (!capture.alive()) throw new Error(`the capture ended: ${lastLine(capture.errors())}`)
    if (performance.now() > deadline) throw new Error(`no capture after ${startTimeoutMs} ms`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
