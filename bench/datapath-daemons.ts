// A pair of `hawser datapath`, one in each node, with one cable between them. The cable is what two
// contestants differ in; its tables go in by a file, and the status over the socket tells afterwards
// what the cable's packets were sealed with.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { CipherName } from '../src/tables/cipher.ts'
import { DatapathClient } from '../src/wire/client.ts'
import { type Running, start } from './commands.ts'
import { type KeyPair, newKeyPair, serving, tunnelDevices } from './daemons.ts'
import { daemonLink, type Link } from './link.ts'
import { addresses, inNode, ipInNode, type Side } from './network.ts'

/** A cable between the nodes, as its two ends see it. */
export interface CableKind {
  readonly mtuBytes: number
  /** What its packets have to be sealed with; null where nothing is sealed. */
  readonly cipher: CipherName | null
  /** The file for `--tables` at one end. */
  tables(side: Side, keys: Readonly<Record<Side, KeyPair>>): object
}

export interface Datapaths extends Link {
  readonly daemon: Readonly<Record<Side, Running>>
  readonly socket: Readonly<Record<Side, string>>
}

/** The port of a gateway's cables. */
const listenPort = 4500
const sides: readonly Side[] = ['a', 'b']
const far = { a: 'b', b: 'a' } as const

/** In the clear, as a kernel's vxlan device would have it. */
export const vxlanCable: CableKind = {
  mtuBytes: 1450,
  cipher: null,
  tables(side) {
    const tunnel = { a: '241.168.71.1', b: '241.168.71.2' } as const
    const mac = { a: '02:00:5e:00:00:01', b: '02:00:5e:00:00:02' } as const
    const device = { listenPort, vxlan: { vni: 1000, address: tunnel[side], mac: mac[side] } }
    const cable = { driver: 'vxlan', ...common(side), tunnelAddress: tunnel[far[side]] }
    return { device, cables: [cable] }
  },
}

export const aesCable: CableKind = {
  mtuBytes: 1420,
  cipher: 'aes-256-gcm',
  tables(side, keys) {
    const ciphers = { enabled: [this.cipher], remote: [this.cipher] }
    const cable = { driver: 'wireguard', ...common(side), publicKey: keys[far[side]].publicKey }
    const device = { listenPort, privateKey: keys[side].privateKey }
    return { device, cables: [{ ...cable, ciphers }] }
  },
}

/** Starts `program datapath` in both nodes and joins their pod networks. */
export async function startDatapaths(
  program: string,
  cable: CableKind,
  environment: Readonly<Record<string, string>> = {},
): Promise<Datapaths> {
  const device = tunnelDevices()
  const keys = { a: newKeyPair(), b: newKeyPair() }
  // Made with mode 0700: there are keys in it.
  const folder = mkdtempSync(`${tmpdir()}/hawser-bench-`)
  const socket = { a: `${folder}/a.sock`, b: `${folder}/b.sock` }
  const launch = (side: Side) => {
    const file = `${folder}/${side}.json`
    writeFileSync(file, JSON.stringify(cable.tables(side, keys)))
    const options = ['--socket', socket[side], '--mtu', String(cable.mtuBytes), '--tables', file]
    const argv = [program, 'datapath', '--interface', device[side], ...options]
    return start(inNode(side, [...argv, '--ephemeral', '--log-level', 'error']), environment)
  }
  const daemon = { a: launch('a'), b: launch('b') }
  const link = daemonLink(device, daemon)
  const stop = async () => {
    await link.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    for (const side of sides) {
      await serving(daemon[side], socket[side])
      ipInNode(side, [
        `addr add ${addresses.tunnel[side]}/32 dev ${device[side]}`,
        `link set ${device[side]} up`,
        `route add ${addresses.podNetwork[far[side]]} dev ${device[side]}`,
      ])
    }
  } catch (cause) {
    await stop()
    throw cause
  }
  const disproof = async () => {
    for (const side of sides) {
      const words = await cipherDisproof(socket[side], cable.cipher)
      if (words !== null) return `node-${side}: ${words}`
    }
    return null
  }
  return { ...link, daemon, socket, disproof, stop }
}

/** The part of a cable that all drivers share. */
function common(side: Side): object {
  const other = far[side]
  return {
    name: `node-${other}`,
    remote: `${addresses.wire[other]}:${listenPort}`,
    allowedIps: [addresses.podNetwork[other], `${addresses.tunnel[other]}/32`],
  }
}

/** Asks a data path what its one cable seals with now. */
async function cipherDisproof(socket: string, wanted: CipherName | null): Promise<string | null> {
  const client = await DatapathClient.connect(socket)
  try {
    const { cables } = await client.status()
    const found = cables.map(({ cipher }) => cipher ?? 'nothing').join(', ')
    const expected = wanted ?? 'nothing'
    return found === expected ? null : `sealed with ${found || 'no cable'}, not ${expected}`
  } finally {
    client.close()
  }
}
