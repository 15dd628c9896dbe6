// The mixed load of `bench:soak` between two gateways, for as long as it is asked, and what is seen
// meanwhile:
//
//   UDP   paced at half of what the path carries, pod-a to pod-b, each datagram numbered
//   TCP   at a tenth of what one stream reaches, pod-b to pod-a
//   pings ten a second
//   handshakes  ten a second by other peers of gateway b
//   snapshots   read back and posted again at both gateways every ten seconds, as control would
//   ciphers     changed at both ends by `hawser cable set` every few minutes: a re-key under load

import { GatewayError } from '../src/net/errors.ts'
import { wipeTables } from '../src/wire/tables.ts'
import { lastLine, type Running, run, start, stop } from './commands.ts'
import { type Flood, type FloodCounts, type Stock, startFlood } from './flood-run.ts'
import { type Gateway, program, readResidentBytes } from './gateway.ts'
import { parseTcp, tcpLoad, udpLoad } from './load.ts'
import { Meter } from './meter.ts'
import { addresses, inNode, inPod } from './network.ts'
import { receiveErrors } from './overflows.ts'
import { type Paced, startPaced } from './paced.ts'

export const udpBytes = 1372
export const sampleEverySeconds = 10
export const handshakesPerSecond = 10

/** Something that was done to the gateways. */
export interface Deed {
  readonly atMs: number
  readonly what: 'snapshot' | 'cipher'
}

/** Resident memory of both gateways, MiB. */
export interface Sample {
  readonly atSeconds: number
  readonly a: number
  readonly b: number
}

/** Packets that the kernel dropped because nobody took them in time. */
export interface Overflows {
  /** In front of gateway a's device: its outbound worker did not read. */
  readonly deviceQueue: number
  /** At gateway b's socket: its inbound worker did not receive. */
  readonly gatewaySocket: number
  /** At the end of the UDP stream. */
  readonly streamSocket: number
}

export interface SoakFigures {
  readonly udpPerSecond: number
  readonly tcpMbit: number
  readonly samples: readonly Sample[]
  readonly deeds: readonly Deed[]
  readonly udp: Paced
  readonly tcpGbitPerSecond: number
  readonly pings: { readonly sent: number; readonly received: number; readonly longestMs: number }
  readonly handshakes: FloodCounts
  readonly drops: readonly string[]
  readonly overflows: Overflows
  readonly foreignCores: number
}

export interface SoakOptions {
  readonly a: Gateway
  readonly b: Gateway
  readonly port: number
  readonly stock: Stock
  readonly sources: readonly string[]
  readonly seconds: number
  readonly cipherEverySeconds: number
  readonly say: (text: string) => void
}

export const cableName = 'other-end'
const tcpPort = '5401'
/** UDP has the half: both and what they cost the rest of the machine must fit it. */
const tcpShare = 10
const orders = ['aes-256-gcm,chacha20-poly1305', 'chacha20-poly1305,aes-256-gcm'] as const

export async function soak(options: SoakOptions): Promise<SoakFigures> {
  const { a, b, seconds, say } = options
  const most = await udpLoad(udpBytes, 2)
  const udpPerSecond = Math.round(most.receivedPackets / most.seconds / 2)
  const whole = await tcpLoad(1, 2)
  const tcpMbit = Math.round((whole.receivedBytes * 8) / 1e6 / whole.seconds / tcpShare)
  say(`UDP at ${udpPerSecond} packets/s, TCP at ${tcpMbit} Mbit/s, for ${seconds} s`)
  const meter = new Meter({ pids: [a.pid, b.pid], companions: [] })
  const before = readOverflows(a)
  const stream = await startPaced(udpPerSecond, udpBytes, seconds)
  const tcp = startTcp(tcpMbit, seconds)
  const ping = start(
    inPod('a', ['ping', '-q', '-n', '-i', '0.1', '-w', `${seconds}`, addresses.pod.b]),
  )
  const flood = await startTrickle(options)
  const { samples, deeds } = await watch(options)
  const udp = await stream.ended
  const handshakes = await flood.end()
  const tcpGbitPerSecond = await endTcp(tcp)
  await ping.ended
  return {
    ...{ udpPerSecond, tcpMbit, samples, deeds, udp, tcpGbitPerSecond, handshakes },
    pings: parsePings(ping.output()),
    drops: await dropsOf([a, b]),
    overflows: overflowsBetween(before, readOverflows(a)),
    foreignCores: meter.read().foreignCores,
  }
}

async function startTrickle({ b, port, stock, sources }: SoakOptions): Promise<Flood> {
  const target = { gatewayAddress: addresses.wire.b, gatewayPort: port, gatewayPid: b.pid }
  const flood = await startFlood(stock, target, sources, handshakesPerSecond)
  flood.begin()
  return flood
}

/** Samples, deeds and a line of progress a minute, until the time is over. */
async function watch(options: SoakOptions): Promise<{ samples: Sample[]; deeds: Deed[] }> {
  const { a, b, seconds, cipherEverySeconds, say } = options
  const beginMs = performance.now()
  const samples: Sample[] = []
  const deeds: Deed[] = []
  const mib = (gateway: Gateway) => readResidentBytes(gateway.pid) / 2 ** 20
  const turns = Math.floor(seconds / sampleEverySeconds)
  for (let turn = 1; turn < turns; turn++) {
    const dueMs = beginMs + turn * sampleEverySeconds * 1000
    await new Promise(resolve => setTimeout(resolve, Math.max(0, dueMs - performance.now())))
    const atSeconds = turn * sampleEverySeconds
    for (const gateway of [a, b]) {
      const failure = gateway.failure()
      if (failure !== null) throw new Error(failure)
    }
    samples.push({ atSeconds, a: mib(a), b: mib(b) })
    deeds.push({ atMs: Date.now(), what: 'snapshot' })
    await Promise.all([repost(a), repost(b)])
    if (atSeconds % cipherEverySeconds === 0) {
      deeds.push({ atMs: Date.now(), what: 'cipher' })
      const order = orders[(atSeconds / cipherEverySeconds) % orders.length]
      for (const gateway of [a, b]) await setCiphers(gateway, order)
    }
    if (atSeconds % 60 === 0) {
      const { a: atA, b: atB } = samples[samples.length - 1]
      say(`${atSeconds / 60} min  ${atA.toFixed(1)} and ${atB.toFixed(1)} MiB`)
    }
  }
  return { samples, deeds }
}

/** Posts what is in force as the next generation. */
async function repost({ client }: Gateway): Promise<void> {
  const tables = await client.readTables({ keys: true })
  try {
    await client.apply({ ...tables, generation: tables.generation + 1 })
  } catch (cause) {
    // A cipher was changed in between; ten seconds later it is posted with that.
    if (!(cause instanceof GatewayError) || cause.code !== 'STALE') throw cause
  } finally {
    wipeTables(tables)
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

function readOverflows({ device }: Gateway): Overflows {
  const statistic = `/sys/class/net/${device}/statistics/tx_dropped`
  return {
    deviceQueue: Number(run(inNode('a', ['cat', statistic]))),
    gatewaySocket: receiveErrors(run(inNode('b', ['cat', '/proc/net/snmp']))),
    streamSocket: receiveErrors(run(inPod('b', ['cat', '/proc/net/snmp']))),
  }
}

function overflowsBetween(before: Overflows, after: Overflows): Overflows {
  return {
    deviceQueue: after.deviceQueue - before.deviceQueue,
    gatewaySocket: after.gatewaySocket - before.gatewaySocket,
    streamSocket: after.streamSocket - before.streamSocket,
  }
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
