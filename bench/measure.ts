// One measurement: wait for a quiet machine, read the counters, make the load, read them again,
// prove the way. A run that others disturbed is made once more, and the less disturbed of the two
// is kept. Waiting and second tries draw on one account (`Patience`), so that a busy machine makes
// the bench less sure of its figures, and says so, but not endless.

import type { Link } from './link.ts'
import { pingLoad, tcpLoad, udpLoad } from './load.ts'
import { disturbedCores, Meter, type Usage, waitForQuiet } from './meter.ts'
import type { Options } from './options.ts'
import { secondsOfCase, udpSeconds } from './plan.ts'
import { readScheduledSeconds } from './proc.ts'
import { type Proof, passedBetween, proveTcp, proveUdp, readPassed } from './proof.ts'
import type { CaseName, Figures } from './run-record.ts'

/** Seconds left for waiting and for second tries. */
export class Patience {
  #leftSeconds: number

  constructor(seconds: number) {
    this.#leftSeconds = seconds
  }

  get leftSeconds(): number {
    return this.#leftSeconds
  }

  spend(seconds: number): void {
    this.#leftSeconds = Math.max(0, this.#leftSeconds - seconds)
  }
}

export interface Measured {
  readonly figures: Figures
  readonly problems: readonly string[]
  readonly foreignCores: number
  readonly waitedSeconds: number
  readonly tries: number
}

const idleMs = 2000

type Lengths = Pick<Options, 'seconds' | 'pings'>

/** Measures a case over a link, twice if the first time was disturbed and there is patience. */
export async function measure(
  name: CaseName,
  link: Link,
  lengths: Lengths,
  patience: Patience,
): Promise<Measured> {
  const first = await attempt(name, link, lengths, patience)
  const cost = secondsOfCase(name, lengths)
  const worthIt = first.foreignCores > disturbedCores || first.problems.length > 0
  if (!worthIt || link.failure() !== null || patience.leftSeconds < cost) return first
  patience.spend(cost)
  const second = await attempt(name, link, lengths, patience)
  const better = preferSecond(first, second) ? second : first
  return { ...better, waitedSeconds: first.waitedSeconds + second.waitedSeconds, tries: 2 }
}

/** Validity comes first, then quiet. */
export function preferSecond(
  first: Pick<Measured, 'problems' | 'foreignCores'>,
  second: Pick<Measured, 'problems' | 'foreignCores'>,
): boolean {
  const firstIsValid = first.problems.length === 0
  if (firstIsValid !== (second.problems.length === 0)) return !firstIsValid
  return second.foreignCores < first.foreignCores
}

async function attempt(
  name: CaseName,
  link: Link,
  lengths: Lengths,
  patience: Patience,
): Promise<Measured> {
  const waitedSeconds = await waitForQuiet(link, patience.leftSeconds)
  patience.spend(waitedSeconds)
  const meter = new Meter(link)
  try {
    const { figures, problems } = await load(name, link, lengths, meter)
    const foreignCores = meter.read().foreignCores
    const more = [link.failure() ?? (await link.disproof())].filter(words => words !== null)
    return { figures, problems: [...problems, ...more], foreignCores, waitedSeconds, tries: 1 }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const foreignCores = meter.read().foreignCores
    const problems = [link.failure() ?? reason]
    return { figures: {}, problems, foreignCores, waitedSeconds, tries: 1 }
  }
}

interface Loaded {
  readonly figures: Figures
  readonly problems: readonly string[]
}

function load(name: CaseName, link: Link, lengths: Lengths, meter: Meter): Promise<Loaded> {
  switch (name) {
    case 'tcp1':
      return loadTcp(1, link, lengths, meter)
    case 'tcp4':
      return loadTcp(4, link, lengths, meter)
    case 'udp64':
      return loadUdp(64, link, lengths, meter)
    case 'udp1372':
      return loadUdp(1372, link, lengths, meter)
    case 'rtt':
      return loadRtt(lengths)
    case 'idle':
      return watchIdle(link)
    case 'loaded-rtt':
      return loadTcpAndRtt(link, lengths)
  }
}

