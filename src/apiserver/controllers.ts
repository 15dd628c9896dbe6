// What follows from a write, done before it is answered: token Secrets go with their account, what is owned
// goes with its owner, what is in a namespace goes before it, and in the lab Services get their slices.
// Nothing runs beside the requests, so what a client sees after its write is whole.

import type { Accounts } from './accounts.ts'
import { type Body, isDeleting, metaOf, nameOf, namespaceOf, textAt, uidOf } from './body.ts'
import { endpointSliceKind, namespaceKind, secretKind } from './builtin-kinds.ts'
import type { Change, Revision } from './history.ts'
import type { Kind } from './kind.ts'
import type { Kinds } from './kinds.ts'
import { ownersOf } from './metadata.ts'
import type { Objects } from './objects.ts'
import { Refusal, resourceName } from './refusal.ts'
import { sliceManager, slicesOf } from './slices.ts'
import { LogError } from './store.ts'

export class Controllers {
  readonly #kinds: Kinds
  readonly #objects: Objects
  readonly #accounts: Accounts
  readonly #hasSlices: boolean
  #pending: Change[] = []

  constructor(kinds: Kinds, objects: Objects, accounts: Accounts) {
    this.#kinds = kinds
    this.#objects = objects
    this.#accounts = accounts
    this.#hasSlices = kinds.get('services') !== undefined
  }

  /**
   * Follows all changes, those included that following makes. Returns the kinds that changed. What cannot
   * be written now (the disk is full) is tried again with the next write.
   */
  run(): ReadonlySet<string> {
    const changed = new Set<string>()
    for (;;) {
      for (const change of this.#objects.store.takeChanges()) {
        changed.add(change.kind)
        this.#accounts.follow(change)
        this.#pending.push(change)
      }
      const first = this.#pending.shift()
      if (first === undefined) return changed
      try {
        this.#follow(first)
      } catch (error) {
        if (error instanceof LogError) {
          this.#pending.unshift(first)
          return changed
        }
        // Somebody's own object stands in the way, or a quota: the next change is another try.
        if (!(error instanceof Refusal)) throw error
      }
    }
  }

  /** After a start: what the end of the process has cut off in the middle. */
  resume(): void {
    const { store } = this.#objects
    for (const { body } of store.list('namespaces')) {
      this.#emptied(nameOf(body))
      if (this.#hasSlices) this.#slice(nameOf(body), '')
    }
    const uids = this.#uids()
    for (const kind of this.#kinds.all) {
      for (const { key, body } of store.list(resourceName(kind))) {
        const owners = ownersOf(body)
        if (owners.length > 0 && !owners.some(uid => uids.has(uid))) this.#remove(kind, key)
      }
    }
    for (const { key, body } of store.list('secrets')) {
      if (this.#accounts.isOrphan(body)) this.#remove(secretKind, key)
    }
    this.run()
  }

  #follow(change: Change): void {
    const { kind, after, last } = change
    const body = (after ?? last)?.body
    if (body === undefined) return
    if (after === undefined) {
      this.#collect(body)
      if (kind === 'serviceaccounts') {
        for (const key of this.#accounts.secretsOf(body)) this.#remove(secretKind, key)
      }
    }
    if (kind === 'namespaces') this.#emptied(nameOf(body))
    else if (after === undefined) this.#emptied(namespaceOf(body))
    if (this.#hasSlices && (kind === 'services' || kind === 'pods')) {
      this.#slice(namespaceOf(body), kind === 'services' ? nameOf(body) : '')
    }
  }

  /** Deletes what is in a namespace that is to go, and then the namespace. */
  #emptied(namespace: string): void {
    const { store } = this.#objects
    const found = namespace === '' ? undefined : store.get('namespaces', namespace)
    if (found === undefined || !isDeleting(found.body)) return
    let left = 0
    for (const kind of this.#kinds.all.filter(({ namespaced }) => namespaced)) {
      for (const { key, body } of store.list(resourceName(kind), namespace)) {
        if (!isDeleting(body)) this.#remove(kind, key)
        if (store.get(resourceName(kind), key) !== undefined) left++
      }
    }
    const there = store.get('namespaces', namespace)
    if (left > 0 || there === undefined) return
    const body = { ...there.body, spec: {} }
    this.#objects.update(namespaceKind, there, body, false)
  }

  /** Deletes what had this object for its last owner. */
  #collect(owner: Body): void {
    const uid = uidOf(owner)
    let uids: ReadonlySet<string> | undefined
    for (const kind of this.#kinds.all) {
      const owned = [...this.#objects.store.all(resourceName(kind))].filter(
        ({ body }) => ownersOf(body).includes(uid) && !isDeleting(body),
      )
      for (const { key, body } of owned) {
        uids ??= this.#uids()
        const isGone = (other: string) => other === uid || uids?.has(other) === false
        // One that goes with this one takes along what it owns itself.
        const isLast = ownersOf(body).every(isGone)
        if (isLast) this.#remove(kind, key)
      }
    }
  }

  /** Of all objects. */
  #uids(): ReadonlySet<string> {
    const uids = new Set<string>()
    for (const name of this.#kinds.names) {
      for (const { body } of this.#objects.store.all(name)) uids.add(uidOf(body))
    }
    return uids
  }

  #remove(kind: Kind, key: string): void {
    const revision = this.#objects.store.get(resourceName(kind), key)
    if (revision !== undefined) this.#objects.delete(kind, revision, {}, false)
  }

  /** The slices of one Service, or of all of a namespace. */
  #slice(namespace: string, name: string): void {
    const { store } = this.#objects
    const pods = store.list('pods', namespace).map(({ body }) => body)
    const slices = store.list(resourceName(endpointSliceKind), namespace)
    for (const { body: service } of store.list('services', namespace)) {
      if (name !== '' && nameOf(service) !== name) continue
      const wanted = slicesOf(service, pods)
      const had = slices.filter(({ body }) => isSliceOf(body, nameOf(service)))
      for (const slice of had) {
        if (!wanted.has(nameOf(slice.body))) this.#remove(endpointSliceKind, slice.key)
      }
      for (const [sliceName, body] of wanted) {
        this.#write(
          body,
          had.find(slice => nameOf(slice.body) === sliceName),
        )
      }
    }
  }

  #write(body: Body, before: Revision | undefined): void {
    if (before === undefined) {
      const drafted = this.#objects.drafted(endpointSliceKind, namespaceOf(body), body)
      this.#objects.create(endpointSliceKind, drafted, false)
      return
    }
    const merged = this.#objects.merged(endpointSliceKind, before.body, body, 'main')
    this.#objects.update(endpointSliceKind, before, merged, false)
  }
}

function isSliceOf(body: Body, service: string): boolean {
  const labels = metaOf(body)['labels']
  return (
    textAt(labels, 'endpointslice.kubernetes.io/managed-by') === sliceManager &&
    textAt(labels, 'kubernetes.io/service-name') === service
  )
}
