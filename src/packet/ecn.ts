// Explicit congestion notification through a tunnel, RFC 6040 in normal mode: what goes out carries
// the ECN bits of the packet inside, what comes in brings the marks of the way with it.
//
//   outbound: outerEcn(inner tos) -> outer tos        inbound: mergeEcn(inner, outer) -> setEcn
//
// DSCP is not copied either way: data leaves with DSCP 0, as the Linux driver sends it, so that the
// classes of the traffic inside are not told to the network outside.

import { replace16 } from './checksum.ts'
import { IPV4 } from './headers.ts'

/** The two ECN bits (RFC 3168 5). */
export const ECN = { NOT_ECT: 0, ECT1: 1, ECT0: 2, CE: 3 } as const

/** Result of mergeEcn: the packet must be dropped. */
const dropped = -1

/** RFC 6040 4.2, figure 4: row by row the inner codepoint, in it the outer one. */
const merged = new Int8Array([
  // outer: not-ECT, ECT(1), ECT(0), CE
  ...[ECN.NOT_ECT, ECN.NOT_ECT, ECN.NOT_ECT, dropped], // inner not-ECT
  ...[ECN.ECT1, ECN.ECT1, ECN.ECT1, ECN.CE], // inner ECT(1)
  ...[ECN.ECT0, ECN.ECT1, ECN.ECT0, ECN.CE], // inner ECT(0)
  ...[ECN.CE, ECN.CE, ECN.CE, ECN.CE], // inner CE
])

/** TOS of the outer header for a packet with this TOS: its ECN bits, DSCP 0 (RFC 6040 4.1). */
export function outerEcn(innerTos: number): number {
  return innerTos & 3
}

/**
 * The ECN bits with which the inner packet goes on, or -1 when it must be dropped: congestion was
 * marked on the way of a packet whose sender would not understand a mark. Takes whole TOS bytes too.
 */
export function mergeEcn(inner: number, outer: number): number {
  return merged[((inner & 3) << 2) | (outer & 3)]
}

/** Sets the ECN bits of the IP packet at `offset` and corrects the IPv4 header checksum. */
export function setEcn(slab: Uint8Array, offset: number, version: number, ecn: number): void {
  const at = offset + IPV4.TOS
  if (version === 6) {
    slab[at] = (slab[at] & 0xcf) | (ecn << 4)
    return
  }
  const first = slab[offset] << 8
  const before = slab[at]
  const after = (before & 0xfc) | ecn
  slab[at] = after
  replace16(slab, offset + IPV4.CHECKSUM, first | before, first | after)
}
