// The API without HTTP, files and clocks: a request in, an answer out. The simulation calls it directly, the
// server puts TLS around it. Order, as in a kube-apiserver: who are you, is there such a thing, may you, and
// then the rest. A write is done, and what follows from it is done, when its answer is there.

import type { Prefix } from '../net/address.ts'
import { Accounts } from './accounts.ts'
import { Admission } from './admission.ts'
import { isAllowed, type User } from './authorize.ts'
import type { Body } from './body.ts'
import { definitionKind } from './builtin-kinds.ts'
import { Controllers } from './controllers.ts'
import { discoveryDocument } from './discovery.ts'
import type { HistoryLimits } from './history.ts'
import type { Verb } from './kind.ts'
import type { Kinds } from './kinds.ts'
import { type Circumstances, Objects } from './objects.ts'
import { isTrue, type OpenedWatch, openWatch, readList, readObject } from './reading.ts'
import { forbidden, noSuchPath, Refusal, resourceName } from './refusal.ts'
import { Schemas } from './schemas.ts'
import { selectedName } from './selectors.ts'
import { type Log, LogError, Store } from './store.ts'
import { parseTarget, type Target, verbOf } from './target.ts'
import { errorFrame } from './watch-cache.ts'
import { type WriteRequest, Writing } from './writing.ts'

export interface ApiRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** Headers as they came; '' for none. */
  readonly accept: string
  readonly contentType: string
  readonly authorization: string
  readonly body: string
}

export type ApiAnswer =
  | {
      readonly kind: 'text'
      readonly status: number
      readonly contentType: 'application/json' | 'text/plain'
      readonly text: string
      readonly warnings: readonly string[]
    }
  | ({ readonly kind: 'watch'; readonly user: string; readonly tokenHash: string } & OpenedWatch)
  /** A watch that ends with its first frame, as a version that is too old is told. */
  | { readonly kind: 'frame'; readonly text: string }

export interface ApiOptions {
  readonly kinds: Kinds
  readonly log: Log
  readonly around: Circumstances
  readonly brokerNamespace: string
  readonly serviceCidrs?: readonly Prefix[]
  /** PEM; goes into token Secrets. */
  readonly ca: string
  readonly historyLimits?: HistoryLimits
}

const healthPaths: readonly string[] = ['/healthz', '/livez', '/readyz']

export class Api {
  readonly kinds: Kinds
  readonly store: Store
  readonly objects: Objects
  readonly #around: Circumstances
  readonly #accounts: Accounts
  readonly #controllers: Controllers
  readonly #writing: Writing
  /** Kinds that changed since `takeChanged`. */
  #changed = new Set<string>()

  constructor(options: ApiOptions) {
    const { kinds, log, around, brokerNamespace, serviceCidrs = [], ca } = options
    this.kinds = kinds
    this.#around = around
    this.store = new Store(kinds.names, log, options.historyLimits)
    this.objects = new Objects(this.store, around)
    const random = (bytes: number) => around.random(bytes)
    this.#accounts = new Accounts(this.store, { brokerNamespace, ca, random })
    const admission = new Admission(this.store, this.#accounts, { brokerNamespace, serviceCidrs })
    this.#controllers = new Controllers(kinds, this.objects, this.#accounts)
    this.#writing = new Writing(kinds, this.objects, new Schemas(), admission)
    for (const definition of kinds.definitions) this.#preset(definition)
    this.#controllers.resume()
    this.store.takeChanges()
  }

  handle(request: ApiRequest): ApiAnswer {
    try {
      return this.#answer(request)
    } catch (error) {
      const refusal = refusalFor(error)
      return jsonAnswer(refusal.code, JSON.stringify(refusal.status()))
    }
  }

  /** Who is known by these credentials; '' for a stranger. */
  nameOf(authorization: string): string {
    return this.#userOf(authorization)?.user.name ?? ''
  }

  /** The kinds that changed since the last call: whose watches have something to read. */
  takeChanged(): ReadonlySet<string> {
    const changed = this.#changed
    this.#changed = new Set()
    return changed
  }

  /** Whether a token is still good; a watch ends with it. */
  isKnown(tokenHash: string): boolean {
    return this.#accounts.isKnown(tokenHash)
  }

  /**
   * Makes an object or keeps the one that is there, with the `spec` that is wanted, without asking who wants
   * it: what a server makes at its start.
   */
  ensure(kindName: string, namespace: string, body: Body): Body {
    const kind = this.kinds.get(kindName)
    if (kind === undefined) throw new Error(`no kind ${kindName}`)
    const name = String((body['metadata'] as Body)['name'])
    const found = this.objects.find(kind, namespace, name)
    const { spec } = body
    if (found !== undefined && spec === undefined) return found.body
    const target = { kind, namespace, name: found === undefined ? '' : name, part: 'main' } as const
    const query = new URLSearchParams({ fieldValidation: 'Strict' })
    const shared = { target, user: system, query }
    if (found === undefined) {
      const contentType = 'application/json'
      this.#writing.create({ ...shared, contentType, body: JSON.stringify(body) })
    } else {
      const contentType = 'application/merge-patch+json'
      this.#writing.patch({ ...shared, contentType, body: JSON.stringify({ spec }) })
    }
    this.#followUp()
    return this.objects.get(kind, namespace, name).body
  }

  close(): void {
    this.store.close()
  }

  #answer(request: ApiRequest): ApiAnswer {
    const { method, path, query } = request
    if (healthPaths.includes(path)) return textAnswer('ok')
    if (path === '/version') return this.#document(path)
    const { user, hash } = this.#authenticated(request.authorization)
    if (method === 'GET' && discoveryDocument(this.kinds, path) !== undefined) {
      return this.#document(path)
    }
    const target = parseTarget(this.kinds, path)
    const verb = verbOf(method, target, isTrue(query.get('watch')))
    this.#authorize(user, verb, target, query)
    switch (verb) {
      case 'get': {
        const { kind, namespace, name } = target
        return jsonAnswer(
          200,
          readObject(target, this.objects.get(kind, namespace, name), this.#reading(request)),
        )
      }
      case 'list':
        return jsonAnswer(200, readList(this.store, target, this.#reading(request)))
      case 'watch':
        return this.#watch(request, target, user, hash)
      default:
        return this.#write(verb, {
          target,
          user,
          query,
          contentType: mediaType(request),
          body: request.body,
        })
    }
  }

  #write(verb: 'create' | 'update' | 'patch' | 'delete', request: WriteRequest): ApiAnswer {
    try {
      if (verb === 'delete') return jsonAnswer(200, this.#writing.delete(request))
      const { text, warnings } = this.#writing[verb](request)
      return { ...jsonAnswer(verb === 'create' ? 201 : 200, text), warnings }
    } finally {
      this.#followUp()
    }
  }

  #watch(request: ApiRequest, target: Target, user: User, tokenHash: string): ApiAnswer {
    try {
      const opened = openWatch(this.store, target, this.#reading(request))
      return { kind: 'watch', user: user.name, tokenHash, ...opened }
    } catch (error) {
      if (!(error instanceof Refusal) || error.reason !== 'Expired') throw error
      return { kind: 'frame', text: errorFrame(error) }
    }
  }

  #followUp(): void {
    for (const kind of this.#controllers.run()) this.#changed.add(kind)
  }

  #authenticated(authorization: string): { readonly user: User; readonly hash: string } {
    const found = this.#userOf(authorization)
    if (found === undefined) throw new Refusal('Unauthorized', 'Unauthorized')
    return found
  }

