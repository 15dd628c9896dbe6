// Many peers: their keys, and their allowed prefixes as a fleet of clusters would have them, half
// IPv4 and half IPv6, of many lengths. Prefixes come from a seed, so that two runs load the same
// table; keys are new each time. Nothing here lies in the ranges that the bench itself uses
// (10.0.0.0/8, 192.168.0.0/16).

import { generateKeyPairSync } from 'node:crypto'
import {
  formatPrefix,
  formatRemote,
  type Prefix,
  parsePrefix,
  type Remote,
} from '../src/net/address.ts'
import type { Tables, WireguardCable } from '../src/tables/tables.ts'

export interface KeyPair {
  /** 32 bytes. */
  readonly privateKey: Uint8Array
  readonly publicKey: Uint8Array
}

/** A peer of a gateway. */
export interface Peer {
  readonly name: string
  readonly publicKey: Uint8Array
  readonly remote?: Remote
  readonly allowedIps: readonly Prefix[]
}

export function newKeyPair(): KeyPair {
  const { privateKey } = generateKeyPairSync('x25519')
  const { d, x } = privateKey.export({ format: 'jwk' })
  if (d === undefined || x === undefined) throw new Error('x25519 export without d or x')
  return { privateKey: bytesOf(d), publicKey: bytesOf(x) }
}

/** `count` peers that never speak, with `prefixes` allowed prefixes each. */
export function silentPeers(count: number, prefixes: number): Peer[] {
  const lists = prefixLists(count, prefixes)
  return lists.map((allowedIps, index) => ({
    name: `silent-${index}`,
    publicKey: newKeyPair().publicKey,
    remote: { address: ipv4(192, 0, 2, 1 + (index % 250)), port: 20_000 + index, scope: 0 },
    allowedIps,
  }))
}

/** `count` lists of prefixes that nobody has twice. */
export function prefixLists(count: number, prefixes: number): Prefix[][] {
  const random = randomFrom(1)
  const given = new Set<string>()
  const unique = (draw: () => string): Prefix => {
    for (;;) {
      const prefix = parsePrefix(draw())
      const key = `${prefix.bytes.join('.')}/${prefix.bits}`
      if (given.has(key)) continue
      given.add(key)
      return prefix
    }
  }
  const draw4 = () =>
    `${20 + random(40)}.${random(256)}.${random(256)}.${random(256)}/${16 + random(17)}`
  const group = () => random(65_536).toString(16)
  const draw6 = () => `fd00:${group()}:${group()}:${group()}:${group()}::/${48 + random(25)}`
  return Array.from({ length: count }, () =>
    Array.from({ length: prefixes }, (_, i) => unique(i % 2 === 0 ? draw4 : draw6)),
  )
}

/** A gateway's tables. `remoteSerial` stays: posting them again lets roamed peers be. */
export function tablesOf(
  generation: number,
  keys: KeyPair,
  listenPort: number,
  peers: readonly Peer[],
): Tables {
  return {
    generation,
    device: { privateKey: keys.privateKey.slice(), listenPort, fwmark: 0 },
    cables: peers.map(cableOf),
  }
}

/** The same as `hawser apply` reads it. */
export function tablesText(keys: KeyPair, listenPort: number, peers: readonly Peer[]): string {
  return JSON.stringify({
    device: { privateKey: base64(keys.privateKey), listenPort },
    cables: peers.map(peer => ({
      name: peer.name,
      driver: 'wireguard',
      remoteSerial: 1,
      publicKey: base64(peer.publicKey),
      allowedIps: peer.allowedIps.map(formatPrefix),
      ...(peer.remote === undefined ? {} : { remote: formatRemote(peer.remote) }),
    })),
  })
}

/** The same as `wg setconf` reads it. */
export function wgText(keys: KeyPair, listenPort: number, peers: readonly Peer[]): string {
  const sections = peers.map(peer =>
    [
      '[Peer]',
      `PublicKey = ${base64(peer.publicKey)}`,
      `AllowedIPs = ${peer.allowedIps.map(formatPrefix).join(', ')}`,
      ...(peer.remote === undefined ? [] : [`Endpoint = ${formatRemote(peer.remote)}`]),
    ].join('\n'),
  )
  const device = `[Interface]\nPrivateKey = ${base64(keys.privateKey)}\nListenPort = ${listenPort}`
  return `${[device, ...sections].join('\n')}\n`
}

/** An IPv4 remote. */
export function remoteAt(address: string, port: number): Remote {
  const [a, b, c, d] = address.split('.').map(Number)
  return { address: ipv4(a, b, c, d), port, scope: 0 }
}

function ipv4(...bytes: readonly number[]): Remote['address'] {
  return { family: 4, bytes: Uint8Array.from(bytes) }
}

function cableOf(peer: Peer): WireguardCable {
  return {
    name: peer.name,
    driver: 'wireguard',
    publicKey: peer.publicKey,
    remoteSerial: 1,
    allowedIps: peer.allowedIps,
    keepaliveSeconds: 0,
    ...(peer.remote === undefined ? {} : { remote: peer.remote }),
  }
}

/** Whole numbers below `most`, the same for the same seed (mulberry32). */
function randomFrom(seed: number): (most: number) => number {
  let state = seed
  return most => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * most)
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function bytesOf(base64url: string): Uint8Array {
  return Uint8Array.from(Buffer.from(base64url, 'base64url'))
}
