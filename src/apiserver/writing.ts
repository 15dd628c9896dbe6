// POST, PUT, PATCH and DELETE of an object: decode, prune and check against the schema, prepare what the
// kind needs, ask the trust rule, and then store. All of it at once, so nobody writes in between.

import { isRecord, parseJson } from '../kube/errors.ts'
import type { Admission } from './admission.ts'
import type { User } from './authorize.ts'
import {
  apiVersionOf,
  type Body,
  listAt,
  nameOf,
  namespaceOf,
  recordAt,
  textAt,
  uidOf,
  withMeta,
} from './body.ts'
import type { Revision } from './history.ts'
import type { Kind } from './kind.ts'
import type { Kinds } from './kinds.ts'
import { type Objects, type Preconditions, refuseFor } from './objects.ts'
import { patched } from './patch.ts'
import { badRequest, badValue, Refusal, resourceName } from './refusal.ts'
import type { Schemas } from './schemas.ts'
import type { Target } from './target.ts'

export interface WriteRequest {
  readonly target: Target
  readonly user: User
  readonly query: URLSearchParams
  /** Without parameters, in lower case. */
  readonly contentType: string
  readonly body: string
}

export interface Written {
  readonly text: string
  /** Of unknown fields that were dropped. */
  readonly warnings: readonly string[]
}

export class Writing {
  readonly #kinds: Kinds
  readonly #objects: Objects
  readonly #schemas: Schemas
  readonly #admission: Admission

  constructor(kinds: Kinds, objects: Objects, schemas: Schemas, admission: Admission) {
    this.#kinds = kinds
    this.#objects = objects
    this.#schemas = schemas
    this.#admission = admission
  }

  create(request: WriteRequest): Written {
    const { target, user, query } = request
    const { kind, namespace } = target
    const given = decoded(request)
    if (textAt(given, 'metadata', 'resourceVersion') !== '') {
      throw badRequest('resourceVersion should not be set on objects to be created')
    }
    const { body, warnings, causes } = this.#fitted(kind, given, query, 'body')
    this.#admission.checkNamespace(kind, namespace, nameOf(given))
    refuseFor(kind, nameOf(body), causes)
    const drafted = this.#objects.drafted(kind, namespace, body)
    this.#admission.checkTrust(user, 'create', kind, namespace, drafted, undefined)
    const prepared = this.#admission.prepared(kind, drafted, undefined)
    const { text } = this.#objects.create(kind, prepared, isDry(query))
    return { text, warnings }
  }

  update(request: WriteRequest): Written {
    const { target, query } = request
    const { kind, namespace, name } = target
    const given = decoded(request)
    if (nameOf(given) !== name) {
      throw badRequest(
        `the name of the object (${nameOf(given)}) does not match the name on the URL (${name})`,
      )
    }
    const before = this.#objects.get(kind, namespace, name)
    return this.#replace(request, before, given, this.#unknownIn(kind, given, query, 'body'))
  }

  patch(request: WriteRequest): Written {
    const { target, query, contentType } = request
    const { kind, namespace, name } = target
    const patch = parseJson(request.body)
    if (patch === undefined) throw badRequest('the patch is no JSON')
    const before = this.#objects.get(kind, namespace, name)
    // Numbered as it was read, unless the patch names the version that it is for.
    const given = patched(kind, before.body, patch, contentType)
    if (nameOf(given) !== name || namespaceOf(given) !== namespace) {
      refuseFor(kind, name, [badValue('metadata.name', nameOf(given), 'field is immutable')])
    }
    checkFrame(kind, given)
    return this.#replace(request, before, given, this.#unknownIn(kind, given, query, 'patch'))
  }

  /** The Status of what is gone, or the object that is on its way out. */
  delete({ target, user, query, body }: WriteRequest): string {
    const { kind, namespace, name } = target
    const options = body === '' ? {} : parseJson(body)
    if (!isRecord(options)) throw badRequest('the body is no DeleteOptions')
    const before = this.#objects.get(kind, namespace, name)
    this.#admission.checkTrust(user, 'delete', kind, namespace, undefined, before.body)
    const dry = isDry(query) || listAt(options, 'dryRun').includes('All')
    const policy = query.get('propagationPolicy') ?? textAt(options, 'propagationPolicy')
    const conditions = recordAt(options, 'preconditions') as Preconditions
    if (policy === 'Orphan' && !dry) {
      // Nothing is let go for a deletion that is refused.
      this.#objects.delete(kind, before, conditions, true)
      this.#orphan(before.body)
    }
    const after = this.#objects.delete(kind, before, conditions, dry)
    const isThere = this.#objects.find(kind, namespace, name) !== undefined && !dry
    return isThere ? after.text : JSON.stringify(deletedStatus(kind, before.body))
  }

