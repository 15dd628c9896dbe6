// Addresses, prefixes and remotes at the edges of the program, as bytes in network order.
// The packet path never uses these types: it reads addresses out of packets in place.
// Text is parsed as strictly as inet_pton does (RFC 4291 2.2); IPv6 is written as RFC 5952 says.

import ipaddr from 'ipaddr.js'
import { GatewayError } from './errors.ts'

export type Family = 4 | 6

/** 4 or 16 bytes in network order. */
export interface Address {
  readonly family: Family
  readonly bytes: Uint8Array
}

/** Host bits are zero. */
export interface Prefix {
  readonly family: Family
  readonly bytes: Uint8Array
  /** Length of the prefix in bits: 0-32 or 0-128. */
  readonly bits: number
}

/** A UDP address. (An *Endpoint* is only the custom resource.) */
export interface Remote {
  readonly address: Address
  readonly port: number
  /** IPv6 scope id (an interface index) of a link-local address, else 0. */
  readonly scope: number
}

function bad(what: string, text: string): GatewayError {
  return new GatewayError('EINVAL', `${JSON.stringify(text)} is not ${what}`)
}

/** Parses `192.0.2.1`, `2001:db8::1` or `::ffff:192.0.2.1` as inet_pton does. Throws EINVAL. */
export function parseAddress(text: string): Address {
  const isIpv6 = text.includes(':')
  const bytes = new Uint8Array(isIpv6 ? 16 : 4)
  const isAddress = isIpv6 ? readIpv6(text, bytes) : readIpv4(text, 0, bytes, 0)
  if (!isAddress) throw bad('an IP address', text)
  return { family: isIpv6 ? 6 : 4, bytes }
}

/**
 * Four numbers, from `at` to the end of the text, into bytes from `offset` on. Without leading
 * zeros: some parsers take 010 for ten and others for eight.
 */
function readIpv4(text: string, at: number, bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 4; i++) {
    if (i > 0 && text.charCodeAt(at++) !== DOT) return false
    const first = at
    let value = 0
    for (let digit = digitAt(text, at); digit < 10; digit = digitAt(text, ++at)) {
      value = value * 10 + digit
    }
    const digits = at - first
    if (digits === 0 || digits > 3 || value > 255) return false
    if (digits > 1 && text.charCodeAt(first) === ZERO) return false
    bytes[offset + i] = value
  }
  return at === text.length
}

/** Groups of up to four hex digits, once `::` for one or more groups of zeros, an IPv4 tail. */
function readIpv6(text: string, bytes: Uint8Array): boolean {
  let filled = 0
  let gap = -1
  let at = 0
  if (text.startsWith('::')) {
    gap = 0
    at = 2
  }
  while (at < text.length) {
    const first = at
    let value = 0
    for (let digit = digitAt(text, at); digit < 16; digit = digitAt(text, ++at)) {
      value = value * 16 + digit
    }
    if (text.charCodeAt(at) === DOT) {
      if (filled > 12 || !readIpv4(text, first, bytes, filled)) return false
      filled += 4
      break
    }
    if (at === first || at - first > 4 || filled === 16) return false
    bytes[filled++] = value >> 8
    bytes[filled++] = value
    if (at === text.length) break
    // A colon and more: another group, or the gap.
    if (text.charCodeAt(at++) !== COLON || at === text.length) return false
    if (text.charCodeAt(at) !== COLON) continue
    if (gap >= 0) return false
    gap = filled
    at++
  }
  if (gap < 0 || filled === 16) return gap < 0 && filled === 16
  const tail = filled - gap
  bytes.copyWithin(16 - tail, gap, filled)
  bytes.fill(0, gap, 16 - tail)
  return true
}

const [ZERO, NINE, COLON, DOT] = [0x30, 0x39, 0x3a, 0x2e]
const [LOWER_A, LOWER_F] = [0x61, 0x66]

/** The value of a decimal or hexadecimal digit; 16 for what is none, and behind the end. */
function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at)
  if (code >= ZERO && code <= NINE) return code - ZERO
  const lower = code | 0x20
  return lower >= LOWER_A && lower <= LOWER_F ? lower - LOWER_A + 10 : 16
}

/** RFC 5952 text for IPv6. */
export function formatAddress(address: Address): string {
  return ipaddr.fromByteArray([...address.bytes]).toString()
}

/** Clears the bits behind the first `bits`, in place, and returns the bytes. */
export function maskBytes(bytes: Uint8Array, bits: number): Uint8Array {
  for (let i = 0; i < bytes.length; i++) {
    const kept = Math.min(8, Math.max(0, bits - i * 8))
    bytes[i] &= 0xff00 >> kept
  }
  return bytes
}

/** Parses `10.0.0.0/8`; without a length the whole address counts. Host bits are cleared. */
export function parsePrefix(text: string): Prefix {
  const slash = text.indexOf('/')
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash))
  const most = address.family === 4 ? 32 : 128
  const bitsText = slash < 0 ? String(most) : text.slice(slash + 1)
  const bits = /^\d{1,3}$/.test(bitsText) ? Number(bitsText) : -1
  if (bits < 0 || bits > most) throw bad('a prefix', text)
  return { family: address.family, bytes: maskBytes(address.bytes, bits), bits }
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix)}/${prefix.bits}`
}

/** A key for maps: the same prefix always gives the same text. */
export function prefixKey(prefix: Prefix): string {
  let key = prefix.family === 4 ? `${prefix.bits}:` : `${prefix.bits};`
  for (let i = 0; i < prefix.bytes.length; i++) key += String.fromCharCode(prefix.bytes[i])
  return key
}

export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1
  if (port < 0 || port > 65_535) throw bad('a port', text)
  return port
}

/** Parses `192.0.2.1:4500`, `[2001:db8::1]:4500` or `[fe80::1%2]:4500` (numeric scope). */
export function parseRemote(text: string): Remote {
  const match = /^(?:\[([^\]%]+)(?:%(\d{1,9}))?\]|([\d.]+)):(\d{1,5})$/.exec(text)
  if (!match) throw bad('a UDP address like 192.0.2.1:4500 or [2001:db8::1]:4500', text)
  const [, v6, scope, v4, port] = match
  const address = parseAddress(v6 ?? v4)
  if (address.family !== (v6 === undefined ? 4 : 6)) throw bad('a UDP address', text)
  return { address, port: parsePort(port), scope: scope === undefined ? 0 : Number(scope) }
}

export function formatRemote(remote: Remote): string {
  const address = formatAddress(remote.address)
  if (remote.address.family === 4) return `${address}:${remote.port}`
  return `[${address}${remote.scope === 0 ? '' : `%${remote.scope}`}]:${remote.port}`
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export function equalRemote(a: Remote | undefined, b: Remote | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.port === b.port && a.scope === b.scope && equalBytes(a.address.bytes, b.address.bytes)
}
