// What a kernel vxlan device on the same host sends us. Over veth, bridges and loopback nothing leaves
// the kernel, so nothing is finished: a frame arrives as the inner sender's stack made it, a whole
// superpacket in one datagram and with a transport checksum that holds no more than the sum of the
// pseudo header (CHECKSUM_PARTIAL; udp_tunnel_handle_offloads). A UDP socket is told neither. Written
// to the TUN device as it is, such a packet is dropped for its checksum; so its row is made to say
// what it is, and the device that it leaves by finishes it.
//
// Only VXLAN is looked at: what a WireGuard peer sealed, it has finished before. A wrong checksum stays
// wrong here too. One that is by chance the sum of its pseudo header is taken for unfinished, which is
// as likely as one that is by chance right (1 in 65 536).

import { ROW, TRAIN } from '../packet/batch.ts'
import { read16 } from '../packet/bytes.ts'
import { fold, pseudoHeaderSum, transportChecksumOffset } from '../packet/checksum.ts'
import { IPV4, IPV6, PROTOCOL, TCP, UDP } from '../packet/headers.ts'
import type { PacketView } from '../packet/packet-view.ts'

/** VXLAN header and inner Ethernet header, and where in them the EtherType stands. */
const outerBytes = 22
const etherTypeOffset = 20
const etherType = { ipv4: 0x0800, ipv6: 0x86dd } as const

const gso = { tcp4: 1, tcp6: 4, udp: 5 } as const

/**
 * Of a TCP superpacket the segment size is not known either. Segments of this size (with headers) fit
 * every path of IPv6, and nearly every one of IPv4; the sender's own would be as large or larger.
 */
const segmentBytesMax = 1280

/**
 * Undoes what UDP_GRO says of a VXLAN train that is one frame with a UDP superpacket in it: the size
 * it tells is that of the inner segments. Returns that size, or 0 for a train of datagrams.
 */
export function joinFrame(slab: Uint8Array, trains: Int32Array, at: number): number {
  const size = trains[at + TRAIN.SEGMENT_SIZE]
  const length = trains[at + TRAIN.LENGTH]
  if (size >= length || length < outerBytes + IPV6.BYTES) return 0
  const frame = outerBytes + innerBytes(slab, trains[at + TRAIN.OFFSET])
  // In a train each frame ends with its datagram.
  if (frame <= size || frame > length) return 0
  trains[at + TRAIN.SEGMENT_SIZE] = length
  return size
}

function innerBytes(slab: Uint8Array, offset: number): number {
  const type = read16(slab, offset + etherTypeOffset)
  const inner = offset + outerBytes
  if (type === etherType.ipv4) return read16(slab, inner + IPV4.TOTAL_LENGTH)
  if (type === etherType.ipv6) return IPV6.BYTES + read16(slab, inner + IPV6.PAYLOAD_LENGTH)
  return 0
}

/**
 * Marks the row of a lone packet, which `packet` was decoded from, as unfinished if it is, and as a
 * superpacket if it is larger than its cable carries. `udpSegmentBytes` is what joinFrame told.
 */
export function markUnfinished(
  rows: Int32Array,
  base: number,
  packet: PacketView,
  mtuBytes: number,
  udpSegmentBytes: number,
): void {
  const { slab, protocol, transportOffset, headerLength, totalLength } = packet
  const isTcp = protocol === PROTOCOL.TCP
  if (packet.isFragment || !(isTcp || protocol === PROTOCOL.UDP)) return
  const field = transportChecksumOffset(protocol)
  if (totalLength < headerLength + (isTcp ? TCP.MIN_BYTES : UDP.BYTES)) return
  if (read16(slab, transportOffset + field) !== fold(pseudoHeaderSum(packet))) return
  rows[base + ROW.CSUM] = headerLength | (field << 16)

  const transportBytes = isTcp ? (slab[transportOffset + TCP.DATA_OFFSET] >> 4) * 4 : UDP.BYTES
  const headers = headerLength + transportBytes
  const largest = Math.min(mtuBytes, segmentBytesMax) - headers
  const size = isTcp ? (totalLength > mtuBytes ? largest : 0) : udpSegmentBytes
  if (size <= 0 || headers + size >= totalLength) return
  if (isTcp && transportBytes < TCP.MIN_BYTES) return
  rows[base + ROW.GSO] = isTcp ? (packet.version === 4 ? gso.tcp4 : gso.tcp6) : gso.udp
  rows[base + ROW.GSO_SIZE] = size
  rows[base + ROW.HEADER_LENGTH] = headers
  rows[base + ROW.SEGMENTS] = Math.ceil((totalLength - headers) / size)
}
