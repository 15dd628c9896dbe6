// The objects, all in memory, and behind them a log that has each change on disk before anybody hears of
// it: what was acknowledged outlives the process, whatever ends it. One counter numbers all changes; it
// is every object's resourceVersion, and it never goes back.
//
// No I/O, no clock: the log is handed in. What may be written, and when, is objects.ts.

import assert from 'node:assert/strict'
import { type Body, withMeta } from './body.ts'
import { type Change, History, type HistoryLimits, type Revision } from './history.ts'

/** What a log has when it is opened. */
export interface Logged {
  readonly version: number
  /** Kind: the version of its last change. */
  readonly lastChanges: ReadonlyMap<string, number>
  readonly rows: Iterable<LoggedRow>
}

export interface LoggedRow {
  readonly kind: string
  readonly key: string
  readonly text: string
}

export interface LogEntry {
  readonly version: number
  readonly kind: string
  readonly key: string
  /** Undefined: deleted. */
  readonly text: string | undefined
}

export interface Log {
  load(): Logged
  /** It is on disk when this returns. Throws LogError, and then nothing of it is. */
  append(entry: LogEntry): void
  close(): void
}

/** The log could not take a change; the store is as it was. */
export class LogError extends Error {
  override readonly name = 'LogError'
}

/** For the simulation and for tests: forgets. */
export class MemoryLog implements Log {
  load(): Logged {
    return { version: 0, lastChanges: new Map(), rows: [] }
  }

  append(): void {}

  close(): void {}
}

export class Store {
  readonly history: History
  readonly #log: Log
  readonly #objects = new Map<string, Map<string, Revision>>()
  readonly #sizes = new Map<string, number>()
  /** Changes that nobody has looked at yet. */
  #unseen: Change[] = []
  #version: number

  /** `kinds`: the names of the resources; what the log has of others is left alone. */
  constructor(kinds: Iterable<string>, log: Log, limits?: HistoryLimits) {
    this.history = new History(limits)
    this.#log = log
    const { version, lastChanges, rows } = log.load()
    // Never 0, which a client would take for "any".
    this.#version = Math.max(1, version)
    for (const kind of kinds) {
      this.#objects.set(kind, new Map())
      this.history.begin(kind, lastChanges.get(kind) ?? 0)
    }
    for (const { kind, key, text } of rows) {
      const body = JSON.parse(text) as Body
      const revision = { key, version: versionOf(body), body, text }
      if (this.#objects.get(kind)?.set(key, revision)) this.#grow(kind, text.length)
    }
  }

  get version(): number {
    return this.#version
  }

  get(kind: string, key: string): Revision | undefined {
    return this.#of(kind).get(key)
  }

  /** In the order of their keys. `namespace` '': all. */
  list(kind: string, namespace = ''): Revision[] {
    return sorted(this.#of(kind).values(), namespace)
  }

  /** In no order. */
  all(kind: string): Iterable<Revision> {
    return this.#of(kind).values()
  }

  count(kind: string): number {
    return this.#of(kind).size
  }

  /** Of all texts of a kind, in characters. */
  size(kind: string): number {
    return this.#sizes.get(kind) ?? 0
  }

  /** As `list` was at that version; undefined when that is too long ago. */
  listAt(kind: string, namespace: string, version: number): Revision[] | undefined {
    if (version === this.#version) return this.list(kind, namespace)
    const undone = this.history.since(kind, version)
    if (undone === undefined) return undefined
    const objects = new Map(this.#of(kind))
    for (const { key, before } of undone) {
      if (before === undefined) objects.delete(key)
      else objects.set(key, before)
    }
    return sorted(objects.values(), namespace)
  }

  /** Something that is there without being stored, the same after each start. */
  preset(kind: string, key: string, body: Body): void {
    this.#of(kind).set(key, revisionOf(key, 1, body))
  }

  put(kind: string, key: string, body: Body): Revision {
    const after = revisionOf(key, this.#version + 1, body)
    this.#append({ version: after.version, kind, key, text: after.text })
    const objects = this.#of(kind)
    const before = objects.get(key)
    objects.set(key, after)
    this.#grow(kind, after.text.length - (before?.text.length ?? 0))
    this.#add({ kind, key, version: after.version, before, after, last: undefined })
    return after
  }

  /** The last state, with the version of the deletion. */
  remove(kind: string, key: string): Revision {
    const objects = this.#of(kind)
    const before = objects.get(key)
    assert.ok(before !== undefined, `${kind} ${key} is not there`)
    const version = this.#version + 1
    this.#append({ version, kind, key, text: undefined })
    objects.delete(key)
    this.#grow(kind, -before.text.length)
    const last = revisionOf(key, version, before.body)
    this.#add({ kind, key, version, before, after: undefined, last })
    return last
  }

  /** The changes since the last call, oldest first. */
  takeChanges(): Change[] {
    const changes = this.#unseen
    this.#unseen = []
    return changes
  }

  close(): void {
    this.#log.close()
  }

  #append(entry: LogEntry): void {
    this.#log.append(entry)
    this.#version = entry.version
  }

  #add(change: Change): void {
    this.history.add(change)
    this.#unseen.push(change)
  }

  #grow(kind: string, size: number): void {
    this.#sizes.set(kind, this.size(kind) + size)
  }

  #of(kind: string): Map<string, Revision> {
    const objects = this.#objects.get(kind)
    assert.ok(objects !== undefined, `no kind ${kind}`)
    return objects
  }
}

export function keyOf(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`
}

export function revisionOf(key: string, version: number, given: Body): Revision {
  const body = withMeta(given, { resourceVersion: String(version) })
  return { key, version, body, text: JSON.stringify(body) }
}

function versionOf(body: Body): number {
  const { resourceVersion } = (body['metadata'] ?? {}) as { resourceVersion?: string }
  return Number(resourceVersion)
}

function sorted(revisions: Iterable<Revision>, namespace: string): Revision[] {
  const prefix = namespace === '' ? '' : `${namespace}/`
  return [...revisions]
    .filter(({ key }) => key.startsWith(prefix))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
}
