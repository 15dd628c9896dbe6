// Big-endian words in a slab and copies between slabs, by direct indexing: `DataView` and `subarray`
// make objects, and these inline to a few instructions. Nothing is checked; offsets are the caller's.

/** As a signed 32-bit number. */
export function read32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}

export function read16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1]
}

export function write16(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 8
  bytes[at + 1] = word
}

export function write32(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24
  bytes[at + 1] = word >>> 16
  bytes[at + 2] = word >>> 8
  bytes[at + 3] = word
}

/** The ranges must not overlap. */
export function copyBytes(
  from: Uint8Array,
  at: number,
  to: Uint8Array,
  toAt: number,
  length: number,
): void {
  for (let i = 0; i < length; i++) to[toAt + i] = from[at + i]
}