async function loadTcp(streams: number, link: Link, lengths: Lengths, meter: Meter) {
  const before = readPassed(link.device)
  const result = await tcpLoad(streams, lengths.seconds)
  const usage = meter.read()
  const passed = passedBetween(before, readPassed(link.device))
  const gbit = (result.receivedBytes * 8) / 1e9
  const proof = proveTcp(passed, result.receivedBytes)
  const figures: Figures = {
    gbitPerSecond: gbit / result.seconds,
    retransmits: result.retransmits,
    ...daemonFigures(link, usage, used => ({ cpuSecondsPerGbit: used / gbit })),
    ...proofFigures(proof),
  }
  return { figures, problems: proof.problems }
}

async function loadUdp(payloadBytes: number, link: Link, lengths: Lengths, meter: Meter) {
  const before = readPassed(link.device)
  const length = udpSeconds(lengths.seconds)
  const { seconds, sentPackets, receivedPackets } = await udpLoad(payloadBytes, length)
  const usage = meter.read()
  const passed = passedBetween(before, readPassed(link.device))
  const proof = proveUdp(passed, payloadBytes, sentPackets, receivedPackets)
  const figures: Figures = {
    sentKpps: sentPackets / seconds / 1000,
    receivedKpps: receivedPackets / seconds / 1000,
    lossPercent: Math.max(0, 1 - receivedPackets / sentPackets) * 100,
    ...daemonFigures(link, usage, used => ({
      cpuMicrosPerPacketSent: (used * 1e6) / sentPackets,
      cpuMicrosPerPacketReceived: (used * 1e6) / receivedPackets,
    })),
    ...proofFigures(proof),
  }
  return { figures, problems: proof.problems }
}

async function loadRtt(lengths: Lengths): Promise<Loaded> {
  const result = await pingLoad(lengths.pings)
  const figures = { rttMedianMicros: result.medianMicros, rttP99Micros: result.p99Micros }
  return { figures, problems: [] }
}

/** The round trip while one TCP stream fills the path. */
async function loadTcpAndRtt(link: Link, lengths: Lengths): Promise<Loaded> {
  const before = readPassed(link.device)
  const pings = Math.max(10, Math.round((lengths.seconds - 0.5) * 100))
  const [tcp, rtt] = await Promise.all([tcpLoad(1, lengths.seconds), pingLoad(pings)])
  // The pings are less than the slack of the proof.
  const proof = proveTcp(passedBetween(before, readPassed(link.device)), tcp.receivedBytes)
  const figures: Figures = {
    gbitPerSecond: (tcp.receivedBytes * 8) / 1e9 / tcp.seconds,
    rttMedianMicros: rtt.medianMicros,
    rttP99Micros: rtt.p99Micros,
    ...proofFigures(proof),
  }
  return { figures, problems: proof.problems }
}

/** What a daemon with one quiet cable costs: the busier of the two. */
async function watchIdle(link: Link): Promise<Loaded> {
  const before = link.pids.map(readScheduledSeconds)
  const beginMs = performance.now()
  await new Promise(resolve => setTimeout(resolve, idleMs))
  const elapsedSeconds = (performance.now() - beginMs) / 1000
  const shares = link.pids.map((pid, index) => readScheduledSeconds(pid) - before[index])
  if (shares.length === 0) return { figures: {}, problems: [] }
  const figures = { idleCpuPercent: (Math.max(...shares) / elapsedSeconds) * 100 }
  return { figures, problems: [] }
}

/** Figures that exist only where daemons do the work. */
function daemonFigures(link: Link, usage: Usage, derive: (used: number) => Figures): Figures {
  if (link.pids.length === 0) return {}
  return { daemonCpuSeconds: usage.daemonSeconds, ...derive(usage.daemonSeconds) }
}

function proofFigures(proof: Proof): Figures {
  const { tunnelOverPayload, wireOverTunnel } = proof
  if (tunnelOverPayload === null || wireOverTunnel === null) return {}
  return { tunnelOverPayload, wireOverTunnel }
}
