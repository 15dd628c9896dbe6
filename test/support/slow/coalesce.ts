// Coalesces packets by the definition of it: two packets may share a superpacket when cutting it
// gives back the same two packets. The twin of native/coalesce.cc; everything is copied.

import { slowChecksum, slowSum } from './checksum.ts'
import { pseudoHeader, read16, type SlowSuperpacket, slowSegment, write16 } from './segment.ts'

export interface ReceivedPacket {
  readonly bytes: Uint8Array
  readonly slot: number
  /** Of the outer header. */
  readonly tos: number
  readonly train: number
}

export interface SlowRow extends SlowSuperpacket {
  readonly segments: number
  readonly slot: number
  readonly tos: number
  /** Train of the newest packet. */
  readonly train: number
}

/** Which protocols may be merged: 1 TCP, 2 UDP, 3 both. */
export type Allowed = 0 | 1 | 2 | 3

const [ACK, PSH] = [0x10, 0x08]
const [maxSegments, maxBytes] = [128, 65_535]

interface Run {
  readonly packets: ReceivedPacket[]
}

export function slowCoalesce(packets: readonly ReceivedPacket[], allowed: Allowed): SlowRow[] {
  const runs: Run[] = []
  const open = new Map<string, Run>()
  for (const packet of packets) {
    const flow = flowOf(packet)
    // It may belong to any flow, so nothing that comes later may go in front of it.
    if (flow === 'any') open.clear()
    const run = open.get(flow)
    const isCandidate = mayMerge(packet.bytes, allowed)
    if (run !== undefined && isCandidate && continues(run, packet)) {
      run.packets.push(packet)
      if (payloadOf(packet).length < gsoSizeOf(run) || hasPush(packet)) open.delete(flow)
      continue
    }
    open.delete(flow)
    const fresh: Run = { packets: [packet] }
    runs.push(fresh)
    if (isCandidate && !hasPush(packet)) open.set(flow, fresh)
  }
  return runs.map(rowOf)
}

/** Where the transport header starts, when it follows the IP header at once; else -1. */
function transportOf(bytes: Uint8Array): number {
  if (bytes[0] >> 4 === 6) return 40
  const isFragment = (read16(bytes, 6) & 0x3fff) !== 0
  return bytes[0] === 0x45 && !isFragment ? 20 : -1
}

function protocolOf(bytes: Uint8Array): number {
  return bytes[0] >> 4 === 6 ? bytes[6] : bytes[9]
}

const isUdp = (bytes: Uint8Array): boolean => protocolOf(bytes) === 17

/** 'none' for what has no ports, 'any' for what may be of any flow. */
function flowOf({ bytes, slot }: ReceivedPacket): string {
  const protocol = protocolOf(bytes)
  const isIpv6 = bytes[0] >> 4 === 6
  if (isIpv6 && [0, 43, 44, 51, 60, 135, 139, 140].includes(protocol)) return 'any'
  if (protocol !== 6 && protocol !== 17) return 'none'
  const transport = transportOf(bytes)
  if (transport < 0 || bytes.length < transport + 4) return 'any'
  const addresses = isIpv6 ? bytes.subarray(8, 40) : bytes.subarray(12, 20)
  return [slot, protocol, addresses, bytes.subarray(transport, transport + 4)].join('/')
}

function headerLengthOf(bytes: Uint8Array): number {
  const transport = transportOf(bytes)
  return transport + (isUdp(bytes) ? 8 : (bytes[transport + 12] >> 4) * 4)
}

const payloadOf = ({ bytes }: ReceivedPacket): Uint8Array => bytes.subarray(headerLengthOf(bytes))

const gsoSizeOf = (run: Run): number => payloadOf(run.packets[0]).length

const hasPush = ({ bytes }: ReceivedPacket): boolean =>
  !isUdp(bytes) && (bytes[transportOf(bytes) + 13] & PSH) !== 0

