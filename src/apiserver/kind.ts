// What the server knows of a kind: its place and names, what may be done with it, how it is shown, which
// fields it has. The lists of kinds are in kinds.ts.

import type { ResourcePlace } from '../kube/resource-type.ts'
import type { Body } from './body.ts'

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete'

/** A structural schema, as CRDs have it. */
export interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly default?: unknown
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
  readonly [keyword: string]: unknown
}

export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'date'
  readonly description: string
  /** 0: always shown; above: with `-o wide`. */
  readonly priority: number
  readonly cell: (body: Body, nowMs: number) => string | number
}

export interface Kind extends ResourcePlace {
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly verbs: readonly Verb[]
  /** The status is written through `/status`, and only there. */
  readonly hasStatus: boolean
  /** Defined by a CRD: no strategic merge patches, and a PUT needs the version that was read. */
  readonly isCustom: boolean
  /** Counts changes of what is wanted in metadata.generation. */
  readonly hasGeneration: boolean
  readonly schema: Schema
  readonly columns: readonly Column[]
  /** Fields that may be selected by, besides metadata.name and metadata.namespace. */
  readonly fields: readonly string[]
  /** Lists that strategic merge patches merge, by path: the field that tells items apart; '': values. */
  readonly mergeKeys: Readonly<Record<string, string>>
}

export const readVerbs: readonly Verb[] = ['get', 'list', 'watch']
export const allVerbs: readonly Verb[] = [...readVerbs, 'create', 'update', 'patch', 'delete']
