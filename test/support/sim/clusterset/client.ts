// A client of a simulated API server: the calls of src/kube/client.ts with an answer that comes to a
// function, over a link, on virtual time. Errors are made by the same functions as the real client's.
// A client belongs to a process: nothing comes to one that has ended.

import type { ApiAnswer } from '../../../../src/apiserver/api.ts'
import type { ObjectName, Page, Scope, Stored } from '../../../../src/kube/client.ts'
import {
  answerError,
  type CallName,
  callError,
  type KubeError,
} from '../../../../src/kube/errors.ts'
import { completed, parseObject, withMeta } from '../../../../src/kube/objects.ts'
import type { Resource, ResourcePlace, ResourceType } from '../../../../src/kube/resource-type.ts'
import type { Link } from './link.ts'
import { type SimServer, Stream, type StreamEvents } from './server.ts'
import type { Timeline } from './timeline.ts'

export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: KubeError }

/** As KubeClient has it. */
export const callLimitMs = 15_000
export const answerLimitMs = 30_000

export interface ClientParts {
  readonly timeline: Timeline
  readonly random: () => number
  readonly server: SimServer
  readonly link: Link
  /** The process that it is of. */
  readonly owner: { readonly isAlive: boolean }
  readonly authorization: () => string
  /** Told of every request. */
  readonly onRequest: (method: string, resource: string) => void
}

interface Call {
  readonly verb: string
  readonly method: string
  readonly type: ResourcePlace
  readonly namespace?: string | undefined
  readonly name?: string
  readonly isCollection?: boolean
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly limitMs?: number
}

type Reply = ApiAnswer | KubeError

export class SimClient {
  readonly #parts: ClientParts

  constructor(parts: ClientParts) {
    this.#parts = parts
  }

  get<T extends Resource>(
    type: ResourceType<T>,
    { name, namespace }: ObjectName,
    then: (result: Result<Stored<T>>) => void,
    limitMs = callLimitMs,
  ): void {
    const call = { verb: 'get', method: 'GET', type, namespace, name, limitMs }
    this.#object(type, call, then)
  }

  create<T extends Resource>(
    type: ResourceType<T>,
    resource: T,
    then: (result: Result<Stored<T>>) => void,
    limitMs = callLimitMs,
  ): void {
    const { name, namespace } = resource.meta
    const body = withMeta(type.serialize(resource), { resourceVersion: undefined, uid: undefined })
    const call = { verb: 'create', method: 'POST', type, namespace, name, isCollection: true }
    this.#object(type, { ...call, body, limitMs }, then)
  }

  update<T extends Resource>(
    type: ResourceType<T>,
    read: Stored<T>,
    resource: T,
    then: (result: Result<Stored<T>>) => void,
    limitMs = callLimitMs,
  ): void {
    const { name, namespace, uid, resourceVersion } = read.value.meta
    const body = withMeta(type.serialize(resource, read.raw), { resourceVersion, uid })
    const call = { verb: 'update', method: 'PUT', type, namespace, name, body, limitMs }
    this.#object(type, call, then)
  }

