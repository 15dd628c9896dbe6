// An Endpoint's `backend_config`: strings by name, in which a gateway tells the others how to reach
// it. Stock Submariner compares the whole map to decide whether an Endpoint is still the same and
// makes the cable anew when it is not, so nothing that changes by itself goes in.
//
// An empty string counts as absent, as for stock.

import { parsePort } from '../../net/address.ts'
import { parseBase64Key } from '../../net/keys.ts'
import { type Fields, has, invalid, parseAt, pathOf, readText, splitCommas } from './fields.ts'

export interface BackendConfig {
  /** The cable's port; undefined: `defaultUdpPort`. */
  readonly udpPort: number | undefined
  /** Undefined: this gateway takes no part in NAT discovery. */
  readonly nattDiscoveryPort: number | undefined
  /** Whether it wants the others to initiate; undefined: it does not care. */
  readonly isPreferredServer: boolean | undefined
  /** When it began to be the server, in seconds since 1970: clients connect anew when it moves. */
  readonly preferredServerSinceSeconds: number | undefined
  readonly isUsingLoadBalancer: boolean
  /** Of WireGuard, 32 bytes. */
  readonly publicKey: Uint8Array | undefined
  /** Of WireGuard: the device on the gateway that route agents route to. */
  readonly interfaceName: string | undefined
  /** Cable drivers by preference, known to us or not; undefined: `backend` alone. Ours. */
  readonly cables: readonly string[] | undefined
  /** Ciphers that it accepts, known to us or not; undefined: WireGuard's own alone. Ours. */
  readonly ciphers: readonly string[] | undefined
  /** Keys that we do not know, as they are. */
  readonly others: Readonly<Record<string, string>>
}

export const defaultUdpPort = 4500
export const defaultNattDiscoveryPort = 4490

const key = {
  udpPort: 'udp-port',
  nattDiscoveryPort: 'natt-discovery-port',
  preferredServer: 'preferred-server',
  preferredServerTimestamp: 'preferred-server-timestamp',
  usingLoadBalancer: 'using-loadbalancer',
  publicKey: 'publicKey',
  interfaceName: 'interface-name',
  cables: 'hawser-cables',
  ciphers: 'hawser-ciphers',
} as const

const knownKeys: readonly string[] = Object.values(key)

/** A config that says nothing. */
export const emptyBackendConfig: BackendConfig = {
  udpPort: undefined,
  nattDiscoveryPort: undefined,
  isPreferredServer: undefined,
  preferredServerSinceSeconds: undefined,
  isUsingLoadBalancer: false,
  publicKey: undefined,
  interfaceName: undefined,
  cables: undefined,
  ciphers: undefined,
  others: {},
}

export function readBackendConfig(fields: Fields): BackendConfig {
  const others = Object.keys(fields.values)
    .filter(name => !knownKeys.includes(name))
    .map(name => [name, readText(fields, name)])
  return {
    udpPort: readPort(fields, key.udpPort),
    // Stock writes 0 for "off", too.
    nattDiscoveryPort: isZero(fields, key.nattDiscoveryPort)
      ? undefined
      : readPort(fields, key.nattDiscoveryPort),
    isPreferredServer: readGoBoolean(fields, key.preferredServer),
    preferredServerSinceSeconds: readSeconds(fields, key.preferredServerTimestamp),
    isUsingLoadBalancer: readGoBoolean(fields, key.usingLoadBalancer) ?? false,
    publicKey: readPublicKey(fields, key.publicKey),
    interfaceName: readText(fields, key.interfaceName, '') || undefined,
    cables: readNames(fields, key.cables),
    ciphers: readNames(fields, key.ciphers),
    others: Object.fromEntries(others),
  }
}

/** The map as stock writes it: keys that have nothing to say are left out. */
export function writeBackendConfig(config: BackendConfig): Record<string, string> {
  const { publicKey, ciphers, isUsingLoadBalancer } = config
  const known: Readonly<Record<string, string | undefined>> = {
    [key.udpPort]: config.udpPort?.toString(),
    [key.nattDiscoveryPort]: config.nattDiscoveryPort?.toString(),
    [key.preferredServer]: config.isPreferredServer?.toString(),
    [key.preferredServerTimestamp]: config.preferredServerSinceSeconds?.toString(),
    [key.usingLoadBalancer]: isUsingLoadBalancer ? 'true' : undefined,
    [key.publicKey]:
      publicKey === undefined ? undefined : Buffer.from(publicKey).toString('base64'),
    [key.interfaceName]: config.interfaceName,
    [key.cables]: config.cables?.join(','),
    // By name, not by speed: what is measured anew at each start may not change the Endpoint.
    [key.ciphers]: ciphers === undefined ? undefined : [...ciphers].sort().join(','),
  }
  const entries = Object.entries(known).filter(([, value]) => value !== undefined)
  return { ...config.others, ...(Object.fromEntries(entries) as Record<string, string>) }
}

/** Whether stock takes both for the same: behind load balancers only that is looked at. */
export function equalBackendConfig(a: BackendConfig, b: BackendConfig): boolean {
  if (a.isUsingLoadBalancer && b.isUsingLoadBalancer) return true
  const [one, other] = [writeBackendConfig(a), writeBackendConfig(b)]
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length && names.every(name => one[name] === other[name])
  )
}

/** 1 to 65535, or undefined. */
export function readPort(fields: Fields, name: string): number | undefined {
  const text = readText(fields, name, '')
  if (text === '') return undefined
  return parseAt(text, pathOf(fields, name), 'a port from 1 to 65535', portText => {
    const port = parsePort(portText)
    return port === 0 ? undefined : port
  })
}

function isZero(fields: Fields, name: string): boolean {
  return has(fields, name) && readText(fields, name) === '0'
}

/** What Go's strconv.ParseBool takes. */
const goBooleans: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map(text => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map(text => [text, false] as const),
])

export function readGoBoolean(fields: Fields, name: string): boolean | undefined {
  const text = readText(fields, name, '')
  if (text === '') return undefined
  return parseAt(text, pathOf(fields, name), 'true or false', word => goBooleans.get(word))
}

function readSeconds(fields: Fields, name: string): number | undefined {
  const text = readText(fields, name, '')
  if (text === '') return undefined
  return parseAt(text, pathOf(fields, name), 'a time in seconds since 1970', digits =>
    /^\d{1,15}$/.test(digits) ? Number(digits) : undefined,
  )
}

function readPublicKey(fields: Fields, name: string): Uint8Array | undefined {
  const text = readText(fields, name, '')
  if (text === '') return undefined
  // Not quoted: whoever writes a key in the wrong place may have written a private one.
  try {
    return parseBase64Key(text)
  } catch {
    throw invalid(pathOf(fields, name), 'expected 32 bytes as 44 characters of base64')
  }
}

function readNames(fields: Fields, name: string): readonly string[] | undefined {
  const names = splitCommas(readText(fields, name, ''))
  return names.length === 0 ? undefined : names
}
