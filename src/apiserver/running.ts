// Puts the parts together: the store in a directory or in memory, the certificate, the API, the server.
// What an API server makes for itself at its start is made here; the CLI and the tests hand in the rest,
// the clock among it.

import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Prefix } from '../net/address.ts'
import type { Clock } from '../net/clock.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import { Api } from './api.ts'
import type { Body } from './body.ts'
import { serverCertificate, writePrivate } from './certificate.ts'
import type { Kinds } from './kinds.ts'
import { ApiServer } from './server.ts'
import { SqliteLog } from './sqlite-log.ts'
import { MemoryLog } from './store.ts'

export interface RunOptions {
  readonly kinds: Kinds
  /** Of the certificate, and of the store unless that is in memory. */
  readonly directory: string
  readonly isInMemory?: boolean
  /** Undefined: all interfaces. */
  readonly host: string | undefined
  readonly port: number
  /** Names and addresses that clients come by; goes into the certificate. */
  readonly names: readonly string[]
  readonly brokerNamespace: string
  readonly serviceCidrs?: readonly Prefix[]
  readonly clock: Clock
  readonly report: (line: string) => void
  readonly bookmarkMs?: number
  readonly watchesMost?: number
  readonly heldBytesMost?: number
}

export interface RunningApi {
  readonly api: Api
  readonly server: ApiServer
  readonly port: number
  /** PEM. */
  readonly ca: string
  close(): Promise<void>
}

/** Throws GatewayError. */
export async function runApi(options: RunOptions): Promise<RunningApi> {
  const { kinds, directory, names, clock, host, port, report } = options
  const { brokerNamespace, serviceCidrs = [] } = options
  // The store first: its lock keeps two servers from making certificates in one directory.
  const log = options.isInMemory ? new MemoryLog() : new SqliteLog(directory)
  try {
    const tls = join(directory, 'tls')
    const certificate = await serverCertificate(tls, names, clock.wallMs())
    const { ca } = certificate
    const around = {
      nowMs: () => clock.wallMs(),
      uuid: () => randomUUID(),
      random: (bytes: number) => randomBytes(bytes),
    }
    const api = new Api({ kinds, log, around, brokerNamespace, serviceCidrs, ca })
    const { bookmarkMs, watchesMost, heldBytesMost } = options
    const server = new ApiServer({
      ...{ api, certificate, host, port, report },
      ...(bookmarkMs === undefined ? {} : { bookmarkMs }),
      ...(watchesMost === undefined ? {} : { watchesMost }),
      ...(heldBytesMost === undefined ? {} : { heldBytesMost }),
    })
    const bound = await server.listen()
    const close = async () => {
      await server.close()
      api.close()
    }
    return { api, server, port: bound, ca, close }
  } catch (error) {
    log.close()
    throw listenError(error, host, port)
  }
}

function listenError(error: unknown, host: string | undefined, port: number): unknown {
  if (!(error instanceof Error) || !('syscall' in error) || error.syscall !== 'listen') return error
  const code = 'code' in error ? String(error.code) : 'EIO'
  const where = `${host ?? '*'}:${port}`
  return new GatewayError(code, `cannot listen on ${where}: ${error.message}`, {
    hint: `ss -ltnp 'sport = :${port}', or another address by --listen`,
    exit: exitCode.failed,
    cause: error,
  })
}

export interface KubeconfigParts {
  /** `https://…` */
  readonly server: string
  readonly ca: string
  readonly token: string
  readonly namespace: string
}

/** A kubeconfig, 0600. It is JSON, which every YAML parser reads. */
export function writeKubeconfig(file: string, parts: KubeconfigParts): void {
  const { server, ca, token, namespace } = parts
  const name = 'hawser'
  const authority = Buffer.from(ca).toString('base64')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': authority } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
    'current-context': name,
  }
  writePrivate(file, `${JSON.stringify(config, null, 1)}\n`)
}

/** An account and its token Secret, made unless they are there. The token. */
export function ensureAccount(
  api: Api,
  namespace: string,
  name: string,
  annotations: Readonly<Record<string, string>> = {},
): string {
  const own = (metadata: Body): Body => ({ apiVersion: 'v1', metadata: { namespace, ...metadata } })
  api.ensure('serviceaccounts', namespace, {
    ...own({ name, annotations }),
    kind: 'ServiceAccount',
  })
  const secret = api.ensure('secrets', namespace, {
    ...own({
      name: `${name}-token`,
      annotations: { 'kubernetes.io/service-account.name': name },
    }),
    kind: 'Secret',
    type: 'kubernetes.io/service-account-token',
  })
  const { data } = secret as { readonly data: { readonly token: string } }
  return Buffer.from(data.token, 'base64').toString()
}
