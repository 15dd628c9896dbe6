// Keys at the edges of the program: 32 bytes, written as base64 (wg, configuration files) or as hex
// (the UAPI).
//
// Text may come as bytes, because strings cannot be wiped; decoding makes no string and does not
// branch on the characters' values. Failures never quote the text: it may be a secret.

import { GatewayError } from './errors.ts'

export const keyBytes = 32
/** Of a key as text. */
export const hexKeyBytes = 64
/** 43 characters and one `=`. */
export const base64KeyBytes = 44

/** Parses 64 hex digits. Throws EINVAL. */
export function parseHexKey(text: string | Uint8Array): Uint8Array {
  if (text.length !== hexKeyBytes) throw badKey('64 hex digits')
  const key = new Uint8Array(keyBytes)
  let bad = 0
  for (let i = 0; i < hexKeyBytes; i++) {
    const value = hexValue(codeAt(text, i))
    bad |= value
    key[i >> 1] |= (value & 0x0f) << (i & 1 ? 0 : 4)
  }
  if (bad < 0) throw wiped(key, '64 hex digits')
  return key
}

/** Parses 44 characters of base64 as `wg` writes them. Throws EINVAL. */
export function parseBase64Key(text: string | Uint8Array): Uint8Array {
  const wanted = '44 characters of base64'
  if (text.length !== base64KeyBytes || codeAt(text, 43) !== 0x3d) throw badKey(wanted)
  const key = new Uint8Array(keyBytes)
  let bad = 0
  let bits = 0
  for (let i = 0; i < 43; i++) {
    const value = base64Value(codeAt(text, i))
    bad |= value
    bits = ((bits << 6) | (value & 0x3f)) & 0xff_ffff
    // A byte is whole after each character but the first of four.
    if (i % 4 !== 0) key[i - 1 - (i >> 2)] = bits >> (6 - 2 * (i % 4))
  }
  // The last character carries four bits of the key and two that must be zero.
  if (bad < 0 || (bits & 3) !== 0) throw wiped(key, wanted)
  return key
}

/** Writes 64 hex digits as bytes, so that a secret never becomes a string. */
export function writeHexKey(key: Uint8Array, out: Uint8Array, offset = 0): void {
  for (let i = 0; i < keyBytes; i++) {
    out[offset + 2 * i] = hexDigit(key[i] >> 4)
    out[offset + 2 * i + 1] = hexDigit(key[i] & 0x0f)
  }
}

export function isZeroKey(key: Uint8Array): boolean {
  let seen = 0
  for (let i = 0; i < key.length; i++) seen |= key[i]
  return seen === 0
}

function badKey(wanted: string): GatewayError {
  return new GatewayError('EINVAL', `a key must be ${wanted}`)
}

function wiped(key: Uint8Array, wanted: string): GatewayError {
  key.fill(0)
  return badKey(wanted)
}

function codeAt(text: string | Uint8Array, index: number): number {
  return typeof text === 'string' ? text.charCodeAt(index) : text[index]
}

/** All ones if low <= code <= high, else 0; codes are below 2^16. */
function inRange(code: number, low: number, high: number): number {
  return ((low - 1 - code) & (code - high - 1)) >> 31
}

/** 0-15, or -1. */
function hexValue(code: number): number {
  return (
    -1 +
    (inRange(code, 0x30, 0x39) & (code - 0x30 + 1)) +
    (inRange(code, 0x61, 0x66) & (code - 0x61 + 11)) +
    (inRange(code, 0x41, 0x46) & (code - 0x41 + 11))
  )
}

function hexDigit(value: number): number {
  return value + 0x30 + (inRange(value, 10, 15) & (0x61 - 0x3a))
}

/** 0-63, or -1. */
function base64Value(code: number): number {
  return (
    -1 +
    (inRange(code, 0x41, 0x5a) & (code - 0x41 + 1)) +
    (inRange(code, 0x61, 0x7a) & (code - 0x61 + 27)) +
    (inRange(code, 0x30, 0x39) & (code - 0x30 + 53)) +
    (inRange(code, 0x2b, 0x2b) & 63) +
    (inRange(code, 0x2f, 0x2f) & 64)
  )
}
