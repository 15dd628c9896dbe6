// The mixed load of `bench:soak` between two gateways, for as long as it is asked, and what is seen
// meanwhile:
//
//   UDP   paced at half of what the path carries or another share, pod-a to pod-b, each datagram
//         numbered
//   TCP   at a tenth of what one stream reaches, or less as UDP does, pod-b to pod-a
//   pings ten a second
//   handshakes  ten a second by other peers of gateway b
//   snapshots   read back and posted again at both gateways every ten seconds, as control would
//   ciphers     changed at both ends by `hawser cable set` every few minutes: a re-key under load

import { systemClock } from '../src/net/clock.ts'
import { GatewayError } from '../src/net/errors.ts'
import { DatapathClient } from '../src/wire/client.ts'
import { wipeTables } from '../src/wire/tables.ts'
import { lastLine, type Running, run, start, stop } from './commands.ts'
import { type Flood, type FloodCounts, type Stock, startFlood } from './flood-run.ts'
import { type Gateway, program, readAnonymousBytes, readResidentBytes } from './gateway.ts'
import type { Deed } from './hole-causes.ts'
import type { Hole } from './holes.ts'
import { parseTcp, tcpLoad, udpLoad } from './load.ts'
import { Meter } from './meter.ts'
import { addresses, inNode, inPod, type Side } from './network.ts'
import type { OverflowPlaces, Overflows } from './overflows.ts'
import { type Paced, type PacedStream, startPaced } from './paced.ts'
import { type Look, seenBetween, watchPath } from './path-watch.ts'

export const udpBytes = 1372
export const sampleEverySeconds = 10
export const handshakesPerSecond = 10

/** Resident memory of both gateways, MiB, and what of it belongs to no file. */
export interface Sample {
  readonly atSeconds: number
  readonly a: number
  readonly b: number
  readonly anonymous: Readonly<Record<Side, number>>
}

export interface SoakFigures {
  readonly udpPerSecond: number
  readonly tcpMbit: number
  readonly samples: readonly Sample[]
  readonly deeds: readonly Deed[]
  /** Deeds that did not come off. */
  readonly failures: readonly string[]
  readonly udp: Paced
  readonly tcpGbitPerSecond: number
  readonly pings: { readonly sent: number; readonly received: number; readonly longestMs: number }
  readonly handshakes: FloodCounts
  readonly drops: readonly string[]
  readonly overflows: Overflows
  readonly foreignCores: number
  readonly gatewayCores: number
  /** Packets that the queue in front of gateway a's device holds. */
  readonly queuePackets: number
}

/** What is needed to explain the holes. */
export interface SoakEvidence {
  /** Monotonic: when the load began, and when it was over. */
  readonly beginMs: number
  readonly endMs: number
  readonly looks: readonly Look[]
}

export interface SoakOptions {
  readonly a: Gateway
  readonly b: Gateway
  readonly port: number
  readonly stock: Stock
  readonly sources: readonly string[]
  readonly seconds: number
  /** Of what the path carries, for UDP. */
  readonly loadPercent: number
  readonly cipherEverySeconds: number
  readonly say: (text: string) => void
  /** Keeps what there is of a run that may not come to its end, once a minute. */
  readonly keep: (holes: readonly Hole[]) => void
}

export const cableName = 'other-end'
const tcpPort = '5401'
/** Of UDP's share: both, and what they cost the rest of the machine, must fit it. */
const tcpToUdp = 0.2
const orders = ['aes-256-gcm,chacha20-poly1305', 'chacha20-poly1305,aes-256-gcm'] as const

