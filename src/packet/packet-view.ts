// One reusable view of an IP packet in a slab. `decode` reads the headers once and leaves what the
// stages need in plain fields: addresses, ports, protocol, fragment state, lengths.
//
//   view.decode(offset, length) -> fields -> routing, MSS clamp, flow hash, …
//
// Invariants: never allocates, never throws, never reads outside of [offset, offset + length). When
// decode returns false the packet is malformed and the fields mean nothing. A superpacket is decoded
// like any packet: its length field covers all of it. Checksums are not looked at: a wrong one must
// leave as it came. Accepted are IPv4 (RFC 791 3.1) with any options, and IPv6 (RFC 8200 4) with up
// to eight extension headers; a longer chain is refused, as RFC 8504 5.3 lets a node do.

import { read16, read32 } from './bytes.ts'
import { EXTENSION, IPV4, IPV6, PROTOCOL, TCP } from './headers.ts'

const maxExtensionHeaders = 8

export class PacketView {
  /** The memory that `decode` reads. May be exchanged between two calls of decode. */
  slab: Uint8Array
  /** Where the IP header starts. */
  offset = 0
  version = 0
  /** Bytes in front of the transport header: IPv4 options and IPv6 extension headers included. */
  headerLength = 0
  /** Of the whole packet; the same as the `length` given to decode. */
  totalLength = 0
  /** TOS or traffic class. */
  tos = 0
  /** Transport protocol, behind all extension headers (in a later fragment: what its header says). */
  protocol = 0
  /** Byte offset in the slab of the transport header (in a later fragment: of its piece of data). */
  transportOffset = 0
  /** A part of a larger datagram. An atomic fragment (RFC 6946) is none. */
  isFragment = false
  /** A fragment that does not begin at byte 0, and so has no transport header. */
  laterFragment = false
  /** Always true for IPv6, where only the sender fragments. */
  dontFragment = false
  /**
   * Addresses of IPv4 as unsigned numbers; 0 for IPv6. They begin as what is no small integer, so
   * that V8 makes the fields doubles: storing a large address then allocates nothing.
   */
  source4 = 0xffff_ffff
  destination4 = 0xffff_ffff
  /** Byte offsets in the slab of the addresses, for both families. */
  sourceOffset = 0
  destinationOffset = 0
  /** 0 for a later fragment, a protocol without ports, or a transport header cut short. */
  sourcePort = 0
  destinationPort = 0
  /** Byte 13 of a whole TCP header, else 0. */
  tcpFlags = 0

  constructor(slab: Uint8Array) {
    this.slab = slab
  }

  /** Reads the packet of `length` bytes at `offset`. Returns false if it is malformed. */
  decode(offset: number, length: number): boolean {
    const slab = this.slab
    if (length < IPV4.MIN_BYTES || offset < 0 || length > slab.length - offset) return false
    this.offset = offset
    this.totalLength = length
    this.version = slab[offset] >> 4
    const valid = this.version === 4 ? this.#decodeIpv4() : this.version === 6 && this.#decodeIpv6()
    if (valid) this.#decodeTransport()
    return valid
  }

  /**
   * A number of 31 bits that is the same for all packets of one flow: for the source port of an
   * encapsulation (RFC 7348 5). Ports count only in packets that are no fragments, so that all
   * fragments of a datagram keep together (RFC 6438 3).
   */
  flowHash(): number {
    const slab = this.slab
    const end = this.version === 4 ? this.destinationOffset + 4 : this.destinationOffset + 16
    let hash = this.version
    // Source and destination lie side by side in both families.
    for (let at = this.sourceOffset; at < end; at += 4) {
      hash = Math.imul(hash ^ read32(slab, at), 0x9e37_79b1)
      hash ^= hash >>> 15
    }
    if (!this.isFragment) {
      hash = Math.imul(hash ^ ((this.sourcePort << 16) | this.destinationPort), 0x85eb_ca6b)
      hash = Math.imul(hash ^ (hash >>> 13) ^ this.protocol, 0xc2b2_ae35)
    }
    // The high bits are mixed best; fold them down so that any bits of the result will do.
    hash = Math.imul(hash ^ (hash >>> 16), 0x7feb_352d)
    return (hash ^ (hash >>> 15)) >>> 1
  }