  delete(
    type: ResourcePlace,
    { name, namespace }: ObjectName,
    uid: string,
    then: (result: Result<undefined>) => void,
  ): void {
    const preconditions = uid === '' ? {} : { preconditions: { uid } }
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...preconditions }
    this.#json({ verb: 'delete', method: 'DELETE', type, namespace, name, body }, result => {
      then(result.ok ? { ok: true, value: undefined } : result)
    })
  }

  listPage(
    type: ResourcePlace,
    scope: Scope,
    options: { readonly limit: number | undefined; readonly continueToken: string },
    then: (result: Result<Page>) => void,
  ): void {
    const { limit, continueToken } = options
    const query = {
      ...(scope.fieldSelector === undefined ? {} : { fieldSelector: scope.fieldSelector }),
      ...(limit === undefined ? {} : { limit: String(limit) }),
      ...(continueToken === '' ? {} : { continue: continueToken }),
    }
    const { namespace } = scope
    const call = { verb: 'list', method: 'GET', type, namespace, isCollection: true, query }
    this.#json({ ...call, limitMs: answerLimitMs }, result => {
      if (!result.ok) return then(result)
      const { items, metadata } = result.value as {
        items: unknown[]
        metadata: { resourceVersion: string; continue?: string }
      }
      const { resourceVersion, continue: next = '' } = metadata
      const value = { items: items.map(item => completed(type, item)), resourceVersion }
      then({ ok: true, value: { ...value, continueToken: next } })
    })
  }

  watch(
    type: ResourcePlace,
    scope: Scope,
    options: { readonly resourceVersion: string; readonly timeoutSeconds: number },
    events: StreamEvents,
    then: (result: Result<Stream | string>) => void,
  ): void {
    const query = {
      ...(scope.fieldSelector === undefined ? {} : { fieldSelector: scope.fieldSelector }),
      ...{ watch: 'true', allowWatchBookmarks: 'true', resourceVersion: options.resourceVersion },
      timeoutSeconds: String(options.timeoutSeconds),
    }
    const { namespace } = scope
    const shared = { verb: 'watch', method: 'GET', type, namespace, isCollection: true }
    const call = { ...shared, query, limitMs: answerLimitMs }
    const { server, link, owner } = this.#parts
    this.#send(call, reply => {
      if (reply instanceof Error) return then({ ok: false, error: reply })
      if (reply.kind === 'text') return then({ ok: false, error: refused(call, reply) })
      if (reply.kind === 'frame') return then({ ok: true, value: reply.text })
      const guarded: StreamEvents = {
        line: text => {
          if (owner.isAlive) events.line(text)
        },
        ended: isOrderly => {
          if (owner.isAlive) events.ended(isOrderly)
        },
      }
      const stream = new Stream(link, guarded, reply, resourceOf(type))
      server.open(stream, options.timeoutSeconds)
      then({ ok: true, value: stream })
    })
  }

  /** A request that nobody made with our types. */
  raw(
    method: string,
    type: ResourcePlace,
    where: { readonly namespace: string; readonly name?: string },
    body: unknown,
    then: (status: number) => void,
  ): void {
    const isCollection = method === 'POST'
    this.#send({ verb: method, method, type, ...where, isCollection, body }, reply => {
      then(reply instanceof Error || reply.kind !== 'text' ? 0 : reply.status)
    })
  }

  #object<T extends Resource>(
    type: ResourceType<T>,
    call: Call,
    then: (result: Result<Stored<T>>) => void,
  ): void {
    this.#json(call, result => {
      if (!result.ok) return then(result)
      const parsed = parseObject(type, result.value)
      if (parsed.ok) return then({ ok: true, value: { value: parsed.value, raw: result.value } })
      const error = callError(nameOf(call), 'BAD_OBJECT', parsed.problem.problem)
      then({ ok: false, error })
    })
  }

  #json(call: Call, then: (result: Result<unknown>) => void): void {
    this.#send(call, reply => {
      if (reply instanceof Error) then({ ok: false, error: reply })
      else if (reply.kind === 'text' && reply.status < 300) {
        then({ ok: true, value: JSON.parse(reply.text) })
      } else then({ ok: false, error: refused(call, reply) })
    })
  }

  /** Exactly one reply, unless the process ends before. */
  #send(call: Call, then: (reply: Reply) => void): void {
    const { timeline, random, server, link, owner, authorization, onRequest } = this.#parts
    let isOpen = true
    const answer = (reply: Reply) => {
      if (!isOpen || !owner.isAlive) return
      isOpen = false
      then(reply)
    }
    const away = (why: string) => callError(nameOf(call), 'UNAVAILABLE', why)
    const delayMs = () => 1 + random() * 4
    onRequest(call.method, resourceOf(call.type))
    const body = call.body === undefined ? '' : JSON.stringify(call.body)
    timeline.after(call.limitMs ?? callLimitMs, () => {
      if (isOpen && owner.isAlive) answer(away('no answer in time'))
    })
    timeline.after(delayMs() + server.slownessMs * random(), () => {
      if (link.state === 'hole') return
      if (link.state === 'cut' || !server.isUp) return answer(away('connection refused'))
      const { api } = server
      const reply = server.handle({
        method: call.method,
        path: pathOf(call),
        query: new URLSearchParams(call.query),
        accept: 'application/json',
        contentType: body === '' ? '' : 'application/json',
        authorization: authorization(),
        body,
      })
      const isLost = random() < server.lostAnswers
      if (isLost && random() < 0.5) return
      timeline.after(delayMs() + server.slownessMs * random(), () => {
        if (link.state === 'hole') return
        // A server that has started anew knows nothing of this connection.
        const isCut = isLost || link.state === 'cut' || !server.isUp || server.api !== api
        answer(isCut ? away('the connection was cut') : reply)
      })
    })
  }
}

function refused(call: Call, answer: ApiAnswer): KubeError {
  if (answer.kind !== 'text') return callError(nameOf(call), 'BAD_ANSWER', 'the answer is a watch')
  return answerError(nameOf(call), answer.status, answer.text, undefined, { unauthorized: 'join' })
}

function nameOf({ verb, type, namespace = '', name = '' }: Call): CallName {
  return { verb, resource: resourceOf(type), namespace, name, server: 'https://sim' }
}

export function resourceOf({ group, plural }: ResourcePlace): string {
  return group === '' ? plural : `${plural}.${group}`
}

function pathOf({ type, namespace, name = '', isCollection }: Call): string {
  const { group, version, plural, namespaced } = type
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  const within = namespaced ? `/namespaces/${namespace}` : ''
  return `${root}${within}/${plural}${isCollection ? '' : `/${name}`}`
}
