// BLAKE2s (RFC 7693) as WireGuard uses it: the plain hash, the keyed MAC with 16 or 32 bytes,
// HMAC-BLAKE2s, and the key derivation of the Noise handshake. node:crypto can neither key nor
// shorten BLAKE2s, and costs microseconds a call, while a handshake needs about a hundred
// compressions.
//
// There is one state for the whole module: hashing is synchronous and never nested, so nothing is
// allocated. The price is that secrets pass through it; `wipeScratch` ends each handshake step.
// Words are read in host order, which is little-endian on every machine that we run on.

/** out = BLAKE2s(a ‖ b), 32 bytes. `out` may be one of the inputs. */
export function hashInto(out: Uint8Array, a: Uint8Array, b?: Uint8Array): void {
  begin(out.length)
  update(a)
  if (b !== undefined) update(b)
  finish(out)
}

/** out = keyed BLAKE2s over a ‖ b; the length of `out` (16 or 32) goes into the hash. */
export function macInto(out: Uint8Array, key: Uint8Array, a: Uint8Array, b?: Uint8Array): void {
  begin(out.length, key)
  update(a)
  if (b !== undefined) update(b)
  finish(out)
}

/** out = HMAC-BLAKE2s(key, a ‖ b) (RFC 2104), 32 bytes; the key is at most 64 bytes long. */
export function hmacInto(out: Uint8Array, key: Uint8Array, a: Uint8Array, b?: Uint8Array): void {
  padKey(key, 0x36)
  begin(HASH_BYTES)
  update(pad)
  update(a)
  if (b !== undefined) update(b)
  finish(inner)
  padKey(key, 0x5c)
  begin(HASH_BYTES)
  update(pad)
  update(inner)
  finish(out)
}

/** τ1 = KDF1(key, input), whitepaper 5.4. Outputs may be the key. */
export function kdf1(out1: Uint8Array, key: Uint8Array, input: Uint8Array): void {
  hmacInto(secret, key, input)
  hmacInto(out1, secret, counters[1])
}

/** (τ1, τ2) = KDF2(key, input). */
export function kdf2(out1: Uint8Array, out2: Uint8Array, key: Uint8Array, input: Uint8Array): void {
  kdf1(out1, key, input)
  hmacInto(out2, secret, out1, counters[2])
}

/** (τ1, τ2, τ3) = KDF3(key, input). */
export function kdf3(
  out1: Uint8Array,
  out2: Uint8Array,
  out3: Uint8Array,
  key: Uint8Array,
  input: Uint8Array,
): void {
  kdf2(out1, out2, key, input)
  hmacInto(out3, secret, out2, counters[3])
}

/** Clears what the last operations left in this module's memory. */
export function wipeScratch(): void {
  state.fill(0)
  block.fill(0)
  pad.fill(0)
  inner.fill(0)
  secret.fill(0)
}

/** Compares MACs in a time that does not depend on where they differ. */
export function equalMac(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i]
  return difference === 0
}

const HASH_BYTES = 32
const BLOCK_BYTES = 64

/** Fractional parts of the square roots of the first eight primes, as for SHA-256 (2.6). */
const iv = Int32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
)

/** The message schedule, ten rounds of sixteen word indices (2.7). */
const sigma = Uint8Array.from(
  [
    '0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15',
    '14 10 4 8 9 15 13 6 1 12 0 2 11 7 5 3',
    '11 8 12 0 5 2 15 13 10 14 3 6 7 1 9 4',
    '7 9 3 1 13 12 11 14 2 6 5 10 4 0 15 8',
    '9 0 5 7 2 4 10 15 14 1 11 12 6 8 3 13',
    '2 12 6 10 0 11 8 3 4 13 7 5 15 14 1 9',
    '12 5 1 15 14 13 4 10 0 7 6 3 9 2 8 11',
    '13 11 7 14 12 1 3 9 5 0 15 4 8 6 2 10',
    '6 15 14 9 11 3 0 8 12 2 13 7 1 4 10 5',
    '10 2 8 4 7 6 1 5 15 11 9 14 3 12 13 0',
  ].flatMap(round => round.split(' ').map(Number)),
)

/** The single bytes that number the outputs of the key derivation. */
const counters = [0, 1, 2, 3].map(number => Uint8Array.of(number))

const state = new Int32Array(8)
const stateBytes = new Uint8Array(state.buffer)
const block = new Uint8Array(BLOCK_BYTES)
const words = new Int32Array(block.buffer)
const pad = new Uint8Array(BLOCK_BYTES)
const inner = new Uint8Array(HASH_BYTES)
const secret = new Uint8Array(HASH_BYTES)
/** Bytes waiting in `block`, and bytes compressed before them. */
let waiting = 0
let compressed = 0

function begin(outputBytes: number, key?: Uint8Array): void {
  const keyBytes = key === undefined ? 0 : key.length
  state.set(iv)
  // Parameter block (2.5): no salt, no personalisation, fanout and depth 1.
  state[0] ^= 0x0101_0000 ^ (keyBytes << 8) ^ outputBytes
  waiting = 0
  compressed = 0
  if (key === undefined) return
  block.fill(0)
  block.set(key)
  waiting = BLOCK_BYTES
}

function update(bytes: Uint8Array): void {
  let from = 0
  while (from < bytes.length) {
    // A full block is compressed only when more follows: the last one is flagged.
    if (waiting === BLOCK_BYTES) {
      compressed += BLOCK_BYTES
      compress(false)
      waiting = 0
    }
    const count = Math.min(BLOCK_BYTES - waiting, bytes.length - from)
    for (let i = 0; i < count; i++) block[waiting + i] = bytes[from + i]
    waiting += count
    from += count
  }
}

