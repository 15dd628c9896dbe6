// The lines of a set as values. A line is `key=value`; what a key may carry is said by the
// cross-platform interface description of WireGuard (www.wireguard.com/xplatform) and by what
// `wg` writes. Order and meaning are judged by apply.ts, not here.
//
// Keys are secrets: they are read out of the bytes and never become JavaScript strings, which
// cannot be wiped. Neither does the value of a line whose key we do not know: it may be a key
// behind a slip of the pen.

import { networkInterfaces } from 'node:os'
import { type Prefix, parsePrefix, parseRemote, type Remote } from '../net/address.ts'
import { GatewayError } from '../net/errors.ts'
import { isZeroKey, parseHexKey } from '../net/keys.ts'
import {
  type CipherChoice,
  type CipherName,
  parseCipherChoice,
  parseCipherList,
} from '../tables/cipher.ts'

export type Operation =
  /** Key absent: removes it (all zero on the wire). */
  | { readonly kind: 'privateKey'; readonly key: Uint8Array | undefined }
  | { readonly kind: 'listenPort'; readonly port: number }
  | { readonly kind: 'fwmark'; readonly mark: number }
  | { readonly kind: 'replacePeers' }
  /** Starts the section of a peer, up to the next one. */
  | { readonly kind: 'publicKey'; readonly key: Uint8Array }
  | { readonly kind: 'remove' }
  | { readonly kind: 'updateOnly' }
  | { readonly kind: 'presharedKey'; readonly key: Uint8Array | undefined }
  | { readonly kind: 'endpoint'; readonly remote: Remote }
  | { readonly kind: 'keepalive'; readonly seconds: number }
  | { readonly kind: 'replaceAllowedIps' }
  | { readonly kind: 'allowedIp'; readonly prefix: Prefix; readonly remove: boolean }
  | { readonly kind: 'protocolVersion' }
  /** Ours: the ciphers of a peer. Absent: those of any WireGuard peer. */
  | { readonly kind: 'ciphers'; readonly enabled: CipherChoice | undefined }
  | { readonly kind: 'remoteCiphers'; readonly remote: readonly CipherName[] | undefined }

const equalsSign = 0x3d

/** Parses the line bytes[start, end). Throws GatewayError EINVAL, or EPROTO when it has no `=`. */
export function parseOperation(bytes: Buffer, start: number, end: number): Operation {
  const equals = bytes.indexOf(equalsSign, start)
  if (equals < 0 || equals >= end) throw new GatewayError('EPROTO', 'a line without "="')
  const name = bytes.toString('latin1', start, equals)
  const from = equals + 1
  switch (name) {
    case 'private_key':
      return { kind: 'privateKey', key: unlessZero(parseKey(bytes, from, end, name)) }
    case 'public_key':
      return { kind: 'publicKey', key: parseKey(bytes, from, end, name) }
    case 'preshared_key':
      return { kind: 'presharedKey', key: unlessZero(parseKey(bytes, from, end, name)) }
    default:
      if (!plainNames.has(name)) throw new GatewayError('EINVAL', `unknown key ${quoted(name)}`)
      return parsePlain(name, bytes.toString('latin1', from, end))
  }
}

/** The secret or public key bytes that an operation carries. */
export function keyOf(operation: Operation): Uint8Array | undefined {
  return 'key' in operation ? operation.key : undefined
}

const plainNames: ReadonlySet<string> = new Set([
  'listen_port',
  'fwmark',
  'replace_peers',
  'remove',
  'update_only',
  'endpoint',
  'persistent_keepalive_interval',
  'replace_allowed_ips',
  'allowed_ip',
  'protocol_version',
  'hawser_ciphers',
  'hawser_remote_ciphers',
])

function parsePlain(name: string, value: string): Operation {
  switch (name) {
    case 'listen_port':
      return { kind: 'listenPort', port: parseNumber(name, value, 0xffff) }
    case 'fwmark':
      return { kind: 'fwmark', mark: parseNumber(name, value, 0xffff_ffff) }
    case 'replace_peers':
      return onlyTrue(name, value, { kind: 'replacePeers' })
    case 'remove':
      return onlyTrue(name, value, { kind: 'remove' })
    case 'update_only':
      return onlyTrue(name, value, { kind: 'updateOnly' })
    case 'replace_allowed_ips':
      return onlyTrue(name, value, { kind: 'replaceAllowedIps' })
    case 'endpoint':
      return { kind: 'endpoint', remote: parseEndpoint(value) }
    case 'persistent_keepalive_interval':
      return { kind: 'keepalive', seconds: parseNumber(name, value, 0xffff) }
    case 'allowed_ip':
      return parseAllowedIp(value)
    case 'hawser_ciphers':
      return { kind: 'ciphers', enabled: parseOptional(name, value, parseCipherChoice) }
    case 'hawser_remote_ciphers':
      return { kind: 'remoteCiphers', remote: parseOptional(name, value, parseCipherList) }
    default:
      if (value !== '1') throw invalid(name, value)
      return { kind: 'protocolVersion' }
  }
}

/** An empty value takes back what was set. */
function parseOptional<Parsed extends object | string>(
  name: string,
  value: string,
  parse: (text: string) => Parsed | { readonly wrong: string },
): Parsed | undefined {
  if (value === '') return undefined
  const parsed = parse(value)
  if (typeof parsed === 'object' && 'wrong' in parsed) {
    throw new GatewayError('EINVAL', `${name}: ${parsed.wrong}`)
  }
  return parsed as Parsed
}

function parseAllowedIp(value: string): Operation {
  const remove = value.startsWith('-')
  if (!value.includes('/')) throw invalid('allowed_ip', value)
  return { kind: 'allowedIp', prefix: parsePrefix(remove ? value.slice(1) : value), remove }
}

/**
 * `wg` writes what getnameinfo says, which names the interface of a link-local address
 * (`[fe80::1%eth0]:51820`), where our own addresses have its number.
 */
function parseEndpoint(value: string): Remote {
  const numbered = value.replace(/%([^\]]+)\]/, (_, zone: string) => `%${scopeOf(zone)}]`)
  const remote = parseRemote(numbered)
  if (remote.port === 0) throw invalid('endpoint', value)
  return remote
}

function scopeOf(zone: string): number {
  if (/^\d{1,9}$/.test(zone)) return Number(zone)
  const addresses = networkInterfaces()[zone] ?? []
  for (const address of addresses) {
    if (address.family === 'IPv6' && address.scopeid) return address.scopeid
  }
  throw new GatewayError('ENODEV', `no interface ${quoted(zone)} with a link-local address`)
}

function parseNumber(name: string, value: string, most: number): number {
  const number = /^\d{1,10}$/.test(value) ? Number(value) : -1
  if (number < 0 || number > most) throw invalid(name, value)
  return number
}

function onlyTrue(name: string, value: string, operation: Operation): Operation {
  if (value !== 'true') throw invalid(name, value)
  return operation
}

function parseKey(bytes: Uint8Array, start: number, end: number, name: string): Uint8Array {
  try {
    return parseHexKey(bytes.subarray(start, end))
  } catch {
    throw new GatewayError('EINVAL', `${name} is not 64 hexadecimal digits`)
  }
}

function unlessZero(key: Uint8Array): Uint8Array | undefined {
  return isZeroKey(key) ? undefined : key
}

function invalid(name: string, value: string): GatewayError {
  return new GatewayError('EINVAL', `${name}: ${quoted(value)} is not allowed`)
}

/** Text from outside, fit for a log line. */
function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 64))
}
