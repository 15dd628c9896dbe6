// `npm run bench:nodes`: what it costs a pod to be on a worker. TCP between the pods of two gateways,
// from a worker's pod to that of the far gateway, and between the pods of two workers, through the same
// cable, one after the other within each round (docs/scale.md).

import { parsePrefix } from '../src/net/address.ts'
import { newKeyPair, remoteAt, tablesOf } from './fleet.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { tcpLoad } from './load.ts'
import { Patience } from './measure.ts'
import { disturbedCores, Meter, waitForQuiet } from './meter.ts'
import { addresses, createNetwork, ipInNode, type Side } from './network.ts'
import { formatSummary } from './numbers.ts'
import { passedBetween, proveTcp, readPassed } from './proof.ts'
import { renderTable } from './report.ts'
import {
  type BenchProgram,
  type Goal,
  type Outcome,
  roundsText,
  runBench,
  type Say,
} from './stand.ts'
import { type Summary, summarize } from './statistics.ts'
import { passes, podNetworks, type Way, WorkerNodes, ways } from './worker-nodes.ts'

const mtuBytes = 1420
const port = 51_830
const goals: Readonly<Partial<Record<Way, number>>> = {
  'worker to gateway': 0.75,
  'worker to worker': 0.6,
}

type Names = 'rounds' | 'seconds' | 'streams'

interface Measured {
  readonly gbitPerSecond: number
  readonly retransmits: number
  /** Bytes of a packet on the overlay, on average: superpackets if they stay whole; 0 without it. */
  readonly overlayPacketBytes: number
  readonly foreignCores: number
  readonly problems: readonly string[]
}

type Round = Readonly<Record<Way, Measured>>

const program: BenchProgram<Names, readonly Round[]> = {
  name: 'nodes',
  about: "TCP from pods of workers, beside TCP between the gateways' own pods.",
  programs: ['ip', 'bridge', 'nft', 'iperf3', 'ping'],
  numbers: {
    rounds: { help: 'runs of each way', usual: 7, quick: 1, most: 99 },
    seconds: { help: 'length of one TCP run', usual: 4, quick: 2, most: 3600 },
    streams: { help: 'streams of a run', usual: 1, quick: 1, most: 64 },
  },
  measure,
  render,
}

process.exitCode = await runBench(program, process.argv.slice(2))

async function measure(
  numbers: Readonly<Record<Names, number>>,
  say: Say,
): Promise<Outcome<readonly Round[]>> {
  const patience = new Patience(numbers.rounds === 1 ? 20 : 120)
  createNetwork(mtuBytes)
  const nodes = new WorkerNodes(mtuBytes)
  const pair = { a: await startGateway('a', 'na'), b: await startGateway('b', 'nb') }
  try {
    await join(pair, nodes)
    for (const way of ways) {
      if (!passes(nodes.ends(way))) throw new Error(`${way}: nothing passes`)
      await tcpLoad(numbers.streams, 1, nodes.ends(way))
    }
    const rounds: Round[] = []
    for (let round = 1; round <= numbers.rounds; round++) {
      rounds.push(await runRound(pair, nodes, numbers, round, patience))
      say(progressOf(round, numbers.rounds, rounds[round - 1]))
    }
    return { result: rounds, goals: judge(rounds), notes: notesOf(rounds) }
  } finally {
    await Promise.all([pair.a.stop(), pair.b.stop()])
  }
}

type Pair = Readonly<Record<Side, Gateway>>

async function join(pair: Pair, nodes: WorkerNodes): Promise<void> {
  const keys = { a: newKeyPair(), b: newKeyPair() }
  for (const side of ['a', 'b'] as const) {
    const far = side === 'a' ? 'b' : 'a'
    const peer = {
      name: far,
      publicKey: keys[far].publicKey,
      remote: remoteAt(addresses.wire[far], port),
      allowedIps: podNetworks(far).map(parsePrefix),
    }
    await pair[side].client.apply(tablesOf(1, keys[side], port, [peer]))
    ipInNode(side, [`link set ${pair[side].device} up`])
    await nodes.applyPlans(side, pair[side].device)
  }
}

