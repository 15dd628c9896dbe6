// Tables in a JSON file, for `hawser datapath --tables` and `hawser apply` (docs/wire.md). The file
// has the shape of a snapshot on the wire, with keys in base64 as `wg` prints them. A string cannot
// be wiped, so keys never become strings: before the JSON is parsed, each base64 key behind a member
// `…Key` is decoded byte by byte into a trailer, and [offset, length] is written over it.

import { readFileSync } from 'node:fs'
import { GatewayError } from '../net/errors.ts'
import type { Tables } from '../tables/tables.ts'
import { decodeTables } from './tables.ts'

/** A 32-byte key is 43 characters and one `=`. */
const KEY_TEXT_BYTES = 44
const KEY_BYTES = 32

const fileBytesMax = 64 * 1024 * 1024

/**
 * Reads tables from a file, or from standard input for `-`. `generation` is taken where the file
 * has none. The bytes that were read are wiped. Throws GatewayError, EINVAL with the field's path.
 */
export function readTablesFile(file: string, generation: number): Tables {
  const name = file === '-' ? 'standard input' : file
  const bytes = readBytes(file, name)
  try {
    return parseTablesFile(bytes, generation)
  } catch (cause) {
    if (!(cause instanceof GatewayError)) throw cause
    throw new GatewayError(cause.code, `${name}: ${cause.message}`, {
      hint: 'docs/wire.md has the format; keys are base64, as `wg genkey` prints them',
      cause,
    })
  } finally {
    bytes.fill(0)
  }
}

/** Parses the text of a file. The keys in `bytes` are overwritten. */
export function parseTablesFile(bytes: Uint8Array, generation: number): Tables {
  const trailer = liftKeys(bytes)
  try {
    return decodeTables({ head: parseJson(bytes), trailer }, generation)
  } finally {
    trailer.fill(0)
  }
}

function readBytes(file: string, name: string): Uint8Array {
  try {
    const bytes = readFileSync(file === '-' ? 0 : file)
    if (bytes.length <= fileBytesMax) return bytes
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'EIO'
    throw new GatewayError(code, `cannot read ${name}: ${code}`, { cause })
  }
  throw new GatewayError('EFBIG', `${name} is larger than ${fileBytesMax} bytes`)
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    // The parser's own message quotes what it stumbled on, and that could be a key.
    const place = cause instanceof Error && /line \d+ column \d+/.exec(cause.message)
    throw new GatewayError('EINVAL', `not JSON in UTF-8${place ? ` (${place[0]})` : ''}`)
  }
}

/** Moves every well-formed key of the text into a trailer. What is left elsewhere is an error. */
function liftKeys(text: Uint8Array): Uint8Array {
  const keys: Uint8Array[] = []
  for (let at = 0; at < text.length; at++) {
    const quote = keyValueAt(text, at)
    if (quote < 0) continue
    const key = decodeKey(text.subarray(quote + 1, quote + 1 + KEY_TEXT_BYTES))
    if (key === undefined) continue
    const reference = `[${keys.length * KEY_BYTES},${KEY_BYTES}]`.padEnd(KEY_TEXT_BYTES + 2)
    new TextEncoder().encodeInto(reference, text.subarray(quote))
    keys.push(key)
    at = quote
  }
  const trailer = new Uint8Array(keys.length * KEY_BYTES)
  keys.forEach((key, index) => {
    trailer.set(key, index * KEY_BYTES)
    key.fill(0)
  })
  return trailer
}

const code = (character: string) => character.charCodeAt(0)
const QUOTE = code('"')

/**
 * Where the opening quote of the value stands when `Key" : "` begins at `at`, else -1. Inside a
 * JSON string no quote stands without a backslash, so this cannot match in the middle of a text.
 */
function keyValueAt(text: Uint8Array, at: number): number {
  if (text[at] !== code('K') || text[at + 1] !== code('e') || text[at + 2] !== code('y')) return -1
  if (text[at + 3] !== QUOTE) return -1
  const colon = skipSpace(text, at + 4)
  if (text[colon] !== code(':')) return -1
  const quote = skipSpace(text, colon + 1)
  const closing = quote + 1 + KEY_TEXT_BYTES
  return text[quote] === QUOTE && text[closing] === QUOTE ? quote : -1
}

function skipSpace(text: Uint8Array, at: number): number {
  while (text[at] === 0x20 || text[at] === 0x09 || text[at] === 0x0a || text[at] === 0x0d) at++
  return at
}

/** RFC 4648 section 4: 43 digits of six bits, the last two bits zero, and one `=`. */
function decodeKey(text: Uint8Array): Uint8Array | undefined {
  if (text[KEY_TEXT_BYTES - 1] !== code('=')) return undefined
  const key = new Uint8Array(KEY_BYTES)
  let bits = 0
  let held = 0
  let written = 0
  for (let i = 0; i < KEY_TEXT_BYTES - 1; i++) {
    const digit = base64Digit(text[i])
    if (digit < 0) return undefined
    bits = ((bits << 6) | digit) & 0xffff
    held += 6
    if (held < 8) continue
    held -= 8
    key[written++] = bits >> held
  }
  return (bits & ((1 << held) - 1)) === 0 ? key : undefined
}

function base64Digit(character: number): number {
  if (character >= code('A') && character <= code('Z')) return character - code('A')
  if (character >= code('a') && character <= code('z')) return character - code('a') + 26
  if (character >= code('0') && character <= code('9')) return character - code('0') + 52
  if (character === code('+')) return 62
  return character === code('/') ? 63 : -1
}