  #replace(request: WriteRequest, before: Revision, given: Body, warnings: string[]): Written {
    const { target, user, query } = request
    const { kind, namespace, name, part } = target
    const merged = this.#objects.merged(kind, before.body, given, part)
    const { body, causes } = this.#schemas.fit(kind, merged)
    refuseFor(kind, name, causes)
    const prepared = this.#admission.prepared(kind, body, before.body)
    this.#admission.checkTrust(user, 'update', kind, namespace, prepared, before.body)
    const { text } = this.#objects.update(kind, before, prepared, isDry(query))
    return { text, warnings }
  }

  #fitted(kind: Kind, given: Body, query: URLSearchParams, source: 'body' | 'patch') {
    const { body, unknown, causes } = this.#schemas.fit(kind, given)
    return { body, causes, warnings: judged(kind, unknown, query, source) }
  }

  #unknownIn(kind: Kind, given: Body, query: URLSearchParams, source: 'body' | 'patch') {
    return this.#fitted(kind, given, query, source).warnings
  }

  /** Takes the owner out of what it owns. */
  #orphan(owner: Body): void {
    const { store } = this.#objects
    for (const kind of this.#kinds.all) {
      for (const revision of store.list(resourceName(kind), namespaceOf(owner))) {
        const references = listAt(revision.body, 'metadata', 'ownerReferences')
        const ownerReferences = references.filter(each => textAt(each, 'uid') !== uidOf(owner))
        if (ownerReferences.length === references.length) continue
        this.#objects.update(kind, revision, withMeta(revision.body, { ownerReferences }), false)
      }
    }
  }
}

function isDry(query: URLSearchParams): boolean {
  return query.get('dryRun') === 'All'
}

/** Warnings about unknown fields, or with `Strict` a refusal. */
function judged(
  kind: Kind,
  unknown: readonly string[],
  query: URLSearchParams,
  source: 'body' | 'patch',
): string[] {
  const directive = query.get('fieldValidation') ?? 'Warn'
  const words = unknown.map(path => `unknown field ${JSON.stringify(path)}`)
  if (directive === 'Ignore' || words.length === 0) return []
  if (directive === 'Warn') return words
  if (directive !== 'Strict') {
    throw badRequest(`fieldValidation: Unsupported value: ${JSON.stringify(directive)}`)
  }
  const why = `strict decoding error: ${words.join(', ')}`
  if (source === 'patch') {
    const message = `Invalid value: ${why}`
    const causes = [{ reason: 'FieldValueInvalid', message, field: 'patch' }]
    throw new Refusal('Invalid', ` "" is invalid: patch: ${message}`, { causes })
  }
  throw badRequest(
    `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}: ${why}`,
  )
}

/** The object of a request, of the right kind and namespace. Throws Refusal. */
function decoded({ target, contentType, body }: WriteRequest): Body {
  if (contentType !== 'application/json' && contentType !== '') {
    const why = 'the body of the request was in an unknown format - accepted media types include'
    throw new Refusal('UnsupportedMediaType', `${why}: application/json`)
  }
  const { kind, namespace } = target
  const given = parseJson(body)
  if (!isRecord(given)) throw badRequest('the body of the request is no JSON object')
  checkFrame(kind, given)
  const said = namespaceOf(given)
  if (said !== '' && said !== namespace) {
    throw badRequest(
      'the namespace of the provided object does not match the namespace sent on the request',
    )
  }
  return { ...given, apiVersion: apiVersionOf(kind), kind: kind.kind }
}

function checkFrame(kind: Kind, given: Body): void {
  const expected = { apiVersion: apiVersionOf(kind), kind: kind.kind }
  for (const [name, wanted] of Object.entries(expected)) {
    const said = given[name]
    if (said === wanted || (said === undefined && !kind.isCustom)) continue
    if (said === undefined) throw badRequest(`Object '${name}' is missing`)
    if (kind.isCustom) refuseFor(kind, nameOf(given), [badValue(name, said, `must be ${wanted}`)])
    const what = name === 'kind' ? 'kind' : 'API version'
    throw badRequest(
      `the ${what} in the data (${String(said)}) does not match the expected ${what} (${wanted})`,
    )
  }
}

function deletedStatus(kind: Kind, body: Body): Body {
  const { group, plural } = kind
  const details = { name: nameOf(body), ...(group === '' ? {} : { group }), kind: plural }
  return {
    ...{ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' },
    details: { ...details, uid: uidOf(body) },
  }
}
