// Two gateways, east and west, joined by one WireGuard cable, and the traffic between their pods.

import { generateKeyPairSync } from 'node:crypto'
import { parsePrefix, parseRemote } from '../../../src/net/address.ts'
import type { Tables, WireguardCable } from '../../../src/tables/tables.ts'
import { ipv4, udp } from '../packets.ts'
import { seededRandom } from '../rng.ts'
import { SimGateway } from './gateway.ts'
import { SimNetwork } from './network.ts'

export interface KeyPair {
  readonly privateKey: Uint8Array
  readonly publicKey: Uint8Array
}

export function newKeyPair(): KeyPair {
  const jwk = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' })
  const bytes = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'))
  return { privateKey: bytes(jwk.d), publicKey: bytes(jwk.x) }
}

export interface PairOptions {
  readonly presharedKey?: Uint8Array
  readonly keepaliveSeconds?: number
  /** Whether west knows where east is from the start. */
  readonly westKnowsEast?: boolean
}

export const eastAddress = '192.0.2.1:4500'
export const westAddress = '192.0.2.2:4500'
export const eastPod = '10.1.0.7'
export const westPod = '10.2.0.7'
export const eastPod6 = 'fd00:1::7'
export const westPod6 = 'fd00:2::7'
const eastPrefixes = ['10.1.0.0/16', 'fd00:1::/32']
const westPrefixes = ['10.2.0.0/16', 'fd00:2::/32']

export class SimPair {
  readonly network: SimNetwork
  readonly random: () => number
  readonly eastKeys = newKeyPair()
  readonly westKeys = newKeyPair()
  readonly east: SimGateway
  west: SimGateway
  readonly #options: PairOptions
  #generation = 0
  #number = 0

  constructor(seed: number, options: PairOptions = {}) {
    this.random = seededRandom(seed)
    this.network = new SimNetwork(this.random)
    this.#options = options
    this.east = this.#start(eastAddress)
    this.west = this.#start(westAddress)
    this.east.apply(this.eastTables())
    this.west.apply(this.westTables())
  }

  eastTables(changes: Partial<WireguardCable> = {}): Tables {
    const remote = parseRemote(westAddress)
    const base = this.#cable('west', this.westKeys.publicKey, westPrefixes)
    return this.#tables(this.eastKeys, { ...base, remote, remoteSerial: 1, ...changes })
  }

  westTables(changes: Partial<WireguardCable> = {}): Tables {
    const known = this.#options.westKnowsEast
      ? { remote: parseRemote(eastAddress), remoteSerial: 1 }
      : {}
    const base = this.#cable('east', this.eastKeys.publicKey, eastPrefixes)
    return this.#tables(this.westKeys, { ...base, ...known, ...changes })
  }

  /** West's process dies and another one starts with the same configuration and no session. */
  restartWest(): void {
    this.west.stop()
    this.west = this.#start(westAddress)
    this.west.apply(this.westTables())
  }

  /** A numbered packet from a pod of east to one of west; returns its number. */
  sendEast(payloadBytes = 64): number {
    const number = this.#number++
    this.east.send(numbered(eastPod, westPod, number, payloadBytes))
    return number
  }

  sendWest(payloadBytes = 64): number {
    const number = this.#number++
    this.west.send(numbered(westPod, eastPod, number, payloadBytes))
    return number
  }

  #start(address: string): SimGateway {
    return new SimGateway({ network: this.network, address, random: this.random })
  }

  #cable(name: string, publicKey: Uint8Array, prefixes: readonly string[]): WireguardCable {
    const { presharedKey, keepaliveSeconds = 0 } = this.#options
    return {
      ...{ driver: 'wireguard', name, publicKey, keepaliveSeconds, remoteSerial: 0 },
      ...(presharedKey === undefined ? {} : { presharedKey }),
      allowedIps: prefixes.map(parsePrefix),
    }
  }

  #tables(keys: KeyPair, cable: WireguardCable): Tables {
    const device = { privateKey: keys.privateKey, listenPort: 4500, fwmark: 0 }
    return { generation: ++this.#generation, device, cables: [cable] }
  }
}

function numbered(source: string, destination: string, number: number, bytes: number): Uint8Array {
  const payload = new Uint8Array(Math.max(4, bytes))
  new DataView(payload.buffer).setUint32(0, number)
  return ipv4({ source, destination }, udp({ payload }))
}

/** The numbers of packets that were made by SimPair, in the order of their arrival. */
export function numbersOf(packets: readonly Uint8Array[]): number[] {
  return packets
    .filter(packet => packet[9] === 17)
    .map(packet => new DataView(packet.buffer, packet.byteOffset).getUint32(28))
}
