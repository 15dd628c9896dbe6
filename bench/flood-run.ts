// A flood from node-a on the gateway in node-b: makes the initiations ahead in two processes, starts
// the flooder, and tells it when its window begins and ends.

import { writeFileSync } from 'node:fs'
import { benchFolder } from './clean-up.ts'
import { lastLine, start } from './commands.ts'
import type { KeyPair } from './fleet.ts'
import type { FleetFile } from './initiations.ts'
import { addresses, inNode, ipInNode } from './network.ts'

/** What bench/support/flooder.ts is told, as JSON in a file. */
export interface FloodConfig {
  readonly fleetFile: string
  readonly recordFiles: readonly string[]
  readonly firstRecord: number
  /** Initiations of this flood: [first, end). */
  readonly first: number
  readonly end: number
  readonly gatewayAddress: string
  readonly gatewayPort: number
  readonly gatewayPid: number
  readonly sources: readonly string[]
  readonly perSecond: number
}

/** What happened in the window. */
export interface FloodCounts {
  readonly seconds: number
  readonly sent: number
  readonly responses: number
  readonly cookies: number
  /** CPU-seconds of the gateway's workers. */
  readonly inboundSeconds: number
  readonly outboundSeconds: number
  /** Sources that were given a cookie. */
  readonly withCookie: number
  /** Initiations of the stock that are gone, those before the window included. */
  readonly used: number
  /** Sessions of which a keepalive was sent behind the flood, of so many that were tried. */
  readonly proved: number
  readonly provable: number
}

export interface Flood {
  begin(): void
  end(): Promise<FloodCounts>
}

/** A stock of initiations, and how far it is used up. */
export interface Stock {
  readonly fleetFile: string
  readonly recordFiles: readonly string[]
  readonly count: number
  next: number
}

const folderOfPrograms = new URL('support/', import.meta.url).pathname
const preparers = 2
/** A source may send 20 a second (the rate limit of every WireGuard receiver under load). */
const perSourceAndSecond = 20
const warmUpMs = 1000

/** Addresses that node-a has and node-b reaches. */
export function addSources(count: number): string[] {
  const sources = Array.from({ length: count }, (_, i) => `192.168.${72 + (i >> 8)}.${i & 255}`)
  ipInNode(
    'a',
    sources.map(address => `addr add ${address}/32 dev lo`),
  )
  ipInNode('b', [`route add 192.168.72.0/21 via ${addresses.wire.a}`])
  return sources
}

export function floodRate(sources: number): number {
  return sources * perSourceAndSecond
}

/** Makes `count` initiations of these peers to a gateway. */
export async function prepareStock(
  gatewayKey: Uint8Array,
  peers: readonly KeyPair[],
  count: number,
): Promise<Stock> {
  const fleetFile = `${benchFolder()}/fleet.json`
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
  const privateKeys = peers.map(({ privateKey }) => base64(privateKey))
  const fleet: FleetFile = { gateway: base64(gatewayKey), privateKeys }
  writeFileSync(fleetFile, JSON.stringify(fleet), { mode: 0o600 })
  const shares = Array.from({ length: preparers + 1 }, (_, i) =>
    Math.floor((i * count) / preparers),
  )
  const recordFiles = shares.slice(1).map((_, i) => `${benchFolder()}/initiations-${i}`)
  await Promise.all(
    recordFiles.map(async (file, i) => {
      const script = `${folderOfPrograms}prepare-initiations.ts`
      const bounds = [String(shares[i]), String(shares[i + 1])]
      const program = start([process.execPath, script, fleetFile, file, ...bounds])
      if ((await program.ended) !== 0) throw new Error(`preparing: ${lastLine(program.errors())}`)
    }),
  )
  return { fleetFile, recordFiles, count, next: 0 }
}

/** Starts a flood out of the stock. Resolves when it has gone on for a second. */
export async function startFlood(
  stock: Stock,
  target: Pick<FloodConfig, 'gatewayAddress' | 'gatewayPort' | 'gatewayPid'>,
  sources: readonly string[],
  perSecond: number,
): Promise<Flood> {
  const configFile = `${benchFolder()}/flood.json`
  const { fleetFile, recordFiles, next, count } = stock
  const config: FloodConfig = {
    ...{ fleetFile, recordFiles, firstRecord: 0, first: next, end: count, sources },
    ...{ ...target, perSecond },
  }
  writeFileSync(configFile, JSON.stringify(config), { mode: 0o600 })
  const flooder = start(
    inNode('a', [process.execPath, `${folderOfPrograms}flooder.ts`, configFile]),
  )
  const check = () => {
    if (!flooder.alive()) throw new Error(`the flooder ended: ${lastLine(flooder.errors())}`)
  }
  while (!flooder.output().includes('begun')) {
    check()
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  await new Promise(resolve => setTimeout(resolve, warmUpMs))
  return {
    begin() {
      check()
      flooder.kill('SIGUSR2')
    },
    async end() {
      check()
      flooder.kill('SIGUSR2')
      await flooder.ended
      const line = lastLine(flooder.output())
      if (!line.startsWith('{"sent"')) {
        throw new Error(`the flooder ended: ${lastLine(flooder.errors())}`)
      }
      const counts = JSON.parse(line) as FloodCounts
      stock.next += counts.used
      return counts
    },
  }
}
