// Objects as a manifest has them, of any kind: what is installed and taken away again, and not otherwise
// read. A place is looked up by apiVersion and kind, so that a manifest says all of itself.
//
// `covers` decides whether there is something to write: the server adds defaults and others add fields of
// theirs, and both may stay.

import type { Resource, ResourcePlace, ResourceType } from '../resource-type.ts'
import { isRecord } from './fields.ts'
import { overlay, parseResource, partOf, writeResource } from './resource.ts'

/** An object as it stands in a file. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    /** It goes when the last of them has gone. */
    readonly ownerReferences?: readonly OwnerReference[]
  }
  readonly [field: string]: unknown
}

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
}

export interface Raw extends Resource {
  readonly owners: readonly OwnerReference[]
  /** Without apiVersion, kind and metadata. */
  readonly body: Readonly<Record<string, unknown>>
}

/** The kinds that are installed: apiVersion, kind, plural, and whether they are in namespaces. */
const places: readonly (readonly [string, string, string, boolean])[] = [
  ['v1', 'Namespace', 'namespaces', false],
  ['v1', 'ServiceAccount', 'serviceaccounts', true],
  ['v1', 'Secret', 'secrets', true],
  ['v1', 'ConfigMap', 'configmaps', true],
  ['v1', 'Service', 'services', true],
  ['rbac.authorization.k8s.io/v1', 'Role', 'roles', true],
  ['rbac.authorization.k8s.io/v1', 'RoleBinding', 'rolebindings', true],
  ['rbac.authorization.k8s.io/v1', 'ClusterRole', 'clusterroles', false],
  ['rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', 'clusterrolebindings', false],
  ['apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'customresourcedefinitions', false],
  [
    ...(['admissionregistration.k8s.io/v1', 'ValidatingAdmissionPolicy'] as const),
    ...(['validatingadmissionpolicies', false] as const),
  ],
  [
    ...(['admissionregistration.k8s.io/v1', 'ValidatingAdmissionPolicyBinding'] as const),
    ...(['validatingadmissionpolicybindings', false] as const),
  ],
  ['submariner.io/v1', 'Cluster', 'clusters', true],
  ['submariner.io/v1alpha1', 'Broker', 'brokers', true],
  ['submariner.io/v1alpha1', 'Submariner', 'submariners', true],
  ['multicluster.x-k8s.io/v1alpha1', 'ServiceImport', 'serviceimports', true],
  ['multicluster.x-k8s.io/v1alpha1', 'ServiceExport', 'serviceexports', true],
  ['discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices', true],
]

export function rawType(apiVersion: string, kind: string): ResourceType<Raw> {
  const found = places.find(([ofVersion, ofKind]) => ofVersion === apiVersion && ofKind === kind)
  if (found === undefined) throw new Error(`no place is known for ${apiVersion} ${kind}`)
  const [, , plural, namespaced] = found
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion]
  const place: ResourcePlace = { group, version, plural, kind, namespaced }
  return {
    ...place,
    parse: raw =>
      parseResource(place, raw, ({ values }, meta) => {
        const { apiVersion: _, kind: __, metadata, ...body } = values
        return { meta, owners: ownersOf(metadata), body }
      }),
    serialize: ({ meta, owners, body }, base) => {
      const whole = writeResource(place, meta, body, base)
      if (owners.length === 0) return whole
      return { ...whole, metadata: overlay(whole['metadata'], { ownerReferences: owners }) }
    },
  }
}

function ownersOf(metadata: unknown): OwnerReference[] {
  const list = partOf(metadata, 'ownerReferences')
  return Array.isArray(list) ? (list as OwnerReference[]) : []
}

export function typeOfManifest({ apiVersion, kind }: Manifest): ResourceType<Raw> {
  return rawType(apiVersion, kind)
}

export function rawOfManifest({ apiVersion, kind, metadata, ...body }: Manifest): Raw {
  const { name, namespace = '', labels = {}, annotations = {}, ownerReferences = [] } = metadata
  const identity = { name, namespace, uid: '', resourceVersion: '', createdAtMs: 0 }
  return {
    meta: { ...identity, isDeleting: false, labels, annotations, finalizers: [] },
    owners: ownerReferences,
    body,
  }
}

/** What was read, with the fields of the manifest in place of its own; null takes a field out. */
export function withManifest(found: Raw, wanted: Raw): Raw {
  const { labels, annotations } = found.meta
  return {
    meta: {
      ...found.meta,
      labels: { ...labels, ...wanted.meta.labels },
      annotations: { ...annotations, ...wanted.meta.annotations },
    },
    owners: wanted.owners.length > 0 ? wanted.owners : found.owners,
    body: overlay(found.body, wanted.body),
  }
}

/** Whether `found` has all that is wanted, and perhaps more. */
export function covers(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found) || found.length !== wanted.length) return false
    return wanted.every((item, index) => covers(found[index], item))
  }
  if (!isRecord(wanted)) return found === wanted
  if (!isRecord(found)) return Object.keys(wanted).length === 0
  return Object.entries(wanted).every(([key, value]) => covers(partOf(found, key), value))
}
