// Fragmentation of IPv4 packets with DF clear that are larger than a cable's MTU (RFC 791 3.2).
// IPv6 packets are never fragmented on the way (RFC 8200 4.5).
//
//   fragmentIpv4(packet) -> headers and data in `out`, (offset, length) pairs in `pieces` -> rows
//
// Invariants: all or nothing (0 and nothing of use in `out`, or all fragments); data in units of
// 8 bytes but in the last; a fragment can be fragmented again. The transport checksum must have been
// finished before, since afterwards no fragment holds all of what it covers. Never allocates or throws.

import { copyBytes, read16, write16 } from './bytes.ts'
import { writeIpv4Checksum } from './checksum.ts'
import { IPV4 } from './headers.ts'

/** Option types that have one byte (RFC 791 3.1), and the bit "copy into all fragments". */
const OPTION = { END: 0, NO_OPERATION: 1, COPY: 0x80 } as const

/**
 * Cuts the IPv4 packet at `offset` into fragments of at most `mtuBytes`, one behind the other in
 * `out` from `outOffset` on, which must not overlap the packet. Pair k of `pieces` becomes (offset,
 * length) of fragment k. Returns their number. 0: the packet is malformed or has DF set, the MTU has
 * no room for 8 bytes of data, the offsets would pass 65 535, or there is no room in `out` or `pieces`.
 */
export function fragmentIpv4(
  slab: Uint8Array,
  offset: number,
  length: number,
  mtuBytes: number,
  out: Uint8Array,
  outOffset: number,
  pieces: Int32Array,
): number {
  if (!isWhole(slab, offset, length)) return 0
  const word = read16(slab, offset + IPV4.FRAGMENT)
  if ((word & IPV4.DONT_FRAGMENT) !== 0) return 0
  const headerLength = (slab[offset] & 15) * 4
  const laterHeaderLength = copiedHeaderLength(slab, offset, headerLength)
  if (laterHeaderLength < 0) return 0
  const end = offset + length
  let unit = word & IPV4.FRAGMENT_OFFSET
  let count = 0
  let from = offset + headerLength
  let to = outOffset
  do {
    const header = count === 0 ? headerLength : laterHeaderLength
    const isLast = header + end - from <= mtuBytes
    const data = isLast ? end - from : (mtuBytes - header) & ~7
    if (data < 8 && !isLast) return 0
    if (unit > IPV4.FRAGMENT_OFFSET || count * 2 + 2 > pieces.length) return 0
    if (header + data > out.length - to) return 0
    const more = isLast ? word & IPV4.MORE_FRAGMENTS : IPV4.MORE_FRAGMENTS
    if (count === 0) copyBytes(slab, offset, out, to, headerLength)
    else copyHeader(slab, offset, headerLength, out, to, laterHeaderLength)
    write16(out, to + IPV4.TOTAL_LENGTH, header + data)
    write16(out, to + IPV4.FRAGMENT, more | unit)
    writeIpv4Checksum(out, to, header)
    copyBytes(slab, from, out, to + header, data)
    pieces[count * 2] = to
    pieces[count * 2 + 1] = header + data
    to += header + data
    from += data
    unit += data >>> 3
    count++
  } while (from < end)
  return count
}

/** A complete IPv4 packet, and data in units of 8 bytes where more must follow. */
function isWhole(slab: Uint8Array, offset: number, length: number): boolean {
  if (length < IPV4.MIN_BYTES || offset < 0 || length > slab.length - offset) return false
  const headerLength = (slab[offset] & 15) * 4
  const totalLength = read16(slab, offset + IPV4.TOTAL_LENGTH)
  if (slab[offset] >> 4 !== 4 || headerLength < IPV4.MIN_BYTES) return false
  if (headerLength > length || totalLength !== length) return false
  const more = (read16(slab, offset + IPV4.FRAGMENT) & IPV4.MORE_FRAGMENTS) !== 0
  return !more || ((length - headerLength) & 7) === 0
}

/** Header length of the fragments behind the first; -1 when the options are malformed. */
function copiedHeaderLength(slab: Uint8Array, offset: number, headerLength: number): number {
  const end = offset + headerLength
  let copied = 0
  let at = offset + IPV4.OPTIONS
  while (at < end && slab[at] !== OPTION.END) {
    const length = optionLength(slab, at, end)
    if (length === 0) return -1
    if ((slab[at] & OPTION.COPY) !== 0) copied += length
    at += length
  }
  return IPV4.MIN_BYTES + ((copied + 3) & ~3)
}

/** The header of a fragment behind the first: options with the copy bit, padded by "end". */
function copyHeader(
  slab: Uint8Array,
  offset: number,
  headerLength: number,
  out: Uint8Array,
  to: number,
  toLength: number,
): void {
  copyBytes(slab, offset, out, to, IPV4.MIN_BYTES)
  out[to] = 0x40 | (toLength >>> 2)
  const end = offset + headerLength
  let at = offset + IPV4.OPTIONS
  let toAt = to + IPV4.OPTIONS
  while (at < end && slab[at] !== OPTION.END) {
    const length = optionLength(slab, at, end)
    if ((slab[at] & OPTION.COPY) !== 0) {
      copyBytes(slab, at, out, toAt, length)
      toAt += length
    }
    at += length
  }
  while (toAt < to + toLength) out[toAt++] = OPTION.END
}

/** Bytes of the option at `at`; 0 when it does not fit its header. */
function optionLength(slab: Uint8Array, at: number, end: number): number {
  if (slab[at] === OPTION.NO_OPERATION) return 1
  const length = at + 1 < end ? slab[at + 1] : 0
  return length < 2 || length > end - at ? 0 : length
}