function finish(out: Uint8Array): void {
  compressed += waiting
  block.fill(0, waiting)
  compress(true)
  for (let i = 0; i < out.length; i++) out[i] = stateBytes[i]
}

function padKey(key: Uint8Array, value: number): void {
  pad.fill(value)
  for (let i = 0; i < key.length; i++) pad[i] ^= key[i]
}

/**
 * Function F (3.2), with function G (3.1) written out eight times. The work vector lies in variables:
 * in an array, each of its words would be stored and loaded forty times, which takes three times as
 * long.
 */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: JavaScript has no functions on registers
function compress(last: boolean): void {
  let v0 = state[0]
  let v1 = state[1]
  let v2 = state[2]
  let v3 = state[3]
  let v4 = state[4]
  let v5 = state[5]
  let v6 = state[6]
  let v7 = state[7]
  let v8 = iv[0]
  let v9 = iv[1]
  let v10 = iv[2]
  let v11 = iv[3]
  let v12 = iv[4] ^ compressed
  let v13 = iv[5] ^ (compressed / 0x1_0000_0000)
  let v14 = last ? ~iv[6] : iv[6]
  let v15 = iv[7]
  for (let at = 0; at < sigma.length; at += 16) {
    v0 = (v0 + v4 + words[sigma[at]]) | 0
    v12 = rotate(v12 ^ v0, 16)
    v8 = (v8 + v12) | 0
    v4 = rotate(v4 ^ v8, 12)
    v0 = (v0 + v4 + words[sigma[at + 1]]) | 0
    v12 = rotate(v12 ^ v0, 8)
    v8 = (v8 + v12) | 0
    v4 = rotate(v4 ^ v8, 7)
    v1 = (v1 + v5 + words[sigma[at + 2]]) | 0
    v13 = rotate(v13 ^ v1, 16)
    v9 = (v9 + v13) | 0
    v5 = rotate(v5 ^ v9, 12)
    v1 = (v1 + v5 + words[sigma[at + 3]]) | 0
    v13 = rotate(v13 ^ v1, 8)
    v9 = (v9 + v13) | 0
    v5 = rotate(v5 ^ v9, 7)
    v2 = (v2 + v6 + words[sigma[at + 4]]) | 0
    v14 = rotate(v14 ^ v2, 16)
    v10 = (v10 + v14) | 0
    v6 = rotate(v6 ^ v10, 12)
    v2 = (v2 + v6 + words[sigma[at + 5]]) | 0
    v14 = rotate(v14 ^ v2, 8)
    v10 = (v10 + v14) | 0
    v6 = rotate(v6 ^ v10, 7)
    v3 = (v3 + v7 + words[sigma[at + 6]]) | 0
    v15 = rotate(v15 ^ v3, 16)
    v11 = (v11 + v15) | 0
    v7 = rotate(v7 ^ v11, 12)
    v3 = (v3 + v7 + words[sigma[at + 7]]) | 0
    v15 = rotate(v15 ^ v3, 8)
    v11 = (v11 + v15) | 0
    v7 = rotate(v7 ^ v11, 7)
    v0 = (v0 + v5 + words[sigma[at + 8]]) | 0
    v15 = rotate(v15 ^ v0, 16)
    v10 = (v10 + v15) | 0
    v5 = rotate(v5 ^ v10, 12)
    v0 = (v0 + v5 + words[sigma[at + 9]]) | 0
    v15 = rotate(v15 ^ v0, 8)
    v10 = (v10 + v15) | 0
    v5 = rotate(v5 ^ v10, 7)
    v1 = (v1 + v6 + words[sigma[at + 10]]) | 0
    v12 = rotate(v12 ^ v1, 16)
    v11 = (v11 + v12) | 0
    v6 = rotate(v6 ^ v11, 12)
    v1 = (v1 + v6 + words[sigma[at + 11]]) | 0
    v12 = rotate(v12 ^ v1, 8)
    v11 = (v11 + v12) | 0
    v6 = rotate(v6 ^ v11, 7)
    v2 = (v2 + v7 + words[sigma[at + 12]]) | 0
    v13 = rotate(v13 ^ v2, 16)
    v8 = (v8 + v13) | 0
    v7 = rotate(v7 ^ v8, 12)
    v2 = (v2 + v7 + words[sigma[at + 13]]) | 0
    v13 = rotate(v13 ^ v2, 8)
    v8 = (v8 + v13) | 0
    v7 = rotate(v7 ^ v8, 7)
    v3 = (v3 + v4 + words[sigma[at + 14]]) | 0
    v14 = rotate(v14 ^ v3, 16)
    v9 = (v9 + v14) | 0
    v4 = rotate(v4 ^ v9, 12)
    v3 = (v3 + v4 + words[sigma[at + 15]]) | 0
    v14 = rotate(v14 ^ v3, 8)
    v9 = (v9 + v14) | 0
    v4 = rotate(v4 ^ v9, 7)
  }
  state[0] ^= v0 ^ v8
  state[1] ^= v1 ^ v9
  state[2] ^= v2 ^ v10
  state[3] ^= v3 ^ v11
  state[4] ^= v4 ^ v12
  state[5] ^= v5 ^ v13
  state[6] ^= v6 ^ v14
  state[7] ^= v7 ^ v15
}

/** To the right. */
function rotate(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits))
}
