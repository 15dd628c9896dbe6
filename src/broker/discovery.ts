// Finds the subnets of a cluster's Services and pods, whatever its network plugin: each way in turn, the
// first that knows something.
//
//   Services   ServiceCIDR objects (1.33) → flags of API server and controller manager → what the API
//              server says of an address that is none of its
//   pods       flags of controller manager and kube-proxy → what the nodes have been given
//
// A way that is closed (no rights, no such kind) is none; nothing here is fatal.

import type { KubeClient } from '../kube/client.ts'
import { isRecord, KubeError, kubeCodeOf } from '../kube/errors.ts'
import { nodeType } from '../kube/resources/node.ts'
import { podType } from '../kube/resources/pod.ts'
import { rawOfManifest, rawType } from '../kube/resources/raw.ts'
import { serviceCidrType } from '../kube/resources/service-cidr.ts'
import { type Prefix, parsePrefix } from '../net/address.ts'
import { listOrNone } from './ensure.ts'
import { merged } from './overlap.ts'

export interface Found {
  readonly cidrs: readonly Prefix[]
  /** Where from, in words; empty when nothing was found. */
  readonly source: string
}

const nothing: Found = { cidrs: [], source: '' }

export async function findServiceCidrs(client: KubeClient): Promise<Found> {
  return firstOf([
    async () => ({
      cidrs: (await listOrNone(client, serviceCidrType, {})).flatMap(({ cidrs }) => cidrs),
      source: 'ServiceCIDR objects',
    }),
    () => fromFlags(client, 'kube-apiserver', 'service-cluster-ip-range'),
    () => fromFlags(client, 'kube-controller-manager', 'service-cluster-ip-range'),
    () => fromRefusal(client),
  ])
}

export async function findPodCidrs(client: KubeClient): Promise<Found> {
  return firstOf([
    () => fromFlags(client, 'kube-controller-manager', 'cluster-cidr'),
    () => fromFlags(client, 'kube-proxy', 'cluster-cidr'),
    async () => ({
      cidrs: merged((await client.list(nodeType)).items.flatMap(({ podCidrs }) => podCidrs)),
      source: nodesSource,
    }),
  ])
}

/** They grow with the nodes: whoever takes them should know. */
export const nodesSource = 'the podCIDRs of the nodes'

async function firstOf(ways: readonly (() => Promise<Found>)[]): Promise<Found> {
  for (const way of ways) {
    try {
      const found = await way()
      if (found.cidrs.length > 0) return found
    } catch (error) {
      const code = kubeCodeOf(error)
      if (code !== 'FORBIDDEN' && code !== 'NO_SUCH_KIND' && code !== 'NOT_FOUND') throw error
    }
  }
  return nothing
}

/** Control planes run as pods carry the label `component`, kube-proxy `k8s-app`. */
async function fromFlags(client: KubeClient, program: string, flag: string): Promise<Found> {
  for (const key of ['component', 'k8s-app']) {
    const scope = { namespace: 'kube-system', labelSelector: `${key}=${program}` }
    const { items } = await client.listPage(podType, scope, { limit: 10 })
    for (const item of items) {
      const value = wordsOf(item)
        .map(word => flagValue(word, flag))
        .find(Boolean)
      const cidrs = prefixesOf(value ?? '')
      if (cidrs.length > 0) return { cidrs, source: `--${flag} of ${program}` }
    }
  }
  return nothing
}

/** Command and arguments of every container. */
function wordsOf(pod: unknown): string[] {
  const spec = isRecord(pod) && isRecord(pod['spec']) ? pod['spec'] : {}
  const containers = Array.isArray(spec['containers']) ? (spec['containers'] as unknown[]) : []
  const lists = containers.filter(isRecord).flatMap(each => [each['command'], each['args']])
  return lists
    .flatMap(list => (Array.isArray(list) ? (list as unknown[]) : []))
    .filter(word => typeof word === 'string')
    .flatMap(word => word.split(/\s+/))
}

function flagValue(word: string, flag: string): string | undefined {
  return word.startsWith(`--${flag}=`) ? word.slice(flag.length + 3) : undefined
}

const notService = '1.1.1.1'

/** The server refuses a Service with an address that is not of its range, and says what that is. */
async function fromRefusal(client: KubeClient): Promise<Found> {
  const service = rawOfManifest({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'hawser-looks-for-the-range', namespace: 'default' },
    spec: { clusterIP: notService, ports: [{ port: 443, targetPort: 443 }] },
  })
  try {
    await client.create(rawType('v1', 'Service'), service, { isDryRun: true })
    return nothing
  } catch (error) {
    if (!(error instanceof KubeError) || error.code !== 'INVALID') throw error
    return { cidrs: rangeIn(error.message), source: 'what the API server refuses' }
  }
}

/** `… The range of valid IPs is 10.96.0.0/12`. */
export function rangeIn(message: string): readonly Prefix[] {
  return prefixesOf(/valid IPs is ([0-9a-fA-F.:/]+)/.exec(message)?.[1] ?? '')
}

/** Those between commas; none when one of them is none. */
function prefixesOf(text: string): readonly Prefix[] {
  try {
    return text
      .split(',')
      .filter(part => part !== '')
      .map(part => parsePrefix(part.trim()))
  } catch {
    return []
  }
}
