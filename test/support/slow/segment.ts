// Cuts a superpacket as tcp_gso_segment and __udp_gso_segment of the Linux kernel do, one field at a
// time: the twin of native/segment.cc. The rules are in the comments beside each field.

import { slowChecksum, slowPseudoHeader } from './checksum.ts'

export interface SlowSuperpacket {
  readonly bytes: Uint8Array
  /** virtio: 0 none, 1 TCPv4, 4 TCPv6, 5 UDP. */
  readonly gso: number
  readonly gsoSize: number
  /** Start of the unfinished checksum, and in the high half its offset from there. */
  readonly csum: number
  readonly headerLength: number
}

const [FIN, PSH, CWR] = [0x01, 0x08, 0x80]

export function slowSegment(superpacket: SlowSuperpacket): Uint8Array[] {
  if (superpacket.gso === 0) return [finished(superpacket)]
  const { bytes, gsoSize, headerLength } = superpacket
  const payload = bytes.slice(headerLength)
  const chunks: Uint8Array[] = []
  for (let at = 0; at === 0 || at < payload.length; at += gsoSize) {
    chunks.push(payload.slice(at, at + gsoSize))
  }
  return chunks.map((chunk, index) =>
    segment(superpacket, chunk, index, index === chunks.length - 1),
  )
}

function finished({ bytes, csum }: SlowSuperpacket): Uint8Array {
  const packet = bytes.slice()
  if (csum === 0) return packet
  const start = csum & 0xffff
  const offset = csum >>> 16
  const checksum = slowChecksum(packet.subarray(start))
  const isUdp = offset === 6
  write16(packet, start + offset, isUdp && checksum === 0 ? 0xffff : checksum)
  return packet
}

function segment(whole: SlowSuperpacket, chunk: Uint8Array, index: number, isLast: boolean) {
  const packet = Uint8Array.from([...whole.bytes.subarray(0, whole.headerLength), ...chunk])
  const isUdp = whole.gso === 5
  const transport = whole.csum & 0xffff
  if (isUdp) {
    // UDP length: header and payload.
    write16(packet, transport + 4, packet.length - transport)
  } else {
    const sequence = read16(packet, transport + 4) * 65_536 + read16(packet, transport + 6)
    const moved = (sequence + index * whole.gsoSize) % 2 ** 32
    write16(packet, transport + 4, Math.floor(moved / 65_536))
    write16(packet, transport + 6, moved % 65_536)
    // FIN and PSH speak of the end of the data, CWR of the first packet after a reduced window.
    if (!isLast) packet[transport + 13] &= ~(FIN | PSH)
    if (index > 0) packet[transport + 13] &= ~CWR
  }
  fixNetworkHeader(packet, transport, index)
  fixTransportChecksum(packet, transport, isUdp)
  return packet
}

/** Lengths; the IPv4 id counts up, also with DF set, and the IPv4 checksum follows. */
function fixNetworkHeader(packet: Uint8Array, headerLength: number, index: number): void {
  if (packet[0] >> 4 === 6) {
    write16(packet, 4, packet.length - 40)
    return
  }
  write16(packet, 2, packet.length)
  write16(packet, 4, (read16(packet, 4) + index) & 0xffff)
  write16(packet, 10, 0)
  write16(packet, 10, slowChecksum(packet.subarray(0, headerLength)))
}

/** Pseudo-header and everything behind it; for UDP 0 is written as all ones (RFC 768). */
function fixTransportChecksum(packet: Uint8Array, transport: number, isUdp: boolean): void {
  const at = transport + (isUdp ? 6 : 16)
  write16(packet, at, 0)
  const checksum = slowChecksum(pseudoHeader(packet, transport, isUdp), packet.subarray(transport))
  write16(packet, at, isUdp && checksum === 0 ? 0xffff : checksum)
}

export function pseudoHeader(packet: Uint8Array, transport: number, isUdp: boolean): Uint8Array {
  const [first, length] = packet[0] >> 4 === 6 ? [8, 16] : [12, 4]
  const source = packet.subarray(first, first + length)
  const destination = packet.subarray(first + length, first + 2 * length)
  return slowPseudoHeader(source, destination, isUdp ? 17 : 6, packet.length - transport)
}

export function read16(bytes: Uint8Array, at: number): number {
  return bytes[at] * 256 + bytes[at + 1]
}

export function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8
  bytes[at + 1] = value & 255
}
