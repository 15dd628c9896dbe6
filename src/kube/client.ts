// The calls that we make of an API server, typed by kind. Objects come parsed, with the raw object beside
// them where it is needed to write: a PUT keeps what others own in it, and carries the resourceVersion
// that was read, so nobody's change is lost. What does not carry one is a merge patch.
//
// Failures are KubeErrors: verb, object and server, why, and what to do next.

import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import type { Credentials } from './credentials.ts'
import { type CallName, callError, isRecord, type KubeError, kubeCodeOf } from './errors.ts'
import { completed, type ObjectProblem, parseObject, withMeta } from './objects.ts'
import type { Resource, ResourcePlace, ResourceType } from './resource-type.ts'
import { objectsMost } from './store.ts'
import { type Call, Transport } from './transport.ts'

/** Which object; the namespace is left out for a kind without. */
export interface ObjectName {
  readonly name: string
  readonly namespace?: string
}

/** Which objects of a kind: all of them, unless it is narrowed. */
export interface Scope {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

export interface CallOptions {
  readonly signal?: AbortSignal
  /** Of each request that the call makes, in ms. */
  readonly limitMs?: number
}

export interface CreateOptions extends CallOptions {
  /** The server does everything but to keep it. */
  readonly isDryRun?: boolean
}

export interface WriteOptions extends CallOptions {
  /** The status subresource: the server then takes nothing but the status, and leaves the rest. */
  readonly status?: boolean
}

export interface DeleteOptions extends CallOptions {
  /** Deletes nothing but this very object. */
  readonly uid?: string
  /** Deletes it only as it was read. */
  readonly resourceVersion?: string
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan'
}

/** An object as it was read. */
export interface Stored<T> {
  readonly value: T
  readonly raw: unknown
}

export interface Listing<T> {
  readonly items: readonly T[]
  readonly problems: readonly ObjectProblem[]
}

/** A page of a list, its items raw. */
export interface Page {
  readonly items: readonly unknown[]
  readonly resourceVersion: string
  /** Empty on the last one. */
  readonly continueToken: string
}

/** `minor` is a number with a `+` behind it on some servers. */
export interface ServerVersion {
  readonly major: number
  readonly minor: number
}

export interface PageOptions extends CallOptions {
  readonly limit?: number
  readonly continueToken?: string
}

export interface WatchOptions extends CallOptions {
  readonly resourceVersion: string
  readonly timeoutSeconds: number
}

const callLimitMs = 15_000
const pageSize = 500
/** Of `change`, before it gives up: somebody else writes the object all the time. */
const conflictsMost = 5

export class KubeClient {
  readonly #transport: Transport
  /** Of the credentials. */
  readonly namespace: string

  constructor(credentials: Credentials, userAgent: string) {
    this.#transport = new Transport(credentials, userAgent)
    this.namespace = credentials.namespace
  }

  /** `https://…`, for messages. */
  get server(): string {
    return this.#transport.server
  }

  async get<T extends Resource>(
    type: ResourceType<T>,
    name: ObjectName,
    options: CallOptions = {},
  ): Promise<Stored<T>> {
    return this.#object(type, { verb: 'get', method: 'GET', ...place(type, name), ...options })
  }

  /** All of them, page by page. */
  async list<T extends Resource>(
    type: ResourceType<T>,
    scope: Scope = {},
    options: CallOptions = {},
  ): Promise<Listing<T>> {
    const items: T[] = []
    const problems: ObjectProblem[] = []
    for (const raw of await this.#allPages(type, scope, options)) {
      const parsed = parseObject(type, raw)
      if (parsed.ok) items.push(parsed.value)
      else problems.push(parsed.problem)
    }
    return { items, problems }
  }

