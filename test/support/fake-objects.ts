// The objects of a fake API server, without I/O: kinds, one resourceVersion for all, the past as events,
// and the answers that a kube-apiserver gives for what cannot be done.

/** A kind that the server knows. */
export interface FakeKind {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
  readonly hasStatus?: boolean
}

export interface FakeObject {
  readonly [field: string]: unknown
  readonly metadata: FakeMeta
}

export interface FakeMeta {
  readonly [field: string]: unknown
  readonly name: string
  readonly namespace?: string
  readonly uid: string
  readonly resourceVersion: string
  readonly labels?: Readonly<Record<string, string>>
}

/** Thrown with the HTTP status and the reason of meta/v1 Status. */
export class FakeRefusal extends Error {
  readonly status: number
  readonly reason: string
  readonly object: string

  constructor(status: number, reason: string, message: string, object = '') {
    super(message)
    this.status = status
    this.reason = reason
    this.object = object
  }
}

export interface FakeEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly kind: FakeKind
  readonly version: number
  readonly object: FakeObject
}

/** An event and what was there before it. */
interface Past extends FakeEvent {
  readonly before: FakeObject | undefined
}

export interface Query {
  readonly namespace: string | undefined
  readonly labelSelector: string
  readonly fieldSelector: string
}

export interface Preconditions {
  readonly uid?: string
  readonly resourceVersion?: string
}

export class FakeObjects {
  readonly kinds: readonly FakeKind[]
  readonly #objects = new Map<string, FakeObject>()
  readonly #past: Past[] = []
  /** Lists under way: what they saw at their begin. */
  readonly #snapshots = new Map<number, readonly FakeObject[]>()
  #version = 100
  #oldest = 0
  #uids = 0

  constructor(kinds: readonly FakeKind[]) {
    this.kinds = kinds
  }

  get version(): number {
    return this.#version
  }

  find(group: string, version: string, plural: string): FakeKind {
    const kind = this.kinds.find(
      one => one.group === group && one.version === version && one.plural === plural,
    )
    if (kind !== undefined) return kind
    throw new FakeRefusal(404, 'NotFound', 'the server could not find the requested resource')
  }

  get(kind: FakeKind, namespace: string | undefined, name: string): FakeObject {
    const object = this.#objects.get(keyOf(kind, namespace, name))
    if (object !== undefined) return object
    throw new FakeRefusal(404, 'NotFound', `${kind.plural} "${name}" not found`, name)
  }

  /** All that match, in the order of namespace and name. */
  select(kind: FakeKind, query: Query): FakeObject[] {
    const prefix = `${kind.group}/${kind.plural}/`
    const keys = [...this.#objects.keys()].filter(key => key.startsWith(prefix)).sort()
    return keys
      .flatMap(key => this.#objects.get(key) ?? [])
      .filter(object => matches(object, query))
  }

  /** A page; the token names the version of the whole list and how far it has come. */
  page(kind: FakeKind, query: Query, limit: number, token: string) {
    const [version, offset] = token === '' ? [this.#version, 0] : token.split('.').map(Number)
    if (version < this.#oldest) {
      throw new FakeRefusal(410, 'Expired', 'The provided continue parameter is too old')
    }
    const all = token === '' ? this.select(kind, query) : (this.#snapshots.get(version) ?? [])
    const end = limit === 0 ? all.length : offset + limit
    const isLast = end >= all.length
    if (!isLast) this.#snapshots.set(version, all)
    const continueToken = isLast ? '' : `${version}.${end}`
    return { items: all.slice(offset, end), version, continueToken }
  }

  create(kind: FakeKind, namespace: string | undefined, raw: unknown): FakeObject {
    const body = asObject(raw)
    const { name } = body.metadata
    // RFC 1123, as for most kinds.
    if (!/^[a-z0-9][a-z0-9.-]*$/.test(String(name))) {
      const message = `${kind.kind} "${name}" is invalid: metadata.name: Invalid value`
      throw new FakeRefusal(422, 'Invalid', message, String(name))
    }
    if (body.metadata.resourceVersion !== undefined) {
      const message = 'resourceVersion should not be set on objects to be created'
      throw new FakeRefusal(400, 'BadRequest', message)
    }
    if (this.#objects.has(keyOf(kind, namespace, name))) {
      throw new FakeRefusal(409, 'AlreadyExists', `${kind.plural} "${name}" already exists`, name)
    }
    const uid = `uid-${++this.#uids}`
    const creationTimestamp = new Date(0).toISOString()
    const { status: _, ...rest } = body
    const kept = kind.hasStatus === true ? rest : body
    return this.#record('ADDED', kind, {
      ...kept,
      metadata: { ...body.metadata, ...namespaceOf(namespace), uid, creationTimestamp },
    })
  }

  /** A PUT: the whole object, or its status alone. */
  update(kind: FakeKind, namespace: string | undefined, name: string, raw: unknown, part: Part) {
    const body = asObject(raw)
    const before = this.get(kind, namespace, name)
    this.#check(kind, before, {
      ...(body.metadata.uid === undefined ? {} : { uid: body.metadata.uid }),
      ...(body.metadata.resourceVersion === undefined
        ? {}
        : { resourceVersion: body.metadata.resourceVersion }),
    })
    return this.#record('MODIFIED', kind, merged(kind, before, body, part))
  }

