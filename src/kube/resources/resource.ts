// What is the same in every kind of object: the frame of a parse, metadata both ways, and how a
// written object is laid over the one that was read.
//
// A written object keeps what the base has beside our fields, at the top and in each part that is
// laid over. Labels, annotations and finalizers are added to those of the base, never taken out:
// leaving one out may be a mistake, a patch that removes it is none.

import type { Parsed, Resource, ResourceMeta, ResourcePlace } from '../resource-type.ts'
import { parseTime } from '../time.ts'
import {
  FieldError,
  type Fields,
  has,
  invalid,
  isRecord,
  pathOf,
  quoted,
  readObject,
  readParsed,
  readRecord,
  readText,
  readTextRecord,
  readTexts,
} from './fields.ts'

/** Runs `read` on the raw object's fields. Never throws for what the object holds. */
export function parseResource<T extends Resource>(
  place: ResourcePlace,
  raw: unknown,
  read: (root: Fields, meta: ResourceMeta) => T,
): Parsed<T> {
  try {
    const root = readRecord(raw, '')
    const kind = readText(root, 'kind', place.kind)
    if (kind !== place.kind) throw invalid('kind', `${quoted(kind)} is not ${place.kind}`)
    return { ok: true, value: read(root, readMeta(root, place)) }
  } catch (error) {
    if (!(error instanceof FieldError)) throw error
    return problemOf(place.kind, raw, error.message)
  }
}

/** A problem that names the object, however broken that is. */
export function problemOf(
  kind: string,
  raw: unknown,
  what: string,
): { readonly ok: false; readonly name: string; readonly problem: string } {
  const metadata = isRecord(raw) && isRecord(raw['metadata']) ? raw['metadata'] : {}
  const name = typeof metadata['name'] === 'string' ? metadata['name'] : ''
  const namespace = typeof metadata['namespace'] === 'string' ? metadata['namespace'] : ''
  const shown = name === '' ? 'without a name' : namespace === '' ? name : `${namespace}/${name}`
  return { ok: false, name, problem: `${kind} ${shown}: ${what}` }
}

function readMeta(root: Fields, place: ResourcePlace): ResourceMeta {
  const fields = readObject(root, 'metadata')
  const name = readText(fields, 'name')
  const namespace = readText(fields, 'namespace', '')
  if (name === '') throw invalid(pathOf(fields, 'name'), 'expected a name')
  if (place.namespaced !== (namespace !== '')) {
    throw invalid(
      pathOf(fields, 'namespace'),
      place.namespaced ? 'expected a name' : 'expected none',
    )
  }
  return {
    name,
    namespace,
    uid: readText(fields, 'uid', ''),
    resourceVersion: readText(fields, 'resourceVersion', ''),
    createdAtMs: readTime(fields, 'creationTimestamp'),
    isDeleting: has(fields, 'deletionTimestamp'),
    labels: readTextRecord(fields, 'labels'),
    annotations: readTextRecord(fields, 'annotations'),
    finalizers: readTexts(fields, 'finalizers'),
  }
}

/** Milliseconds since 1970; 0 when there is none. */
export function readTime(fields: Fields, name: string): number {
  return readParsed(fields, name, 'a time of RFC 3339', parseTime) ?? 0
}

/** The metadata of an object that is still to be created. */
export function newMeta(
  name: string,
  namespace: string,
  labels: ResourceMeta['labels'] = {},
): ResourceMeta {
  return {
    name,
    namespace,
    uid: '',
    resourceVersion: '',
    createdAtMs: 0,
    isDeleting: false,
    labels,
    annotations: {},
    finalizers: [],
  }
}

/** The object with its parts (`spec`, `status`, `data` …) laid over those of the base. */
export function writeResource(
  place: ResourcePlace,
  meta: ResourceMeta,
  parts: Readonly<Record<string, unknown>>,
  base: unknown,
): Record<string, unknown> {
  const apiVersion = place.group === '' ? place.version : `${place.group}/${place.version}`
  return overlay(base, {
    apiVersion,
    kind: place.kind,
    metadata: writeMeta(meta, partOf(base, 'metadata')),
    ...parts,
  })
}

function writeMeta(meta: ResourceMeta, base: unknown): Record<string, unknown> {
  const kept = isRecord(base) ? base : {}
  const finalizers = Array.isArray(kept['finalizers']) ? (kept['finalizers'] as unknown[]) : []
  const added = meta.finalizers.filter(finalizer => !finalizers.includes(finalizer))
  return overlay(base, {
    name: meta.name,
    namespace: textOrNone(meta.namespace),
    uid: textOrNone(meta.uid) ?? kept['uid'],
    resourceVersion: textOrNone(meta.resourceVersion) ?? kept['resourceVersion'],
    labels: recordOrNone(overlay(kept['labels'], meta.labels)),
    annotations: recordOrNone(overlay(kept['annotations'], meta.annotations)),
    finalizers: listOrNone([...finalizers, ...added]),
  })
}

/** A part of a raw object, or undefined. */
export function partOf(base: unknown, name: string): unknown {
  return isRecord(base) ? base[name] : undefined
}

/** `values` over `base`, as a new object: undefined takes a field out, the base's others stay. */
export function overlay(
  base: unknown,
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged = { ...(isRecord(base) ? base : {}), ...values }
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined))
}

// What Go calls omitempty: fields that are left out rather than written empty.

export function textOrNone(text: string): string | undefined {
  return text === '' ? undefined : text
}

export function listOrNone<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list
}

export function recordOrNone<T extends Readonly<Record<string, unknown>>>(
  record: T,
): T | undefined {
  return Object.keys(record).length === 0 ? undefined : record
}

export function trueOrNone(flag: boolean): true | undefined {
  return flag ? true : undefined
}
