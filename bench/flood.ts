// `npm run bench:flood`: a gateway under a flood of valid initiations, with right MACs and right
// cookies, from many addresses and a thousand peers whose private keys the flooder has, while TCP or
// a paced UDP stream comes in through another peer. How many handshakes the CPU time of its inbound
// worker makes, and how much of the traffic still passes (docs/scale.md).

import { parsePrefix } from '../src/net/address.ts'
import { type KeyPair, newKeyPair, type Peer, remoteAt, tablesOf } from './fleet.ts'
import {
  type FloodFigures,
  type Round,
  runNames,
  runRound,
  type TrafficFigures,
  udpBytes,
} from './flood-round.ts'
import { addSources, floodRate, prepareStock } from './flood-run.ts'
import { type Gateway, routeThrough, startGateway } from './gateway.ts'
import { reaches, udpLoad } from './load.ts'
import { describeMachine } from './machine.ts'
import { Patience } from './measure.ts'
import { disturbedCores } from './meter.ts'
import { addresses, createNetwork, type Side } from './network.ts'
import { formatNumber, formatSummary } from './numbers.ts'
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

const mtuBytes = 1420
const port = 51_830
/** Handshakes a second of one core, and the part of the traffic that is to pass. */
const goals = { withAvx512: 2000, without: 1500, trafficShare: 0.5 } as const
/** Floods in a round, and what each takes beside its window. */
const floodsPerRound = 3
const extraSeconds = 3

type Names = 'peers' | 'sources' | 'rounds' | 'seconds'

interface Result {
  readonly sources: number
  readonly offeredPerSecond: number
  readonly udpPerSecond: number
  readonly rounds: readonly Round[]
}

const program: BenchProgram<Names, Result> = {
  name: 'flood',
  about: 'A flood of valid handshake initiations, and the traffic that passes meanwhile.',
  programs: ['ip', 'iperf3', 'ping'],
  numbers: {
    peers: { help: 'peers that the flooder has the keys of', usual: 1000, quick: 1000, most: 8000 },
    sources: {
      help: 'addresses, 20 initiations a second each',
      usual: 400,
      quick: 400,
      most: 1500,
    },
    rounds: { help: 'rounds', usual: 5, quick: 1, most: 99 },
    seconds: { help: 'length of one run', usual: 4, quick: 2, most: 60 },
  },
  measure,
  render,
}

process.exitCode = await runBench(program, process.argv.slice(2))

async function measure(
  numbers: Readonly<Record<Names, number>>,
  say: Say,
): Promise<Outcome<Result>> {
  const { rounds: count, seconds } = numbers
  createNetwork(mtuBytes)
  const sources = addSources(numbers.sources)
  const [far, gateway] = await Promise.all([startGateway('a', 'fa'), startGateway('b', 'fb')])
  const peers = Array.from({ length: numbers.peers }, newKeyPair)
  const keys = { a: newKeyPair(), b: newKeyPair() }
  await join(far, gateway, keys, peers)
  const needed = count * floodsPerRound * (seconds + extraSeconds) * floodRate(sources.length)
  say(`making ${needed} initiations ahead, about ${Math.ceil((needed * 1e-4) / 2)} s`)
  const stock = await prepareStock(keys.b.publicKey, peers, needed)
  const most = await udpLoad(udpBytes, 2)
  const udpPerSecond = Math.round(most.receivedPackets / most.seconds / 2)
  say(`UDP is paced at ${udpPerSecond} packets a second, half of what the path carries`)
  const patience = new Patience(count === 1 ? 30 : 300)
  const rounds: Round[] = []
  for (let round = 1; round <= count; round++) {
    const options = { gateway, far, port, stock, sources, seconds, udpPerSecond, patience }
    rounds.push(await runRound(options))
    say(progressOf(round, count, rounds[round - 1]))
  }
  await Promise.all([far.stop(), gateway.stop()])
  const offeredPerSecond = floodRate(sources.length)
  return {
    result: { sources: sources.length, offeredPerSecond, udpPerSecond, rounds },
    goals: judge(rounds),
    notes: notesOf(rounds, sources.length),
  }
}

/** The flooded gateway in node-b has all the peers, and the far one, which the traffic comes from. */
async function join(
  far: Gateway,
  gateway: Gateway,
  keys: Readonly<Record<Side, KeyPair>>,
  flooders: readonly KeyPair[],
): Promise<void> {
  const otherEnd = (side: Side): Peer => ({
    name: 'other-end',
    publicKey: keys[side].publicKey,
    remote: remoteAt(addresses.wire[side], port),
    allowedIps: [parsePrefix(addresses.podNetwork[side])],
  })
  const peers = flooders.map(({ publicKey }, i) => ({
    name: `flooder-${i}`,
    publicKey,
    allowedIps: [parsePrefix(`172.${16 + (i >> 8)}.${i & 255}.0/24`)],
  }))
  await far.client.apply(tablesOf(1, keys.a, port, [otherEnd('b')]))
  await gateway.client.apply(tablesOf(1, keys.b, port, [...peers, otherEnd('a')]))
  routeThrough(far, [addresses.podNetwork.b])
  routeThrough(gateway, [addresses.podNetwork.a])
  if (!reaches()) throw new Error(far.failure() ?? gateway.failure() ?? 'pod-b is not reached')
}

