// The server's certificate and the CA that signed it, made once and kept on disk (0600). Clients get the CA
// in the join file or the kubeconfig. When a name is asked for that the certificate does not have, or its
// end is near, another one is made under the same CA: no client notices. The library that makes them takes 20 MB
// and is loaded for that alone.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { dirname, join } from 'node:path'
import { GatewayError } from '../net/errors.ts'

export interface ServerCertificate {
  /** PEM. */
  readonly ca: string
  readonly certificate: string
  readonly key: string
}

const yearMs = 365 * 24 * 3600 * 1000
const authorityYears = 20
const serverYears = 5
/** A clock may be behind that of the machine that made it. */
const skewMs = 24 * 3600 * 1000

/** `names`: DNS names and addresses that clients come by. */
export async function serverCertificate(
  directory: string,
  names: readonly string[],
  nowMs: number,
): Promise<ServerCertificate> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const authority = await kept(
    directory,
    'ca',
    () => true,
    () => makeAuthority(nowMs),
  )
  const { publicKey } = new X509Certificate(authority.certificate)
  const isGood = ({ certificate, key }: Pair) => {
    const there = new X509Certificate(certificate)
    // The CA may have been made anew, and the key for a certificate that was not written any more.
    const isOurs = there.verify(publicKey) && there.checkPrivateKey(createPrivateKey(key))
    return isOurs && isGoodFor(there, names, nowMs)
  }
  const server = await kept(directory, 'server', isGood, () => makeServer(authority, names, nowMs))
  return { ca: authority.certificate, ...server }
}

interface Pair {
  readonly certificate: string
  readonly key: string
}

async function kept(
  directory: string,
  name: string,
  isGood: (pair: Pair) => boolean,
  make: () => Promise<Pair>,
): Promise<Pair> {
  const files = { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) }
  if (existsSync(files.certificate) && existsSync(files.key)) {
    const pair = {
      certificate: readFileSync(files.certificate, 'utf8'),
      key: readFileSync(files.key, 'utf8'),
    }
    if (isGood(pair)) return pair
  }
  const made = await make()
  // The key first: a certificate without its key would be taken for a whole pair.
  writePrivate(files.key, made.key)
  writePrivate(files.certificate, made.certificate)
  return made
}

/** Whole or not at all, whenever the process ends. Throws GatewayError. */
export function writePrivate(file: string, text: string): void {
  const draft = `${file}.new`
  try {
    rmSync(draft, { force: true })
    writeFileSync(draft, text, { mode: 0o600, flag: 'wx', flush: true })
    renameSync(draft, file)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    const folder = dirname(file)
    throw new GatewayError('CANNOT_WRITE', `cannot write ${file}: ${why}`, {
      hint: `df -h ${folder}; ls -ld ${folder}`,
      cause,
    })
  }
}

function isGoodFor(certificate: X509Certificate, names: readonly string[], nowMs: number): boolean {
  const hasAll = names.every(name =>
    isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name),
  )
  return hasAll && certificate.validToDate.getTime() - nowMs > yearMs
}

async function makeAuthority(nowMs: number): Promise<Pair> {
  const { generate } = await import('selfsigned')
  const made = await generate([{ name: 'commonName', value: 'hawser-api-ca' }], {
    ...common(nowMs, authorityYears),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  })
  return { certificate: made.cert, key: made.private }
}

async function makeServer(authority: Pair, names: readonly string[], nowMs: number): Promise<Pair> {
  const { generate } = await import('selfsigned')
  const made = await generate([{ name: 'commonName', value: 'hawser-api' }], {
    ...common(nowMs, serverYears),
    ca: { cert: authority.certificate, key: authority.key },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: names.map(name =>
          isIP(name) === 0 ? { type: 2 as const, value: name } : { type: 7 as const, ip: name },
        ),
      },
    ],
  })
  return { certificate: made.cert, key: made.private }
}

function common(nowMs: number, years: number) {
  return {
    keyType: 'ec' as const,
    curve: 'P-256' as const,
    algorithm: 'sha256',
    notBeforeDate: new Date(nowMs - skewMs),
    notAfterDate: new Date(nowMs + years * yearMs),
  }
}