export async function soak(options: SoakOptions): Promise<[SoakFigures, SoakEvidence]> {
  const { a, b, seconds } = options
  const { udpPerSecond, tcpMbit } = await rates(options)
  const meter = new Meter({ pids: [a.pid, b.pid], companions: [] })
  const stream = await startPaced(udpPerSecond, udpBytes, seconds)
  const beginMs = systemClock.monotonicMs()
  const places = {
    ...{ device: a.device, inNodeA: a.pid, inNodeB: b.pid, inPodB: stream.receiverPid },
  }
  const path = watchPath(places, threadsOnPath(places), systemClock.monotonicMs)
  const tcp = startTcp(tcpMbit, seconds)
  const ping = start(
    inPod('a', ['ping', '-q', '-n', '-i', '0.1', '-w', `${seconds}`, addresses.pod.b]),
  )
  const flood = await startTrickle(options)
  const { samples, deeds, failures } = await watch(options, stream)
  const udp = await stream.ended
  const endMs = systemClock.monotonicMs()
  const looks = path.end()
  const handshakes = await flood.end()
  const tcpGbitPerSecond = await endTcp(tcp)
  await ping.ended
  const { foreignCores, daemonSeconds, elapsedSeconds } = meter.read()
  const figures = {
    ...{ udpPerSecond, tcpMbit, samples, deeds, failures, udp, tcpGbitPerSecond, handshakes },
    pings: parsePings(ping.output()),
    drops: (await tried({ failures, say: options.say }, () => dropsOf([a, b]))) ?? [],
    queuePackets: readQueuePackets(a),
    overflows: seenBetween(looks, 0, Number.POSITIVE_INFINITY).overflows,
    ...{ foreignCores, gatewayCores: daemonSeconds / elapsedSeconds },
  }
  return [figures, { beginMs, endMs, looks }]
}

/** What the path carries is tried for two seconds each. */
async function rates({
  seconds,
  loadPercent,
  say,
}: SoakOptions): Promise<Pick<SoakFigures, 'udpPerSecond' | 'tcpMbit'>> {
  const share = loadPercent / 100
  const most = await udpLoad(udpBytes, 2)
  const udpPerSecond = Math.round((most.receivedPackets / most.seconds) * share)
  const whole = await tcpLoad(1, 2)
  const wholeMbit = (whole.receivedBytes * 8) / 1e6 / whole.seconds
  const tcpMbit = Math.max(1, Math.round(wholeMbit * share * tcpToUdp))
  say(`UDP at ${udpPerSecond} packets/s, TCP at ${tcpMbit} Mbit/s, for ${seconds} s`)
  return { udpPerSecond, tcpMbit }
}

/** The workers that the UDP stream passes, and its end. */
function threadsOnPath({ inNodeA, inNodeB, inPodB }: OverflowPlaces) {
  return [
    { pid: inNodeA, names: 'hawser-outbound' },
    { pid: inNodeB, names: 'hawser-inbound' },
    { pid: inPodB, names: '' },
  ]
}

async function startTrickle({ b, port, stock, sources }: SoakOptions): Promise<Flood> {
  const target = { gatewayAddress: addresses.wire.b, gatewayPort: port, gatewayPid: b.pid }
  const flood = await startFlood(stock, target, sources, handshakesPerSecond)
  flood.begin()
  return flood
}

/** Samples, deeds and a line of progress a minute, until the time is over. */
async function watch(
  options: SoakOptions,
  stream: PacedStream,
): Promise<Pick<SoakFigures, 'samples' | 'deeds'> & { failures: string[] }> {
  const { a, b, seconds, cipherEverySeconds, say } = options
  const beginMs = performance.now()
  const samples: Sample[] = []
  const deeds: Deed[] = []
  const failures: string[] = []
  const record = { failures, say }
  const turns = Math.floor(seconds / sampleEverySeconds)
  for (let turn = 1; turn < turns; turn++) {
    const dueMs = beginMs + turn * sampleEverySeconds * 1000
    await new Promise(resolve => setTimeout(resolve, Math.max(0, dueMs - performance.now())))
    const atSeconds = turn * sampleEverySeconds
    for (const gateway of [a, b]) {
      const failure = gateway.failure()
      if (failure !== null) throw new Error(failure)
    }
    samples.push(sample(atSeconds, a, b))
    deeds.push({ atMs: Date.now(), what: 'snapshot' })
    await Promise.all([a, b].map(gateway => tried(record, () => repost(gateway))))
    if (atSeconds % cipherEverySeconds === 0) {
      deeds.push({ atMs: Date.now(), what: 'cipher' })
      const order = orders[(atSeconds / cipherEverySeconds) % orders.length]
      for (const gateway of [a, b]) await tried(record, () => setCiphers(gateway, order))
    }
    if (atSeconds % 60 === 0) {
      const { a: atA, b: atB } = samples[samples.length - 1]
      const holes = stream.holes()
      const lost = holes.reduce((sum, hole) => sum + hole.lost, 0)
      say(
        `${atSeconds / 60} min  ${atA.toFixed(1)} and ${atB.toFixed(1)} MiB, ` +
          `${lost} lost in ${holes.length} holes`,
      )
      options.keep(holes)
    }
  }
  return { samples, deeds, failures }
}