function judge(rounds: readonly Round[]): Goal[] {
  const hasAvx512 = describeMachine().features['avx512f']
  const wanted = hasAvx512 ? goals.withAvx512 : goals.without
  const rate = (what: string, of: (round: Round) => FloodFigures): Goal => {
    const summary = over(rounds, round => of(round).perCpuSecond)
    return {
      what: `handshakes for a second of the inbound worker, ${what}`,
      wanted: `at least ${wanted}`,
      measured: formatSummary(summary),
      isReached: summary.median >= wanted,
    }
  }
  const share = (what: string, summary: Summary): Goal => ({
    what: `${what} under the flood to ${what} alone`,
    wanted: `at least ${goals.trafficShare}`,
    measured: formatSummary(summary),
    isReached: summary.median >= goals.trafficShare,
  })
  return [
    rate('no traffic', ({ flood }) => flood),
    rate('with UDP, whose packets it opens too', ({ udpFlooded }) => udpFlooded.flood),
    share('UDP', shareOf(rounds, 'udp')),
    share('TCP', shareOf(rounds, 'tcp')),
  ]
}

function shareOf(rounds: readonly Round[], kind: 'tcp' | 'udp'): Summary {
  return over(rounds, round => round[`${kind}Flooded`].gbitPerSecond / round[kind].gbitPerSecond)
}

function render({ sources, offeredPerSecond, udpPerSecond, rounds }: Result): string {
  const floodRow = (title: string, of: (round: Round) => FloodFigures) => {
    const figure = (value: (figures: FloodFigures) => number) =>
      formatSummary(over(rounds, round => value(of(round))))
    return [
      title,
      figure(({ handshakesPerSecond }) => handshakesPerSecond),
      figure(({ inboundCores }) => inboundCores),
      figure(({ perCpuSecond }) => perCpuSecond),
    ]
  }
  const floods = renderTable([
    ['flood', 'handshakes/s', 'cores of the inbound worker', 'handshakes per CPU-second of it'],
    floodRow('no traffic', ({ flood }) => flood),
    floodRow('with TCP', ({ tcpFlooded }) => tcpFlooded.flood),
    floodRow('with UDP', ({ udpFlooded }) => udpFlooded.flood),
  ])
  const trafficRow = (kind: 'tcp' | 'udp', title: string) => {
    const figure = (of: (round: Round) => TrafficFigures) => [
      formatSummary(over(rounds, round => of(round).gbitPerSecond)),
      formatSummary(over(rounds, round => of(round).lossPercent)),
    ]
    const [alone, lossAlone] = figure(round => round[kind])
    const [under, lossUnder] = figure(round => round[`${kind}Flooded`])
    const losses = kind === 'tcp' ? ['–', '–'] : [lossAlone, lossUnder]
    return [title, alone, under, formatSummary(shareOf(rounds, kind)), ...losses]
  }
  const traffic = renderTable([
    ['traffic', 'alone, Gb/s', 'flooded, Gb/s', 'share', 'loss alone, %', 'loss flooded, %'],
    trafficRow('tcp', 'TCP, one stream'),
    trafficRow('udp', `UDP, ${udpPerSecond} packets/s`),
  ])
  const offered = `${offeredPerSecond} initiations a second are offered from ${sources} addresses.`
  return [`${roundsText(rounds.length)} ${offered}`, floods, traffic].join('\n\n')
}

function over(rounds: readonly Round[], value: (round: Round) => number): Summary {
  const summary = summarize(rounds.map(value))
  if (summary === null) throw new Error('no round was measured')
  return summary
}

function notesOf(rounds: readonly Round[], sources: number): string[] {
  const notes: string[] = []
  rounds.forEach((round, index) => {
    for (const [what, flood] of floodsOf(round)) {
      const { withCookie, proved, provable, drops, socketOverflows } = flood
      const where = `round ${index + 1}, ${what}`
      const reasons = Object.entries(drops).map(([reason, count]) => `${reason} ${count}`)
      notes.push(
        `${where}: ${withCookie} of ${sources} addresses had a cookie, ${proved} of ${provable} ` +
          `sessions proved; drops: ${[...reasons, `socket full ${socketOverflows}`].join(', ')}`,
      )
    }
    for (const name of runNames) {
      const cores = round.foreignCores[name]
      if (cores <= disturbedCores) continue
      notes.push(
        `disturbed: round ${index + 1}, ${name}: others used ${cores.toFixed(2)} of a core`,
      )
    }
  })
  return notes
}

function floodsOf(round: Round): [string, FloodFigures][] {
  return [
    ['no traffic', round.flood],
    ['TCP', round.tcpFlooded.flood],
    ['UDP', round.udpFlooded.flood],
  ]
}

function progressOf(round: number, rounds: number, measured: Round): string {
  const { flood, tcp, udp, tcpFlooded, udpFlooded } = measured
  const share = (above: TrafficFigures, below: TrafficFigures) =>
    (above.gbitPerSecond / below.gbitPerSecond).toFixed(2)
  return (
    `${round}/${rounds}  ${formatNumber(flood.handshakesPerSecond)} handshakes/s, ` +
    `${formatNumber(flood.perCpuSecond)} per CPU-s; with UDP ` +
    `${formatNumber(udpFlooded.flood.perCpuSecond)} and ${share(udpFlooded, udp)} of it passes; ` +
    `with TCP ${formatNumber(tcpFlooded.flood.perCpuSecond)} and ${share(tcpFlooded, tcp)}`
  )
}
