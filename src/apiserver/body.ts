// Objects as they are stored and sent: plain JSON. A Body is never changed once it is stored; whoever
// wants another one copies what changes.

import { isRecord } from '../kube/errors.ts'
import type { ResourcePlace } from '../kube/resource-type.ts'

export type Body = Readonly<Record<string, unknown>>

export function apiVersionOf({ group, version }: ResourcePlace): string {
  return group === '' ? version : `${group}/${version}`
}

export function recordAt(body: unknown, ...path: readonly string[]): Readonly<Body> {
  let value = body
  for (const step of path) value = isRecord(value) ? value[step] : undefined
  return isRecord(value) ? value : {}
}

/** The text at a path; empty for whatever else is there. */
export function textAt(body: unknown, ...path: readonly string[]): string {
  const value = recordAt(body, ...path.slice(0, -1))[path.at(-1) ?? '']
  return typeof value === 'string' ? value : ''
}

export function listAt(body: unknown, ...path: readonly string[]): readonly unknown[] {
  const value = recordAt(body, ...path.slice(0, -1))[path.at(-1) ?? '']
  return Array.isArray(value) ? value : []
}

export function metaOf(body: unknown): Body {
  return recordAt(body, 'metadata')
}

export function nameOf(body: unknown): string {
  return textAt(body, 'metadata', 'name')
}

export function namespaceOf(body: unknown): string {
  return textAt(body, 'metadata', 'namespace')
}

export function uidOf(body: unknown): string {
  return textAt(body, 'metadata', 'uid')
}

export function finalizersOf(body: unknown): readonly string[] {
  return listAt(body, 'metadata', 'finalizers').map(String)
}

export function isDeleting(body: unknown): boolean {
  return metaOf(body)['deletionTimestamp'] !== undefined
}

/** With other fields in its metadata; undefined takes one out. */
export function withMeta(body: Body, fields: Body): Body {
  const metadata = { ...metaOf(body), ...fields }
  for (const [key, value] of Object.entries(metadata)) {
    if (value === undefined) delete (metadata as Record<string, unknown>)[key]
  }
  return { ...body, metadata }
}

/** Deep equality of JSON, whatever the order of fields. */
export function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, i) => isSame(item, other[i]))
  }
  if (!isRecord(one) || !isRecord(other)) return false
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length &&
    names.every(name => Object.hasOwn(other, name) && isSame(one[name], other[name]))
  )
}
