// `npm run bench:soak`: an hour of mixed load between two gateways. Whether their memory stays flat,
// and whether a pause of the garbage collector is seen as a hole in a paced UDP stream: the gateways
// run with V8's trace of its collections (collections.ts, docs/scale.md).

import { mkdirSync, writeFileSync } from 'node:fs'
import { parsePrefix } from '../src/net/address.ts'
import {
  type Collection,
  parseCollections,
  summarizePauses,
  type ThreadPauses,
  type Trace,
} from './collections.ts'
import { type KeyPair, newKeyPair, type Peer, remoteAt, silentPeers, tablesOf } from './fleet.ts'
import { addSources, prepareStock } from './flood-run.ts'
import { type Gateway, routeThrough, startGateway } from './gateway.ts'
import { explainHoles } from './hole-causes.ts'
import type { Hole } from './holes.ts'
import { reaches } from './load.ts'
import { addresses, createNetwork, type Side } from './network.ts'
import { judgeSoak, notesOnSoak, renderSoak, type SoakResult } from './soak-report.ts'
import { cableName, handshakesPerSecond, type SoakEvidence, soak } from './soak-run.ts'
import { type BenchProgram, type Outcome, runBench, type Say } from './stand.ts'

const mtuBytes = 1420
const port = 51_840
const trickleSources = 10
const tricklePeers = 50
const traceFolder = new URL('../.cache/bench', import.meta.url).pathname
const threadMark = new URL('support/thread-mark.ts', import.meta.url).pathname
const traceFlags = ['--trace-gc', '--expose-gc', `--import=${threadMark}`]

type Names = 'minutes' | 'warmup' | 'load' | 'cipher' | 'peers' | 'prefixes'

const program: BenchProgram<Names, SoakResult> = {
  name: 'soak',
  about: 'Mixed load between two gateways for a long time: is memory flat, is a collection seen?',
  programs: ['ip', 'iperf3', 'ping', 'ss'],
  numbers: {
    minutes: { help: 'how long', usual: 60, quick: 3, most: 1440 },
    warmup: { help: 'seconds before memory is judged', usual: 300, quick: 60, most: 3600 },
    load: {
      help: 'percent of what the path carries that UDP takes',
      usual: 50,
      quick: 50,
      most: 100,
    },
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
  render: renderSoak,
}

process.exitCode = await runBench(program, process.argv.slice(2))

async function measure(
  numbers: Readonly<Record<Names, number>>,
  say: Say,
): Promise<Outcome<SoakResult>> {
  const seconds = numbers.minutes * 60
  createNetwork(mtuBytes)
  const sources = addSources(trickleSources)
  const [a, b] = await Promise.all([startTraced('a'), startTraced('b')])
  const trickle = Array.from({ length: tricklePeers }, newKeyPair)
  const keys = { a: newKeyPair(), b: newKeyPair() }
  await join({ a, b }, keys, trickle, silentPeers(numbers.peers, numbers.prefixes))
  const needed = (seconds + 60) * handshakesPerSecond
  const stock = await prepareStock(keys.b.publicKey, trickle, needed)
  const { cipher: cipherEverySeconds, warmup: warmupSeconds, load: loadPercent } = numbers
  const [figures, evidence] = await soak({
    ...{ a, b, port, stock, sources, seconds, loadPercent, cipherEverySeconds, say },
    keep: holes => keepSoFar([a, b], holes),
  })
  const { looks } = evidence
  const told = await stopAndRead([a, b], evidence)
  const { holes, ...udp } = figures.udp
  const onPath = told.threads.filter(({ thread }) => isOnPath(thread))
  const result: SoakResult = {
    ...figures,
    udp,
    holes: explainHoles(holes, {
      ...{ perSecond: figures.udpPerSecond, deeds: figures.deeds, looks, isOnPath },
      collections: told.collections,
    }),
    threads: told.threads,
    blind: told.blind,
    warmupSeconds,
    longestOnPathMs: Math.max(0, ...onPath.map(({ longestMs }) => longestMs)),
  }
  return { result, goals: judgeSoak(result), notes: notesOnSoak(result) }
}

function startTraced(side: Side): Promise<Gateway> {
  return startGateway(side, `s${side}`, traceFlags)
}

/** Whether the UDP stream passes a thread of this name. */
function isOnPath(thread: string): boolean {
  return /^(?:a outbound|b inbound)/.test(thread)
}

interface Told {
  readonly collections: readonly Collection[]
  readonly threads: readonly ThreadPauses[]
  readonly blind: string | null
}

function keepSoFar(gateways: readonly Gateway[], holes: readonly Hole[]): void {
  mkdirSync(traceFolder, { recursive: true })
  writeFileSync(`${traceFolder}/soak-holes.json`, JSON.stringify(holes))
  for (const gateway of gateways) keepTrace(gateway)
}

function keepTrace(gateway: Gateway): Trace {
  const trace = gateway.trace()
  writeFileSync(`${traceFolder}/soak-${gateway.side}.trace`, trace.output + trace.errors)
  return trace
}

/** Stops the gateways, keeps their traces, and reads the collections under the load. */
async function stopAndRead(
  gateways: readonly Gateway[],
  { beginMs, endMs }: SoakEvidence,
): Promise<Told> {
  const collections: Collection[] = []
  const threads: ThreadPauses[] = []
  let blind: string | null = null
  mkdirSync(traceFolder, { recursive: true })
  for (const gateway of gateways) {
    const { side } = gateway
    if (!(await gateway.stop())) blind = `gateway ${side} had to be killed`
    const told = parseCollections(keepTrace(gateway), beginMs, endMs)
    const name = (thread: string) => `${side} ${thread.replace(/^hawser-/, '')}`
    collections.push(...told.collections.map(one => ({ ...one, thread: name(one.thread) })))
    threads.push(...summarizePauses(told).map(one => ({ ...one, thread: name(one.thread) })))
    if (told.unplaced > 0) blind = `gateway ${side} has isolates that no thread explains`
  }
  const isSeen = ['a outbound', 'b inbound'].every(name => threads.some(one => one.thread === name))
  return { collections, threads, blind: isSeen ? blind : 'a worker left no trace' }
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
