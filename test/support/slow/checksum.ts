// The internet checksum as RFC 1071 1 says it, one step at a time: the twin of packet/checksum.ts.

/** Ones' complement sum of the parts laid side by side; each part is padded to 16 bits. */
export function slowSum(...parts: Uint8Array[]): number {
  let total = 0
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) {
      total += part[i] * 256 + (i + 1 < part.length ? part[i + 1] : 0)
      // The carry out of 16 bits is added back at once.
      if (total > 0xffff) total -= 0xffff
    }
  }
  return total
}

export function slowChecksum(...parts: Uint8Array[]): number {
  return 0xffff - slowSum(...parts)
}

/** Pseudo header of IPv4 (RFC 9293 3.1) or IPv6 (RFC 8200 8.1). */
export function slowPseudoHeader(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  transportLength: number,
): Uint8Array {
  const length = [0, 0, transportLength >> 8, transportLength & 255]
  const tail =
    source.length === 4 ? [0, protocol, ...length.slice(2)] : [...length, 0, 0, 0, protocol]
  return Uint8Array.from([...source, ...destination, ...tail])
}
