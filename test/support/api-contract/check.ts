// What a check of the contract is given, and the objects that checks write.

import assert from 'node:assert/strict'
import type { Json, RawAnswer, RawApi } from '../raw-api.ts'

export interface ContractApi {
  readonly raw: RawApi
  /** The check may write all kinds in it. */
  readonly namespace: string
}

export interface ApiCheck {
  readonly name: string
  readonly needs: 'broker' | 'lab' | 'kubernetes'
  run(api: ContractApi): Promise<void>
}

/** `/apis/submariner.io/v1/namespaces/NS/clusters`. */
export function collection({ namespace }: ContractApi, plural: keyof typeof places): string {
  const { root, namespaced } = places[plural]
  return `${root}${namespaced ? `/namespaces/${namespace}` : ''}/${plural}`
}

const core = { root: '/api/v1', namespaced: true } as const
const submariner = { root: '/apis/submariner.io/v1', namespaced: true } as const
const multicluster = { root: '/apis/multicluster.x-k8s.io/v1alpha1', namespaced: true } as const

const places = {
  configmaps: core,
  secrets: core,
  serviceaccounts: core,
  services: core,
  pods: core,
  events: core,
  namespaces: { ...core, namespaced: false },
  nodes: { ...core, namespaced: false },
  leases: { root: '/apis/coordination.k8s.io/v1', namespaced: true },
  endpointslices: { root: '/apis/discovery.k8s.io/v1', namespaced: true },
  clusters: submariner,
  endpoints: submariner,
  gateways: submariner,
  submariners: { root: '/apis/submariner.io/v1alpha1', namespaced: true },
  serviceimports: multicluster,
  serviceexports: multicluster,
} as const

export function configMap(name: string, data: Json = {}, metadata: Json = {}): Json {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data }
}

/** As a member of the name writes it: the rules of a broker let it pass. */
export function cluster(id: string, metadata: Json = {}, spec: Json = {}): Json {
  return {
    apiVersion: 'submariner.io/v1',
    kind: 'Cluster',
    metadata: { name: id, labels: { 'submariner-io/clusterID': id }, ...metadata },
    spec: {
      ...{ cluster_id: id, cluster_cidr: ['10.1.0.0/16'], service_cidr: ['10.2.0.0/16'] },
      ...{ global_cidr: [], ...spec },
    },
  }
}

export function serviceImport(name: string, more: Json = {}): Json {
  return {
    apiVersion: 'multicluster.x-k8s.io/v1alpha1',
    kind: 'ServiceImport',
    metadata: { name },
    spec: { type: 'ClusterSetIP', ports: [{ name: 'web', protocol: 'TCP', port: 80 }] },
    ...more,
  }
}

export function service(name: string, more: Json = {}): Json {
  const spec = { selector: { app: name }, ports: [{ name: 'web', port: 80 }], ...more }
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec }
}

export function meta(body: unknown): Json {
  return (body as { readonly metadata: Json }).metadata
}

export function at(body: unknown, ...path: readonly (string | number)[]): unknown {
  let value = body
  for (const step of path) value = (value as Record<string | number, unknown> | undefined)?.[step]
  return value
}

/** A Status, with this code and reason; its message for more. */
export function refusedWith(answer: RawAnswer, code: number, reason: string): string {
  const { body, status, text } = answer
  assert.deepEqual(
    [status, body['kind'], body['apiVersion'], body['status'], body['code'], body['reason']],
    [code, 'Status', 'v1', 'Failure', code, reason],
    text,
  )
  return String(body['message'])
}

/** `field reason` of each cause, sorted. */
export function causesOf(answer: RawAnswer): string[] {
  const causes = (at(answer.body, 'details', 'causes') ?? []) as readonly Json[]
  return causes.map(cause => `${cause['field']} ${cause['reason']}`).sort()
}
