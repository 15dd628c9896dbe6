// What a path names: `/api/v1/…` and `/apis/GROUP/VERSION/…`, a collection, an object, or its status.

import type { Kind, Verb } from './kind.ts'
import type { Kinds } from './kinds.ts'
import { badRequest, methodNotAllowed, noSuchPath } from './refusal.ts'

export interface Target {
  readonly kind: Kind
  /** '' for all of them, and for a kind without. */
  readonly namespace: string
  /** '' for a collection. */
  readonly name: string
  readonly part: 'main' | 'status'
}

/** Throws Refusal. */
export function parseTarget(kinds: Kinds, path: string): Target {
  const segments = path.split('/').slice(1).map(decoded)
  const isCore = segments[0] === 'api'
  if (!isCore && segments[0] !== 'apis') throw noSuchPath()
  const [group, version] = isCore ? ['', segments[1]] : segments.slice(1, 3)
  const rest = segments.slice(isCore ? 2 : 3)
  // `namespaces/x` is an object, `namespaces/x/status` its status, `namespaces/x/y` the y in it.
  const isWithin = rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status'
  const namespace = isWithin ? rest[1] : ''
  const [plural = '', name = '', sub = '', more] = rest.slice(isWithin ? 2 : 0)
  const kind = kinds.find(group ?? '', version ?? '', plural)
  if (kind === undefined || more !== undefined) throw noSuchPath()
  if (isWithin ? !kind.namespaced || namespace === '' : kind.namespaced && name !== '') {
    throw noSuchPath()
  }
  const hasPart = sub === 'status' && name !== '' && kind.hasStatus
  if (sub !== '' && !hasPart) throw noSuchPath()
  return { kind, namespace, name, part: sub === 'status' ? 'status' : 'main' }
}

/** What a method does there. Throws Refusal (405). */
export function verbOf(
  method: string,
  { kind, namespace, name, part }: Target,
  isWatch: boolean,
): Verb {
  const verb = name === '' ? collectionVerb(method, isWatch) : objectVerb(method)
  const isEverywhere = kind.namespaced && namespace === ''
  if (verb === undefined || !kind.verbs.includes(verb)) throw methodNotAllowed()
  if (verb === 'create' && isEverywhere) throw noSuchPath()
  if (verb === 'delete' && part === 'status') throw methodNotAllowed()
  return verb
}

function collectionVerb(method: string, isWatch: boolean): Verb | undefined {
  if (method === 'GET') return isWatch ? 'watch' : 'list'
  return method === 'POST' ? 'create' : undefined
}

function objectVerb(method: string): Verb | undefined {
  const verbs: Readonly<Record<string, Verb>> = {
    ...{ GET: 'get', PUT: 'update', PATCH: 'patch', DELETE: 'delete' },
  }
  return Object.hasOwn(verbs, method) ? verbs[method] : undefined
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw badRequest(`the path has a part that cannot be decoded: ${JSON.stringify(segment)}`)
  }
}
