// The status of the data path as a body: plain JSON without a trailer, remotes as text. The head is
// also what `hawser status -o json` shows, so it holds no key of any kind. Fields are added and never
// renamed; a reader leaves out those that it does not know.

import { formatRemote, parseRemote } from '../net/address.ts'
import { isCipherName } from '../tables/cipher.ts'
import { limits } from '../tables/shared.ts'
import type { AeadStatus, CableStatus, DatapathStatus, OffloadStatus } from '../tables/status.ts'
import { plainBody } from './codec.ts'
import {
  type Fields,
  has,
  invalid,
  pathOf,
  readBoolean,
  readCounts,
  readList,
  readNumber,
  readObject,
  readParsed,
  readText,
} from './fields.ts'
import type { Body } from './frames.ts'

const listedMost = 64

/** The status with its remotes as text: what JSON can hold. */
export interface PlainStatus extends Omit<DatapathStatus, 'cables'> {
  readonly cables: readonly PlainCable[]
}

interface PlainCable extends Omit<CableStatus, 'remote'> {
  readonly remote?: string
}

export function plainStatus(status: DatapathStatus): PlainStatus {
  return { ...status, cables: status.cables.map(plainCable) }
}

export function encodeStatus(status: DatapathStatus): Body {
  return plainBody(plainStatus(status))
}

/** Fields that this version does not know are left out. Throws EINVAL. */
export function decodeStatus(body: Body): DatapathStatus {
  const fields = readObject(body.head, 'status', body.trailer)
  return {
    interfaceName: readText(fields, 'interfaceName'),
    up: readBoolean(fields, 'up'),
    mtuBytes: readNumber(fields, 'mtuBytes'),
    generation: readNumber(fields, 'generation'),
    listenPort: readNumber(fields, 'listenPort'),
    fwmark: readNumber(fields, 'fwmark'),
    pid: readNumber(fields, 'pid'),
    // A data path of an older version does not tell, and has one.
    pairs: has(fields, 'pairs') ? readNumber(fields, 'pairs') : 1,
    startedAtMs: readNumber(fields, 'startedAtMs'),
    offloads: decodeOffloads(inner(fields, 'offloads')),
    aead: has(fields, 'aead') ? decodeAead(inner(fields, 'aead')) : { speeds: [], forms: [] },
    receiveBufferBytes: readNumber(fields, 'receiveBufferBytes'),
    sendBufferBytes: readNumber(fields, 'sendBufferBytes'),
    cables: readList(fields, 'cables', limits.cables).map((value, index) =>
      decodeCable(readObject(value, `${pathOf(fields, 'cables')}[${index}]`, body.trailer)),
    ),
    counters: readCounts(fields, 'counters'),
    drops: readCounts(fields, 'drops'),
  }
}

function plainCable(cable: CableStatus): PlainCable {
  const { remote, ...rest } = cable
  return remote === undefined ? rest : { ...rest, remote: formatRemote(remote) }
}

function decodeCable(fields: Fields): CableStatus {
  const driver = readText(fields, 'driver')
  if (driver !== 'wireguard' && driver !== 'vxlan')
    throw invalid(pathOf(fields, 'driver'), 'expected wireguard or vxlan')
  return {
    name: readText(fields, 'name'),
    driver,
    ...(has(fields, 'remote') ? { remote: readParsed(fields, 'remote', parseRemote) } : {}),
    ...decodeCipher(fields),
    lastHandshakeMs: readNumber(fields, 'lastHandshakeMs'),
    rxBytes: readNumber(fields, 'rxBytes'),
    txBytes: readNumber(fields, 'txBytes'),
    counters: readCounts(fields, 'counters'),
    drops: readCounts(fields, 'drops'),
  }
}

/** A cipher that this version has no name for counts as none. */
function decodeCipher(fields: Fields): Pick<CableStatus, 'cipher'> {
  const cipher = has(fields, 'cipher') ? readText(fields, 'cipher') : ''
  return isCipherName(cipher) ? { cipher } : {}
}

function decodeAead(fields: Fields): AeadStatus {
  const path = pathOf(fields, 'speeds')
  const speeds = readList(fields, 'speeds', listedMost).flatMap((value, index) => {
    const speed = readObject(value, `${path}[${index}]`, fields.trailer)
    const name = readText(speed, 'name')
    return isCipherName(name) ? [{ name, nsPerPacket: readNumber(speed, 'nsPerPacket') }] : []
  })
  const forms = readList(fields, 'forms', listedMost).filter(form => typeof form === 'string')
  return { speeds, forms }
}

function decodeOffloads(fields: Fields): OffloadStatus {
  const reasons = inner(fields, 'reasons')
  return {
    tunTso: readBoolean(fields, 'tunTso'),
    tunUso: readBoolean(fields, 'tunUso'),
    udpSegmentation: readBoolean(fields, 'udpSegmentation'),
    udpGro: readBoolean(fields, 'udpGro'),
    reasons: Object.fromEntries(
      Object.keys(reasons.values).map(name => [name, readText(reasons, name)]),
    ),
  }
}

function inner(fields: Fields, name: string): Fields {
  return readObject(fields.values[name], pathOf(fields, name), fields.trailer)
}
