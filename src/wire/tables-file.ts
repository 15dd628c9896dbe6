// Tables in a JSON file, for `hawser datapath --tables` and `hawser apply` (docs/wire.md). The file
// has the shape of a snapshot on the wire, with keys in base64 as `wg` prints them. A string cannot
// be wiped, so keys never become strings: before the JSON is parsed, each base64 key behind a member
// `…Key` is decoded byte by byte into a trailer, and [offset, length] is written over it.

import { readFileSync } from 'node:fs'
import { GatewayError } from '../net/errors.ts'
import { base64KeyBytes, keyBytes, parseBase64Key } from '../net/keys.ts'
import type { Tables } from '../tables/tables.ts'
import { decodeTables } from './tables.ts'

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
    throw new GatewayError(code, `cannot read the tables in ${name}: ${readErrors[code] ?? code}`, {
      hint: 'docs/wire.md has an example of such a file',
      cause,
    })
  }
  throw new GatewayError('EFBIG', `${name} is larger than ${fileBytesMax} bytes`)
}

const readErrors: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
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
    const key = decodeKey(text.subarray(quote + 1, quote + 1 + base64KeyBytes))
    if (key === undefined) continue
    const reference = `[${keys.length * keyBytes},${keyBytes}]`.padEnd(base64KeyBytes + 2)
    new TextEncoder().encodeInto(reference, text.subarray(quote))
    keys.push(key)
    at = quote
  }
  const trailer = new Uint8Array(keys.length * keyBytes)
  keys.forEach((key, index) => {
    trailer.set(key, index * keyBytes)
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
  const closing = quote + 1 + base64KeyBytes
  return text[quote] === QUOTE && text[closing] === QUOTE ? quote : -1
}

function skipSpace(text: Uint8Array, at: number): number {
  while (text[at] === 0x20 || text[at] === 0x09 || text[at] === 0x0a || text[at] === 0x0d) at++
  return at
}

function decodeKey(text: Uint8Array): Uint8Array | undefined {
  try {
    return parseBase64Key(text)
  } catch {
    return undefined
  }
}