function mayMerge(bytes: Uint8Array, allowed: Allowed): boolean {
  const protocol = protocolOf(bytes)
  const transport = transportOf(bytes)
  if ((protocol !== 6 && protocol !== 17) || transport < 0) return false
  if ((allowed & (protocol === 6 ? 1 : 2)) === 0) return false
  if (bytes.length < transport + (protocol === 6 ? 20 : 8)) return false
  if (bytes.length <= headerLengthOf(bytes)) return false
  if (protocol === 17) {
    // A zero checksum is none, and an unfinished one would become one.
    return read16(bytes, transport + 4) === bytes.length - transport
      ? read16(bytes, transport + 6) !== 0
      : false
  }
  if (bytes[transport + 12] >> 4 < 5 || (bytes[transport + 12] & 15) !== 0) return false
  return [ACK, ACK | PSH].includes(bytes[transport + 13])
}

function continues(run: Run, packet: ReceivedPacket): boolean {
  const [first] = run.packets
  const newest = run.packets[run.packets.length - 1]
  if (packet.tos !== first.tos || run.packets.length === maxSegments) return false
  const all = rowOf({ packets: [...run.packets, packet] })
  if (all.bytes.length > maxBytes) return false
  if (payloadOf(packet).length > gsoSizeOf(run)) return false
  if (headerLengthOf(packet.bytes) !== headerLengthOf(newest.bytes)) return false
  const pair = rowOf({ packets: [newest, packet] })
  const again = slowSegment({ ...pair, gsoSize: gsoSizeOf(run) })
  return again.length === 2 && isSame(again[0], newest.bytes) && isSame(again[1], packet.bytes)
}

/** Equal, but for the id of an IPv4 packet with DF: it means nothing there (RFC 6864 4.1). */
export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.from(withoutId(one)).equals(withoutId(other))
}

export function withoutId(bytes: Uint8Array): Uint8Array {
  const packet = bytes.slice()
  if (bytes[0] >> 4 !== 4 || (bytes[6] & 0x40) === 0) return packet
  if (slowSum(packet.subarray(0, (packet[0] & 15) * 4)) !== 0xffff) return packet
  write16(packet, 4, 0)
  write16(packet, 10, 0)
  write16(packet, 10, slowChecksum(packet.subarray(0, (packet[0] & 15) * 4)))
  return packet
}

/** One packet as it is, or the superpacket of several. */
function rowOf({ packets }: Run): SlowRow {
  const [first] = packets
  const { slot, tos } = first
  const { train } = packets[packets.length - 1]
  const common = { segments: packets.length, slot, tos, train }
  if (packets.length === 1) {
    return { ...common, bytes: first.bytes, gso: 0, gsoSize: 0, csum: 0, headerLength: 0 }
  }
  const udp = isUdp(first.bytes)
  const headerLength = headerLengthOf(first.bytes)
  const transport = transportOf(first.bytes)
  const checksumOffset = udp ? 6 : 16
  const gso = udp ? 5 : transport === 40 ? 4 : 1
  return {
    ...common,
    bytes: superpacketBytes(packets, headerLength, transport, checksumOffset),
    gso,
    gsoSize: payloadOf(first).length,
    csum: transport | (checksumOffset << 16),
    headerLength,
  }
}

function superpacketBytes(
  packets: readonly ReceivedPacket[],
  headerLength: number,
  transport: number,
  checksumOffset: number,
): Uint8Array {
  const header = packets[0].bytes.subarray(0, headerLength)
  const bytes = new Uint8Array(Buffer.concat([header, ...packets.map(payloadOf)]))
  const udp = checksumOffset === 6
  if (hasPush(packets[packets.length - 1])) bytes[transport + 13] |= PSH
  if (udp) write16(bytes, transport + 4, bytes.length - transport)
  if (transport === 40) write16(bytes, 4, bytes.length - 40)
  else {
    write16(bytes, 2, bytes.length)
    write16(bytes, 10, 0)
    write16(bytes, 10, slowChecksum(bytes.subarray(0, 20)))
  }
  // Unfinished: the folded sum of the pseudo-header, not complemented.
  write16(bytes, transport + checksumOffset, slowSum(pseudoHeader(bytes, transport, udp)))
  return bytes
}
