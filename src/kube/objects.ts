// Raw objects, as far as every kind has the same: who they are, and the way from raw to parsed. What does
// not parse becomes a problem that names the object, with as much of its name as there is: nothing that
// somebody has written into an API server throws.

import { isRecord } from './errors.ts'
import type { Resource, ResourcePlace, ResourceType } from './resource-type.ts'

/** An object that does not parse. */
export interface ObjectProblem {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly problem: string
}

type ParsedObject<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: ObjectProblem }

/** Parses. One object must not stop the others, so a parser that throws is a problem like any other. */
export function parseObject<T extends Resource>(
  type: ResourceType<T>,
  raw: unknown,
): ParsedObject<T> {
  const { name, namespace } = identityOf(raw)
  const wrong = (problem: string): ParsedObject<T> => ({
    ok: false,
    problem: { kind: type.kind, namespace, name, problem },
  })
  if (name === '') return wrong('it has no metadata.name')
  try {
    const parsed = type.parse(raw)
    return parsed.ok ? parsed : wrong(parsed.problem)
  } catch (error) {
    return wrong(`it cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** What tells objects of a kind, and their versions, apart; empty where it is not there. */
export interface Identity {
  readonly name: string
  readonly namespace: string
  readonly uid: string
  readonly resourceVersion: string
}

export function identityOf(raw: unknown): Identity {
  const meta = isRecord(raw) && isRecord(raw['metadata']) ? raw['metadata'] : {}
  const text = (field: string) => (typeof meta[field] === 'string' ? meta[field] : '')
  return {
    name: text('name'),
    namespace: text('namespace'),
    uid: text('uid'),
    resourceVersion: text('resourceVersion'),
  }
}

/** The body with other metadata; JSON leaves out what is undefined. */
export function withMeta(
  body: Record<string, unknown>,
  fields: { readonly resourceVersion: string | undefined; readonly uid: string | undefined },
): Record<string, unknown> {
  const metadata = isRecord(body['metadata']) ? body['metadata'] : {}
  return { ...body, metadata: { ...metadata, ...fields } }
}

/** The items of a list of a built-in kind come without their kind. */
export function completed(type: ResourcePlace, item: unknown): unknown {
  if (!isRecord(item) || 'kind' in item) return item
  const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`
  return { apiVersion, kind: type.kind, ...item }
}
