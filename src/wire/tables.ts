// A snapshot of tables as a body: the head holds the structure, addresses and prefixes as text, and
// the trailer the keys. Decoding obeys the limits of tables/shared.ts and never truncates: what does
// not fit is EINVAL with the path of the field. Fields with a natural default may be left out, which
// only files do (tables-file.ts); encoding always writes them.

import {
  formatAddress,
  formatPrefix,
  formatRemote,
  type Prefix,
  parseAddress,
  parsePrefix,
  parseRemote,
} from '../net/address.ts'
import { type CipherName, type CipherTable, cipherNames, isCipherName } from '../tables/cipher.ts'
import { limits } from '../tables/shared.ts'
import type { CableTable, DeviceTable, Tables, VxlanTable } from '../tables/tables.ts'
import {
  type Fields,
  has,
  invalid,
  parseAt,
  pathOf,
  readBytes,
  readInteger,
  readList,
  readObject,
  readParsed,
  readText,
} from './fields.ts'
import type { Body } from './frames.ts'
import { TrailerWriter } from './trailer.ts'

const KEY_BYTES = 32
const prefixesMax = 1_000_000
const count = Number.MAX_SAFE_INTEGER

const tablesFields = ['generation', 'device', 'cables']
const deviceFields = ['privateKey', 'listenPort', 'fwmark', 'vxlan']
const vxlanFields = ['vni', 'address', 'mac']
const cableFields = ['name', 'driver', 'remote', 'remoteSerial', 'allowedIps', 'mtuBytes']
const wireguardFields = [
  ...cableFields,
  ...['publicKey', 'presharedKey', 'keepaliveSeconds', 'ciphers'],
]
const cipherFields = ['enabled', 'remote']
const vxlanCableFields = [...cableFields, 'tunnelAddress']

/** The first version of the protocol that knows the ciphers of a cable. */
export const ciphersVersion = 2

/**
 * Without `keys` the private key and the preshared keys are left out; for a reader of an older
 * version, what that one would refuse.
 */
export function encodeTables(tables: Tables, keys: boolean, version = ciphersVersion): Body {
  const trailer = new TrailerWriter()
  const secret = (bytes: Uint8Array | undefined) =>
    keys && bytes !== undefined ? trailer.add(bytes) : undefined
  const { device } = tables
  return trailer.body({
    generation: tables.generation,
    device: {
      privateKey: secret(device.privateKey),
      listenPort: device.listenPort,
      fwmark: device.fwmark,
      vxlan: device.vxlan && {
        vni: device.vxlan.vni,
        address: formatAddress(device.vxlan.address),
        mac: formatMac(device.vxlan.mac),
      },
    },
    cables: tables.cables.map(cable => ({
      name: cable.name,
      driver: cable.driver,
      remote: cable.remote && formatRemote(cable.remote),
      remoteSerial: cable.remoteSerial,
      allowedIps: cable.allowedIps.map(formatPrefix),
      mtuBytes: cable.mtuBytes,
      ...(cable.driver === 'wireguard'
        ? {
            publicKey: trailer.add(cable.publicKey),
            presharedKey: secret(cable.presharedKey),
            keepaliveSeconds: cable.keepaliveSeconds,
            ciphers: version < ciphersVersion ? undefined : cable.ciphers,
          }
        : { tunnelAddress: formatAddress(cable.tunnelAddress) }),
    })),
  })
}

/** Keys come out as copies. `generation` is taken where the head has none. Throws EINVAL. */
export function decodeTables(body: Body, generation?: number): Tables {
  const fields = readObject(body.head, '', body.trailer, tablesFields)
  const ownGeneration = readInteger(fields, 'generation', 0, count, generation)
  const device = decodeDevice(readObject(fields.values['device'], 'device', body.trailer))
  const cables = readList(fields, 'cables', limits.cables).map((value, index) =>
    decodeCable(readObject(value, `cables[${index}]`, body.trailer), ownGeneration),
  )
  checkDistinct(cables)
  const vxlan = cables.findIndex(cable => cable.driver === 'vxlan')
  if (vxlan >= 0 && !device.vxlan)
    throw invalid(`cables[${vxlan}].driver`, 'a vxlan cable needs device.vxlan')
  return { generation: ownGeneration, device, cables }
}

/** Fills every secret of a snapshot with zeros. The snapshot is worth nothing afterwards. */
export function wipeTables(tables: Tables): void {
  for (const secret of secretsOf(tables)) secret.fill(0)
}

/** The arrays themselves, no copies: the private key and the preshared keys. */
export function secretsOf(tables: Tables): Uint8Array[] {
  const keys = tables.cables.map(cable =>
    cable.driver === 'wireguard' ? cable.presharedKey : undefined,
  )
  return [tables.device.privateKey, ...keys].filter(key => key !== undefined)
}

function decodeDevice(fields: Fields): DeviceTable {
  readObject(fields.values, fields.path, fields.trailer, deviceFields)
  const vxlan = has(fields, 'vxlan')
    ? { vxlan: decodeVxlan(readObject(fields.values['vxlan'], 'device.vxlan', fields.trailer)) }
    : {}
  return {
    ...readKey(fields, 'privateKey'),
    listenPort: readInteger(fields, 'listenPort', 0, 65_535, 0),
    fwmark: readInteger(fields, 'fwmark', 0, 0xffff_ffff, 0),
    ...vxlan,
  }
}

