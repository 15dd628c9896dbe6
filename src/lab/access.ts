// How the APIs of a lab are reached: files in the /run/hawser of each node and of the broker. The kubeconfig
// is what people and the short commands use. The token, the CA and the server's URL lie beside it by
// themselves, as in a pod: a daemon that reads a kubeconfig needs 85 MB and a quarter of a second more.
//
// Everything here has mode 0600, in directories that nobody else enters.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { parseBrokerInfo } from '../kube/broker-info.ts'
import { brokerCredentials, type Credentials } from '../kube/credentials.ts'
import { isRecord } from '../kube/errors.ts'
import type { Clock } from '../net/clock.ts'
import { GatewayError } from '../net/errors.ts'
import { outsidePath, type Sandbox } from './sandbox.ts'
import { brokerSpace, type LabPlan, nodesOf } from './topology.ts'

export interface ApiAccess {
  /** `https://…` */
  readonly server: string
  readonly token: string
  /** PEM. */
  readonly ca: string
  /** Whose objects `kubectl get` shows when it is not told. */
  readonly namespace: string
}

const directory = '/run/hawser/access'

/** As they are seen in a space. */
export const accessFiles = {
  kubeconfig: '/run/hawser/kubeconfig',
  directory,
  server: join(directory, 'server'),
  token: join(directory, 'token'),
  ca: join(directory, 'ca.crt'),
} as const

/** Gives each node the access to its cluster's API, and the broker's space that to the broker. */
export function shareAccess(sandbox: Sandbox, plan: LabPlan, joinFile: string): void {
  for (const cluster of plan.clusterPlans) {
    const file = outsidePath(sandbox, cluster.gateway.space, accessFiles.kubeconfig)
    const access = accessIn(readFileSync(file, 'utf8'))
    for (const node of nodesOf(cluster)) writeAccess(sandbox, node.space, access)
  }
  const info = parseBrokerInfo(readFileSync(outsidePath(sandbox, brokerSpace, joinFile), 'utf8'))
  writeAccess(sandbox, brokerSpace, {
    server: info.brokerUrl,
    token: Buffer.from(info.token.token).toString(),
    ca: Buffer.from(info.token.ca).toString(),
    namespace: info.token.namespace,
  })
}

export function readAccess(sandbox: Sandbox, space: string): Pick<ApiAccess, 'server' | 'token'> {
  const text = (file: string) => readFileSync(outsidePath(sandbox, space, file), 'utf8')
  return { server: text(accessFiles.server), token: text(accessFiles.token) }
}

/** For a program that runs in such a space. */
export async function nodeCredentials(clock: Clock): Promise<Credentials> {
  return brokerCredentials(clock, {
    server: readFileSync(accessFiles.server, 'utf8'),
    namespace: 'default',
    secretDirectory: directory,
    trustsSystemRoots: false,
    isInsecure: false,
  })
}

/** The kubeconfig of a space, where it has one: pods have none. */
export function kubeconfigOf(plan: LabPlan, space: string): string | undefined {
  const withAccess = [brokerSpace, ...plan.clusterPlans.flatMap(nodesOf).map(node => node.space)]
  return withAccess.includes(space) ? accessFiles.kubeconfig : undefined
}

function writeAccess(sandbox: Sandbox, space: string, access: ApiAccess): void {
  const outside = (file: string) => outsidePath(sandbox, space, file)
  mkdirSync(outside(directory), { recursive: true, mode: 0o700 })
  const texts = [
    [accessFiles.server, access.server],
    [accessFiles.token, access.token],
    [accessFiles.ca, access.ca],
    [accessFiles.kubeconfig, kubeconfig(access)],
  ]
  for (const [file, text] of texts) writeFileSync(outside(file), text, { mode: 0o600 })
}

/** JSON is YAML. */
function kubeconfig({ server, token, ca, namespace }: ApiAccess): string {
  const cluster = { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lab', cluster }],
    users: [{ name: 'lab', user: { token } }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab', namespace } }],
    'current-context': 'lab',
  }
  return `${JSON.stringify(config, null, 2)}\n`
}

/** Out of a kubeconfig of ours, which has one cluster and one user. */
function accessIn(text: string): ApiAccess {
  const config: unknown = parse(text)
  const only = (list: string, field: string): Record<string, unknown> => {
    const entries = isRecord(config) && Array.isArray(config[list]) ? config[list] : []
    const [entry]: unknown[] = entries
    const value = isRecord(entry) ? entry[field] : undefined
    return isRecord(value) ? value : {}
  }
  const cluster = only('clusters', 'cluster')
  const { token } = only('users', 'user')
  const { server, 'certificate-authority-data': ca } = cluster
  if (typeof server !== 'string' || typeof ca !== 'string' || typeof token !== 'string')
    throw new GatewayError('BAD_FILE', 'the kubeconfig of the lab API names no server, CA or token')
  return { server, token, ca: Buffer.from(ca, 'base64').toString(), namespace: 'default' }
}
