// How the APIs of a lab are reached: files in the /run of each node and of the broker.
//
//   /run/hawser/kubeconfig   an admin's, for people and short commands; `lab exec` names it in KUBECONFIG
//   /run/hawser/access       the same in parts, for the lab's own curl and its stand-in for kubelets
//   the service account      where the kubelet mounts it in a pod: what gateways and route agents run
//                            with. A daemon that reads a kubeconfig in its place needs 85 MB more
//
// Everything here has mode 0600, in directories that nobody else enters.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
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
  /** Of the account. */
  readonly namespace: string
}

const directory = '/run/hawser/access'
/** /var/run is /run. */
const accountDirectory = '/run/secrets/kubernetes.io/serviceaccount'

/** As they are seen in a space. */
export const accessFiles = {
  kubeconfig: '/run/hawser/kubeconfig',
  directory,
  server: join(directory, 'server'),
  token: join(directory, 'token'),
  ca: join(directory, 'ca.crt'),
} as const

/** What the API of a cluster writes into its directory. */
interface ApiFiles {
  readonly admin: string
  readonly component: string
}

/** Gives each node the access to its cluster's API, and the broker's space that to the broker. */
export function shareAccess(
  sandbox: Sandbox,
  plan: LabPlan,
  api: ApiFiles,
  brokerKubeconfig: string,
): void {
  for (const cluster of plan.clusterPlans) {
    const accessOf = (file: string) => readKubeconfig(sandbox, cluster.gateway.space, file)
    const [admin, component] = [accessOf(api.admin), accessOf(api.component)]
    for (const { space } of nodesOf(cluster)) {
      writeAccess(sandbox, space, admin)
      writeAccount(sandbox, space, component)
    }
  }
  writeAccess(sandbox, brokerSpace, readKubeconfig(sandbox, brokerSpace, brokerKubeconfig))
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
  writeFiles(sandbox, space, directory, {
    [accessFiles.server]: access.server,
    [accessFiles.token]: access.token,
    [accessFiles.ca]: access.ca,
    [accessFiles.kubeconfig]: kubeconfig(access),
  })
}

function writeAccount(sandbox: Sandbox, space: string, access: ApiAccess): void {
  writeFiles(sandbox, space, accountDirectory, {
    [join(accountDirectory, 'token')]: access.token,
    [join(accountDirectory, 'ca.crt')]: access.ca,
    [join(accountDirectory, 'namespace')]: access.namespace,
  })
}

function writeFiles(
  sandbox: Sandbox,
  space: string,
  place: string,
  texts: Readonly<Record<string, string>>,
): void {
  mkdirSync(outsidePath(sandbox, space, place), { recursive: true, mode: 0o700 })
  for (const [file, text] of Object.entries(texts))
    writeFileSync(outsidePath(sandbox, space, file), text, { mode: 0o600 })
}

/** JSON is YAML. */
function kubeconfig({ server, token, ca }: ApiAccess): string {
  const cluster = { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') }
  const context = { cluster: 'lab', user: 'lab', namespace: 'default' }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lab', cluster }],
    users: [{ name: 'lab', user: { token } }],
    contexts: [{ name: 'lab', context }],
    'current-context': 'lab',
  }
  return `${JSON.stringify(config, null, 2)}\n`
}

/** A kubeconfig of ours, which has one cluster, one user and one context. */
function readKubeconfig(sandbox: Sandbox, space: string, file: string): ApiAccess {
  const config: unknown = parse(readFileSync(outsidePath(sandbox, space, file), 'utf8'))
  const only = (list: string, field: string): Record<string, unknown> => {
    const entries = isRecord(config) && Array.isArray(config[list]) ? config[list] : []
    const [entry]: unknown[] = entries
    const value = isRecord(entry) ? entry[field] : undefined
    return isRecord(value) ? value : {}
  }
  const { token } = only('users', 'user')
  const { server, 'certificate-authority-data': ca } = only('clusters', 'cluster')
  const { namespace = 'default' } = only('contexts', 'context')
  const texts = [server, ca, token, namespace].filter(value => typeof value === 'string')
  if (texts.length < 4)
    throw new GatewayError('BAD_FILE', `${file} on ${space} names no server, CA or token`)
  return {
    server: texts[0],
    ca: Buffer.from(texts[1], 'base64').toString(),
    token: texts[2],
    namespace: texts[3],
  }
}
