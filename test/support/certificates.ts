// Certificate authorities and certificates for tests of TLS: X.509 v3 with ECDSA on P-256, DER written by
// hand (RFC 5280 4.1, ITU-T X.690), because Node makes keys and signatures but no certificates.

import { generateKeyPairSync, type KeyObject, randomInt, sign } from 'node:crypto'
import { isIP } from 'node:net'
import { parseAddress } from '../../src/net/address.ts'

/** A certificate with its key, as PEM. */
export interface Certificate {
  readonly pem: string
  readonly keyPem: string
}

export interface Authority extends Certificate {
  /** For the names (DNS or addresses) of a server, or of a client. */
  issue(names: readonly string[], options?: Validity): Certificate
}

export interface Validity {
  readonly isExpired?: boolean
  /** Not valid before an hour from now. */
  readonly isEarly?: boolean
}

const dayMs = 24 * 3600 * 1000

export function createAuthority(name: string): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer = { name, key: keys.privateKey }
  const isCa = extension([2, 5, 29, 19], sequence(boolean(true)), true)
  return {
    ...certificate({ issuer, subject: name, keys, extensions: [isCa], fromMs: Date.now() - dayMs }),
    issue(names, { isExpired = false, isEarly = false } = {}) {
      const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const sinceMs = isEarly ? -dayMs / 24 : (isExpired ? 3 : 1) * dayMs
      const fromMs = Date.now() - sinceMs
      const extensions = [extension([2, 5, 29, 17], sequence(...names.map(generalName)))]
      return certificate({ issuer, subject: names[0], keys: own, extensions, fromMs })
    },
  }
}

interface Parts {
  readonly issuer: { readonly name: string; readonly key: KeyObject }
  readonly subject: string
  readonly keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
  readonly extensions: readonly Buffer[]
  /** Valid for two days from then on. */
  readonly fromMs: number
}

function certificate({ issuer, subject, keys, extensions, fromMs }: Parts): Certificate {
  const algorithm = sequence(oid([1, 2, 840, 10045, 4, 3, 2]))
  const body = sequence(
    der(0xa0, integer(2)),
    integer(randomInt(1, 2 ** 31)),
    algorithm,
    distinguishedName(issuer.name),
    sequence(utcTime(fromMs), utcTime(fromMs + 2 * dayMs)),
    distinguishedName(subject),
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  const whole = sequence(body, algorithm, bitString(sign('sha256', body, issuer.key)))
  const lines = whole.toString('base64').replace(/.{64}/g, '$&\n')
  return {
    pem: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    keyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** Tag, length, content. */
function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  const size = body.length
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}

function sequence(...content: readonly Uint8Array[]): Buffer {
  return der(0x30, ...content)
}

/** Not negative. */
function integer(value: number): Buffer {
  const digits = value.toString(16)
  const bytes = Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex')
  return der(0x02, Buffer.alloc(bytes[0] >> 7), bytes)
}

function boolean(value: boolean): Buffer {
  return der(0x01, Buffer.from([value ? 0xff : 0]))
}

function bitString(content: Uint8Array): Buffer {
  return der(0x03, Buffer.from([0]), content)
}

function oid([first, second, ...rest]: readonly number[]): Buffer {
  const digits = rest.flatMap(arc => {
    const groups = [arc & 0x7f]
    for (let high = arc >> 7; high > 0; high >>= 7) groups.unshift(0x80 | (high & 0x7f))
    return groups
  })
  return der(0x06, Buffer.from([first * 40 + second, ...digits]))
}

function distinguishedName(commonName: string): Buffer {
  const attribute = sequence(oid([2, 5, 4, 3]), der(0x0c, Buffer.from(commonName)))
  return sequence(der(0x31, attribute))
}

function utcTime(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(2, 14)
  return der(0x17, Buffer.from(`${text}Z`))
}

function extension(id: readonly number[], value: Buffer, isCritical = false): Buffer {
  return sequence(oid(id), ...(isCritical ? [boolean(true)] : []), der(0x04, value))
}

function generalName(name: string): Buffer {
  return isIP(name) === 0
    ? der(0x82, Buffer.from(name))
    : der(0x87, Buffer.from(parseAddress(name).bytes))
}
