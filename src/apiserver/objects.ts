// The life of objects in the store: what a create, an update and a delete make of what they are given,
// by the rules that hold for every kind (names, uid and version preconditions, generation, status apart,
// finalizers). Nothing is written before everything has been checked.
//
// No I/O: time and randomness are handed in. What a body may hold is schemas.ts, who may write it is
// authorize.ts and trust.ts, what one kind alone does is admission.ts.

import { formatTime } from '../kube/time.ts'
import {
  type Body,
  finalizersOf,
  isDeleting,
  isSame,
  metaOf,
  nameOf,
  namespaceOf,
  recordAt,
  textAt,
  uidOf,
  withMeta,
} from './body.ts'
import type { Revision } from './history.ts'
import type { Kind } from './kind.ts'
import { changeCauses, generatedName, metadataCauses } from './metadata.ts'
import {
  alreadyExists,
  badValue,
  type Cause,
  conflict,
  forbidden,
  invalid,
  notFound,
  resourceName,
} from './refusal.ts'
import { keyOf, revisionOf, type Store } from './store.ts'

/** Where time and chance come from. */
export interface Circumstances {
  nowMs(): number
  uuid(): string
  random(bytes: number): Uint8Array
}

export interface Preconditions {
  readonly uid?: string
  readonly resourceVersion?: string
}

/** Of each kind; a member must not fill the memory of all. */
export const quota = { objects: 20_000, characters: 32 * 1024 * 1024 } as const

const staleWords =
  'the object has been modified; please apply your changes to the latest version and try again'

export class Objects {
  readonly store: Store
  readonly #around: Circumstances

  constructor(store: Store, around: Circumstances) {
    this.store = store
    this.#around = around
  }

  get(kind: Kind, namespace: string, name: string): Revision {
    const found = this.find(kind, namespace, name)
    if (found === undefined) throw notFound(kind, name)
    return found
  }

  find(kind: Kind, namespace: string, name: string): Revision | undefined {
    return this.store.get(resourceName(kind), keyOf(namespace, name))
  }

