// ICMP errors to the sender of a packet that the gateway cannot carry: unreachable, or too big for
// the cable. Built into a buffer of the caller, who writes it to the TUN device.
//
//   IcmpRateLimiter.allow(view, nowMs) -> buildIcmpError(kind, slab, offset, length, …) -> writeTun
//
// The source is the destination of the packet in question: the kernel discards an error from an
// address of its own as a martian, and one without a route back fails the reverse-path filter.
// When not to answer: RFC 1122 3.2.2, RFC 1812 4.3.2.7, RFC 4443 2.4. The quote: RFC 1812 4.3.2.3
// (as much as fits 576 bytes), RFC 4443 2.4 c (1280 bytes).
// Neither part allocates or throws per packet.

import { copyBytes, read32, write16, write32 } from './bytes.ts'
import { fold, sum, writeIpv4Checksum } from './checksum.ts'
import { ICMP, IPV4, IPV6, PROTOCOL } from './headers.ts'
import { PacketView } from './packet-view.ts'

export const icmpError = {
  /** IPv4: network unreachable (3/0). IPv6: no route (1/0). There is no cable for it. */
  noRoute: 0,
  /** IPv4: host unreachable (3/1). IPv6: address unreachable (1/3). The cable has no remote. */
  hostUnreachable: 1,
  /** IPv4: fragmentation needed (3/4). IPv6: packet too big (2/0). */
  tooBig: 2,
} as const

export type IcmpError = (typeof icmpError)[keyof typeof icmpError]

/** The longest error that buildIcmpError makes, for the size of `out`. */
export const icmpErrorBytes = 1280

const type4 = new Uint8Array([3, 3, 3])
const code4 = new Uint8Array([0, 1, 4])
const type6 = new Uint8Array([1, 1, 2])
const code6 = new Uint8Array([0, 3, 0])
const longest4 = 576
const hopLimit = 64
/** Precedence "internetwork control", RFC 1812 4.3.2.5. */
const internetControl = 0xc0

// One per thread: it is set anew by each call, so that callers need not have decoded the packet.
const packet = new PacketView(new Uint8Array(0))

/**
 * Builds the error about the packet of `length` bytes at `offset` into `out` at `outOffset`, which
 * must not lie within the packet. Returns its length; 0 when the packet must not be answered, is
 * malformed, or `out` has no room. Whether a packet with DF clear is "too big" is the caller's to
 * decide. `mtuBytes` counts for `tooBig` only.
 */
export function buildIcmpError(
  kind: IcmpError,
  slab: Uint8Array,
  offset: number,
  length: number,
  mtuBytes: number,
  out: Uint8Array,
  outOffset: number,
): number {
  packet.slab = slab
  if (!packet.decode(offset, length) || !mayAnswer()) return 0
  return packet.version === 4
    ? build4(kind, mtuBytes, out, outOffset)
    : build6(kind, mtuBytes, out, outOffset)
}

function build4(kind: IcmpError, mtuBytes: number, out: Uint8Array, at: number): number {
  const total = Math.min(longest4, IPV4.MIN_BYTES + ICMP.BYTES + packet.totalLength)
  if (total > out.length - at) return 0
  out[at] = 0x45
  out[at + IPV4.TOS] = internetControl
  write16(out, at + IPV4.TOTAL_LENGTH, total)
  // DF with identification 0: an atomic datagram needs no unique number (RFC 6864 4.1).
  write16(out, at + IPV4.IDENTIFICATION, 0)
  write16(out, at + IPV4.FRAGMENT, IPV4.DONT_FRAGMENT)
  out[at + IPV4.TTL] = hopLimit
  out[at + IPV4.PROTOCOL] = PROTOCOL.ICMP
  copyBytes(packet.slab, packet.destinationOffset, out, at + IPV4.SOURCE, 4)
  copyBytes(packet.slab, packet.sourceOffset, out, at + IPV4.DESTINATION, 4)
  writeIpv4Checksum(out, at, IPV4.MIN_BYTES)
  const icmp = at + IPV4.MIN_BYTES
  const mtu = kind === icmpError.tooBig ? Math.min(mtuBytes, 0xffff) : 0
  writeIcmp(out, icmp, type4[kind], code4[kind], mtu, total - IPV4.MIN_BYTES, 0)
  return total
}

