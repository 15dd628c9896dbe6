// Builders of IP packets with right lengths and checksums, and checkers to be put together:
//
//   const packet = ipv4({ source: '10.0.0.1' }, tcp({ flags: TCP_FLAG.SYN, options: mssOption(1460) }))
//   checkPacket(packet, fromTo('10.0.0.1', '10.1.0.2'), carries(6), checksumsHold)
//
// Builders share no code with src/, so that a test with them compares two implementations.

import assert from 'node:assert/strict'
import { parseAddress } from '../../src/net/address.ts'
import { slowChecksum, slowPseudoHeader } from './slow/checksum.ts'
import { type SlowPacket, slowDecode } from './slow/packet.ts'

export const TCP_FLAG = {
  FIN: 1,
  SYN: 2,
  RST: 4,
  PSH: 8,
  ACK: 16,
  URG: 32,
  ECE: 64,
  CWR: 128,
} as const

/** What an IP packet carries. */
export interface Transport {
  readonly protocol: number
  readonly bytes: Uint8Array
  /** Where the checksum goes; absent: none. */
  readonly checksumOffset?: number
  /** Whether the checksum covers the pseudo header. */
  readonly pseudoHeader?: boolean
}

export interface TcpSpec {
  readonly sourcePort?: number
  readonly destinationPort?: number
  readonly sequence?: number
  readonly acknowledgment?: number
  readonly flags?: number
  readonly window?: number
  /** A multiple of 4 bytes. */
  readonly options?: Uint8Array
  readonly payload?: Uint8Array
}

export function tcp(spec: TcpSpec = {}): Transport {
  const options = spec.options ?? new Uint8Array(0)
  const payload = spec.payload ?? new Uint8Array(0)
  assert.equal(options.length % 4, 0, 'TCP options come in words')
  const bytes = new Uint8Array(20 + options.length + payload.length)
  const data = new DataView(bytes.buffer)
  data.setUint16(0, spec.sourcePort ?? 40_000)
  data.setUint16(2, spec.destinationPort ?? 80)
  data.setUint32(4, spec.sequence ?? 1)
  data.setUint32(8, spec.acknowledgment ?? 0)
  bytes[12] = (5 + options.length / 4) << 4
  bytes[13] = spec.flags ?? TCP_FLAG.ACK
  data.setUint16(14, spec.window ?? 0xffff)
  bytes.set(options, 20)
  bytes.set(payload, 20 + options.length)
  return { protocol: 6, bytes, checksumOffset: 16, pseudoHeader: true }
}

/** The MSS option: four bytes. */
export function mssOption(mss: number): Uint8Array {
  return Uint8Array.of(2, 4, mss >> 8, mss & 255)
}

export interface UdpSpec {
  readonly sourcePort?: number
  readonly destinationPort?: number
  readonly payload?: Uint8Array
}

export function udp(spec: UdpSpec = {}): Transport {
  const payload = spec.payload ?? new Uint8Array(0)
  const bytes = new Uint8Array(8 + payload.length)
  const data = new DataView(bytes.buffer)
  data.setUint16(0, spec.sourcePort ?? 40_000)
  data.setUint16(2, spec.destinationPort ?? 53)
  data.setUint16(4, bytes.length)
  bytes.set(payload, 8)
  return { protocol: 17, bytes, checksumOffset: 6, pseudoHeader: true }
}

/** ICMP for IPv4; `rest` is the second word. */
export function icmp(
  type: number,
  code = 0,
  body: Uint8Array = new Uint8Array(0),
  rest = 0,
): Transport {
  const bytes = new Uint8Array(8 + body.length)
  bytes[0] = type
  bytes[1] = code
  new DataView(bytes.buffer).setUint32(4, rest)
  bytes.set(body, 8)
  return { protocol: 1, bytes, checksumOffset: 2 }
}

export function icmp6(
  type: number,
  code = 0,
  body: Uint8Array = new Uint8Array(0),
  rest = 0,
): Transport {
  return { ...icmp(type, code, body, rest), protocol: 58, pseudoHeader: true }
}

