// Reads fields out of raw objects, whose content other programs and other clusters have written. Each
// function returns a value of the type that it names, or throws a FieldError with the path of the
// field; resource.ts catches it and makes a problem of it. `null` counts as absent, as for Go.
//
// What is quoted is cut short: a problem goes into statuses and logs.

import { type Address, type Prefix, parseAddress, parsePrefix } from '../../net/address.ts'
import { GatewayError } from '../../net/errors.ts'

/** An object in the raw object, and where it stands. */
export interface Fields {
  readonly values: Readonly<Record<string, unknown>>
  readonly path: string
}

/** What is wrong with a field. */
export class FieldError extends Error {}

export function invalid(path: string, what: string): FieldError {
  return new FieldError(path === '' ? what : `${path}: ${what}`)
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function readRecord(value: unknown, path: string): Fields {
  if (!isRecord(value)) throw invalid(path, 'expected an object')
  return { values: value, path }
}

export function has(fields: Fields, name: string): boolean {
  return (fields.values[name] ?? undefined) !== undefined
}

export function pathOf(fields: Fields, name: string): string {
  const step = /^[\w]+$/.test(name) ? `.${name}` : `[${name}]`
  return fields.path === '' ? name : `${fields.path}${step}`
}

/** The object in a field, which must be there. */
export function readObject(fields: Fields, name: string): Fields {
  return readRecord(fields.values[name], pathOf(fields, name))
}

/** The object in a field; an empty one when there is none. */
export function readObjectOr(fields: Fields, name: string): Fields {
  return has(fields, name) ? readObject(fields, name) : { values: {}, path: pathOf(fields, name) }
}

/** The objects of a list; without the list there are none. */
export function readObjects(fields: Fields, name: string): Fields[] {
  return readList(fields, name).map((value, index) =>
    readRecord(value, `${pathOf(fields, name)}[${index}]`),
  )
}

function readList(fields: Fields, name: string): readonly unknown[] {
  const value = fields.values[name] ?? []
  if (!Array.isArray(value)) throw invalid(pathOf(fields, name), 'expected a list')
  return value
}

/** A string; without a `fallback` the field must be there. */
export function readText(fields: Fields, name: string, fallback?: string): string {
  const value = fields.values[name] ?? fallback
  if (typeof value !== 'string') throw invalid(pathOf(fields, name), 'expected a string')
  return value
}

export function readOneOf<T extends string>(
  fields: Fields,
  name: string,
  choices: readonly T[],
): T {
  const text = readText(fields, name)
  const found = choices.find(choice => choice === text)
  if (found !== undefined) return found
  throw invalid(pathOf(fields, name), `${quoted(text)} is none of ${choices.join(', ')}`)
}

export function readTexts(fields: Fields, name: string): string[] {
  return readList(fields, name).map((value, index) => {
    if (typeof value === 'string') return value
    throw invalid(`${pathOf(fields, name)}[${index}]`, 'expected a string')
  })
}

/** Strings by name, as labels are. */
export function readTextRecord(fields: Fields, name: string): Record<string, string> {
  const inner = readObjectOr(fields, name)
  // Not by assignment: a key may be `__proto__`.
  return Object.fromEntries(Object.keys(inner.values).map(key => [key, readText(inner, key)]))
}

/** True or false; without a `fallback` the field must be there. */
export function readFlag(fields: Fields, name: string, fallback?: boolean): boolean {
  const value = fields.values[name] ?? fallback
  if (typeof value !== 'boolean') throw invalid(pathOf(fields, name), 'expected true or false')
  return value
}

/** A whole number, not below 0. */
export function readCount(fields: Fields, name: string, fallback: number): number {
  const value = fields.values[name] ?? fallback
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw invalid(pathOf(fields, name), 'expected a whole number')
}

/** A string that `parse` understands; undefined when it is empty or absent. */
export function readParsed<T>(
  fields: Fields,
  name: string,
  what: string,
  parse: (text: string) => T | undefined,
): T | undefined {
  const text = readText(fields, name, '')
  return text === '' ? undefined : parseAt(text, pathOf(fields, name), what, parse)
}

/** `parse` throws, or returns undefined, for what it does not understand. */
export function parseAt<T>(
  text: string,
  path: string,
  what: string,
  parse: (text: string) => T | undefined,
): T {
  const value = attempt(() => parse(text))
  if (value === undefined) throw invalid(path, `${quoted(text)} is not ${what}`)
  return value
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (error instanceof GatewayError) return undefined
    throw error
  }
}

const shownMost = 80

/** In quotes, and cut short. */
export function quoted(text: string): string {
  return JSON.stringify(text.length <= shownMost ? text : `${text.slice(0, shownMost)}…`)
}

/** Prefixes of a list, none of them empty; an address alone is a prefix too. */
export function readPrefixes(fields: Fields, name: string): Prefix[] {
  return readTexts(fields, name).map((text, index) =>
    parseAt(text, `${pathOf(fields, name)}[${index}]`, 'a prefix', parsePrefix),
  )
}

/** Prefixes with commas between them; an empty string has none. */
export function readPrefixLine(fields: Fields, name: string): Prefix[] {
  return splitCommas(readText(fields, name, '')).map(text =>
    parseAt(text, pathOf(fields, name), 'a prefix', parsePrefix),
  )
}

/** Undefined when the string is empty or absent. */
export function readPrefix(fields: Fields, name: string): Prefix | undefined {
  return readParsed(fields, name, 'a prefix', parsePrefix)
}

export function readAddress(fields: Fields, name: string): Address | undefined {
  return readParsed(fields, name, 'an IP address', parseAddress)
}

/** The addresses of a list. Stock Submariner puts an empty string for one that it does not know. */
export function readAddresses(fields: Fields, name: string): Address[] {
  return readTexts(fields, name).flatMap((text, index) =>
    text === ''
      ? []
      : [parseAt(text, `${pathOf(fields, name)}[${index}]`, 'an IP address', parseAddress)],
  )
}

/** The parts between commas, without spaces, and without those that are empty. */
export function splitCommas(text: string): string[] {
  return text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
}
