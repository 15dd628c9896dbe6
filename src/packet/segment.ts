// Cuts one segment out of an IPv4 superpacket, for the slow path alone: superpackets that fit their
// cable are cut by the addon (native/segment.cc), which does the same. Only what a superpacket with
// DF clear and segments larger than the cable's MTU needs: each segment is fragmented after.
//
// What differs by segment, as tcp_gso_segment and __udp_gso_segment of Linux have it: total length,
// identification + index, header checksum; TCP sequence number, FIN and PSH on the last one only,
// CWR on the first only (RFC 3168 6.1.2); UDP length; the transport checksum. Never allocates or throws.

import { copyBytes, read16, read32, write16, write32 } from './bytes.ts'
import { writeIpv4Checksum, writeTransportChecksum } from './checksum.ts'
import { IPV4, PROTOCOL, TCP, UDP } from './headers.ts'
import type { PacketView } from './packet-view.ts'

/** FIN and PSH, and CWR, in byte 13 of a TCP header. */
const lastOnly = 0x01 | 0x08
const firstOnly = 0x80

/**
 * Writes segment `index` of the superpacket at `offset` to the start of `out.slab` and decodes it
 * there. `headerBytes` are those of IP and TCP or UDP together. Returns its length; 0 when the
 * superpacket has no such segment, is no IPv4 packet of TCP or UDP, or there is no room.
 */
export function writeSegment4(
  slab: Uint8Array,
  offset: number,
  length: number,
  headerBytes: number,
  segmentBytes: number,
  index: number,
  out: PacketView,
): number {
  const from = headerBytes + index * segmentBytes
  const data = Math.min(segmentBytes, length - from)
  const bytes = headerBytes + data
  const to = out.slab
  if (data <= 0 || slab[offset] >> 4 !== 4 || bytes > to.length) return 0
  copyBytes(slab, offset, to, 0, headerBytes)
  copyBytes(slab, offset + from, to, headerBytes, data)
  write16(to, IPV4.TOTAL_LENGTH, bytes)
  write16(to, IPV4.IDENTIFICATION, read16(slab, offset + IPV4.IDENTIFICATION) + index)
  writeIpv4Checksum(to, 0, (to[0] & 15) * 4)
  if (!out.decode(0, bytes)) return 0
  const transport = out.transportOffset
  if (out.protocol === PROTOCOL.TCP) {
    const sequence = read32(to, transport + TCP.SEQUENCE)
    write32(to, transport + TCP.SEQUENCE, sequence + index * segmentBytes)
    if (from + data < length) to[transport + TCP.FLAGS] &= ~lastOnly
    if (index > 0) to[transport + TCP.FLAGS] &= ~firstOnly
  } else write16(to, transport + UDP.LENGTH, bytes - transport)
  return writeTransportChecksum(out) ? bytes : 0
}
