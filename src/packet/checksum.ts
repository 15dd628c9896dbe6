// The internet checksum over bytes of a slab: whole (RFC 1071) and incremental (RFC 1624 eqn. 3).
//
//   sum(…) … sum(…) -> fold -> ~ -> the field
//
// Sums are carried unfolded, as numbers below 2^32: enough for a packet of 65 535 bytes with its
// pseudo header. An incremental update keeps a wrong checksum wrong by the same amount, which is why
// the packet path uses nothing else on packets that it forwards; whole sums are for packets that we
// made ourselves. Nothing here allocates or throws.

import { read16, write16 } from './bytes.ts'
import { ICMP, IPV4, PROTOCOL, TCP, UDP } from './headers.ts'
import type { PacketView } from './packet-view.ts'

/** Adds `length` bytes as 16-bit big-endian words to `initial`; an odd last byte is padded by 0. */
export function sum(bytes: Uint8Array, offset: number, length: number, initial: number): number {
  let total = initial
  const even = offset + (length & ~1)
  for (let at = offset; at < even; at += 2) total += (bytes[at] << 8) | bytes[at + 1]
  if ((length & 1) !== 0) total += bytes[even] << 8
  return total
}

/** The 16-bit ones' complement sum. The value of a checksum field is its complement. */
export function fold(total: number): number {
  const once = (total & 0xffff) + (total >>> 16)
  return (once & 0xffff) + (once >>> 16)
}

/** Sum of the pseudo header: RFC 9293 3.1, RFC 768, RFC 8200 8.1. */
export function pseudoHeaderSum(view: PacketView): number {
  const transportLength = view.totalLength - view.headerLength
  const addressBytes = view.version === 4 ? 8 : 32
  return sum(view.slab, view.sourceOffset, addressBytes, transportLength + view.protocol)
}

/** Corrects the field at `checksumOffset` for a 16-bit word of the packet that has changed. */
export function replace16(
  bytes: Uint8Array,
  checksumOffset: number,
  oldWord: number,
  newWord: number,
): void {
  const checksum = read16(bytes, checksumOffset)
  // RFC 1624 eqn. 3: HC' = ~(~HC + ~m + m'). Unlike eqn. 4 it never makes a wrong zero.
  const total = (~checksum & 0xffff) + (~oldWord & 0xffff) + (newWord & 0xffff)
  write16(bytes, checksumOffset, ~fold(total))
}

/** As replace16, for a 32-bit word at an even offset. */
export function replace32(
  bytes: Uint8Array,
  checksumOffset: number,
  oldWord: number,
  newWord: number,
): void {
  const checksum = read16(bytes, checksumOffset)
  const removed = (~oldWord & 0xffff) + (~oldWord >>> 16)
  const added = (newWord & 0xffff) + (newWord >>> 16)
  write16(bytes, checksumOffset, ~fold((~checksum & 0xffff) + removed + added))
}

/** Writes the header checksum of the IPv4 header at `offset`. */
export function writeIpv4Checksum(bytes: Uint8Array, offset: number, headerLength: number): void {
  write16(bytes, offset + IPV4.CHECKSUM, 0)
  write16(bytes, offset + IPV4.CHECKSUM, ~fold(sum(bytes, offset, headerLength, 0)))
}

/**
 * Finishes a checksum that was left to the device: `start` and `field` as in a virtio header, byte
 * offsets from the packet and from `start`. The field must hold the folded sum of the pseudo header.
 * Returns false, with nothing changed, when they do not lie within the packet.
 */
export function finishChecksum(
  slab: Uint8Array,
  offset: number,
  length: number,
  start: number,
  field: number,
): boolean {
  if (start + field + 2 > length) return false
  const checksum = ~fold(sum(slab, offset + start, length - start, 0)) & 0xffff
  // All ones for 0, as Linux does it for every protocol: UDP needs it, the others mean the same by it.
  write16(slab, offset + start + field, checksum === 0 ? 0xffff : checksum)
  return true
}

/** Where the checksum lies in a transport header, or -1 for a protocol that we do not know. */
export function transportChecksumOffset(protocol: number): number {
  if (protocol === PROTOCOL.TCP) return TCP.CHECKSUM
  if (protocol === PROTOCOL.UDP) return UDP.CHECKSUM
  if (protocol === PROTOCOL.ICMP || protocol === PROTOCOL.ICMPV6) return ICMP.CHECKSUM
  return -1
}

/**
 * What the transport checksum of the decoded packet should be, whatever its field holds now; -1 when
 * it cannot be told: a fragment, an unknown protocol, a header cut short. A packet whose IPv6
 * routing header still has segments left is summed with the destination of its IP header.
 */
export function transportChecksum(view: PacketView): number {
  const field = transportChecksumOffset(view.protocol)
  const length = view.totalLength - view.headerLength
  if (field < 0 || view.isFragment || length < field + 2) return -1
  const slab = view.slab
  const at = view.transportOffset
  // ICMP for IPv4 is the one protocol of these without a pseudo header (RFC 792).
  const initial = view.protocol === PROTOCOL.ICMP ? 0 : pseudoHeaderSum(view)
  const before = sum(slab, at, field, initial)
  const checksum = ~fold(sum(slab, at + field + 2, length - field - 2, before)) & 0xffff
  // RFC 768: a computed 0 is sent as all ones, 0 says that there is no checksum.
  return checksum === 0 && view.protocol === PROTOCOL.UDP ? 0xffff : checksum
}

/** Writes the transport checksum of the decoded packet. Returns false when it has none to write. */
export function writeTransportChecksum(view: PacketView): boolean {
  const checksum = transportChecksum(view)
  if (checksum < 0) return false
  const at = view.transportOffset + transportChecksumOffset(view.protocol)
  write16(view.slab, at, checksum)
  return true
}

/** Whether the transport checksum of the decoded packet is right; UDP over IPv4 may have none. */
export function verifyTransportChecksum(view: PacketView): boolean {
  const expected = transportChecksum(view)
  if (expected < 0) return false
  const at = view.transportOffset + transportChecksumOffset(view.protocol)
  const found = read16(view.slab, at)
  if (found === 0 && view.protocol === PROTOCOL.UDP) return view.version === 4
  // 0 and 0xffff are the same number in ones' complement; a receiver's sum cannot tell them apart.
  return found === expected || ((found | expected) === 0xffff && (found & expected) === 0)
}
