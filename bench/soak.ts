// `npm run bench:soak`: an hour of mixed load between two gateways. Whether their memory stays flat,
// and what is lost of a paced UDP stream: a pause of the garbage collector would be seen as a hole in
// it (docs/scale.md).

import { parsePrefix } from '../src/net/address.ts'
import { type KeyPair, newKeyPair, type Peer, remoteAt, silentPeers, tablesOf } from './fleet.ts'
import { addSources, prepareStock } from './flood-run.ts'
import { type Gateway, routeThrough, startGateway } from './gateway.ts'
import { reaches } from './load.ts'
import { disturbedCores } from './meter.ts'
import { addresses, createNetwork, type Side } from './network.ts'
import { renderTable } from './report.ts'
import {
  cableName,
  type Deed,
  handshakesPerSecond,
  type Sample,
  type SoakFigures,
  soak,
} from './soak-run.ts'
import { type BenchProgram, type Goal, type Outcome, runBench, type Say } from './stand.ts'
import { quantile } from './statistics.ts'

const mtuBytes = 1420
const port = 51_840
const flatPercent = 5
const trickleSources = 10
const tricklePeers = 50
/** A hole that begins within this after a deed is put down to it. */
const blameMs = 1000
const holesShown = 10

type Names = 'minutes' | 'warmup' | 'cipher' | 'peers' | 'prefixes'

interface Result extends SoakFigures {
  readonly warmupSeconds: number
}

const program: BenchProgram<Names, Result> = {
  name: 'soak',
  about: 'Mixed load between two gateways for a long time: is memory flat, is a packet lost?',
  programs: ['ip', 'iperf3', 'ping', 'ss'],
  numbers: {
    minutes: { help: 'how long', usual: 60, quick: 3, most: 1440 },
    warmup: { help: 'seconds before memory is judged', usual: 300, quick: 60, most: 3600 },
    cipher: {
      help: 'seconds between two changes of the cipher',
      usual: 180,
      quick: 30,
      most: 3600,
    },
    peers: { help: 'silent peers beside those that speak', usual: 1000, quick: 200, most: 8000 },
    prefixes: { help: 'allowed prefixes of each', usual: 10, quick: 10, most: 1000 },
  },
  measure,
  render,
}

process.exitCode = await runBench(program, process.argv.slice(2))

async function measure(
  numbers: Readonly<Record<Names, number>>,
  say: Say,
): Promise<Outcome<Result>> {
  const seconds = numbers.minutes * 60
  createNetwork(mtuBytes)
  const sources = addSources(trickleSources)
  const [a, b] = await Promise.all([startGateway('a', 'sa'), startGateway('b', 'sb')])
  const trickle = Array.from({ length: tricklePeers }, newKeyPair)
  const keys = { a: newKeyPair(), b: newKeyPair() }
  await join({ a, b }, keys, trickle, silentPeers(numbers.peers, numbers.prefixes))
  const needed = (seconds + 60) * handshakesPerSecond
  const stock = await prepareStock(keys.b.publicKey, trickle, needed)
  const { cipher: cipherEverySeconds, warmup: warmupSeconds } = numbers
  const figures = await soak({ a, b, port, stock, sources, seconds, cipherEverySeconds, say })
  await Promise.all([a.stop(), b.stop()])
  const result = { ...figures, warmupSeconds }
  return { result, goals: judge(result), notes: notesOf(result) }
}

async function join(
  gateways: Readonly<Record<Side, Gateway>>,
  keys: Readonly<Record<Side, KeyPair>>,
  trickle: readonly KeyPair[],
  silent: readonly Peer[],
): Promise<void> {
  const otherEnd = (side: Side): Peer => ({
    name: cableName,
    publicKey: keys[side].publicKey,
    remote: remoteAt(addresses.wire[side], port),
    allowedIps: [parsePrefix(addresses.podNetwork[side])],
  })
  const speaking = trickle.map(({ publicKey }, i) => ({
    ...{ name: `trickle-${i}`, publicKey, allowedIps: [parsePrefix(`172.16.${i}.0/24`)] },
  }))
  await gateways.a.client.apply(tablesOf(1, keys.a, port, [...silent, otherEnd('b')]))
  await gateways.b.client.apply(tablesOf(1, keys.b, port, [...silent, ...speaking, otherEnd('a')]))
  routeThrough(gateways.a, [addresses.podNetwork.b])
  routeThrough(gateways.b, [addresses.podNetwork.a])
  if (!reaches()) throw new Error(gateways.a.failure() ?? gateways.b.failure() ?? 'not reached')
}

interface Flatness {
  readonly medianMib: number
  readonly leastMib: number
  readonly mostMib: number
  /** The largest distance from the median. */
  readonly percent: number
}

