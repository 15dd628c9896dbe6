// The programs that make load and measure it: iperf3 and ping, from pod-a to pod-b.
//
// TCP names its congestion control (cubic), because a machine's default may be bbr, which halves
// the rate of plain routing here. UDP is sent as fast as iperf3 can, with 4 MiB socket buffers: the
// default of 212 992 bytes loses more in the receiver's socket than any tunnel does.

import { CommandFailed, lastLine, type Running, start, stop, succeeds } from './commands.ts'
import { addresses, inPod } from './network.ts'
import { quantile } from './statistics.ts'

export interface TcpResult {
  readonly seconds: number
  readonly receivedBytes: number
  readonly retransmits: number
}

export interface UdpResult {
  readonly seconds: number
  readonly payloadBytes: number
  readonly sentPackets: number
  readonly receivedPackets: number
}

export interface RttResult {
  readonly medianMicros: number
  readonly p99Micros: number
}

/** Where a load comes from and goes to. */
export interface Ends {
  readonly client: (argv: readonly string[]) => string[]
  readonly server: (argv: readonly string[]) => string[]
  readonly address: string
}

const gatewayPods: Ends = {
  client: argv => inPod('a', argv),
  server: argv => inPod('b', argv),
  address: addresses.pod.b,
}
const port = '5201'
const readyTimeoutMs = 5000

export async function tcpLoad(
  streams: number,
  seconds: number,
  ends: Ends = gatewayPods,
): Promise<TcpResult> {
  return parseTcp(await iperf(seconds, ['-C', 'cubic', '-P', String(streams)], ends))
}

export async function udpLoad(payloadBytes: number, seconds: number): Promise<UdpResult> {
  const size = ['-l', String(payloadBytes), '-w', '4M']
  return parseUdp(await iperf(seconds, ['-u', '-b', '0', ...size], gatewayPods), payloadBytes)
}

/** Round-trip times of an idle path, `count` pings 10 ms apart. */
export async function pingLoad(count: number): Promise<RttResult> {
  const argv = ['ping', '-n', '-i', '0.01', '-c', String(count), '-W', '2', addresses.pod.b]
  const ping = start(inPod('a', argv))
  await ping.ended
  const times = parsePingMicros(ping.output())
  if (times.length < count * 0.99) {
    throw new CommandFailed(`ping: ${times.length} of ${count} answers`)
  }
  const sorted = times.sort((a, b) => a - b)
  return { medianMicros: quantile(sorted, 0.5), p99Micros: quantile(sorted, 0.99) }
}

/** Whether pod-a reaches pod-b, tried for up to ten seconds. */
export function reaches(): boolean {
  const once = inPod('a', ['ping', '-q', '-c', '1', '-W', '1', addresses.pod.b])
  for (let attempt = 0; attempt < 10; attempt++) {
    if (succeeds(once)) return true
  }
  return false
}

/** The microseconds of each answer in the output of ping. */
export function parsePingMicros(output: string): number[] {
  return [...output.matchAll(/ time=([\d.]+) ms/g)].map(match => Number(match[1]) * 1000)
}

export function parseTcp(json: string): TcpResult {
  const { sum_sent: sent, sum_received: received } = parseEnd(json)
  return {
    seconds: received.seconds,
    receivedBytes: received.bytes,
    retransmits: sent.retransmits ?? 0,
  }
}

/** Packets received are counted by their bytes: `packets` of the receiver's sum holds the lost. */
export function parseUdp(json: string, payloadBytes: number): UdpResult {
  const { sum_sent: sent, sum_received: received } = parseEnd(json)
  return {
    seconds: received.seconds,
    payloadBytes,
    sentPackets: sent.bytes / payloadBytes,
    receivedPackets: received.bytes / payloadBytes,
  }
}

interface IperfSum {
  readonly seconds: number
  readonly bytes: number
  readonly retransmits?: number
}

interface IperfEnd {
  readonly sum_sent: IperfSum
  readonly sum_received: IperfSum
}

function parseEnd(json: string): IperfEnd {
  const result: { error?: string; end?: Partial<IperfEnd> } = JSON.parse(json)
  if (result.error !== undefined) throw new CommandFailed(`iperf3: ${result.error}`)
  const { sum_sent, sum_received } = result.end ?? {}
  if (sum_sent === undefined || sum_received === undefined) {
    throw new CommandFailed('iperf3: its output holds no sums')
  }
  return { sum_sent, sum_received }
}

/** One test, with a server for it alone. Returns the client's JSON. */
async function iperf(seconds: number, options: readonly string[], ends: Ends): Promise<string> {
  const server = start(ends.server(['iperf3', '-s', '-1', '-p', port, '--forceflush']))
  let client: Running | undefined
  const deadline = setTimeout(() => client?.kill('SIGKILL'), (seconds + 15) * 1000)
  try {
    await listening(server)
    const common = ['iperf3', '-c', ends.address, '-p', port, '-t', String(seconds), '-J']
    client = start(ends.client([...common, ...options]))
    const code = await client.ended
    if (code === -1) throw new CommandFailed(`iperf3 had not ended ${seconds + 15} s after start`)
    if (client.output() === '') throw new CommandFailed(`iperf3: ${lastLine(client.errors())}`)
    return client.output()
  } finally {
    clearTimeout(deadline)
    await stop(server, 1000)
  }
}

async function listening(server: Running): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs
  while (!server.output().includes('Server listening')) {
    if (!server.alive()) throw new CommandFailed(`iperf3 -s: ${lastLine(server.errors())}`)
    if (performance.now() > deadline) throw new CommandFailed('iperf3 -s does not listen')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
