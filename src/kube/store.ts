// The objects of a watch as they were last heard of: parsed ones by name, and what is wrong with those
// that do not parse. A problem goes away with its cause: the object is repaired or deleted.
//
// Consumers look at it whenever they like; `synced` says whether absence means anything yet. Once it is
// true it stays true: during an outage the last world that was known is better than none.

import { identityOf, type ObjectProblem, parseObject } from './objects.ts'
import type { Resource, ResourceType } from './resource-type.ts'

/** What a consumer sees. */
export interface ObjectStore<T> {
  /** In the order of namespace and name, the same array while nothing changes. */
  list(): readonly T[]
  /** The namespace is empty for a kind without. */
  get(namespace: string, name: string): T | undefined
  problems(): readonly ObjectProblem[]
  /** Whether a whole list has been read since the start. */
  readonly synced: boolean
}

/** More than a clusterset has of anything; a server that sends more is not believed. */
export const objectsMost = 100_000

type Entry<T> = { readonly uid: string; readonly resourceVersion: string } & (
  | { readonly value: T }
  | { readonly problem: ObjectProblem }
)

export class Store<T extends Resource> implements ObjectStore<T> {
  readonly #type: ResourceType<T>
  #entries = new Map<string, Entry<T>>()
  #sorted: readonly Entry<T>[] = []
  #values: readonly T[] | undefined = []
  #isSynced = false

  constructor(type: ResourceType<T>) {
    this.#type = type
  }

  get synced(): boolean {
    return this.#isSynced
  }

  list(): readonly T[] {
    if (this.#values === undefined) {
      const keys = [...this.#entries.keys()].sort()
      this.#sorted = keys.flatMap(key => this.#entries.get(key) ?? [])
      this.#values = this.#sorted.flatMap(entry => ('value' in entry ? [entry.value] : []))
    }
    return this.#values
  }

  get(namespace: string, name: string): T | undefined {
    const entry = this.#entries.get(`${namespace}/${name}`)
    return entry !== undefined && 'value' in entry ? entry.value : undefined
  }

  problems(): readonly ObjectProblem[] {
    this.list()
    return this.#sorted.flatMap(entry => ('problem' in entry ? [entry.problem] : []))
  }

  /** What is not in the list is gone. Returns whether anything is different. */
  replace(raws: readonly unknown[]): boolean {
    const before = this.#entries
    this.#entries = new Map()
    let isChanged = !this.#isSynced
    for (const raw of raws) {
      const key = keyOf(raw)
      const entry = this.#entryOf(raw, before.get(key))
      if (entry !== before.get(key)) isChanged = true
      this.#entries.set(key, entry)
    }
    if (this.#entries.size !== before.size) isChanged = true
    this.#isSynced = true
    if (isChanged) this.#values = undefined
    return isChanged
  }

  /** Returns whether anything is different. */
  put(raw: unknown): boolean {
    const key = keyOf(raw)
    const before = this.#entries.get(key)
    const entry = this.#entryOf(raw, before)
    if (entry === before) return false
    this.#entries.set(key, entry)
    this.#values = undefined
    return true
  }

  /** Returns whether it was there. */
  remove(raw: unknown): boolean {
    const wasThere = this.#entries.delete(keyOf(raw))
    if (wasThere) this.#values = undefined
    return wasThere
  }

  get size(): number {
    return this.#entries.size
  }

  /** What is held already is not parsed again: after a reconnection that is nearly everything. */
  #entryOf(raw: unknown, before: Entry<T> | undefined): Entry<T> {
    const { uid, resourceVersion } = identityOf(raw)
    const isHeld = before?.uid === uid && before.resourceVersion === resourceVersion
    if (isHeld && resourceVersion !== '') return before
    const parsed = parseObject(this.#type, raw)
    return parsed.ok
      ? { uid, resourceVersion, value: parsed.value }
      : { uid, resourceVersion, problem: parsed.problem }
  }
}

function keyOf(raw: unknown): string {
  const { namespace, name } = identityOf(raw)
  return `${namespace}/${name}`
}