  /** Throws GONE for a token that the server has forgotten. */
  async listPage(type: ResourcePlace, scope: Scope, options: PageOptions = {}): Promise<Page> {
    const { limit, continueToken = '' } = options
    const call = this.#call({
      verb: 'list',
      method: 'GET',
      ...collection(type, scope.namespace),
      ...callOptions(options),
      query: {
        ...selectors(scope),
        ...(limit === undefined ? {} : { limit: String(limit) }),
        ...(continueToken === '' ? {} : { continue: continueToken }),
      },
    })
    return this.#readPage(type, call, await this.#transport.json(call))
  }

  /** The events after a resourceVersion, a JSON object on each line. The caller destroys the stream. */
  async watch(type: ResourcePlace, scope: Scope, options: WatchOptions): Promise<IncomingMessage> {
    const call = this.#call({
      verb: 'watch',
      method: 'GET',
      ...collection(type, scope.namespace),
      ...callOptions(options),
      query: {
        ...selectors(scope),
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: options.resourceVersion,
        timeoutSeconds: String(options.timeoutSeconds),
      },
    })
    return this.#transport.stream(call)
  }

  async create<T extends Resource>(
    type: ResourceType<T>,
    resource: T,
    { isDryRun = false, ...options }: CreateOptions = {},
  ): Promise<Stored<T>> {
    const { name, namespace } = resource.meta
    const body = withMeta(type.serialize(resource), { resourceVersion: undefined, uid: undefined })
    return this.#object(type, {
      verb: 'create',
      method: 'POST',
      ...collection(type, type.namespaced ? namespace : undefined),
      name,
      body,
      ...(isDryRun ? { query: { dryRun: 'All' } } : {}),
      ...options,
    })
  }

  /** Writes over what was read. Throws CONFLICT when it is not that any more. */
  async update<T extends Resource>(
    type: ResourceType<T>,
    read: Stored<T>,
    resource: T,
    options: WriteOptions = {},
  ): Promise<Stored<T>> {
    const { name, namespace, uid, resourceVersion } = read.value.meta
    assert.ok(resourceVersion !== '', `${type.kind} ${name} was not read: it has no version`)
    return this.#object(type, {
      verb: 'update',
      method: 'PUT',
      ...place(type, { name, namespace }, options.status),
      body: withMeta(type.serialize(resource, read.raw), { resourceVersion, uid }),
      ...callOptions(options),
    })
  }

  /**
   * Reads, changes and writes, and does it again when somebody else was faster. A change that returns
   * undefined has nothing to write. Throws CONFLICT after five such races.
   */
  async change<T extends Resource>(
    type: ResourceType<T>,
    name: ObjectName,
    change: (value: T) => T | undefined,
    options: WriteOptions = {},
  ): Promise<Stored<T>> {
    for (let attempt = 1; ; attempt++) {
      const read = await this.get(type, name, callOptions(options))
      const resource = change(read.value)
      if (resource === undefined) return read
      try {
        return await this.update(type, read, resource, options)
      } catch (error) {
        if (kubeCodeOf(error) !== 'CONFLICT' || attempt === conflictsMost) throw error
      }
    }
  }

  /** JSON merge patch (RFC 7386): null removes a field, a list replaces the list. */
  async patch(
    type: ResourcePlace,
    name: ObjectName,
    patch: Readonly<Record<string, unknown>>,
    options: WriteOptions = {},
  ): Promise<void> {
    await this.#transport.json(
      this.#call({
        verb: 'patch',
        method: 'PATCH',
        ...place(type, name, options.status),
        body: patch,
        contentType: 'application/merge-patch+json',
        ...callOptions(options),
      }),
    )
  }

  /** Resolves once the server has taken the order; finalizers may keep the object for a while. */
  async delete(type: ResourcePlace, name: ObjectName, options: DeleteOptions = {}): Promise<void> {
    const { uid, resourceVersion, propagation } = options
    await this.#transport.json(
      this.#call({
        verb: 'delete',
        method: 'DELETE',
        ...place(type, name),
        body: {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          ...(propagation === undefined ? {} : { propagationPolicy: propagation }),
          preconditions: {
            ...(uid === undefined ? {} : { uid }),
            ...(resourceVersion === undefined ? {} : { resourceVersion }),
          },
        },
        ...callOptions(options),
      }),
    )
  }

  /** Of the server. */
  async version(options: CallOptions = {}): Promise<ServerVersion> {
    const call = this.#call({
      ...{ verb: 'get', method: 'GET', resource: '/version', namespace: '', path: '/version' },
      ...callOptions(options),
    })
    const body = await this.#transport.json(call)
    const numberIn = (field: string) =>
      Number(/^\d+/.exec(String(isRecord(body) ? body[field] : ''))?.[0] ?? Number.NaN)
    const version = { major: numberIn('major'), minor: numberIn('minor') }
    if (Number.isInteger(version.major) && Number.isInteger(version.minor)) return version
    throw callError({ ...call, server: this.server }, 'BAD_ANSWER', 'the answer is no version')
  }

  /** How messages name a watch, for what comes in its stream. */
  watchName(type: ResourcePlace, scope: Scope): CallName {
    const { resource, namespace } = collection(type, scope.namespace)
    return { verb: 'watch', resource, namespace, name: '', server: this.server }
  }

  /** Closes idle connections. Requests and watches under way go on. */
  close(): void {
    this.#transport.close()
  }

  #call(call: Omit<Call, 'limitMs' | 'name'> & Partial<Pick<Call, 'limitMs' | 'name'>>): Call {
    return { limitMs: callLimitMs, name: '', ...call }
  }

  async #object<T extends Resource>(
    type: ResourceType<T>,
    given: Omit<Call, 'limitMs' | 'name'> & Partial<Pick<Call, 'limitMs' | 'name'>>,
  ): Promise<Stored<T>> {
    const call = this.#call(given)
    const raw = await this.#transport.json(call)
    const parsed = parseObject(type, raw)
    if (parsed.ok) return { value: parsed.value, raw }
    throw callError({ ...call, server: this.server }, 'BAD_OBJECT', parsed.problem.problem)
  }

  async #allPages(type: ResourcePlace, scope: Scope, options: CallOptions): Promise<unknown[]> {
    const items: unknown[] = []
    let continueToken = ''
    let pages = 0
    do {
      // A server that always names another page would be asked for ever.
      if (items.length + pages++ > objectsMost) throw this.#tooMany(type, scope)
      try {
        const page = await this.listPage(type, scope, {
          ...options,
          limit: pageSize,
          continueToken,
        })
        for (const item of page.items) items.push(item)
        continueToken = page.continueToken
      } catch (error) {
        // The list took longer than the server keeps its past: everything at once then.
        if (kubeCodeOf(error) !== 'GONE' || continueToken === '') throw error
        return [...(await this.listPage(type, scope, options)).items]
      }
    } while (continueToken !== '')
    return items
  }

  #tooMany(type: ResourcePlace, scope: Scope): KubeError {
    const place = collection(type, scope.namespace)
    const call = this.#call({ verb: 'list', method: 'GET', ...place })
    const why = `the list has more than ${objectsMost} objects`
    return callError({ ...call, server: this.server }, 'BAD_ANSWER', why)
  }

  #readPage(type: ResourcePlace, call: Call, body: unknown): Page {
    const meta = isRecord(body) && isRecord(body['metadata']) ? body['metadata'] : {}
    const { resourceVersion, continue: continueToken = '' } = meta
    const items = isRecord(body) ? (body['items'] ?? []) : undefined
    const isText = typeof resourceVersion === 'string' && typeof continueToken === 'string'
    if (!isText || resourceVersion === '' || !Array.isArray(items)) {
      throw callError({ ...call, server: this.server }, 'BAD_ANSWER', 'the answer is no list')
    }
    return { items: items.map(item => completed(type, item)), resourceVersion, continueToken }
  }
}