/** Each way once, another one first in each round. */
async function runRound(
  pair: Pair,
  nodes: WorkerNodes,
  { streams, seconds }: Readonly<Record<Names, number>>,
  round: number,
  patience: Patience,
): Promise<Round> {
  const devices = { a: pair.a.device, b: pair.b.device }
  const watched = { pids: [pair.a.pid, pair.b.pid], companions: [] }
  const measured: Partial<Record<Way, Measured>> = {}
  for (let i = 0; i < ways.length; i++) {
    const way = ways[(i + round) % ways.length]
    patience.spend(await waitForQuiet(watched, patience.leftSeconds))
    const meter = new Meter(watched)
    const before = readPassed(devices)
    const sentBefore = nodes.overlaySent()
    const load = await tcpLoad(streams, seconds, nodes.ends(way))
    const { foreignCores } = meter.read()
    const passed = passedBetween(before, readPassed(devices))
    measured[way] = {
      gbitPerSecond: (load.receivedBytes * 8) / 1e9 / load.seconds,
      retransmits: load.retransmits,
      overlayPacketBytes: way === ways[0] ? 0 : meanBytes(sentBefore, nodes.overlaySent()),
      foreignCores,
      problems: proveTcp(passed, load.receivedBytes).problems,
    }
  }
  return measured as Round
}

function judge(rounds: readonly Round[]): Goal[] {
  return ways.flatMap(way => {
    const least = goals[way]
    if (least === undefined) return []
    const ratio = ratioOf(rounds, way)
    return {
      what: `TCP, ${way}, to that between the gateways' pods`,
      wanted: `at least ${least}`,
      measured: formatSummary(ratio),
      isReached: ratio.median >= least,
    }
  })
}

function render(rounds: readonly Round[]): string {
  const rows = ways.map(way => [
    way,
    formatSummary(over(rounds, round => round[way].gbitPerSecond)),
    formatSummary(ratioOf(rounds, way)),
    formatSummary(over(rounds, round => round[way].retransmits)),
    formatSummary(over(rounds, round => round[way].overlayPacketBytes / 1000)),
  ])
  const head = [
    ...['from pod to pod', 'Gb/s', 'ratio in the round'],
    ...['retransmits', 'kB of a packet on the overlay'],
  ]
  return [roundsText(rounds.length), renderTable([head, ...rows])].join('\n\n')
}

type Sent = ReturnType<WorkerNodes['overlaySent']>

function meanBytes(before: Sent, after: Sent): number {
  const packets = after.packets - before.packets
  return packets === 0 ? 0 : (after.bytes - before.bytes) / packets
}

function ratioOf(rounds: readonly Round[], way: Way): Summary {
  return over(rounds, round => round[way].gbitPerSecond / round[ways[0]].gbitPerSecond)
}

function over(rounds: readonly Round[], value: (round: Round) => number): Summary {
  const summary = summarize(rounds.map(value))
  if (summary === null) throw new Error('no round was measured')
  return summary
}

function notesOf(rounds: readonly Round[]): string[] {
  return rounds.flatMap((round, index) =>
    ways.flatMap(way => {
      const { problems, foreignCores } = round[way]
      const where = `round ${index + 1}, ${way}`
      if (problems.length > 0) return [`invalid: ${where}: ${problems.join('; ')}`]
      if (foreignCores <= disturbedCores) return []
      return [`disturbed: ${where}: others used ${foreignCores.toFixed(2)} of a core`]
    }),
  )
}

function progressOf(round: number, rounds: number, measured: Round): string {
  const text = ways.map(way => `${way} ${measured[way].gbitPerSecond.toFixed(2)}`)
  return `${round}/${rounds}  Gb/s: ${text.join(', ')}`
}
