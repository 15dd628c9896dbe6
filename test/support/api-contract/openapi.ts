// What a kube-apiserver publishes about its built-in kinds, beside what ours knows of them: which lists a
// strategic merge patch merges, and which fields there are.

import { definitionKind } from '../../../src/apiserver/builtin-kinds.ts'
import type { Kind, Schema } from '../../../src/apiserver/kind.ts'
import { labKinds } from '../../../src/apiserver/kinds.ts'

/** A definition of `/openapi/v2`. */
interface Definition {
  readonly $ref?: string
  readonly type?: string
  readonly properties?: Readonly<Record<string, Definition>>
  readonly items?: Definition
  readonly 'x-kubernetes-patch-merge-key'?: string
  readonly 'x-kubernetes-patch-strategy'?: string
  readonly 'x-kubernetes-group-version-kind'?: readonly {
    readonly group: string
    readonly version: string
    readonly kind: string
  }[]
}

export interface OpenapiV2 {
  readonly definitions: Readonly<Record<string, Definition>>
}

/** What differs, a line each. Only paths that ours has an opinion about. */
export function differences(published: OpenapiV2): string[] {
  const builtin = labKinds().all.filter(kind => !kind.isCustom && kind !== definitionKind)
  return builtin.flatMap(kind => {
    const definition = definitionOf(published, kind)
    if (definition === undefined) return [`${kind.kind}: not published`]
    const walk = new Walk(published)
    walk.visit(definition, '', 0)
    const { schema, mergeKeys } = kind
    // Pods get new lists with every release, and what a kubelet writes in them is not for a lab.
    const paths = kind.kind === 'Pod' ? Object.keys(mergeKeys) : Object.keys(walk.keys)
    return [
      ...compared(`${kind.kind}: merge key of`, mergeKeys, walk.keys, paths),
      ...unknownFields(published, kind.kind, schema, definition),
    ]
  })
}

function definitionOf({ definitions }: OpenapiV2, kind: Kind): Definition | undefined {
  return Object.values(definitions).find(each =>
    each['x-kubernetes-group-version-kind']?.some(
      of => of.kind === kind.kind && of.group === kind.group && of.version === kind.version,
    ),
  )
}

/** Collects the merge keys of a definition by path. */
class Walk {
  readonly keys: Record<string, string> = {}
  readonly #published: OpenapiV2

  constructor(published: OpenapiV2) {
    this.#published = published
  }

  visit(given: Definition, path: string, depth: number): void {
    const { properties = {} } = resolved(this.#published, given)
    // Deep enough for what is in a container; some definitions hold themselves.
    if (depth > 6) return
    for (const [name, field] of Object.entries(properties)) {
      const inner = path === '' ? name : `${path}.${name}`
      const strategy = field['x-kubernetes-patch-strategy'] ?? ''
      if (field.type === 'array' && strategy.split(',').includes('merge')) {
        this.keys[inner] = field['x-kubernetes-patch-merge-key'] ?? ''
      }
      this.visit(field.items ?? field, inner, depth + 1)
    }
  }
}

function resolved({ definitions }: OpenapiV2, { $ref, ...own }: Definition): Definition {
  if ($ref === undefined) return own
  return definitions[$ref.slice('#/definitions/'.length)] ?? own
}

function compared(
  what: string,
  ours: Readonly<Record<string, string>>,
  theirs: Readonly<Record<string, string>>,
  more: readonly string[],
): string[] {
  return [...new Set([...Object.keys(ours), ...more])]
    .filter(path => ours[path] !== theirs[path])
    .map(path => `${what} ${path}: ${ours[path] ?? 'none'}, published ${theirs[path] ?? 'none'}`)
}

/** Where ours is closed it must know every field, and none besides. */
function unknownFields(
  published: OpenapiV2,
  path: string,
  schema: Schema,
  given: Definition,
): string[] {
  const definition = resolved(published, given)
  if (schema.items !== undefined && definition.items !== undefined) {
    return unknownFields(published, `${path}[]`, schema.items, definition.items)
  }
  if (schema.properties === undefined) return []
  const ours = Object.keys(schema.properties)
  const theirs = Object.keys(definition.properties ?? {})
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true
  const missing = isOpen ? [] : theirs.filter(name => !ours.includes(name))
  const extra = ours.filter(name => !theirs.includes(name))
  return [
    ...missing.map(name => `${path}.${name}: not known here`),
    ...extra.map(name => `${path}.${name}: not published`),
    ...Object.entries(schema.properties).flatMap(([name, inner]) => {
      const theirInner = definition.properties?.[name]
      return theirInner === undefined
        ? []
        : unknownFields(published, `${path}.${name}`, inner, theirInner)
    }),
  ]
}
