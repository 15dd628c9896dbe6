// Who we are to an API server, and whom we believe to be one: from the service account of a pod, from
// the broker settings of Submariner's gateways (server, token, CA, namespace), or from a kubeconfig
// (kubeconfig.ts). Nothing is read once and for all: files are read again when the last look is older
// than 10 s, and at once when the server answers 401 or shows a certificate that we do not trust, so a
// rotated token or CA works without a restart. A file that cannot be read (a volume being swapped)
// leaves what was read before.
//
// Secrets are in private fields: an inspector, a log line or a JSON of these objects shows none.

import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Agent } from 'node:https'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import type { Clock } from '../net/clock.ts'
import { KubeError } from './errors.ts'

/** Far below the minute within which a rotated token is promised to be seen. */
const rereadMs = 10_000

/** What tells TLS connections apart: with another one of these, pooled connections are of no use. */
export interface TlsMaterial {
  /** PEM; undefined for the system's roots. */
  readonly ca: readonly string[] | undefined
  readonly certificate: string | undefined
  readonly key: string | undefined
  readonly serverName: string | undefined
  /** The server's certificate is not looked at. */
  readonly isInsecure: boolean
}

export interface AccessParts {
  /** `https://host:port/base`, without a slash at its end. */
  readonly server: string
  readonly tls: TlsMaterial
  readonly headers: Readonly<Record<string, string>>
  /** What must appear in no message: tokens, passwords. */
  readonly secrets: readonly string[]
  /** Reaches the server through a proxy; it has the TLS material in it. */
  readonly agent?: Agent
}

/** What one request needs. */
export class Access {
  readonly server: string
  readonly #parts: AccessParts

  constructor(parts: AccessParts) {
    this.server = parts.server
    this.#parts = parts
  }

  get tls(): TlsMaterial {
    return this.#parts.tls
  }

  get headers(): Readonly<Record<string, string>> {
    return this.#parts.headers
  }

  get agent(): Agent | undefined {
    return this.#parts.agent
  }

  /** The text without secrets: a server or proxy may have echoed one. */
  withoutSecrets(text: string): string {
    const secrets = this.#parts.secrets.filter(secret => secret.length > 3)
    return secrets.reduce((clean, secret) => clean.replaceAll(secret, '(secret)'), text)
  }

