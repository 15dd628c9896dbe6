// One `hawser datapath` or `hawser wg` in a node, with what a bench wants to know of it: its socket,
// its resident memory.
//
// Devices are called hsPID and a few letters more. /var/run/wireguard is one folder for all
// namespaces; sockets of gateways that were killed are recognised by that name.

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { DatapathClient } from '../src/wire/client.ts'
import { atEnd, benchFolder } from './clean-up.ts'
import type { Trace } from './collections.ts'
import { type Running, start, stop } from './commands.ts'
import { serving } from './daemons.ts'
import { deathOf } from './link.ts'
import { inNode, ipInNode, type Side } from './network.ts'
import { parseMemoryBytes } from './proc.ts'

export interface Gateway {
  readonly side: Side
  readonly device: string
  readonly pid: number
  /** Path of the data path's socket. */
  readonly socket: string
  readonly client: DatapathClient
  /** The last line of a daemon that died, or null. */
  failure(): string | null
  /** All that it has written, whole when it has stopped. */
  trace(): Trace
  /** Tells whether it ended by itself when it was asked to. */
  stop(): Promise<boolean>
}

const uapiFolder = '/var/run/wireguard'
const mtuBytes = 1420
/** What V8 has to tell is written at the end, on a machine that may be busy. */
const stopGraceMs = 10_000
let hasCleaned = false
export const program = new URL('../bin/hawser', import.meta.url).pathname

/** How bin/hawser starts Node. */
const startsNode = 'exec "$node" '

/**
 * Starts `hawser datapath` without tables. `letters` tell its device from others of this bench;
 * `nodeFlags` are for Node, beside those of bin/hawser.
 */
export async function startGateway(
  side: Side,
  letters: string,
  nodeFlags: readonly string[] = [],
): Promise<Gateway> {
  cleanOnce()
  const device = deviceName(letters)
  const socket = `${benchFolder()}/${device}.sock`
  const script = withNodeFlags(readFileSync(program, 'utf8'), nodeFlags)
  const daemon = start(
    inNode(side, [
      ...(nodeFlags.length === 0 ? [program] : ['sh', '-c', script, program]),
      ...['datapath', '--interface', device, '--socket', socket],
      ...['--mtu', String(mtuBytes), '--ephemeral', '--log-level', 'error'],
    ]),
  )
  let client: DatapathClient | undefined
  try {
    await serving(daemon, socket)
    client = await DatapathClient.connect(socket)
    return handleOf(side, device, socket, daemon, client)
  } catch (cause) {
    client?.close()
    await stop(daemon)
    throw cause
  }
}

/** The text of bin/hawser with more flags for Node. */
export function withNodeFlags(script: string, flags: readonly string[]): string {
  if (script.split(startsNode).length !== 2) throw new Error('bin/hawser starts Node otherwise')
  const quoted = flags.map(flag => `'${flag.replaceAll("'", "'\\''")}' `)
  return script.replace(startsNode, () => startsNode + quoted.join(''))
}

function cleanOnce(): void {
  if (hasCleaned) return
  hasCleaned = true
  removeUapiSockets()
  atEnd(removeUapiSockets)
}

/** Starts `hawser wg` without a configuration. Its UAPI socket is there when this resolves. */
export async function startWireguard(
  side: Side,
  letters: string,
): Promise<Pick<Gateway, 'device' | 'pid' | 'failure'> & { stop(): Promise<void> }> {
  cleanOnce()
  const device = deviceName(letters)
  const daemon = start(inNode(side, [program, 'wg', '-f', device]), { LOG_LEVEL: 'error' })
  try {
    await serving(daemon, `${uapiFolder}/${device}.sock`)
  } catch (cause) {
    await stop(daemon)
    throw cause
  }
  return {
    device,
    pid: daemon.pid,
    failure: () => deathOf(daemon, 'gateway', side),
    stop: () => stop(daemon),
  }
}

/** Brings the device up and sends `networks` through it. */
export function routeThrough(gateway: Gateway, networks: readonly string[]): void {
  ipInNode(gateway.side, [
    `link set ${gateway.device} up`,
    ...networks.map(network => `route replace ${network} dev ${gateway.device}`),
  ])
}

export function deviceName(letters: string): string {
  return `hs${process.pid}${letters}`
}

/** Of gateways that were killed: this process's, and those of benches that are gone. */
function removeUapiSockets(): void {
  if (!existsSync(uapiFolder)) return
  for (const name of readdirSync(uapiFolder)) {
    const pid = /^hs(\d+)[a-z]+\d*\.sock$/.exec(name)?.[1]
    if (pid === undefined) continue
    if (Number(pid) === process.pid || !existsSync(`/proc/${pid}`)) {
      rmSync(`${uapiFolder}/${name}`, { force: true })
    }
  }
}

/** VmRSS, in bytes. */
export function readResidentBytes(pid: number): number {
  return parseMemoryBytes(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmRSS')
}

/** RssAnon, in bytes: what is resident of no file, which nobody but the process itself changes. */
export function readAnonymousBytes(pid: number): number {
  return parseMemoryBytes(readFileSync(`/proc/${pid}/status`, 'utf8'), 'RssAnon')
}

function handleOf(
  side: Side,
  device: string,
  socket: string,
  daemon: Running,
  client: DatapathClient,
): Gateway {
  return {
    side,
    device,
    pid: daemon.pid,
    socket,
    client,
    failure: () => deathOf(daemon, 'gateway', side),
    trace: () => ({ output: daemon.output(), errors: daemon.errors() }),
    stop: async () => {
      client.close()
      await stop(daemon, stopGraceMs)
      return (await daemon.ended) === 0
    },
  }
}
