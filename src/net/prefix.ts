// How prefixes lie to one another.

import { type Address, equalBytes, maskBytes, type Prefix } from './address.ts'

export function contains(outer: Prefix, inner: Prefix): boolean {
  return (
    outer.family === inner.family &&
    outer.bits <= inner.bits &&
    equalBytes(outer.bytes, maskBytes(inner.bytes.slice(), outer.bits))
  )
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  return contains(a, b) || contains(b, a)
}

/** The one that holds nothing but the address. */
export function hostPrefix({ family, bytes }: Address): Prefix {
  return { family, bytes, bits: bytes.length * 8 }
}

/** fe80::/10. IPv4 has such addresses too, which nobody treats in another way here. */
export function isLinkLocal({ family, bytes }: Address): boolean {
  return family === 6 && bytes[0] === 0xfe && (bytes[1] & 0xc0) === 0x80
}
