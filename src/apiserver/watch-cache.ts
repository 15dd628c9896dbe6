// One watch: a position in the history of its kind, and what a client is told of the changes behind it.
// An object that begins to match a selector is ADDED, one that ceases to is DELETED, whatever has happened
// to it. Frames are made when they are read; what is sent to all watches alike is made once.
//
// No I/O: the server reads frames while the connection takes them, and ends a watch that fell behind.

import { apiVersionOf, type Body, namespaceOf } from './body.ts'
import type { Change, History, Revision } from './history.ts'
import type { Kind } from './kind.ts'
import { expired, type Refusal, resourceName } from './refusal.ts'
import { revisionOf } from './store.ts'

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED'

/** How an object is put into a frame: as JSON text. */
export type Form = (revision: Revision) => string

export interface WatchQuery {
  readonly kind: Kind
  /** '' for all of them. */
  readonly namespace: string
  readonly matches: (body: Body) => boolean
  readonly form: Form
}

export interface WatchStart {
  /** Changes after it are sent. */
  readonly version: number
  /** Sent before them, as ADDED. */
  readonly initial: readonly Revision[]
  /** A bookmark says where the initial ones end. */
  readonly marksInitialEnd: boolean
}

/** A frame to send, nothing for now, or the end: the reader was too slow. */
export type Next =
  | { readonly kind: 'frame'; readonly text: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'lost' }

export class ObjectWatch {
  readonly kind: Kind
  readonly #resource: string
  readonly #query: WatchQuery
  readonly #history: History
  readonly #initial: Revision[]
  readonly #startVersion: number
  #marksInitialEnd: boolean
  #position: number

  /** Throws Refusal (410) for a version that is too old. */
  constructor(history: History, query: WatchQuery, start: WatchStart) {
    this.kind = query.kind
    this.#resource = resourceName(query.kind)
    this.#query = query
    this.#history = history
    const position = history.position(this.#resource, start.version)
    if (position === undefined) throw expired(start.version, history.floor(this.#resource))
    this.#position = position
    this.#initial = start.initial.filter(({ body }) => this.#isWanted(body)).reverse()
    this.#startVersion = start.version
    this.#marksInitialEnd = start.marksInitialEnd
  }

  next(): Next {
    const first = this.#initial.pop()
    if (first !== undefined) return this.#frame('ADDED', first)
    if (this.#marksInitialEnd) {
      this.#marksInitialEnd = false
      return { kind: 'frame', text: this.bookmark(this.#startVersion, true) }
    }
    for (;;) {
      const change = this.#history.at(this.#resource, this.#position)
      if (change === 'end') return { kind: 'none' }
      if (change === 'gone') return { kind: 'lost' }
      this.#position++
      const frame = this.#frameOf(change)
      if (frame !== undefined) return frame
    }
  }

  /** It fell out of the history before it was read. */
  isLost(): boolean {
    return this.#history.at(this.#resource, this.#position) === 'gone'
  }

  /** Everything up to that version has been sent. */
  bookmark(version: number, isInitialEnd = false): string {
    const annotations = isInitialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}
    const metadata = { resourceVersion: String(version), creationTimestamp: null, ...annotations }
    const { kind } = this.#query
    const object = { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata }
    return `${JSON.stringify({ type: 'BOOKMARK', object })}\n`
  }

  #frameOf({ before, after, last, version, key }: Change): Next | undefined {
    const had = before !== undefined && this.#isWanted(before.body)
    const has = after !== undefined && this.#isWanted(after.body)
    if (after !== undefined && has) return this.#frame(had ? 'MODIFIED' : 'ADDED', after)
    if (!had) return undefined
    return this.#frame('DELETED', last ?? revisionOf(key, version, before.body))
  }

  #isWanted(body: Body): boolean {
    const { namespace, matches } = this.#query
    return (namespace === '' || namespaceOf(body) === namespace) && matches(body)
  }

  #frame(type: EventType, revision: Revision): Next {
    const text = `{"type":"${type}","object":${this.#query.form(revision)}}\n`
    return { kind: 'frame', text }
  }
}

/** What a client is told in the stream when it cannot go on. */
export function errorFrame(refusal: Refusal): string {
  return `${JSON.stringify({ type: 'ERROR', object: refusal.status() })}\n`
}