  /** The object as `create` would store it, with a name of its own. Throws Refusal. */
  drafted(kind: Kind, namespace: string, given: Body): Body {
    const prefix = textAt(given, 'metadata', 'generateName')
    const isGenerated = nameOf(given) === '' && prefix !== ''
    let name = nameOf(given)
    if (isGenerated) {
      do name = generatedName(prefix, this.#around.random(5))
      while (this.find(kind, namespace, name) !== undefined)
    }
    const body = withMeta(ordered(kind.hasStatus ? { ...given, status: undefined } : given), {
      name,
      namespace: kind.namespaced ? namespace : undefined,
      uid: this.#around.uuid(),
      creationTimestamp: formatTime(this.#around.nowMs()),
      generation: kind.hasGeneration ? 1 : undefined,
      ...{ deletionTimestamp: undefined, deletionGracePeriodSeconds: undefined },
      ...{ managedFields: undefined, selfLink: undefined, resourceVersion: undefined },
    })
    refuseFor(kind, name, metadataCauses(kind, body))
    return body
  }

  /** Stores what was drafted. */
  create(kind: Kind, body: Body, isDry: boolean): Revision {
    const [namespace, name] = [namespaceOf(body), nameOf(body)]
    if (this.find(kind, namespace, name) !== undefined) throw alreadyExists(kind, name)
    if (this.store.count(resourceName(kind)) >= quota.objects) {
      throw forbidden(kind, name, `exceeded quota: there are ${quota.objects} of them`)
    }
    this.#checkSize(kind, body, undefined)
    return this.#put(kind, body, isDry)
  }

  /** The object as `update` would store it. Throws Refusal. */
  merged(kind: Kind, before: Body, given: Body, part: 'main' | 'status'): Body {
    const name = nameOf(before)
    checkVersion(kind, before, given)
    const old = metaOf(before)
    if (part === 'status') {
      return ordered({ ...before, status: given['status'] })
    }
    const body = withMeta(
      ordered(kind.hasStatus ? { ...given, status: before['status'] } : given),
      {
        ...{
          name,
          namespace: old['namespace'],
          uid: old['uid'],
          generateName: old['generateName'],
        },
        ...{ creationTimestamp: old['creationTimestamp'], generation: old['generation'] },
        deletionTimestamp: old['deletionTimestamp'],
        deletionGracePeriodSeconds: old['deletionGracePeriodSeconds'],
        ...{ managedFields: undefined, selfLink: undefined, resourceVersion: undefined },
      },
    )
    refuseFor(kind, name, [...metadataCauses(kind, body), ...changeCauses(before, body)])
    return counted(kind, before, body)
  }

  /** Stores what was merged; a deleted object goes with its last finalizer. */
  update(kind: Kind, before: Revision, body: Body, isDry: boolean): Revision {
    const { resourceVersion } = metaOf(before.body)
    if (isSame(withMeta(body, { resourceVersion }), before.body)) return before
    if (isDeleting(body) && finalizersOf(body).length === 0) {
      if (isDry) return before
      return this.store.remove(resourceName(kind), before.key)
    }
    this.#checkSize(kind, body, before)
    return this.#put(kind, body, isDry)
  }

  /** Deletes it, or marks it when finalizers hold it. */
  delete(kind: Kind, revision: Revision, conditions: Preconditions, isDry: boolean): Revision {
    const { body, key } = revision
    checkPreconditions(kind, body, conditions)
    if (finalizersOf(body).length > 0 || holdsContent(kind, body)) {
      if (isDeleting(body)) return revision
      const marked = withMeta(body, {
        deletionTimestamp: formatTime(this.#around.nowMs()),
        deletionGracePeriodSeconds: 0,
      })
      const isNamespace = kind.kind === 'Namespace'
      const shown = isNamespace ? { ...marked, status: { phase: 'Terminating' } } : marked
      return this.#put(kind, counted(kind, body, shown), isDry)
    }
    return isDry ? revision : this.store.remove(resourceName(kind), key)
  }

  #put(kind: Kind, body: Body, isDry: boolean): Revision {
    const key = keyOf(namespaceOf(body), nameOf(body))
    if (isDry) return revisionOf(key, this.store.version, body)
    return this.store.put(resourceName(kind), key, body)
  }

  /** When all together are too much, none grows: what is there stays of use, and can go. */
  #checkSize(kind: Kind, body: Body, before: Revision | undefined): void {
    if (this.store.size(resourceName(kind)) <= quota.characters) return
    const isLonger = ({ key, version, text }: Revision) =>
      revisionOf(key, version, body).text.length > text.length
    if (before !== undefined && !isLonger(before)) return
    const mib = quota.characters / 1024 / 1024
    throw forbidden(kind, nameOf(body), `exceeded quota: all of them have more than ${mib} MiB`)
  }
}

/** A namespace goes when it is empty (controllers.ts). */
function holdsContent(kind: Kind, body: Body): boolean {
  const { finalizers } = recordAt(body, 'spec')
  return kind.kind === 'Namespace' && Array.isArray(finalizers) && finalizers.length > 0
}

/** In the order in which people read objects, and without fields that are not there. */
function ordered(body: Body): Body {
  const { apiVersion, kind, metadata, ...rest } = body
  const there = Object.entries(rest).filter(([, value]) => value !== undefined)
  return { apiVersion, kind, metadata, ...Object.fromEntries(there) }
}

/** With one more in `generation` when what is wanted has changed. */
function counted(kind: Kind, before: Body, after: Body): Body {
  if (!kind.hasGeneration) return after
  const wanted = (body: Body) => ({
    ...body,
    metadata: metaOf(body)['deletionTimestamp'],
    ...(kind.hasStatus ? { status: undefined } : {}),
  })
  if (isSame(wanted(before), wanted(after))) return after
  return withMeta(after, { generation: Number(metaOf(before)['generation'] ?? 0) + 1 })
}

function checkVersion(kind: Kind, before: Body, given: Body): void {
  const name = nameOf(before)
  checkUid(kind, before, uidOf(given))
  const version = textAt(given, 'metadata', 'resourceVersion')
  const isUnnumbered = version === '' || version === '0'
  if (isUnnumbered && (kind.isCustom || kind.kind === 'Lease')) {
    const why = 'must be specified for an update'
    throw invalid(kind, name, [badValue('metadata.resourceVersion', 0, why)])
  }
  if (isUnnumbered || version === metaOf(before)['resourceVersion']) return
  throw conflict(kind, name, staleWords)
}

function checkUid(kind: Kind, before: Body, uid: string): void {
  if (uid === '' || uid === uidOf(before)) return
  const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${uidOf(before)}`
  throw conflict(kind, nameOf(before), why)
}

function checkPreconditions(kind: Kind, body: Body, conditions: Preconditions): void {
  checkUid(kind, body, conditions.uid ?? '')
  const { resourceVersion: wanted = '' } = conditions
  const there = String(metaOf(body)['resourceVersion'])
  if (wanted === '' || wanted === there) return
  const why = `Precondition failed: ResourceVersion in precondition: ${wanted}, ResourceVersion in object meta: ${there}`
  throw conflict(kind, nameOf(body), why)
}

export function refuseFor(kind: Kind, name: string, causes: readonly Cause[]): void {
  if (causes.length > 0) throw invalid(kind, name, causes)
}
