// What `bench:soak` has to tell: whether memory was flat, the holes of the UDP stream with what lay
// behind each, the collections of every thread, and which goals were reached.

import type { ThreadPauses } from './collections.ts'
import { blameMs, type Deed, type ExplainedHole } from './hole-causes.ts'
import { holesTold } from './holes.ts'
import { disturbedCores } from './meter.ts'
import type { Side } from './network.ts'
import type { Overflows } from './overflows.ts'
import type { Paced } from './paced.ts'
import { renderTable } from './report.ts'
import type { Sample, SoakFigures } from './soak-run.ts'
import type { Goal } from './stand.ts'
import { quantile } from './statistics.ts'

export interface SoakResult extends Omit<SoakFigures, 'udp'> {
  readonly udp: Omit<Paced, 'holes'>
  readonly holes: readonly ExplainedHole[]
  /** Threads of both gateways, as `a outbound`. */
  readonly threads: readonly ThreadPauses[]
  /** Why it is not known which collections there were, or null. */
  readonly blind: string | null
  /** Of the workers that the UDP stream passes. */
  readonly longestOnPathMs: number
  readonly warmupSeconds: number
}

const flatPercent = 5
const holesShown = 15
const sides = ['a', 'b'] as const

interface Flatness {
  readonly medianMib: number
  readonly leastMib: number
  readonly mostMib: number
  /** The largest distance from the median. */
  readonly percent: number
}

export function flatnessOf(
  { samples, warmupSeconds }: Pick<SoakResult, 'samples' | 'warmupSeconds'>,
  figure: (sample: Sample) => number,
): Flatness {
  const judged = samples.filter(({ atSeconds }) => atSeconds >= warmupSeconds)
  if (judged.length === 0) throw new Error('no sample behind the warm-up: --minutes is too small')
  const sorted = judged.map(figure).sort((x, y) => x - y)
  const medianMib = quantile(sorted, 0.5)
  const [leastMib, mostMib] = [sorted[0], sorted[sorted.length - 1]]
  const distance = Math.max(medianMib - leastMib, mostMib - medianMib)
  return { medianMib, leastMib, mostMib, percent: (distance / medianMib) * 100 }
}

export function judgeSoak(result: SoakResult): Goal[] {
  const { udp, pings, holes, longestOnPathMs, queuePackets } = result
  const lostShare = ((udp.lost / udp.sent) * 100).toFixed(4)
  const figure = (what: string, measured: string): Goal => ({ what, wanted: '', measured })
  const queueMs = (queuePackets / result.udpPerSecond) * 1000
  return [
    ...sides.map(side => judgeFlatness(result, side)),
    judgeHoles(result),
    figure('lost of the UDP stream', `${udp.lost} (${lostShare} %) in ${holes.length} holes`),
    figure('longest time without a packet of it', `${udp.longestGapMs.toFixed(1)} ms`),
    figure(
      'pings lost',
      `${pings.sent - pings.received} of ${pings.sent}, longest ${pings.longestMs} ms`,
    ),
    figure(
      'longest collection of a worker that the stream passes',
      `${longestOnPathMs.toFixed(1)} ms, and the queue in front of it holds ${queueMs.toFixed(0)} ms`,
    ),
  ]
}

function judgeFlatness(result: SoakResult, side: Side): Goal {
  const { percent } = flatnessOf(result, sample => sample[side])
  return {
    what: `memory of gateway ${side}, farthest from its median`,
    wanted: `at most ${flatPercent} %`,
    measured: `${percent.toFixed(2)} %`,
    isReached: percent <= flatPercent,
  }
}

function judgeHoles({ holes, blind }: SoakResult): Goal {
  const count = holes.filter(({ isCollections }) => isCollections).length
  return {
    what: "no hole is a collection's",
    wanted: '0',
    measured: blind === null ? `${count} of ${holes.length}` : `not known, ${blind}`,
    isReached: blind === null && count === 0,
  }
}

export function renderSoak(result: SoakResult): string {
  const parts = [memoryTable(result), loadTable(result), pausesTable(result), holesText(result)]
  return parts.join('\n\n')
}

function memoryTable(result: SoakResult): string {
  const row = (name: string, figure: (sample: Sample) => number) => {
    const { medianMib, leastMib, mostMib } = flatnessOf(result, figure)
    return [name, ...[medianMib, leastMib, mostMib].map(mib => mib.toFixed(1))]
  }
  return renderTable([
    ['resident memory, MiB', 'median', 'least', 'most'],
    ...sides.flatMap(side => [
      row(`gateway ${side}`, sample => sample[side]),
      row('of it of no file', ({ anonymous }) => anonymous[side]),
    ]),
  ])
}