  equals(other: Access): boolean {
    const [a, b] = [this.#parts, other.#parts]
    const isSamePlace = a.server === b.server && a.agent === b.agent
    return isSamePlace && isSame(a.tls, b.tls) && isSame(a.headers, b.headers)
  }
}

function isSame(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

export interface Credentials {
  /** For messages: `https://…`. */
  readonly server: string
  /** The namespace that they are for. */
  readonly namespace: string
  /** What to do when the server does not accept them. */
  readonly renewal: string
  /** As they are now; the same object while nothing has changed. Throws NO_CREDENTIALS. */
  access(): Promise<Access>
  /** After `stale` was refused: reads again; undefined when there is nothing else to try. */
  refresh(stale: Access): Promise<Access | undefined>
}

/** Reads again after a while or when it must; shared by all kinds of credentials. */
export class RereadAccess {
  readonly #read: () => Promise<Access>
  readonly #clock: Clock
  #access: Access | undefined
  #readAtMs = Number.NEGATIVE_INFINITY
  #reading: Promise<Access> | undefined

  constructor(clock: Clock, read: () => Promise<Access>) {
    this.#clock = clock
    this.#read = read
  }

  async access(): Promise<Access> {
    const isFresh = this.#clock.monotonicMs() - this.#readAtMs < rereadMs
    if (this.#access !== undefined && isFresh) return this.#access
    try {
      return await this.#readAgain()
    } catch (error) {
      if (this.#access === undefined) throw error
      return this.#access
    }
  }

  async refresh(stale: Access): Promise<Access | undefined> {
    // Somebody else was refused at the same time and has read already.
    if (this.#access !== undefined && this.#access !== stale) return this.#access
    const access = await this.#readAgain().catch(() => stale)
    return access === stale ? undefined : access
  }

  /** All who want it now share one look. */
  #readAgain(): Promise<Access> {
    this.#reading ??= this.#look().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #look(): Promise<Access> {
    const read = await this.#read()
    this.#readAtMs = this.#clock.monotonicMs()
    if (this.#access === undefined || !this.#access.equals(read)) this.#access = read
    return this.#access
  }
}

/** Where the kubelet mounts the service account. */
const accountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'

export interface InClusterOptions {
  readonly clock: Clock
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly directory?: string
}

/** The service account of the pod that we run in. Throws NO_CREDENTIALS outside of a pod. */
export async function inClusterCredentials(options: InClusterOptions): Promise<Credentials> {
  const { clock, environment, directory = accountDirectory } = options
  const host = environment['KUBERNETES_SERVICE_HOST']
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443'
  if (host === undefined || host === '') {
    throw new KubeError('NO_CREDENTIALS', 'this is no pod: KUBERNETES_SERVICE_HOST is not set', {
      hint: 'give a kubeconfig, or run in a pod with a service account',
    })
  }
  const namespace = (await readText(join(directory, 'namespace'))).trim()
  return fileCredentials(clock, {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace,
    renewal: `kubectl get serviceaccounts -n ${namespace}: does the account of this pod still exist?`,
    readToken: () => readToken(join(directory, 'token')),
    readCa: async () => [checkedCa(await readText(join(directory, 'ca.crt')))],
    isInsecure: false,
  })
}

/** As the stock operator hands them to a gateway (BROKER_K8S_…). */
export interface BrokerSettings {
  /** With or without `https://`. */
  readonly server: string
  readonly namespace: string
  /** Tried first: a mounted Secret with `token` and `ca.crt`. */
  readonly secretDirectory?: string
  readonly token?: string
  /** PEM, or base64 of it. */
  readonly ca?: string
  readonly caFile?: string
  /**
   * Whether the system's roots are trusted beside the CA. Stock gateways accept either, since the CA of
   * a token need not be that of the load balancer in front of the broker.
   */
  readonly trustsSystemRoots: boolean
  readonly isInsecure: boolean
}

/** Throws NO_CREDENTIALS when the settings cannot work. */
export function brokerCredentials(clock: Clock, settings: BrokerSettings): Credentials {
  const { secretDirectory } = settings
  const inline = settings.token?.trim() || undefined
  const server = parseServer(settings.server, 'the broker')
  if (secretDirectory === undefined && inline === undefined) {
    throw new KubeError('NO_CREDENTIALS', `there is no token for the broker ${server}`, {
      hint: 'join the cluster to the broker again',
    })
  }
  return fileCredentials(clock, {
    server,
    namespace: settings.namespace,
    renewal: 'join the cluster to the broker again: its token is not valid there any more',
    readToken: async () => {
      if (secretDirectory === undefined) return inline ?? ''
      return orElse(readToken(join(secretDirectory, 'token')), inline)
    },
    readCa: () => readBrokerCa(settings),
    isInsecure: settings.isInsecure,
  })
}

/** From a Secret that an API server is asked for, where nobody mounts it. */
export interface SecretSettings {
  readonly server: string
  readonly namespace: string
  /** `ca`: PEM; empty for the system's roots. */
  readonly read: () => Promise<{ readonly token: string; readonly ca: string }>
  readonly isInsecure: boolean
}

/** Throws NO_CREDENTIALS when the settings cannot work. */
export function secretCredentials(clock: Clock, settings: SecretSettings): Credentials {
  let ca = ''
  return fileCredentials(clock, {
    server: parseServer(settings.server, 'the broker'),
    namespace: settings.namespace,
    renewal: 'join the cluster to the broker again: its token is not valid there any more',
    readToken: async () => {
      const secret = await settings.read()
      ca = secret.ca
      return secret.token
    },
    readCa: async () => (ca === '' ? undefined : [checkedCa(ca), ...rootCertificates]),
    isInsecure: settings.isInsecure,
  })
}

async function readBrokerCa(settings: BrokerSettings): Promise<string[] | undefined> {
  const { secretDirectory, ca = '', caFile, trustsSystemRoots } = settings
  const inline = ca === '' ? undefined : pemOf(ca)
  // A mounted Secret need not have a CA; a file that was asked for has to be there.
  const given =
    caFile !== undefined
      ? await orElse(readText(caFile), inline)
      : secretDirectory !== undefined
        ? await orElse(readText(join(secretDirectory, 'ca.crt')), inline ?? '')
        : inline
  if (given === undefined || given.trim() === '') return undefined
  return trustsSystemRoots ? [checkedCa(given), ...rootCertificates] : [checkedCa(given)]
}

/** PEM stays what it is; anything else must be base64 of PEM. */
function pemOf(text: string): string {
  const isPem = (candidate: string) => candidate.includes('-----BEGIN CERTIFICATE-----')
  if (isPem(text)) return text
  const decoded = Buffer.from(text, 'base64').toString()
  if (isPem(decoded)) return decoded
  throw new KubeError('NO_CREDENTIALS', 'the CA is neither a PEM certificate nor base64 of one', {
    hint: 'base64 -w0 ca.crt',
  })
}

/** TLS takes a broken CA for none at all, and would then speak of an unknown issuer. */
export function checkedCa(pem: string): string {
  try {
    new X509Certificate(pem)
    return pem
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new KubeError('NO_CREDENTIALS', `the CA cannot be used: ${why}`, {
      hint: 'openssl x509 -noout -subject -in ca.crt',
    })
  }
}

interface FileSource {
  readonly server: string
  readonly namespace: string
  readonly renewal: string
  readonly readToken: () => Promise<string>
  readonly readCa: () => Promise<string[] | undefined>
  readonly isInsecure: boolean
}

function fileCredentials(clock: Clock, source: FileSource): Credentials {
  const { server, namespace, renewal, isInsecure } = source
  const reread = new RereadAccess(clock, async () => {
    const token = await source.readToken()
    const ca = isInsecure ? undefined : await source.readCa()
    return new Access({
      server,
      tls: { ca, certificate: undefined, key: undefined, serverName: undefined, isInsecure },
      headers: { Authorization: `Bearer ${token}` },
      secrets: [token],
    })
  })
  return {
    server,
    namespace,
    renewal,
    access: () => reread.access(),
    refresh: stale => reread.refresh(stale),
  }
}

/** `host:port/base` or a URL to `https://host:port/base`. Tokens go over TLS alone. */
export function parseServer(text: string, whose: string): string {
  const withScheme = text.includes('://') ? text : `https://${text}`
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined
  if (url?.protocol !== 'https:' || url.hostname === '') {
    const shown = JSON.stringify(text.replace(/\/\/[^/@]*@/, '//'))
    throw new KubeError('NO_CREDENTIALS', `${whose}: ${shown} is no https address`, {
      hint: 'an address like https://broker.example.com:6443',
    })
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

async function readToken(file: string): Promise<string> {
  const token = (await readText(file)).trim()
  if (token !== '') return token
  throw new KubeError('NO_CREDENTIALS', `${file} is empty: there is no token`)
}

/** Throws NO_CREDENTIALS with the path. */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new KubeError('NO_CREDENTIALS', `cannot read ${file}: ${why}`, { hint: `ls -l ${file}` })
  }
}

async function orElse<T>(value: Promise<T>, other: T | undefined): Promise<T> {
  try {
    return await value
  } catch (error) {
    if (other === undefined) throw error
    return other
  }
}