/** Any protocol, bytes as they are. */
export function rawTransport(protocol: number, bytes: Uint8Array = new Uint8Array(0)): Transport {
  return { protocol, bytes }
}

export interface Ipv4Spec {
  readonly source?: string
  readonly destination?: string
  readonly tos?: number
  readonly ttl?: number
  readonly identification?: number
  readonly dontFragment?: boolean
  readonly moreFragments?: boolean
  /** In bytes, a multiple of 8. The payload of a later fragment gets no checksum. */
  readonly fragmentOffset?: number
  /** A multiple of 4 bytes. */
  readonly options?: Uint8Array
}

export function ipv4(spec: Ipv4Spec = {}, transport: Transport = udp()): Uint8Array {
  const options = spec.options ?? new Uint8Array(0)
  assert.equal(options.length % 4, 0, 'IPv4 options come in words')
  const headerLength = 20 + options.length
  const source = parseAddress(spec.source ?? '10.0.0.1').bytes
  const destination = parseAddress(spec.destination ?? '10.1.0.2').bytes
  const payload = withChecksum(transport, source, destination, Boolean(spec.fragmentOffset))
  const bytes = new Uint8Array(headerLength + payload.length)
  const data = new DataView(bytes.buffer)
  bytes[0] = 0x40 | (headerLength / 4)
  bytes[1] = spec.tos ?? 0
  data.setUint16(2, bytes.length)
  data.setUint16(4, spec.identification ?? 0x1234)
  const flags = (spec.dontFragment ? 0x4000 : 0) | (spec.moreFragments ? 0x2000 : 0)
  data.setUint16(6, flags | ((spec.fragmentOffset ?? 0) / 8))
  bytes[8] = spec.ttl ?? 64
  bytes[9] = transport.protocol
  bytes.set(source, 12)
  bytes.set(destination, 16)
  bytes.set(options, 20)
  data.setUint16(10, slowChecksum(bytes.subarray(0, headerLength)))
  bytes.set(payload, headerLength)
  return bytes
}

/** An IPv6 extension header: its protocol number, and its bytes behind the next-header field. */
export interface Extension {
  readonly protocol: number
  /** 7 bytes, or 7 and a multiple of 8. */
  readonly body: Uint8Array
}

/** Hop-by-hop (0), routing (43) or destination options (60) of 8 * (1 + units) bytes, all padding. */
export function extension(protocol: number, units = 0): Extension {
  const body = new Uint8Array(7 + units * 8)
  body[0] = units
  // One PadN option over the whole rest (RFC 8200 4.2).
  body.set([1, Math.min(255, body.length - 3)], 1)
  return { protocol, body }
}

export function fragmentHeader(
  offset: number,
  moreFragments: boolean,
  identification = 7,
): Extension {
  const body = new Uint8Array(7)
  const data = new DataView(body.buffer)
  data.setUint16(1, offset | (moreFragments ? 1 : 0))
  data.setUint32(3, identification)
  return { protocol: 44, body }
}

export interface Ipv6Spec {
  readonly source?: string
  readonly destination?: string
  readonly tos?: number
  readonly flowLabel?: number
  readonly hopLimit?: number
  readonly extensions?: readonly Extension[]
}

export function ipv6(spec: Ipv6Spec = {}, transport: Transport = udp()): Uint8Array {
  const extensions = spec.extensions ?? []
  const source = parseAddress(spec.source ?? 'fd00::1').bytes
  const destination = parseAddress(spec.destination ?? 'fd01::2').bytes
  const isLater = extensions.some(
    ({ protocol, body }) => protocol === 44 && body[1] | (body[2] & 0xf8),
  )
  const payload = withChecksum(transport, source, destination, isLater)
  const chain = [...extensions.map(({ protocol }) => protocol), transport.protocol]
  const parts = extensions.map(({ body }, i) => Uint8Array.of(chain[i + 1], ...body))
  const rest = Buffer.concat([...parts, payload])
  const bytes = new Uint8Array(40 + rest.length)
  const data = new DataView(bytes.buffer)
  data.setUint32(0, 0x6000_0000 + (spec.tos ?? 0) * 0x10_0000 + (spec.flowLabel ?? 0))
  data.setUint16(4, rest.length)
  bytes[6] = chain[0]
  bytes[7] = spec.hopLimit ?? 64
  bytes.set(source, 8)
  bytes.set(destination, 24)
  bytes.set(rest, 40)
  return bytes
}