function loadTable(result: SoakResult): string {
  const { udp, deeds, handshakes } = result
  const count = (what: Deed['what']) => deeds.filter(deed => deed.what === what).length
  return renderTable([
    ['load', ''],
    [
      'UDP',
      `${udp.sent} sent in ${udp.seconds.toFixed(0)} s, ${result.udpPerSecond} a second asked`,
    ],
    ['TCP', `${result.tcpGbitPerSecond.toFixed(3)} Gb/s, ${result.tcpMbit / 1000} asked`],
    ['handshakes of other peers', `${handshakes.responses} of ${handshakes.sent} answered`],
    ['snapshots posted again', `${count('snapshot')} at each gateway`],
    ['cipher changed', `${count('cipher')} times at each gateway`],
    ['CPU of both gateways', `${result.gatewayCores.toFixed(2)} of a core`],
  ])
}

function pausesTable({ threads }: SoakResult): string {
  return renderTable([
    ['collections of', 'young', 'whole', 'longest, ms', 'in all, ms', 'heap after, MiB'],
    ...threads.map(({ thread, scavenges, markCompacts, longestMs, totalMs, heapMib }) => [
      thread,
      String(scavenges),
      String(markCompacts),
      longestMs.toFixed(1),
      totalMs.toFixed(0),
      heapMib?.toFixed(1) ?? '–',
    ]),
  ])
}

/** The largest holes of the UDP stream, and what lay behind them. */
function holesText({ holes }: SoakResult): string {
  if (holes.length === 0) return 'The UDP stream has no hole.'
  // A collection's first, however small: they are what is looked for.
  const largest = holes
    .toSorted((x, y) => Number(y.isCollections) - Number(x.isCollections) || y.lost - x.lost)
    .slice(0, holesShown)
  const table = renderTable([
    [
      ...['hole in the UDP stream', 'lost', 'that is, ms', 'nothing for, ms'],
      ...[`within ${blameMs} ms of`, 'collection, ms', 'dropped at', 'no core for, ms'],
    ],
    ...largest.map(({ atMs, lost, streamMs, gapMs, deed, held, overflows, waitedMs }) => [
      new Date(atMs).toISOString().slice(11, 23),
      String(lost),
      streamMs.toFixed(1),
      gapMs.toFixed(1),
      deed ?? '–',
      held === null ? '–' : `${held.thread} ${held.pausedMs.toFixed(1)}`,
      placesOf(overflows),
      waitedMs.toFixed(0),
    ]),
  ])
  const afterDeed = holes.filter(({ deed }) => deed !== null).length
  return `${holes.length} holes, ${afterDeed} of them right behind a deed; the largest:\n\n${table}`
}

function placesOf({ deviceQueue, gatewaySocket, streamSocket }: Overflows): string {
  const places = [
    ['device of a', deviceQueue],
    ['socket of b', gatewaySocket],
    ['end', streamSocket],
  ] as const
  const some = places.filter(([, count]) => count > 0)
  return some.length === 0 ? '–' : some.map(([place, count]) => `${place} ${count}`).join(', ')
}

export function notesOnSoak(result: SoakResult): string[] {
  const { foreignCores, drops, udp, holes, handshakes, failures } = result
  const { deviceQueue, gatewaySocket, streamSocket } = result.overflows
  const notes = [
    ...drops,
    `dropped because nobody took them in time: ${deviceQueue} in front of the device of gateway a, ` +
      `${gatewaySocket} at the socket of gateway b, ${streamSocket} at the end of the UDP stream`,
  ]
  if (failures.length > 0) {
    notes.push(`${failures.length} deeds did not come off, the last: ${failures.at(-1)}`)
  }
  if (holes.length === holesTold) notes.push(`only the first ${holesTold} holes are told apart`)
  const asked = Math.round(result.udpPerSecond * udp.seconds)
  if (udp.sent < asked * 0.99) {
    notes.push(`the UDP sender was kept from running: it sent ${udp.sent} of ${asked}`)
  }
  notes.push(`${handshakes.proved} of ${handshakes.provable} sessions of the trickle were proved`)
  const others = `others used ${foreignCores.toFixed(2)} of a core on average`
  notes.push(foreignCores > disturbedCores ? `disturbed: ${others}` : others)
  return notes
}
