// A simulated API server: the real one (src/apiserver) without HTTP, on virtual time, with what goes wrong
// around it. A request takes its time to come and to be answered; each way may be cut, swallow what is
// sent, or lose an answer after the request was carried out. Watches are read when there is something to
// read, as far as their link lets them.

import { Api, type ApiAnswer, type ApiRequest } from '../../../../src/apiserver/api.ts'
import type { Body } from '../../../../src/apiserver/body.ts'
import type { HistoryLimits } from '../../../../src/apiserver/history.ts'
import type { Kinds } from '../../../../src/apiserver/kinds.ts'
import { ensureAccount } from '../../../../src/apiserver/running.ts'
import type { ObjectWatch } from '../../../../src/apiserver/watch-cache.ts'
import { objectName } from '../../../../src/kube/names.ts'
import { KeptLog } from './kept-log.ts'
import type { Link } from './link.ts'
import type { Timeline } from './timeline.ts'

/** Wall clock of time 0. */
export const epochMs = Date.UTC(2026, 10, 28, 11)
const bookmarkMs = 50_000

export interface StreamEvents {
  readonly line: (text: string) => void
  /** `isOrderly`: ended by the server; else the connection broke. */
  readonly ended: (isOrderly: boolean) => void
}

/** A watch's connection. */
export class Stream {
  readonly link: Link
  readonly events: StreamEvents
  readonly watch: ObjectWatch
  readonly tokenHash: string
  readonly resource: string
  isOpen = true
  /** The other end has forgotten it, and nobody has told this one. */
  isForgotten = false
  isAwaited = false

  constructor(
    link: Link,
    events: StreamEvents,
    answer: ApiAnswer & { readonly kind: 'watch' },
    resource: string,
  ) {
    this.link = link
    this.events = events
    this.watch = answer.watch
    this.tokenHash = answer.tokenHash
    this.resource = resource
  }

  close(): void {
    this.isOpen = false
  }

  end(isOrderly: boolean): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.events.ended(isOrderly)
  }
}

export interface ServerParts {
  readonly timeline: Timeline
  readonly random: () => number
  readonly kinds: Kinds
  readonly historyLimits: HistoryLimits
}

export class SimServer {
  api: Api
  isUp = true
  /** On top of every answer. */
  slownessMs = 0
  /** The share of answers that are lost after the request was carried out. */
  lostAnswers = 0
  readonly #parts: ServerParts
  readonly #log = new KeptLog()
  #streams: Stream[] = []
  #uids = 0

  constructor(parts: ServerParts) {
    this.#parts = parts
    this.api = this.#newApi()
    this.#bookmark()
  }

  get isWell(): boolean {
    return this.isUp && this.slownessMs === 0 && this.lostAnswers === 0
  }

  ensure(kind: string, namespace: string, body: Body): void {
    this.api.ensure(kind, namespace, body)
  }

  account(namespace: string, name: string, annotations: Record<string, string> = {}): string {
    return `Bearer ${ensureAccount(this.api, namespace, name, annotations)}`
  }

  /** Of a kind's objects, as they are stored. */
  bodies(resource: string): Body[] {
    return this.api.store.list(resource).map(({ body }) => body)
  }

  handle(request: ApiRequest): ApiAnswer {
    const answer = this.api.handle(request)
    const changed = this.api.takeChanged()
    if (changed.has('secrets')) {
      for (const stream of this.#streams) {
        if (!this.api.isKnown(stream.tokenHash)) stream.end(true)
      }
    }
    if (changed.size > 0) {
      for (const stream of this.#streams) if (changed.has(stream.resource)) this.#await(stream)
    }
    return answer
  }

  open(stream: Stream, timeoutSeconds: number): void {
    this.#streams = this.#streams.filter(({ isOpen }) => isOpen)
    this.#streams.push(stream)
    this.#await(stream)
    if (timeoutSeconds > 0) {
      this.#parts.timeline.after(timeoutSeconds * 1000, () => {
        if (stream.link.state === 'up' && !stream.isForgotten) stream.end(true)
      })
    }
  }

  /** What a link that works again has kept back. */
  resume(link: Link): void {
    for (const stream of this.#streams) if (stream.link === link) this.#await(stream)
  }

  cut(link: Link): void {
    for (const stream of this.#streams) if (stream.link === link) stream.end(false)
  }

  forget(link: Link): void {
    for (const stream of this.#streams) if (stream.link === link) stream.isForgotten = true
  }

  stop(): void {
    this.isUp = false
    const streams = this.#streams
    this.#streams = []
    // Those on the other side of a black hole do not hear of it.
    for (const stream of streams) {
      if (stream.link.state === 'hole') stream.isForgotten = true
      else stream.end(false)
    }
  }

  /** With everything that it had stored, and without a past for watches. */
  start(): void {
    this.api = this.#newApi()
    this.isUp = true
  }

  #newApi(): Api {
    const { timeline, random, kinds, historyLimits } = this.#parts
    return new Api({
      ...{ kinds, log: this.#log, historyLimits, ca: 'the CA' },
      brokerNamespace: objectName.brokerNamespace,
      around: {
        nowMs: () => epochMs + timeline.nowMs,
        uuid: () => `uid-${++this.#uids}`,
        random: bytes => Uint8Array.from({ length: bytes }, () => Math.floor(random() * 256)),
      },
    })
  }

  #await(stream: Stream): void {
    if (stream.isAwaited || !stream.isOpen || stream.isForgotten) return
    stream.isAwaited = true
    const { timeline, random } = this.#parts
    timeline.after(2 + random() * 8 + this.slownessMs, () => {
      stream.isAwaited = false
      this.#read(stream)
    })
  }

  #read(stream: Stream): void {
    if (stream.link.state !== 'up' || stream.isForgotten) return
    while (stream.isOpen) {
      const next = stream.watch.next()
      if (next.kind === 'none') return
      if (next.kind === 'lost') stream.end(false)
      else stream.events.line(next.text)
    }
  }

  #bookmark(): void {
    this.#parts.timeline.after(bookmarkMs, () => {
      this.#bookmark()
      for (const stream of this.#streams) {
        this.#read(stream)
        const isHeard = stream.isOpen && stream.link.state === 'up' && !stream.isForgotten
        if (isHeard && this.isUp) {
          stream.events.line(stream.watch.bookmark(this.api.store.version))
        }
      }
    })
  }
}