function build6(kind: IcmpError, mtuBytes: number, out: Uint8Array, at: number): number {
  const total = Math.min(icmpErrorBytes, IPV6.BYTES + ICMP.BYTES + packet.totalLength)
  if (total > out.length - at) return 0
  const icmpLength = total - IPV6.BYTES
  write32(out, at, 0x6000_0000)
  write16(out, at + IPV6.PAYLOAD_LENGTH, icmpLength)
  out[at + IPV6.NEXT_HEADER] = PROTOCOL.ICMPV6
  out[at + IPV6.HOP_LIMIT] = hopLimit
  copyBytes(packet.slab, packet.destinationOffset, out, at + IPV6.SOURCE, 16)
  copyBytes(packet.slab, packet.sourceOffset, out, at + IPV6.DESTINATION, 16)
  const pseudoHeader = sum(out, at + IPV6.SOURCE, 32, icmpLength + PROTOCOL.ICMPV6)
  const mtu = kind === icmpError.tooBig ? mtuBytes : 0
  writeIcmp(out, at + IPV6.BYTES, type6[kind], code6[kind], mtu, icmpLength, pseudoHeader)
  return total
}

function writeIcmp(
  out: Uint8Array,
  icmp: number,
  type: number,
  code: number,
  mtuBytes: number,
  icmpLength: number,
  pseudoHeader: number,
): void {
  out[icmp + ICMP.TYPE] = type
  out[icmp + ICMP.CODE] = code
  write16(out, icmp + ICMP.CHECKSUM, 0)
  // IPv4 has the MTU in the low half of the word with the high half unused (RFC 1191 4).
  write32(out, icmp + ICMP.MTU, mtuBytes)
  copyBytes(packet.slab, packet.offset, out, icmp + ICMP.QUOTE, icmpLength - ICMP.BYTES)
  write16(out, icmp + ICMP.CHECKSUM, ~fold(sum(out, icmp, icmpLength, pseudoHeader)))
}

/** RFC 1122 3.2.2, RFC 4443 2.4 e. Both addresses must also do for the reply, the other way round. */
function mayAnswer(): boolean {
  if (packet.laterFragment || isIcmpError()) return false
  if (packet.version === 4) return isUnicast4(packet.source4) && isUnicast4(packet.destination4)
  return isUnicast6(packet.sourceOffset) && isUnicast6(packet.destinationOffset)
}

/** Errors and redirects, and what is too short to tell. */
function isIcmpError(): boolean {
  const isV6 = packet.protocol === PROTOCOL.ICMPV6
  if (!isV6 && packet.protocol !== PROTOCOL.ICMP) return false
  if (packet.totalLength - packet.headerLength < ICMP.BYTES) return true
  const type = packet.slab[packet.transportOffset]
  // RFC 4443 2.1: types below 128 are errors; 137 is Redirect.
  return isV6 ? type < 128 || type === 137 : !isQuery4(type)
}

/** The queries of RFC 792, RFC 950, RFC 1256 and RFC 8335; all other types count as errors. */
function isQuery4(type: number): boolean {
  return (
    type === 0 ||
    (type >= 8 && type <= 10) ||
    (type >= 13 && type <= 18) ||
    type === 42 ||
    type === 43
  )
}

/**
 * Not 0/8, loopback, link-local, multicast or the broadcast address. The rest of 240/4 counts as
 * unicast: the tunnel addresses of VXLAN cables are taken from it.
 */
function isUnicast4(address: number): boolean {
  const first = address >>> 24
  if (first === 0 || first === 127 || (first >= 224 && first < 240)) return false
  return address >>> 16 !== 0xa9fe && address !== 0xffff_ffff
}

