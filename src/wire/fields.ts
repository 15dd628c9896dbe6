// Reads fields out of parsed JSON that somebody else wrote. Each function returns a value of the
// type that it names or throws EINVAL with the path of the field (`cables[3].publicKey: …`). The
// value itself is only quoted where it can be no secret.

import { GatewayError } from '../net/errors.ts'

/** A JSON object, where it stands, and the trailer that its byte fields refer to. */
export interface Fields {
  readonly values: Readonly<Record<string, unknown>>
  readonly path: string
  readonly trailer: Uint8Array
}

export function invalid(path: string, what: string, cause?: unknown): GatewayError {
  return new GatewayError('EINVAL', path === '' ? what : `${path}: ${what}`, { cause })
}

/** The object at a path; with `known`, a field of any other name is refused: a typo loses nothing. */
export function readObject(
  value: unknown,
  path: string,
  trailer: Uint8Array,
  known?: readonly string[],
): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(path, 'expected an object')
  const values = value as Record<string, unknown>
  if (known)
    for (const name of Object.keys(values))
      if (!known.includes(name))
        throw invalid(join(path, name), `unknown field; known are ${known.join(', ')}`)
  return { values, path, trailer }
}

export function has(fields: Fields, name: string): boolean {
  return fields.values[name] !== undefined
}

export function pathOf(fields: Fields, name: string): string {
  return join(fields.path, name)
}

/** A whole number within limits; without a `fallback` the field must be there. */
export function readInteger(
  fields: Fields,
  name: string,
  least: number,
  most: number,
  fallback?: number,
): number {
  const value = fields.values[name] ?? fallback
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most)
    return value
  throw invalid(pathOf(fields, name), `expected a whole number from ${least} to ${most}`)
}

export function readNumber(fields: Fields, name: string): number {
  const value = fields.values[name]
  if (typeof value === 'number') return value
  throw invalid(pathOf(fields, name), 'expected a number')
}

export function readBoolean(fields: Fields, name: string, fallback?: boolean): boolean {
  const value = fields.values[name] ?? fallback
  if (typeof value === 'boolean') return value
  throw invalid(pathOf(fields, name), 'expected true or false')
}

export function readText(fields: Fields, name: string): string {
  const value = fields.values[name]
  if (typeof value === 'string') return value
  throw invalid(pathOf(fields, name), 'expected a string')
}

/** A string that `parse` understands; its complaint is put behind the path. */
export function readParsed<T>(fields: Fields, name: string, parse: (text: string) => T): T {
  return parseAt(readText(fields, name), pathOf(fields, name), parse)
}

export function parseAt<T>(text: string, path: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (cause) {
    throw invalid(path, cause instanceof Error ? cause.message : String(cause), cause)
  }
}

export function readList(fields: Fields, name: string, most: number): readonly unknown[] {
  const value = fields.values[name] ?? []
  if (!Array.isArray(value)) throw invalid(pathOf(fields, name), 'expected a list')
  if (value.length > most)
    throw invalid(pathOf(fields, name), `${value.length} entries; at most ${most} are taken`)
  return value
}

/** A copy of the bytes in the trailer that [offset, length] names. */
export function readBytes(fields: Fields, name: string, least: number, most: number): Uint8Array {
  const { trailer } = fields
  const value = fields.values[name]
  const path = pathOf(fields, name)
  const size = least === most ? `${least}` : `${least} to ${most}`
  if (!Array.isArray(value) || value.length !== 2) throw invalid(path, `expected ${size} bytes`)
  const [offset, length] = value as unknown[]
  const within =
    isCount(offset) && isCount(length) && offset <= trailer.length - length && length <= most
  if (!within || length < least) throw invalid(path, `expected ${size} bytes in the trailer`)
  return trailer.slice(offset, offset + length)
}

/** A record of numbers by name. */
export function readCounts(fields: Fields, name: string): Record<string, number> {
  const inner = readObject(fields.values[name], pathOf(fields, name), fields.trailer)
  return Object.fromEntries(Object.keys(inner.values).map(key => [key, readNumber(inner, key)]))
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
