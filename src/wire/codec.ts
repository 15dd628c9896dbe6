// The small messages of the data path's socket (docs/wire.md): hello, errors and datagrams. A
// snapshot of tables is in tables.ts, the status in status.ts, the frame around them in frames.ts.
// Everything that came over a socket is checked before it is believed: the data path has
// privileges, and its clients come and go.

import { formatRemote, parseRemote, type Remote } from '../net/address.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import type { ForeignDatagram } from '../tables/status.ts'
import {
  has,
  readBoolean,
  readBytes,
  readInteger,
  readNumber,
  readObject,
  readParsed,
  readText,
} from './fields.ts'
import type { Body } from './frames.ts'
import { TrailerWriter } from './trailer.ts'

/** Versions that one side speaks. */
export interface Versions {
  readonly oldest: number
  readonly newest: number
}

/** Ours. `oldest` stays one behind `newest`: either side may be upgraded first. */
export const protocol: Versions = { oldest: 1, newest: 2 }

/** The payload of the largest UDP datagram. */
const datagramBytesMax = 65_507

const nothing = new Uint8Array(0)

export function plainBody(head: unknown): Body {
  return { head, trailer: nothing }
}

export function decodeVersions(body: Body): Versions {
  const fields = readObject(body.head, 'hello', body.trailer)
  const oldest = readInteger(fields, 'oldest', 0, 65_535)
  return { oldest, newest: readInteger(fields, 'newest', oldest, 65_535) }
}

/** The newest version that both speak. Throws EPROTONOSUPPORT, which names both ranges. */
export function agreeVersion(ours: Versions, theirs: Versions): number {
  const version = Math.min(ours.newest, theirs.newest)
  if (version >= Math.max(ours.oldest, theirs.oldest)) return version
  const range = ({ oldest, newest }: Versions) =>
    oldest === newest ? `${newest}` : `${oldest} to ${newest}`
  throw new GatewayError(
    'EPROTONOSUPPORT',
    `the data path speaks version ${range(ours)} of the protocol, this client ${range(theirs)}`,
    { hint: 'use the hawser of the same release on both sides' },
  )
}

export function decodeVersion(body: Body): number {
  return readInteger(readObject(body.head, 'hello', body.trailer), 'version', 0, 65_535)
}

export function encodeError(error: GatewayError): Body {
  const { code, message, hint } = error
  return plainBody({ code, message, ...(hint === undefined ? {} : { hint }) })
}

export function decodeError(body: Body): GatewayError {
  const fields = readObject(body.head, 'error', body.trailer)
  const hint = has(fields, 'hint') ? { hint: readText(fields, 'hint') } : {}
  const options = { ...hint, exit: exitCode.failed }
  return new GatewayError(readText(fields, 'code'), readText(fields, 'message'), options)
}

/** `missed` counts the datagrams that this subscriber did not get since it subscribed. */
export function encodeForeign(datagram: ForeignDatagram, missed: number): Body {
  const trailer = new TrailerWriter()
  return trailer.body({
    from: formatRemote(datagram.from),
    receivedAtMs: datagram.receivedAtMs,
    missed,
    bytes: trailer.add(datagram.bytes),
  })
}

export function decodeForeign(body: Body): { datagram: ForeignDatagram; missed: number } {
  const fields = readObject(body.head, 'foreign', body.trailer)
  return {
    datagram: {
      from: readParsed(fields, 'from', parseRemote),
      receivedAtMs: readNumber(fields, 'receivedAtMs'),
      bytes: readBytes(fields, 'bytes', 0, datagramBytesMax),
    },
    missed: readNumber(fields, 'missed'),
  }
}

/** A datagram to send from the cable port. */
export function encodeSend(to: Remote, bytes: Uint8Array): Body {
  const trailer = new TrailerWriter()
  return trailer.body({ to: formatRemote(to), bytes: trailer.add(bytes) })
}

export function decodeSend(body: Body): { to: Remote; bytes: Uint8Array } {
  const fields = readObject(body.head, '', body.trailer, ['to', 'bytes'])
  return {
    to: readParsed(fields, 'to', parseRemote),
    bytes: readBytes(fields, 'bytes', 1, datagramBytesMax),
  }
}

/** Whether a queue had room for the datagram. */
export function decodeSent(body: Body): boolean {
  return readBoolean(readObject(body.head, '', body.trailer), 'sent')
}

/** Whether keys are asked for with the tables. */
export function decodeWantsKeys(body: Body): boolean {
  return readBoolean(readObject(body.head, '', body.trailer, ['keys']), 'keys', false)
}
