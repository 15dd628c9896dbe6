// One round of `bench:flood`: traffic alone, the flood alone, and both at once, for TCP and for a paced
// UDP stream. The flooded gateway is the receiver of the traffic: its inbound worker opens it and makes
// the handshakes.

import { readFileSync } from 'node:fs'
import type { DatapathStatus } from '../src/tables/status.ts'
import { type FloodCounts, floodRate, type Stock, startFlood } from './flood-run.ts'
import type { Gateway } from './gateway.ts'
import { tcpLoad } from './load.ts'
import type { Patience } from './measure.ts'
import { Meter, waitForQuiet } from './meter.ts'
import { addresses } from './network.ts'
import { receiveErrors } from './overflows.ts'
import { startPaced } from './paced.ts'

export interface FloodFigures {
  readonly offeredPerSecond: number
  /** Initiations that were answered, and the CPU time of the inbound worker, all of it. */
  readonly handshakesPerSecond: number
  readonly perCpuSecond: number
  readonly inboundCores: number
  /** Of the sources, those that held a cookie. */
  readonly withCookie: number
  readonly proved: number
  readonly provable: number
  /** Datagrams that found the gateway's socket full, in all. */
  readonly socketOverflows: number
  /** Of the whole flood, its beginning included. */
  readonly drops: Readonly<Record<string, number>>
}

export interface TrafficFigures {
  readonly gbitPerSecond: number
  readonly lossPercent: number
}

/** Of each run, the cores that others used meanwhile. */
export type Disturbances = Readonly<Record<RunName, number>>

export const runNames = ['tcp', 'udp', 'flood', 'tcpFlooded', 'udpFlooded'] as const
export type RunName = (typeof runNames)[number]

export interface Round {
  readonly tcp: TrafficFigures
  readonly udp: TrafficFigures
  readonly flood: FloodFigures
  readonly tcpFlooded: TrafficFigures & { readonly flood: FloodFigures }
  readonly udpFlooded: TrafficFigures & { readonly flood: FloodFigures }
  readonly foreignCores: Disturbances
}

export interface RoundOptions {
  readonly gateway: Gateway
  readonly far: Gateway
  readonly port: number
  readonly stock: Stock
  readonly sources: readonly string[]
  readonly seconds: number
  readonly udpPerSecond: number
  readonly patience: Patience
}

export const udpBytes = 1372
const restMs = 300

export async function runRound(options: RoundOptions): Promise<Round> {
  const { seconds, udpPerSecond } = options
  const foreignCores: Partial<Record<RunName, number>> = {}
  const tcpRun = () => loadTcp(seconds)
  const udpRun = () => loadUdp(udpPerSecond, seconds)
  const restRun = () => rest(seconds)
  const quietly = async <Result>(name: RunName, work: () => Promise<Result>): Promise<Result> => {
    const [result, cores] = await undisturbed(options, work)
    foreignCores[name] = cores
    return result
  }
  // What is compared stands side by side: the machine may be another one a minute later.
  const tcp = await quietly('tcp', tcpRun)
  const [tcpFlood, tcpUnder] = await quietly('tcpFlooded', () => flooded(options, tcpRun))
  const udp = await quietly('udp', udpRun)
  const [udpFlood, udpUnder] = await quietly('udpFlooded', () => flooded(options, udpRun))
  const [flood] = await quietly('flood', () => flooded(options, restRun))
  return {
    tcp,
    udp,
    flood,
    tcpFlooded: { ...tcpUnder, flood: tcpFlood },
    udpFlooded: { ...udpUnder, flood: udpFlood },
    foreignCores: foreignCores as Disturbances,
  }
}

/** Waits for a quiet machine, and tells what others used while the work was done. */
async function undisturbed<Result>(
  { gateway, far, patience }: RoundOptions,
  work: () => Promise<Result>,
): Promise<[Result, number]> {
  const watched = { pids: [gateway.pid, far.pid], companions: [] }
  patience.spend(await waitForQuiet(watched, patience.leftSeconds))
  const meter = new Meter(watched)
  const result = await work()
  return [result, meter.read().foreignCores]
}

async function loadTcp(seconds: number): Promise<TrafficFigures> {
  const load = await tcpLoad(1, seconds)
  return { gbitPerSecond: (load.receivedBytes * 8) / 1e9 / load.seconds, lossPercent: 0 }
}

async function loadUdp(perSecond: number, seconds: number): Promise<TrafficFigures> {
  const stream = await startPaced(perSecond, udpBytes, seconds)
  const { sent, received, lost, seconds: took } = await stream.ended
  return {
    gbitPerSecond: (received * udpBytes * 8) / 1e9 / took,
    lossPercent: (lost / sent) * 100,
  }
}

function rest(seconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, seconds * 1000))
}

/** Something that goes on under a flood; the window of the flood is as long as it takes. */
async function flooded<Result>(
  options: RoundOptions,
  work: () => Promise<Result>,
): Promise<[FloodFigures, Result]> {
  const { gateway, port, stock, sources } = options
  const before = await gateway.client.status()
  const overflowsBefore = socketOverflows(gateway)
  const target = { gatewayAddress: addresses.wire.b, gatewayPort: port, gatewayPid: gateway.pid }
  const flood = await startFlood(stock, target, sources, floodRate(sources.length))
  flood.begin()
  const result = await work()
  const counts = await flood.end()
  await rest(restMs / 1000)
  const drops = dropsBetween(before, await gateway.client.status())
  return [figuresOf(counts, drops, socketOverflows(gateway) - overflowsBefore), result]
}

function figuresOf(
  counts: FloodCounts,
  drops: Readonly<Record<string, number>>,
  overflows: number,
): FloodFigures {
  return {
    offeredPerSecond: counts.sent / counts.seconds,
    handshakesPerSecond: counts.responses / counts.seconds,
    perCpuSecond: counts.responses / counts.inboundSeconds,
    inboundCores: counts.inboundSeconds / counts.seconds,
    withCookie: counts.withCookie,
    proved: counts.proved,
    provable: counts.provable,
    socketOverflows: overflows,
    drops,
  }
}

function dropsBetween(before: DatapathStatus, after: DatapathStatus): Record<string, number> {
  const sums = (status: DatapathStatus) => {
    const sum = new Map<string, number>()
    for (const { drops } of [status, ...status.cables]) {
      for (const [reason, count] of Object.entries(drops)) {
        sum.set(reason, (sum.get(reason) ?? 0) + count)
      }
    }
    return sum
  }
  const first = sums(before)
  const added = [...sums(after)].map(([reason, count]) => [
    reason,
    count - (first.get(reason) ?? 0),
  ])
  return Object.fromEntries(added.filter(([, count]) => count !== 0))
}

/** Nobody else has a UDP socket in the gateway's network namespace. */
function socketOverflows(gateway: Gateway): number {
  return receiveErrors(readFileSync(`/proc/${gateway.pid}/net/snmp`, 'utf8'))
}
