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

// No leading zeros: some parsers take 010 for ten and others for eight.
const v4Strict = /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/

/** Parses `192.0.2.1`, `2001:db8::1` or `::ffff:192.0.2.1` as inet_pton does. Throws EINVAL. */
export function parseAddress(text: string): Address {
  if (v4Strict.test(text)) {
    if (ipaddr.IPv4.isValid(text))
      return { family: 4, bytes: Uint8Array.from(ipaddr.IPv4.parse(text).toByteArray()) }
  } else if (text.includes(':') && !text.includes('%')) {
    const plain = withoutDots(text)
    if (ipaddr.IPv6.isValid(plain))
      return { family: 6, bytes: Uint8Array.from(ipaddr.IPv6.parse(plain).toByteArray()) }
  }
  throw bad('an IP address', text)
}

/**
 * Writes an IPv4 tail of an IPv6 address (RFC 4291 2.2.3) as two groups: ipaddr.js takes octal and
 * hexadecimal numbers there, and makes `::ffff:1.2.3.4` out of `::1.2.3.4`.
 */
function withoutDots(text: string): string {
  const colon = text.lastIndexOf(':') + 1
  const tail = text.slice(colon)
  if (!tail.includes('.')) return text
  // What is left of a wrong tail is no address: the caller refuses it.
  if (!v4Strict.test(tail) || !ipaddr.IPv4.isValid(tail)) return ''
  const [a, b, c, d] = ipaddr.IPv4.parse(tail).toByteArray()
  return `${text.slice(0, colon)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
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