function sample(atSeconds: number, a: Gateway, b: Gateway): Sample {
  const mib = (bytes: number) => bytes / 2 ** 20
  return {
    atSeconds,
    a: mib(readResidentBytes(a.pid)),
    b: mib(readResidentBytes(b.pid)),
    anonymous: { a: mib(readAnonymousBytes(a.pid)), b: mib(readAnonymousBytes(b.pid)) },
  }
}

/** On a busy machine a deed may run out of its time; the gateway lives, and so does the run. */
async function tried<Result>(
  { failures, say }: { readonly failures: string[]; readonly say: SoakOptions['say'] },
  deed: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await deed()
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    failures.push(message)
    say(`${new Date().toISOString().slice(11, 23)}  ${message}`)
    return undefined
  }
}

/** Posts what is in force as the next generation. */
async function repost({ socket }: Gateway): Promise<void> {
  // Of its own each time: one that ran out of its time answers no more.
  const client = await DatapathClient.connect(socket)
  try {
    const tables = await client.readTables({ keys: true })
    try {
      await client.apply({ ...tables, generation: tables.generation + 1 })
    } finally {
      wipeTables(tables)
    }
  } catch (cause) {
    // A cipher was changed in between; ten seconds later it is posted with that.
    if (!(cause instanceof GatewayError) || cause.code !== 'STALE') throw cause
  } finally {
    client.close()
  }
}

async function setCiphers(gateway: Gateway, order: string): Promise<void> {
  const options = ['--socket', gateway.socket, '--cipher', order, '--remote-ciphers', order]
  const command = start([program, 'cable', 'set', cableName, ...options])
  if ((await command.ended) !== 0) throw new Error(`hawser cable: ${lastLine(command.errors())}`)
}

interface TcpEnds {
  readonly server: Running
  readonly client: Running
}

function startTcp(mbit: number, seconds: number): TcpEnds {
  const server = start(inPod('b', ['iperf3', '-s', '-1', '-p', tcpPort]))
  // The client tries again by itself no more than once: the server must listen first.
  run(inPod('b', ['sh', '-c', `until ss -ltn | grep -q :${tcpPort}; do sleep 0.05; done`]))
  const rate = ['-b', `${mbit}M`, '-t', String(seconds), '-i', '0', '-C', 'cubic']
  const argv = ['iperf3', '-c', addresses.pod.b, '-p', tcpPort, '-R', '-J', ...rate]
  return { server, client: start(inPod('a', argv)) }
}

async function endTcp({ server, client }: TcpEnds): Promise<number> {
  await client.ended
  await stop(server, 1000)
  if (client.output() === '') throw new Error(`iperf3: ${lastLine(client.errors())}`)
  const { receivedBytes, seconds } = parseTcp(client.output())
  return (receivedBytes * 8) / 1e9 / seconds
}

/** The two lines that `ping -q` ends with. */
export function parsePings(output: string): SoakFigures['pings'] {
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(output)
  const times = /= [\d.]+\/[\d.]+\/([\d.]+)\//.exec(output)
  if (counts === null || times === null) throw new Error('ping did not end as it does')
  return { sent: Number(counts[1]), received: Number(counts[2]), longestMs: Number(times[1]) }
}

function readQueuePackets({ device }: Gateway): number {
  return Number(run(inNode('a', ['cat', `/sys/class/net/${device}/tx_queue_len`])))
}

async function dropsOf(gateways: readonly Gateway[]): Promise<string[]> {
  const lines: string[] = []
  for (const { side, client } of gateways) {
    const status = await client.status()
    for (const { name, drops } of [{ ...status, name: 'no cable' }, ...status.cables]) {
      const reasons = Object.entries(drops).map(([reason, count]) => `${reason} ${count}`)
      if (reasons.length > 0) lines.push(`drops of gateway ${side}, ${name}: ${reasons.join(', ')}`)
    }
  }
  return lines
}