  #userOf(authorization: string) {
    const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? ''
    return token === '' ? undefined : this.#accounts.userOf(token)
  }

  #authorize(user: User, verb: Verb, target: Target, query: URLSearchParams): void {
    const { kind, namespace, part } = target
    const isCollection = verb === 'list' || verb === 'watch'
    // As on a real server, a selector for one name is as good as the name; read by whoever applies it.
    const name = isCollection ? selectedName(kind, query.get('fieldSelector') ?? '') : target.name
    const resource = resourceName(kind)
    const subresource = part === 'status' ? 'status' : ''
    if (isAllowed(user, { verb, resource, subresource, namespace, name })) return
    const what = subresource === '' ? kind.plural : `${kind.plural}/status`
    const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`
    const why = `User "${user.name}" cannot ${verb} resource "${what}" in API group "${kind.group}" ${where}`
    throw forbidden(kind, target.name, why)
  }

  #reading({ query, accept }: ApiRequest) {
    return { query, accept, nowMs: this.#around.nowMs() }
  }

  #document(path: string): ApiAnswer {
    const document = discoveryDocument(this.kinds, path)
    if (document === undefined) throw noSuchPath()
    return jsonAnswer(200, JSON.stringify(document))
  }

  /** A definition is there from the start, established. */
  #preset(definition: Body): void {
    const condition = (type: string) => ({
      ...{ type, status: 'True', reason: 'BuiltIn', message: 'it is built in' },
      lastTransitionTime: epoch,
    })
    const spec = definition['spec'] as Body
    const { metadata } = definition as { readonly metadata: Body }
    const name = String(metadata['name'])
    this.store.preset(resourceName(definitionKind), name, {
      ...definition,
      metadata: { ...metadata, uid: name, creationTimestamp: epoch, generation: 1 },
      status: {
        conditions: [condition('NamesAccepted'), condition('Established')],
        acceptedNames: spec['names'],
        storedVersions: (spec['versions'] as readonly Body[]).map(version => version['name']),
      },
    })
  }
}

const epoch = '1970-01-01T00:00:00Z'

const system: User = { name: 'system:apiserver', role: 'admin', clusterId: '', namespace: '' }

function mediaType({ contentType }: ApiRequest): string {
  return contentType.split(';')[0].trim().toLowerCase()
}

function jsonAnswer(status: number, text: string): ApiAnswer & { readonly kind: 'text' } {
  return { kind: 'text', status, contentType: 'application/json', text, warnings: [] }
}

function textAnswer(text: string): ApiAnswer {
  return { kind: 'text', status: 200, contentType: 'text/plain', text, warnings: [] }
}

/** What is no refusal is the disk, or our own bug, which must not be hidden. */
function refusalFor(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (!(error instanceof LogError)) throw error
  return new Refusal('InternalError', `Internal error occurred: the store: ${error.message}`)
}