function flatnessOf(result: Result, side: Side): Flatness {
  const judged = result.samples.filter(({ atSeconds }) => atSeconds >= result.warmupSeconds)
  if (judged.length === 0) throw new Error('no sample behind the warm-up: --minutes is too small')
  const sorted = judged.map((sample: Sample) => sample[side]).sort((x, y) => x - y)
  const medianMib = quantile(sorted, 0.5)
  const [leastMib, mostMib] = [sorted[0], sorted[sorted.length - 1]]
  const distance = Math.max(medianMib - leastMib, mostMib - medianMib)
  return { medianMib, leastMib, mostMib, percent: (distance / medianMib) * 100 }
}

function judge(result: Result): Goal[] {
  const { udp, pings } = result
  const flat = (side: Side): Goal => {
    const { percent } = flatnessOf(result, side)
    return {
      what: `memory of gateway ${side}, farthest from its median`,
      wanted: `at most ${flatPercent} %`,
      measured: `${percent.toFixed(2)} %`,
      isReached: percent <= flatPercent,
    }
  }
  const lostShare = ((udp.lost / udp.sent) * 100).toFixed(4)
  return [
    flat('a'),
    flat('b'),
    { what: 'lost of the UDP stream', wanted: '', measured: `${udp.lost} (${lostShare} %)` },
    {
      what: 'longest time without a packet of it',
      wanted: '',
      measured: `${udp.longestGapMs.toFixed(1)} ms`,
    },
    {
      what: 'pings lost',
      wanted: '',
      measured: `${pings.sent - pings.received} of ${pings.sent}, longest ${pings.longestMs} ms`,
    },
  ]
}

function render(result: Result): string {
  const { udp, deeds, handshakes } = result
  const memory = renderTable([
    ['resident memory, MiB', 'median', 'least', 'most'],
    ...(['a', 'b'] as const).map(side => {
      const { medianMib, leastMib, mostMib } = flatnessOf(result, side)
      return [`gateway ${side}`, ...[medianMib, leastMib, mostMib].map(mib => mib.toFixed(1))]
    }),
  ])
  const count = (what: Deed['what']) => deeds.filter(deed => deed.what === what).length
  const load = renderTable([
    ['load', ''],
    [
      'UDP',
      `${udp.sent} sent in ${udp.seconds.toFixed(0)} s, ${result.udpPerSecond} a second asked`,
    ],
    ['TCP', `${result.tcpGbitPerSecond.toFixed(2)} Gb/s, ${result.tcpMbit / 1000} asked`],
    ['handshakes of other peers', `${handshakes.responses} of ${handshakes.sent} answered`],
    ['snapshots posted again', `${count('snapshot')} at each gateway`],
    ['cipher changed', `${count('cipher')} times at each gateway`],
  ])
  return [memory, load, holesText(result)].join('\n\n')
}

/** The largest holes of the UDP stream, and what was done right before. */
function holesText({ udp, deeds }: Result): string {
  if (udp.holes.length === 0) return 'The UDP stream has no hole.'
  const cause = (atMs: number) => {
    const near = deeds.findLast(deed => deed.atMs <= atMs && deed.atMs > atMs - blameMs)
    return near === undefined ? '–' : near.what
  }
  const largest = udp.holes.toSorted((x, y) => y.lost - x.lost).slice(0, holesShown)
  const table = renderTable([
    ['hole in the UDP stream', 'lost', 'nothing for, ms', `within ${blameMs} ms of`],
    ...largest.map(({ atMs, lost, gapMs }) => [
      new Date(atMs).toISOString().slice(11, 23),
      String(lost),
      gapMs.toFixed(1),
      cause(atMs),
    ]),
  ])
  const afterDeed = udp.holes.filter(({ atMs }) => cause(atMs) !== '–').length
  const note = `${udp.holes.length} holes, ${afterDeed} of them right behind a deed; the largest:`
  return `${note}\n\n${table}`
}

function notesOf(result: Result): string[] {
  const { foreignCores, drops, udp, handshakes } = result
  const { deviceQueue, gatewaySocket, streamSocket } = result.overflows
  const notes = [
    ...drops,
    `dropped because nobody took them in time: ${deviceQueue} in front of the device of gateway a, ` +
      `${gatewaySocket} at the socket of gateway b, ${streamSocket} at the end of the UDP stream`,
  ]
  const asked = Math.round(result.udpPerSecond * udp.seconds)
  if (udp.sent < asked * 0.99) {
    notes.push(`the UDP sender was kept from running: it sent ${udp.sent} of ${asked}`)
  }
  notes.push(`${handshakes.proved} of ${handshakes.provable} sessions of the trickle were proved`)
  const others = `others used ${foreignCores.toFixed(2)} of a core on average`
  if (foreignCores > disturbedCores) notes.push(`disturbed: ${others}`)
  return notes
}
