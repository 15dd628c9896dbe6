// A pair of userspace WireGuard daemons, one in each node, configured by `wg setconf` over their
// UAPI sockets. Nothing here knows which program it is: all take the arguments of wireguard-go.
//
// /var/run/wireguard is one folder for all namespaces, so the interface names differ by side and by
// process: hbPIDa and hbPIDb.

import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { lastLine, type Running, run, start } from './commands.ts'
import { daemonLink, type Link } from './link.ts'
import { addresses, inNode, ipInNode, type Side } from './network.ts'

/** Both in base64, as `wg` prints them. */
export interface KeyPair {
  readonly privateKey: string
  readonly publicKey: string
}

const socketFolder = '/var/run/wireguard'
const listenPort = 51820
const startTimeoutMs = 10_000
const tunnelMtuBytes = 1420

/** Quiet and in the foreground: LOG_LEVEL is wireguard-go's, WG_LOG_LEVEL that of the Rust programs. */
const environment = { WG_PROCESS_FOREGROUND: '1', LOG_LEVEL: 'error', WG_LOG_LEVEL: 'error' }

/** Names that no other bench has at the same time. */
export function tunnelDevices(): Record<Side, string> {
  return { a: `hb${process.pid}a`, b: `hb${process.pid}b` }
}

/** Starts `command -f IFNAME` in both nodes and joins their pod networks. */
export async function startDaemons(command: readonly string[]): Promise<Link> {
  // A daemon of an earlier turn that left its sockets behind must not be taken for this one.
  removeSockets()
  const device = tunnelDevices()
  const launch = (side: Side) => start(inNode(side, [...command, '-f', device[side]]), environment)
  const daemon = { a: launch('a'), b: launch('b') }
  const link = daemonLink(device, daemon)
  try {
    const socketOf = (side: Side) => `${socketFolder}/${device[side]}.sock`
    await Promise.all([serving(daemon.a, socketOf('a')), serving(daemon.b, socketOf('b'))])
    const keys = { a: newKeyPair(), b: newKeyPair() }
    configure('a', device.a, keys.a, keys.b)
    configure('b', device.b, keys.b, keys.a)
    return link
  } catch (cause) {
    await link.stop()
    throw cause
  }
}

/**
 * Removes the UAPI sockets of daemons that were killed before they could: those of this process's
 * daemons and of benches that are gone.
 */
export function removeSockets(): void {
  if (!existsSync(socketFolder)) return
  for (const name of readdirSync(socketFolder)) {
    const pid = /^hb(\d+)[ab]\.sock$/.exec(name)?.[1]
    if (pid === undefined) continue
    if (Number(pid) === process.pid || !existsSync(`/proc/${pid}`)) {
      rmSync(`${socketFolder}/${name}`, { force: true })
    }
  }
}

function configure(side: Side, device: string, own: KeyPair, remote: KeyPair): void {
  const far = side === 'a' ? 'b' : 'a'
  const configuration = [
    '[Interface]',
    `PrivateKey = ${own.privateKey}`,
    `ListenPort = ${listenPort}`,
    '[Peer]',
    `PublicKey = ${remote.publicKey}`,
    `AllowedIPs = ${addresses.podNetwork[far]}, ${addresses.tunnel[far]}/32`,
    `Endpoint = ${addresses.wire[far]}:${listenPort}`,
  ]
  // wg opens the file by name, which a socket, Node's kind of standard input, does not allow.
  const setconf = ['sh', '-c', 'cat | wg setconf "$0" /dev/stdin', device]
  run(setconf, `${configuration.join('\n')}\n`)
  ipInNode(side, [
    `addr add ${addresses.tunnel[side]}/32 dev ${device}`,
    `link set ${device} mtu ${tunnelMtuBytes} up`,
    `route add ${addresses.podNetwork[far]} dev ${device}`,
  ])
}

/** Resolves when the daemon's socket is there. */
export async function serving(daemon: Running, socket: string): Promise<void> {
  const deadline = performance.now() + startTimeoutMs
  while (!existsSync(socket)) {
    if (!daemon.alive()) throw new Error(`the daemon ended: ${lastLine(daemon.errors())}`)
    if (performance.now() > deadline) throw new Error(`no ${socket} after ${startTimeoutMs} ms`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

export function newKeyPair(): KeyPair {
  const { privateKey } = generateKeyPairSync('x25519')
  const { d, x } = privateKey.export({ format: 'jwk' })
  if (d === undefined || x === undefined) throw new Error('x25519 export without d or x')
  const base64 = (text: string) => Buffer.from(text, 'base64url').toString('base64')
  return { privateKey: base64(d), publicKey: base64(x) }
}