  #decodeIpv4(): boolean {
    const slab = this.slab
    const offset = this.offset
    const headerLength = (slab[offset] & 15) * 4
    const totalLength = read16(slab, offset + IPV4.TOTAL_LENGTH)
    if (headerLength < IPV4.MIN_BYTES || headerLength > totalLength) return false
    if (totalLength !== this.totalLength) return false
    const fragment = read16(slab, offset + IPV4.FRAGMENT)
    this.headerLength = headerLength
    this.tos = slab[offset + IPV4.TOS]
    this.protocol = slab[offset + IPV4.PROTOCOL]
    this.transportOffset = offset + headerLength
    this.laterFragment = (fragment & IPV4.FRAGMENT_OFFSET) !== 0
    this.isFragment = this.laterFragment || (fragment & IPV4.MORE_FRAGMENTS) !== 0
    this.dontFragment = (fragment & IPV4.DONT_FRAGMENT) !== 0
    const source = offset + IPV4.SOURCE
    const destination = offset + IPV4.DESTINATION
    this.sourceOffset = source
    this.destinationOffset = destination
    this.source4 = read32(slab, source) >>> 0
    this.destination4 = read32(slab, destination) >>> 0
    return true
  }

  #decodeIpv6(): boolean {
    const slab = this.slab
    const offset = this.offset
    const payloadLength = read16(slab, offset + IPV6.PAYLOAD_LENGTH)
    // A jumbogram (RFC 2675, payload length 0) cannot come: a row has at most 65 535 bytes.
    if (this.totalLength !== IPV6.BYTES + payloadLength) return false
    this.tos = ((slab[offset] & 15) << 4) | (slab[offset + 1] >> 4)
    this.dontFragment = true
    this.source4 = 0
    this.destination4 = 0
    this.sourceOffset = offset + IPV6.SOURCE
    this.destinationOffset = offset + IPV6.DESTINATION
    return this.#skipExtensionHeaders()
  }

  /** Follows the chain of RFC 8200 4 up to the transport header or a later fragment's data. */
  #skipExtensionHeaders(): boolean {
    const slab = this.slab
    const end = this.offset + this.totalLength
    let at = this.offset + IPV6.BYTES
    let next = slab[this.offset + IPV6.NEXT_HEADER]
    this.isFragment = false
    this.laterFragment = false
    for (let count = 0; isExtension(next) && !this.laterFragment; count++) {
      if (count === maxExtensionHeaders || end - at < EXTENSION.UNIT_BYTES) return false
      let bytes: number = EXTENSION.UNIT_BYTES
      if (next === PROTOCOL.FRAGMENT) {
        const fragment = read16(slab, at + EXTENSION.FRAGMENT)
        this.laterFragment = (fragment & EXTENSION.FRAGMENT_OFFSET) !== 0
        if (this.laterFragment || (fragment & EXTENSION.MORE_FRAGMENTS) !== 0)
          this.isFragment = true
      } else {
        bytes += slab[at + EXTENSION.UNITS] * EXTENSION.UNIT_BYTES
        if (end - at < bytes) return false
      }
      next = slab[at + EXTENSION.NEXT_HEADER]
      at += bytes
    }
    this.protocol = next
    this.transportOffset = at
    this.headerLength = at - this.offset
    return true
  }

  #decodeTransport(): void {
    const slab = this.slab
    const at = this.transportOffset
    const bytes = this.totalLength - this.headerLength
    if (this.laterFragment || bytes < 4 || !hasPorts(this.protocol)) {
      this.sourcePort = 0
      this.destinationPort = 0
      this.tcpFlags = 0
      return
    }
    this.sourcePort = read16(slab, at)
    this.destinationPort = read16(slab, at + 2)
    const wholeTcp = this.protocol === PROTOCOL.TCP && bytes >= TCP.MIN_BYTES
    this.tcpFlags = wholeTcp ? slab[at + TCP.FLAGS] : 0
  }
}

function isExtension(protocol: number): boolean {
  return (
    protocol === PROTOCOL.HOP_BY_HOP ||
    protocol === PROTOCOL.ROUTING ||
    protocol === PROTOCOL.FRAGMENT ||
    protocol === PROTOCOL.DESTINATION_OPTIONS
  )
}

function hasPorts(protocol: number): boolean {
  return (
    protocol === PROTOCOL.TCP ||
    protocol === PROTOCOL.UDP ||
    protocol === PROTOCOL.SCTP ||
    protocol === PROTOCOL.UDP_LITE ||
    protocol === PROTOCOL.DCCP
  )
}
