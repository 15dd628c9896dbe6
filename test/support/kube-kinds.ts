// Two tiny kinds for tests of the client: ConfigMap, which every API server has, and one of ours with a
// status. A text that begins with `bad` does not parse.

import { isRecord } from '../../src/kube/errors.ts'
import { identityOf } from '../../src/kube/objects.ts'
import type { Resource, ResourceMeta, ResourceType } from '../../src/kube/resource-type.ts'
import type { FakeKind } from './fake-objects.ts'

export interface Note extends Resource {
  readonly text: string
  /** Empty for a kind without a status. */
  readonly status: string
}

export const configMaps: ResourceType<Note> = noteType({
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  field: 'data',
})

export const notes: ResourceType<Note> = noteType({
  group: 'test.hawser.io',
  version: 'v1',
  plural: 'notes',
  kind: 'Note',
  field: 'spec',
})

export const fakeKinds: readonly FakeKind[] = [
  configMaps,
  { ...notes, hasStatus: true },
  {
    group: 'coordination.k8s.io',
    version: 'v1',
    plural: 'leases',
    kind: 'Lease',
    namespaced: true,
  },
]

/** A note as it is before it has been written. */
export function newNote(
  namespace: string,
  name: string,
  text: string,
  more: Partial<ResourceMeta> = {},
): Note {
  return { meta: { ...metaOf({ metadata: { namespace, name } }), ...more }, text, status: '' }
}

interface NoteKind {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly field: 'data' | 'spec'
}

function noteType({ field, ...place }: NoteKind): ResourceType<Note> {
  const apiVersion = place.group === '' ? place.version : `${place.group}/${place.version}`
  return {
    ...place,
    namespaced: true,
    parse(raw) {
      const part = isRecord(raw) && isRecord(raw[field]) ? raw[field] : {}
      const status = isRecord(raw) && isRecord(raw['status']) ? raw['status'] : {}
      const meta = metaOf(raw)
      const { text } = part
      if (typeof text !== 'string' || text.startsWith('bad')) {
        return { ok: false, name: meta.name, problem: `the text is ${String(text)}` }
      }
      return { ok: true, value: { meta, text, status: String(status['text'] ?? '') } }
    },
    serialize({ meta, text, status }, base) {
      const { metadata, ...rest } = isRecord(base) ? base : {}
      const { name, namespace, labels, annotations, resourceVersion } = meta
      const part = isRecord(rest[field]) ? rest[field] : {}
      return {
        ...rest,
        apiVersion,
        kind: place.kind,
        metadata: {
          ...(isRecord(metadata) ? metadata : {}),
          ...{ name, namespace, labels, annotations, resourceVersion },
        },
        [field]: { ...part, text },
        ...(field === 'spec' ? { status: { text: status } } : {}),
      }
    },
  }
}

function metaOf(raw: unknown): ResourceMeta {
  const metadata = isRecord(raw) && isRecord(raw['metadata']) ? raw['metadata'] : {}
  const texts = (value: unknown) => (isRecord(value) ? (value as Record<string, string>) : {})
  return {
    ...identityOf(raw),
    createdAtMs: 0,
    isDeleting: metadata['deletionTimestamp'] !== undefined,
    labels: texts(metadata['labels']),
    annotations: texts(metadata['annotations']),
    finalizers: [],
  }
}