  mergePatch(
    kind: FakeKind,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    part: Part,
  ) {
    const before = this.get(kind, namespace, name)
    return this.update(kind, namespace, name, patched(before, patch), part)
  }

  delete(kind: FakeKind, namespace: string | undefined, name: string, wanted: Preconditions = {}) {
    const before = this.get(kind, namespace, name)
    this.#check(kind, before, wanted)
    return this.#record('DELETED', kind, before)
  }

  /** What happened after a version. Throws 410 when that is forgotten. */
  since(kind: FakeKind, query: Query, version: number): FakeEvent[] {
    if (version < this.#oldest) {
      throw new FakeRefusal(
        410,
        'Expired',
        `too old resource version: ${version} (${this.#oldest})`,
      )
    }
    return this.#past
      .filter(event => event.kind === kind && event.version > version)
      .flatMap(event => seenThrough(query, event))
  }

  /** Forgets the past: older versions are answered with 410. */
  compact(): void {
    this.#version++
    this.#oldest = this.#version
    this.#past.length = 0
    this.#snapshots.clear()
  }

  #check(kind: FakeKind, before: FakeObject, { uid, resourceVersion }: Preconditions): void {
    const { name, uid: ownUid, resourceVersion: ownVersion } = before.metadata
    const isOther = (uid ?? ownUid) !== ownUid || (resourceVersion ?? ownVersion) !== ownVersion
    if (!isOther) return
    const message = `Operation cannot be fulfilled on ${kind.plural} "${name}": the object has been modified`
    throw new FakeRefusal(409, 'Conflict', message, name)
  }

  #record(type: FakeEvent['type'], kind: FakeKind, given: FakeObject): FakeObject {
    const version = ++this.#version
    const metadata = { ...given.metadata, resourceVersion: String(version) }
    const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`
    const object = { ...given, apiVersion, kind: kind.kind, metadata }
    const key = keyOf(kind, metadata.namespace, metadata.name)
    this.#past.push({ type, kind, version, object, before: this.#objects.get(key) })
    if (type === 'DELETED') this.#objects.delete(key)
    else this.#objects.set(key, object)
    return object
  }
}

/** To a watch with a selector, an object that begins to match is added, one that ceases to is deleted. */
function seenThrough(query: Query, { before, ...event }: Past): FakeEvent[] {
  const did = before !== undefined && matches(before, query)
  const does = event.type !== 'DELETED' && matches(event.object, query)
  if (!did && !does) return []
  return [{ ...event, type: !did ? 'ADDED' : does ? 'MODIFIED' : 'DELETED' }]
}

export type Part = 'main' | 'status'

function keyOf(kind: FakeKind, namespace: string | undefined, name: string): string {
  return `${kind.group}/${kind.plural}/${namespace ?? ''}/${name}`
}

function namespaceOf(namespace: string | undefined) {
  return namespace === undefined ? {} : { namespace }
}

function asObject(raw: unknown): FakeObject {
  const isObject = typeof raw === 'object' && raw !== null && 'metadata' in raw
  if (isObject) return raw as FakeObject
  throw new FakeRefusal(400, 'BadRequest', 'the body is no object')
}

/** A write of the status leaves the rest, and the other way round. */
function merged(kind: FakeKind, before: FakeObject, body: FakeObject, part: Part): FakeObject {
  const { uid, creationTimestamp, name, namespace } = before.metadata
  const own = { uid, creationTimestamp, name, ...namespaceOf(namespace) }
  if (part === 'status') return { ...before, status: body['status'] }
  const whole: FakeObject = { ...body, metadata: { ...body.metadata, ...own } }
  if (kind.hasStatus !== true) return whole
  const { status: _, metadata, ...rest } = whole
  return { ...rest, ...('status' in before ? { status: before['status'] } : {}), metadata }
}

/** RFC 7386. */
function patched(target: unknown, patch: unknown): unknown {
  if (!isPlain(patch)) return patch
  const result: Record<string, unknown> = isPlain(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = patched(result[key], value)
  }
  return result
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Selectors of the form `a=b,c=d`, and the field `metadata.name`. */
function matches(object: FakeObject, { namespace, labelSelector, fieldSelector }: Query): boolean {
  const { name, labels = {} } = object.metadata
  const pairs = (text: string) => (text === '' ? [] : text.split(',').map(one => one.split('=')))
  return (
    (namespace === undefined || object.metadata.namespace === namespace) &&
    pairs(labelSelector).every(([key, value]) => labels[key] === value) &&
    pairs(fieldSelector).every(([key, value]) => key === 'metadata.name' && value === name)
  )
}
