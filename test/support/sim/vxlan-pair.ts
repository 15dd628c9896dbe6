// Two gateways, east and west, joined by a VXLAN cable, with a tap on the ARP between them.

import { buildArp, ipv4Number, parseArp } from '../../../src/cable/arp.ts'
import { parseAddress, parsePrefix, parseRemote } from '../../../src/net/address.ts'
import type { Tables, VxlanCable } from '../../../src/tables/tables.ts'
import { ipv4, ipv6, udp } from '../packets.ts'
import { seededRandom } from '../rng.ts'
import { SimGateway } from './gateway.ts'
import { type Datagram, SimNetwork } from './network.ts'

export const vni = 1000
const vxlanHeaderBytes = 8

export interface SimSide {
  readonly name: string
  readonly address: string
  readonly tunnelAddress: string
  readonly prefixes: readonly string[]
  readonly pod: string
  readonly pod6: string
}

function side(number: number, name: string, address: string): SimSide {
  return {
    name,
    address,
    tunnelAddress: `241.0.2.${number}`,
    prefixes: [`10.${number}.0.0/16`, `fd00:${number}::/32`],
    pod: `10.${number}.0.7`,
    pod6: `fd00:${number}::7`,
  }
}

export interface SeenArp {
  readonly atMs: number
  readonly from: string
  readonly isRequest: boolean
  readonly isBroadcast: boolean
}

export const macOf = (last: number) => Uint8Array.of(2, 0, 0, 0, 0, last)

export class SimVxlanPair {
  readonly network: SimNetwork
  readonly east: SimGateway
  west: SimGateway
  readonly eastSide: SimSide
  readonly westSide: SimSide
  readonly arps: SeenArp[] = []
  readonly #random: () => number
  #number = 0
  #generation = 0

  constructor(seed: number, addresses = ['192.0.2.1:4500', '192.0.2.2:4500']) {
    this.#random = seededRandom(seed)
    this.network = new SimNetwork(this.#random)
    this.network.taps.push(datagram => this.#watch(datagram))
    this.eastSide = side(1, 'east', addresses[0])
    this.westSide = side(2, 'west', addresses[1])
    this.east = this.#start(this.eastSide)
    this.west = this.#start(this.westSide)
    this.east.apply(this.tables(this.eastSide, this.westSide, macOf(1)))
    this.west.apply(this.tables(this.westSide, this.eastSide, macOf(2)))
  }

  tables(own: SimSide, other: SimSide, mac: Uint8Array, changes: Partial<VxlanCable> = {}): Tables {
    const cable: VxlanCable = {
      name: other.name,
      driver: 'vxlan',
      remote: parseRemote(other.address),
      remoteSerial: 1,
      allowedIps: other.prefixes.map(parsePrefix),
      tunnelAddress: parseAddress(other.tunnelAddress),
      ...changes,
    }
    const vxlan = { vni, address: parseAddress(own.tunnelAddress), mac }
    const device = { listenPort: 4500, fwmark: 0, vxlan }
    return { generation: ++this.#generation, device, cables: [cable] }
  }

  /** West's process ends and another one starts, with this MAC. */
  restartWest(mac: Uint8Array): void {
    this.west.stop()
    this.west = this.#start(this.westSide)
    this.west.apply(this.tables(this.westSide, this.eastSide, mac))
  }

  /** A numbered packet from a pod of east to one of west, or back; returns its bytes. */
  send(direction: 'east' | 'west', family: 4 | 6 = 4): Uint8Array {
    const [from, to] =
      direction === 'east' ? [this.eastSide, this.westSide] : [this.westSide, this.eastSide]
    const payload = new Uint8Array(64)
    new DataView(payload.buffer).setUint32(0, this.#number++)
    const packet =
      family === 4
        ? ipv4({ source: from.pod, destination: to.pod }, udp({ payload }))
        : ipv6({ source: from.pod6, destination: to.pod6 }, udp({ payload }))
    const gateway = direction === 'east' ? this.east : this.west
    gateway.send(packet)
    return packet
  }

  /** Puts a datagram on its way that nobody of the two has sent. */
  inject(from: string, bytes: Uint8Array): void {
    this.network.inject({ from, to: this.eastSide.address, bytes, tos: 0 })
  }

  #start({ address }: SimSide): SimGateway {
    return new SimGateway({ network: this.network, address, random: this.#random })
  }

  #watch({ from, bytes }: Datagram): void {
    const frame = bytes.subarray(vxlanHeaderBytes)
    const arp = parseArp(frame)
    if (!arp) return
    const isBroadcast = frame.subarray(0, 6).every(byte => byte === 0xff)
    this.arps.push({ atMs: this.network.nowMs, from, isRequest: arp.isRequest, isBroadcast })
  }
}

/** An inner Ethernet frame in a VXLAN datagram. */
export function encapsulate(frame: Uint8Array, vniOnWire = vni): Uint8Array {
  const header = [8, 0, 0, 0, vniOnWire >> 16, (vniOnWire >> 8) & 255, vniOnWire & 255, 0]
  return Uint8Array.from([...header, ...frame])
}

export function arpDatagram(
  isRequest: boolean,
  senderMac: Uint8Array,
  sender: string,
  target: string,
): Uint8Array {
  const [from, to] = [sender, target].map(text => ipv4Number(parseAddress(text)))
  return encapsulate(buildArp(isRequest, senderMac, from, undefined, to))
}