function selectors({ labelSelector, fieldSelector }: Scope): Record<string, string> {
  return {
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  }
}

function callOptions({ signal, limitMs }: CallOptions): CallOptions {
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(limitMs === undefined ? {} : { limitMs }),
  }
}

interface Place {
  readonly resource: string
  readonly namespace: string
  readonly path: string
}

function collection(type: ResourcePlace, namespace: string | undefined): Place {
  const { group, version, plural } = type
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  const within = namespace === undefined ? '' : `/namespaces/${segment(namespace)}`
  return {
    resource: group === '' ? plural : `${plural}.${group}`,
    namespace: namespace ?? '',
    path: `${root}${within}/${plural}`,
  }
}

function place(type: ResourcePlace, { name, namespace }: ObjectName, status = false) {
  const inNamespace = type.namespaced ? (namespace ?? '') : undefined
  const { path, ...rest } = collection(type, inNamespace)
  return { ...rest, name, path: `${path}/${segment(name)}${status ? '/status' : ''}` }
}

/** An empty one would name the whole collection, and a DELETE would empty it. */
function segment(name: string): string {
  assert.ok(name !== '', 'an object without a name or namespace')
  assert.ok(name !== '.' && name !== '..' && !name.includes('/'), `a name like ${name}`)
  return encodeURIComponent(name)
}
