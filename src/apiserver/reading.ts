// GET: an object, a list in pages, or a watch, as JSON or as tables. A list in pages is of one moment: its
// later pages are read from the state of the first one, as long as the history reaches back to it.

import { isRecord, parseJson } from '../kube/errors.ts'
import { apiVersionOf, type Body } from './body.ts'
import type { Revision } from './history.ts'
import type { Kind } from './kind.ts'
import { badRequest, expired, resourceName } from './refusal.ts'
import { parseSelectors } from './selectors.ts'
import type { Store } from './store.ts'
import { acceptedForm, type Include, parseInclude, tableText } from './table.ts'
import type { Target } from './target.ts'
import { type Form, ObjectWatch } from './watch-cache.ts'

export interface ReadOptions {
  readonly query: URLSearchParams
  readonly accept: string
  readonly nowMs: number
}

export function readObject(target: Target, revision: Revision, options: ReadOptions): string {
  const form = formOf(target.kind, options, { resourceVersion: String(revision.version) })
  return form(revision)
}

export function readList(store: Store, { kind, namespace }: Target, options: ReadOptions): string {
  const { query, accept, nowMs } = options
  const selector = parseSelectors(kind, text(query, 'labelSelector'), text(query, 'fieldSelector'))
  const limit = wholeNumber(query, 'limit')
  const { version, after } = startOf(store, query)
  const all = store.listAt(resourceName(kind), namespace, version)
  if (all === undefined) throw expired(version, store.history.floor(resourceName(kind)))
  const rest = after === '' ? all : all.filter(({ key }) => key > after)
  const wanted = selector.isEmpty ? rest : rest.filter(({ body }) => selector.matches(body))
  const page = limit > 0 ? wanted.slice(0, limit) : wanted
  const left = wanted.length - page.length
  const metadata: Body = {
    resourceVersion: String(version),
    ...(left === 0 ? {} : { continue: continueToken(version, page[page.length - 1].key) }),
    ...(left === 0 || !selector.isEmpty ? {} : { remainingItemCount: left }),
  }
  if (acceptedForm(accept) === 'table') {
    const include = parseInclude(text(query, 'includeObject'))
    return tableText(kind, page, metadata, { include, nowMs, hasColumns: true })
  }
  const frame = { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata }
  // The objects are text already.
  return `${JSON.stringify(frame).slice(0, -1)},"items":[${page.map(each => each.text).join(',')}]}`
}

export interface OpenedWatch {
  readonly watch: ObjectWatch
  /** 0: as the server likes. */
  readonly timeoutSeconds: number
  readonly wantsBookmarks: boolean
}

/** Throws Refusal. */
export function openWatch(store: Store, target: Target, options: ReadOptions): OpenedWatch {
  const { kind, namespace } = target
  const { query } = options
  const { matches } = parseSelectors(
    kind,
    text(query, 'labelSelector'),
    text(query, 'fieldSelector'),
  )
  const wantsInitial = isTrue(query.get('sendInitialEvents'))
  if (wantsInitial && query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw badRequest('sendInitialEvents needs resourceVersionMatch=NotOlderThan')
  }
  const asked = text(query, 'resourceVersion')
  const version = wholeNumber(query, 'resourceVersion')
  // Of a store that was put back: what the client has seen is not there any more.
  if (version > store.version) throw expired(version, store.version)
  const hasInitial =
    wantsInitial || (query.get('sendInitialEvents') === null && (asked === '' || asked === '0'))
  const startsNow = hasInitial || asked === '' || asked === '0'
  const watch = new ObjectWatch(
    store.history,
    { kind, namespace, matches, form: formOf(kind, options, {}) },
    {
      version: startsNow ? store.version : version,
      initial: hasInitial ? store.list(resourceName(kind), namespace) : [],
      marksInitialEnd: wantsInitial,
    },
  )
  return {
    watch,
    timeoutSeconds: wholeNumber(query, 'timeoutSeconds'),
    wantsBookmarks: isTrue(query.get('allowWatchBookmarks')),
  }
}

function formOf(kind: Kind, { query, accept, nowMs }: ReadOptions, listMeta: Body): Form {
  if (acceptedForm(accept) === 'json') return revision => revision.text
  const include: Include = parseInclude(text(query, 'includeObject'))
  let hasColumns = true
  return revision => {
    const options = { include, nowMs, hasColumns }
    hasColumns = false
    return tableText(kind, [revision], listMeta, options)
  }
}

/** Which state a list shows, and behind which key it goes on. */
function startOf(store: Store, query: URLSearchParams): { version: number; after: string } {
  const token = text(query, 'continue')
  const from = token === '' ? undefined : parseContinue(token)
  const version = from?.version ?? wholeNumber(query, 'resourceVersion')
  // Of a store that was put back.
  if (version > store.version) throw expired(version, store.version)
  if (from !== undefined) return from
  const isExact = query.get('resourceVersionMatch') === 'Exact'
  return { version: isExact ? version : store.version, after: '' }
}

function continueToken(version: number, after: string): string {
  return Buffer.from(JSON.stringify({ version, after })).toString('base64url')
}

function parseContinue(token: string): { version: number; after: string } {
  const read = parseJson(Buffer.from(token, 'base64url').toString())
  const { version, after } = isRecord(read) ? read : {}
  if (typeof version === 'number' && Number.isSafeInteger(version) && typeof after === 'string') {
    return { version, after }
  }
  throw badRequest('continue key is not valid')
}

function text(query: URLSearchParams, name: string): string {
  return query.get(name) ?? ''
}

export function isTrue(value: string | null): boolean {
  return value === 'true' || value === '1'
}

/** 0 when it is not there. Throws Refusal. */
function wholeNumber(query: URLSearchParams, name: string): number {
  const value = text(query, name)
  if (value === '') return 0
  if (/^\d{1,15}$/.test(value)) return Number(value)
  throw badRequest(`${name}: Invalid value: ${JSON.stringify(value)}: not a number`)
}
