// A kube-apiserver with its kube-controller-manager: a cluster without nodes. It has a CA, an admin and
// service account keys of its own, so that nothing of one cluster is good in another.
//
// `kill` and `start` are a crash and a restart: the same port, certificate and objects.

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { request } from 'node:https'
import { KubeClient } from '../../../src/kube/client.ts'
import {
  type BrokerSettings,
  brokerCredentials,
  type Credentials,
} from '../../../src/kube/credentials.ts'
import { mustRun } from '../../../src/lab/process.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { createAuthority } from '../certificates.ts'
import { Daemon } from './daemon.ts'
import type { Scratch } from './scratch.ts'

export interface ApiServerParts {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly etcdUrl: string
  readonly serviceCidr: string
  /** The folder of the programs. */
  readonly binaries: string
  readonly scratch: Scratch
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly text: string
}

export interface RawRequest {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Absent: the admin's. */
  readonly token?: string
}

/** Of kube-controller-manager: what our objects rely on. */
const controllers = [
  ...['namespace-controller', 'garbage-collector-controller'],
  // Fills the ClusterRoles admin, edit and view.
  'clusterrole-aggregation-controller',
  ...['serviceaccount-controller', 'serviceaccount-token-controller'],
  ...['endpointslice-controller', 'endpointslice-mirroring-controller'],
  // Says in a policy's status what its expressions get wrong.
  'validatingadmissionpolicy-status-controller',
]

export class ApiServer {
  readonly name: string
  readonly url: string
  /** PEM. */
  readonly ca: string
  /** May do everything (system:masters). */
  readonly adminToken = randomBytes(16).toString('hex')
  /** The path of the admin's. */
  readonly kubeconfig: string
  readonly serviceCidr: string
  readonly #parts: ApiServerParts
  readonly #clients: KubeClient[] = []
  #server: Daemon | undefined
  #controllers: Daemon | undefined
  #namespaces = 0

  constructor(parts: ApiServerParts) {
    const { name, address, port, scratch, serviceCidr } = parts
    this.#parts = parts
    this.name = name
    this.serviceCidr = serviceCidr
    this.url = `https://${address}:${port}`
    const authority = createAuthority(`${name}-ca`)
    const { pem, keyPem } = authority.issue([address, 'localhost', 'kubernetes.default.svc'])
    const accounts = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const accountKey = accounts.privateKey.export({ type: 'pkcs8', format: 'pem' })
    this.ca = authority.pem
    this.#write('ca.crt', authority.pem)
    this.#write('tls.crt', pem)
    this.#write('tls.key', keyPem)
    this.#write('accounts.pub', accounts.publicKey.export({ type: 'spki', format: 'pem' }))
    this.#write('accounts.key', accountKey)
    this.#write('tokens.csv', `${this.adminToken},admin,admin,system:masters\n`)
    this.kubeconfig = scratch.path(`${name}-kubeconfig`)
    this.#write('kubeconfig', JSON.stringify(this.#adminConfig()))
  }

