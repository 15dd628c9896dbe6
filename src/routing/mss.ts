// MSS clamping: lowers the maximum segment size that a TCP SYN announces to what a cable carries, so
// that a connection through the tunnel works where ICMP is lost on the way (RFC 9293 3.7.1; the same
// as iptables' TCPMSS --set-mss). Never raises, never adds the option, never grows a packet.
//
// A SYN whose options are malformed is left alone: the receiver decides about it, not we.

import { read16, write16 } from '../packet/bytes.ts'
import { replace16 } from '../packet/checksum.ts'
import { PROTOCOL, TCP } from '../packet/headers.ts'
import type { PacketView } from '../packet/packet-view.ts'

/** Option kinds (RFC 9293 3.1), and the fixed length of the MSS option. */
const OPTION = { END: 0, NO_OPERATION: 1, MSS: 2, MSS_BYTES: 4 } as const

/** Bytes of the IP and TCP headers without options, by which MTU and MSS differ (RFC 6691 2). */
const headerBytes4 = 40
const headerBytes6 = 60

/**
 * Lowers the MSS in the SYN that `view` was decoded from to what fits `mtuBytes`; returns whether it
 * changed anything. With `checksumUnfinished` the checksum field holds only the sum of the pseudo
 * header, which no option is part of, and stays as it is.
 */
export function clampMss(
  slab: Uint8Array,
  view: PacketView,
  mtuBytes: number,
  checksumUnfinished: boolean,
): boolean {
  // tcpFlags is 0 unless the header is whole, so a SYN has at least 20 bytes.
  if (view.protocol !== PROTOCOL.TCP || (view.tcpFlags & TCP.SYN) === 0) return false
  const largest = mtuBytes - (view.version === 4 ? headerBytes4 : headerBytes6)
  if (largest <= 0) return false
  const tcp = view.transportOffset
  const headerLength = (slab[tcp + TCP.DATA_OFFSET] >> 4) * 4
  if (headerLength > view.totalLength - view.headerLength) return false
  const end = tcp + headerLength
  if (!optionsValid(slab, tcp + TCP.OPTIONS, end)) return false
  let changed = false
  // Every MSS option counts: receivers differ in which of two they believe.
  let at = nextMss(slab, tcp + TCP.OPTIONS, end)
  for (; at >= 0; at = nextMss(slab, at + OPTION.MSS_BYTES, end)) {
    const announced = read16(slab, at + 2)
    if (announced <= largest) continue
    if (!checksumUnfinished) correctChecksum(slab, tcp, at + 2, announced, largest)
    write16(slab, at + 2, largest)
    changed = true
  }
  return changed
}

/** Whether every option lies within the header, and each MSS option has its length. */
function optionsValid(slab: Uint8Array, start: number, end: number): boolean {
  let at = start
  while (at < end && slab[at] !== OPTION.END) {
    if (slab[at] === OPTION.NO_OPERATION) {
      at++
      continue
    }
    const length = at + 1 < end ? slab[at + 1] : 0
    if (length < 2 || length > end - at) return false
    if (slab[at] === OPTION.MSS && length !== OPTION.MSS_BYTES) return false
    at += length
  }
  // A header of less than 20 bytes ends before its options start.
  return start <= end
}

/** Offset of the next MSS option from `start` on, -1 for none. The options must be valid. */
function nextMss(slab: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && slab[at] !== OPTION.END && slab[at] !== OPTION.MSS)
    at += slab[at] === OPTION.NO_OPERATION ? 1 : slab[at + 1]
  return at < end && slab[at] === OPTION.MSS ? at : -1
}

/**
 * Corrects the TCP checksum for an MSS that changes. Options need no alignment: a value at an odd
 * distance from the header straddles two words of the sum, where its bytes count swapped
 * (RFC 1071 2, byte order independence).
 */
function correctChecksum(
  slab: Uint8Array,
  tcp: number,
  at: number,
  old: number,
  now: number,
): void {
  const checksum = tcp + TCP.CHECKSUM
  if (((at - tcp) & 1) === 0) replace16(slab, checksum, old, now)
  else replace16(slab, checksum, swap(old), swap(now))
}

function swap(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8)
}
