// Lists as tables, which is how kubectl asks for them: `Accept: application/json;as=Table;g=meta.k8s.io;v=v1`.
// Each row carries the metadata of its object, or the object, or nothing (`includeObject`).

import { type Body, metaOf } from './body.ts'
import type { Revision } from './history.ts'
import type { Kind } from './kind.ts'
import { badRequest, Refusal } from './refusal.ts'

export type Include = 'Metadata' | 'Object' | 'None'

/** What the client takes: plain JSON, or tables. Throws Refusal (406) for anything else alone. */
export function acceptedForm(accept: string): 'json' | 'table' {
  const offers = accept === '' ? ['application/json'] : accept.split(',')
  for (const offer of offers) {
    const [type, ...parameters] = offer.split(';').map(part => part.trim())
    if (type !== 'application/json' && type !== '*/*' && type !== 'application/*') continue
    const as = parameters.find(parameter => parameter.startsWith('as='))
    if (as === undefined) return 'json'
    if (as === 'as=Table' && parameters.includes('v=v1')) return 'table'
  }
  const only = 'only the following media types are accepted: application/json'
  throw new Refusal('NotAcceptable', only)
}

export function parseInclude(text: string): Include {
  if (text === '' || text === 'Metadata') return 'Metadata'
  if (text === 'Object' || text === 'None') return text
  throw badRequest(`unrecognized includeObject value: ${JSON.stringify(text)}`)
}

export interface TableOptions {
  readonly include: Include
  readonly nowMs: number
  /** Later frames of a watch come without them. */
  readonly hasColumns: boolean
}

export function tableText(
  kind: Kind,
  revisions: readonly Revision[],
  listMeta: Body,
  options: TableOptions,
): string {
  const columnDefinitions = options.hasColumns
    ? kind.columns.map(({ name, type, description, priority }) => ({
        ...{ name, type, format: name === 'Name' ? 'name' : '', description, priority },
      }))
    : null
  return JSON.stringify({
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMeta,
    columnDefinitions,
    rows: revisions.map(({ body }) => rowOf(kind, body, options)),
  })
}

function rowOf(kind: Kind, body: Body, { include, nowMs }: TableOptions): Body {
  const cells = kind.columns.map(({ cell }) => cell(body, nowMs))
  if (include === 'None') return { cells }
  if (include === 'Object') return { cells, object: body }
  const frame = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' }
  return { cells, object: { ...frame, metadata: metaOf(body) } }
}