  /** Starts the server, and the controllers unless they run. Throws with the end of the log. */
  async start(): Promise<void> {
    const { scratch, name } = this.#parts
    this.#server = new Daemon(this.#serverCommand(), scratch.path(`${name}-kube-apiserver.log`))
    await this.#server.ready(async () => (await this.raw('GET', '/readyz')).status === 200)
    if (this.#controllers !== undefined) return
    const log = scratch.path(`${name}-kube-controller-manager.log`)
    this.#controllers = new Daemon(this.#controllersCommand(), log)
    const account = '/api/v1/namespaces/default/serviceaccounts/default'
    await this.#controllers.ready(async () => (await this.raw('GET', account)).status === 200)
  }

  /** Of the server alone, by SIGKILL. */
  async kill(): Promise<void> {
    await this.#server?.kill()
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close()
    await this.#controllers?.kill()
    await this.kill()
  }

  /** The server's and that of the controllers. */
  get pids(): readonly number[] {
    return [this.#server, this.#controllers].flatMap(daemon => daemon?.pid ?? [])
  }

  /** A client with the admin's token, or with what is said. Closed when the server is stopped. */
  client(more: Partial<BrokerSettings> = {}): KubeClient {
    const client = new KubeClient(this.credentials(more), 'hawser-test')
    this.#clients.push(client)
    return client
  }

  credentials(more: Partial<BrokerSettings> = {}): Credentials {
    return brokerCredentials(systemClock, {
      server: this.url,
      namespace: 'default',
      // A folder has a token of its own, and none to fall back on.
      ...(more.secretDirectory === undefined ? { token: this.adminToken } : {}),
      ca: this.ca,
      trustsSystemRoots: false,
      isInsecure: false,
      ...more,
    })
  }

  /** A namespace that no other test has. */
  async newNamespace(): Promise<string> {
    const name = `test-${++this.#namespaces}`
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
    const { status, text } = await this.raw('POST', '/api/v1/namespaces', { body })
    if (status !== 201) throw new Error(`no namespace: ${text}`)
    return name
  }

  /** What kubectl prints, as admin. Throws its last words when it fails. */
  async kubectl(args: readonly string[], input = ''): Promise<string> {
    const { binaries, scratch } = this.#parts
    const command = [
      // No settings of whoever runs the tests.
      ...['env', 'KUBERC=off', `${binaries}/kubectl`],
      ...['--kubeconfig', this.kubeconfig, '--cache-dir', scratch.path('kubectl-cache')],
    ]
    return mustRun([...command, ...args], { input, timeoutMs: 60_000 })
  }

  /** One request as it is, for what the client does not do. */
  async raw(method: string, path: string, options: RawRequest = {}): Promise<RawAnswer> {
    const { body, headers, token = this.adminToken } = options
    return new Promise((resolve, reject) => {
      const call = request(`${this.url}${path}`, {
        method,
        ca: this.ca,
        agent: false,
        timeout: 30_000,
        headers: {
          Authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
          ...headers,
        },
      })
      call.on('error', reject)
      call.on('timeout', () => call.destroy(new Error(`${method} ${path}: no answer`)))
      call.on('response', response => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
        })
      })
      call.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  #write(file: string, text: string | Buffer): void {
    this.#parts.scratch.write(`${this.name}-${file}`, text.toString())
  }

  #file(file: string): string {
    return this.#parts.scratch.path(`${this.name}-${file}`)
  }

  #serverCommand(): string[] {
    const { binaries, etcdUrl, address, port, serviceCidr } = this.#parts
    return [
      `${binaries}/kube-apiserver`,
      ...[`--etcd-servers=${etcdUrl}`, `--etcd-prefix=/${this.name}`],
      ...[`--bind-address=${address}`, `--advertise-address=${address}`, `--secure-port=${port}`],
      // Nobody reaches a server on loopback by the Service `kubernetes`.
      '--endpoint-reconciler-type=none',
      ...[`--tls-cert-file=${this.#file('tls.crt')}`],
      ...[`--tls-private-key-file=${this.#file('tls.key')}`],
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${this.#file('accounts.pub')}`,
      `--service-account-signing-key-file=${this.#file('accounts.key')}`,
      ...['--authorization-mode=RBAC', `--token-auth-file=${this.#file('tokens.csv')}`],
      // It would refuse pods in a namespace that is younger than its ServiceAccount `default`.
      '--disable-admission-plugins=ServiceAccount',
      `--service-cluster-ip-range=${serviceCidr}`,
      '--allow-privileged=true',
    ]
  }

  #controllersCommand(): string[] {
    return [
      `${this.#parts.binaries}/kube-controller-manager`,
      ...[`--kubeconfig=${this.kubeconfig}`, '--leader-elect=false', '--secure-port=0'],
      ...['--kube-api-qps=200', '--kube-api-burst=400'],
      `--controllers=${controllers.join(',')}`,
      `--service-account-private-key-file=${this.#file('accounts.key')}`,
      `--root-ca-file=${this.#file('ca.crt')}`,
    ]
  }

  #adminConfig() {
    const { name } = this
    const ca = Buffer.from(this.ca).toString('base64')
    return {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server: this.url, 'certificate-authority-data': ca } }],
      users: [{ name: 'admin', user: { token: this.adminToken } }],
      contexts: [{ name, context: { cluster: name, user: 'admin' } }],
      'current-context': name,
    }
  }
}