function withChecksum(
  transport: Transport,
  source: Uint8Array,
  destination: Uint8Array,
  isLaterFragment: boolean,
): Uint8Array {
  const bytes = transport.bytes.slice()
  const at = transport.checksumOffset
  if (at === undefined || isLaterFragment) return bytes
  new DataView(bytes.buffer).setUint16(at, 0)
  const checksum = transportSum(transport.protocol, bytes, source, destination)
  new DataView(bytes.buffer).setUint16(
    at,
    transport.protocol === 17 ? checksum || 0xffff : checksum,
  )
  return bytes
}

function transportSum(
  protocol: number,
  bytes: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
): number {
  if (protocol === 1) return slowChecksum(bytes)
  return slowChecksum(slowPseudoHeader(source, destination, protocol, bytes.length), bytes)
}

/** `length` bytes that are not all alike. */
export function pattern(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 167 + seed * 13 + (i >> 8)) & 255)
}

/** Puts the packet into a slab of its own with other bytes around it. */
export function inSlab(packet: Uint8Array, offset = 64, behind = 64): Uint8Array {
  const slab = new Uint8Array(offset + packet.length + behind).fill(0xa5)
  slab.set(packet, offset)
  return slab
}

/** A slab that fails the test when a byte outside of the packet is read or written. */
export function guardedSlab(packet: Uint8Array, offset = 64): Uint8Array {
  const slab = inSlab(packet, offset)
  const end = offset + packet.length
  const guard = (key: string | symbol) => {
    if (typeof key === 'symbol' || !/^-?\d+$/.test(key)) return
    assert(Number(key) >= offset && Number(key) < end, `touched byte ${Number(key) - offset}`)
  }
  return new Proxy(slab, {
    get(target, key) {
      guard(key)
      return Reflect.get(target, key)
    },
    set(target, key, value) {
      guard(key)
      return Reflect.set(target, key, value)
    },
  })
}

export type PacketCheck = (packet: SlowPacket, bytes: Uint8Array) => void

/** Decodes the packet and applies the checks. Returns what was decoded. */
export function checkPacket(bytes: Uint8Array, ...checks: readonly PacketCheck[]): SlowPacket {
  const packet = slowDecode(bytes)
  assert(packet !== undefined, `not an IP packet: ${Buffer.from(bytes).toString('hex')}`)
  for (const check of checks) check(packet, bytes)
  return packet
}

export function fromTo(source: string, destination: string): PacketCheck {
  return packet => {
    assert.deepEqual(packet.source, parseAddress(source).bytes)
    assert.deepEqual(packet.destination, parseAddress(destination).bytes)
  }
}

export function carries(protocol: number): PacketCheck {
  return packet => assert.equal(packet.protocol, protocol)
}

/** The IPv4 header checksum, and that of TCP, UDP or ICMP unless it is a fragment. */
export const checksumsHold: PacketCheck = (packet, bytes) => {
  if (packet.version === 4) assert.equal(slowChecksum(bytes.subarray(0, packet.headerLength)), 0)
  const hasChecksum = [1, 6, 17, 58].includes(packet.protocol)
  if (!hasChecksum || packet.moreFragments || packet.fragmentOffset > 0) return
  const { protocol, payload, source, destination } = packet
  assert.equal(transportSum(protocol, payload, source, destination), 0, 'transport checksum')
}