/** Not ::, ::1, link-local (fe80::/10) or multicast (ff00::/8). */
function isUnicast6(at: number): boolean {
  const slab = packet.slab
  if (slab[at] === 0xff || (slab[at] === 0xfe && (slab[at + 1] & 0xc0) === 0x80)) return false
  for (let i = 0; i < 15; i++) if (slab[at + i] !== 0) return true
  return slab[at + 15] > 1
}

/** How many errors are sent. */
export interface IcmpRate {
  /** Of one source: an IPv4 address or an IPv6 /64. */
  readonly perSecond: number
  readonly burst: number
  /** Of all together, so that forged sources gain nothing. */
  readonly totalPerSecond: number
  readonly totalBurst: number
  /** Sources remembered, a power of two from 4 on. */
  readonly sources: number
}

/** A sender has many connections that each learn a path MTU: more than Linux' one per second. */
const defaultRate: IcmpRate = {
  perSecond: 20,
  burst: 40,
  totalPerSecond: 1000,
  totalBurst: 1000,
  sources: 4096,
}

const ways = 4

/**
 * Token buckets by source. The table is 4-way associative and of fixed size; a new source takes the
 * place of the one in its set that was silent for longest. What forged sources could win by pushing
 * each other out is bounded by the bucket of all together.
 */
export class IcmpRateLimiter {
  readonly #rate: IcmpRate
  /** Two words a source: the IPv6 /64, or -1 and the IPv4 address. */
  readonly #keys: Int32Array
  readonly #tokens: Float64Array
  /** When the tokens were counted; 0 for an entry never used. */
  readonly #atMs: Float64Array
  readonly #setMask: number

  constructor(rate: IcmpRate = defaultRate) {
    this.#rate = rate
    this.#keys = new Int32Array(rate.sources * 2)
    // The last element is the bucket of all together.
    this.#tokens = new Float64Array(rate.sources + 1).fill(rate.burst)
    this.#atMs = new Float64Array(rate.sources + 1)
    this.#tokens[rate.sources] = rate.totalBurst
    this.#setMask = rate.sources / ways - 1
  }

  /** Takes a token of the packet's source if there is one. The view must be decoded. */
  allow(view: PacketView, nowMs: number): boolean {
    const rate = this.#rate
    const entry = this.#find(view, nowMs)
    if (this.#refill(entry, rate.perSecond, rate.burst, nowMs) < 1) return false
    const all = rate.sources
    if (this.#refill(all, rate.totalPerSecond, rate.totalBurst, nowMs) < 1) return false
    this.#tokens[entry]--
    this.#tokens[all]--
    return true
  }

  /** The entry of the source, made anew with a full bucket if it is not known. */
  #find(view: PacketView, nowMs: number): number {
    const slab = view.slab
    const at = view.sourceOffset
    const high = view.version === 4 ? -1 : read32(slab, at)
    const low = read32(slab, view.version === 4 ? at : at + 4)
    let hash = Math.imul(high ^ Math.imul(low, 0x9e37_79b1), 0x85eb_ca6b)
    hash ^= hash >>> 15
    const first = (hash & this.#setMask) * ways
    let oldest = first
    for (let entry = first; entry < first + ways; entry++) {
      if (this.#keys[entry * 2] === high && this.#keys[entry * 2 + 1] === low) return entry
      if (this.#atMs[entry] < this.#atMs[oldest]) oldest = entry
    }
    this.#keys[oldest * 2] = high
    this.#keys[oldest * 2 + 1] = low
    this.#tokens[oldest] = this.#rate.burst
    this.#atMs[oldest] = nowMs
    return oldest
  }

  #refill(entry: number, perSecond: number, burst: number, nowMs: number): number {
    const elapsedMs = Math.max(0, nowMs - this.#atMs[entry])
    const tokens = Math.min(burst, this.#tokens[entry] + (elapsedMs * perSecond) / 1000)
    this.#tokens[entry] = tokens
    this.#atMs[entry] = nowMs
    return tokens
  }
}