function decodeVxlan(fields: Fields): VxlanTable {
  readObject(fields.values, fields.path, fields.trailer, vxlanFields)
  return {
    vni: readInteger(fields, 'vni', 0, 0xff_ffff),
    address: readParsed(fields, 'address', parseAddress),
    mac: readParsed(fields, 'mac', parseMac),
  }
}

function decodeCable(fields: Fields, generation: number): CableTable {
  const driver = readText(fields, 'driver')
  if (driver !== 'wireguard' && driver !== 'vxlan')
    throw invalid(pathOf(fields, 'driver'), 'expected wireguard or vxlan')
  const known = driver === 'wireguard' ? wireguardFields : vxlanCableFields
  readObject(fields.values, fields.path, fields.trailer, known)
  const base = {
    name: readParsed(fields, 'name', parseName),
    ...(has(fields, 'remote') ? { remote: readParsed(fields, 'remote', parseRemote) } : {}),
    remoteSerial: readInteger(fields, 'remoteSerial', 0, count, generation),
    allowedIps: readPrefixes(fields),
    ...(has(fields, 'mtuBytes') ? { mtuBytes: readInteger(fields, 'mtuBytes', 68, 65_535) } : {}),
  }
  if (driver === 'vxlan')
    return { ...base, driver, tunnelAddress: readParsed(fields, 'tunnelAddress', parseAddress) }
  return {
    ...base,
    driver,
    publicKey: readBytes(fields, 'publicKey', KEY_BYTES, KEY_BYTES),
    ...readKey(fields, 'presharedKey'),
    keepaliveSeconds: readInteger(fields, 'keepaliveSeconds', 0, 65_535, 0),
    ...(has(fields, 'ciphers') ? { ciphers: decodeCiphers(fields) } : {}),
  }
}

function decodeCiphers(cable: Fields): CipherTable {
  const path = pathOf(cable, 'ciphers')
  const fields = readObject(cable.values['ciphers'], path, cable.trailer, cipherFields)
  const enabled =
    fields.values['enabled'] === 'auto' ? 'auto' : readCiphers(fields, 'enabled', ', or auto')
  return {
    enabled,
    ...(has(fields, 'remote') ? { remote: readCiphers(fields, 'remote', '') } : {}),
  }
}

/** At least one, each once. */
function readCiphers(fields: Fields, name: string, other: string): readonly CipherName[] {
  const path = pathOf(fields, name)
  const list = readList(fields, name, cipherNames.length)
  const known = `known are ${cipherNames.join(', ')}`
  if (list.length === 0) throw invalid(path, `expected a list of ciphers${other}; ${known}`)
  return list.map((text, index) => {
    if (typeof text !== 'string' || !isCipherName(text))
      throw invalid(`${path}[${index}]`, `unknown cipher; ${known}`)
    if (list.indexOf(text) < index) throw invalid(`${path}[${index}]`, `${text} stands there twice`)
    return text
  })
}

function readKey<Name extends string>(fields: Fields, name: Name): { [N in Name]?: Uint8Array } {
  if (!has(fields, name)) return {}
  const key = { [name]: readBytes(fields, name, KEY_BYTES, KEY_BYTES) }
  return key as { [N in Name]: Uint8Array }
}

function readPrefixes(fields: Fields): Prefix[] {
  const path = pathOf(fields, 'allowedIps')
  return readList(fields, 'allowedIps', prefixesMax).map((text, index) => {
    if (typeof text !== 'string') throw invalid(`${path}[${index}]`, 'expected a prefix')
    return parseAt(text, `${path}[${index}]`, parsePrefix)
  })
}

/** State that outlives a snapshot is keyed by name and key: two cables must not share one. */
function checkDistinct(cables: readonly CableTable[]): void {
  const names = new Map<string, number>()
  const keys = new Map<string, number>()
  cables.forEach((cable, index) => {
    claim(names, cable.name, `cables[${index}].name`, index)
    if (cable.driver === 'wireguard')
      claim(keys, Buffer.from(cable.publicKey).toString('hex'), `cables[${index}].publicKey`, index)
  })
}

function claim(seen: Map<string, number>, key: string, path: string, index: number): void {
  const first = seen.get(key)
  if (first !== undefined) throw invalid(path, `the same as that of cables[${first}]`)
  seen.set(key, index)
}

/** Names go to terminals, logs and metrics: no spaces, no control characters. */
function parseName(text: string): string {
  if (/^[\p{L}\p{N}\p{P}\p{S}]{1,63}$/u.test(text)) return text
  throw new Error('expected 1 to 63 characters without spaces')
}

function formatMac(mac: Uint8Array): string {
  return [...mac].map(byte => byte.toString(16).padStart(2, '0')).join(':')
}

function parseMac(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text))
    throw new Error('expected an Ethernet address like 02:00:5e:10:00:01')
  return Uint8Array.from(text.split(':'), byte => Number.parseInt(byte, 16))
}
