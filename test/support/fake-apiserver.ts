// A small API server over real TLS: list in pages, watch with bookmarks, writes with versions, merge
// patches, bearer tokens, 401, 403, 404, 409, 410, 422, and on demand what goes wrong on the way to one.
// It answers in the order of a kube-apiserver: who are you, may you, is it there, does it fit.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { type Authority, type Certificate, createAuthority } from './certificates.ts'
import {
  type FakeKind,
  FakeObjects,
  FakeRefusal,
  type Part,
  type Preconditions,
  type Query,
} from './fake-objects.ts'

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly isWatch: boolean
  readonly contentType: string
  /** Behind `Bearer` or `Basic`. */
  readonly credential: string
}

/** What happens to a request instead of an answer, or before it. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly retryAfterSeconds?: number }
  /** The connection is closed before an answer. */
  | { readonly kind: 'cut' }
  /** The connection is closed within the answer. */
  | { readonly kind: 'half' }
  /** No answer, and the connection stays. */
  | { readonly kind: 'stall' }
  | { readonly kind: 'garbage'; readonly text: string }
  | { readonly kind: 'slow'; readonly delayMs: number }

export interface FakeOptions {
  readonly kinds: readonly FakeKind[]
  readonly authority?: Authority
  /** Clients with a certificate of this CA need no token. */
  readonly clientAuthority?: Authority
  readonly bookmarkMs?: number
  /** The address that it listens on and has a certificate for. */
  readonly host?: string
}

interface OpenWatch {
  readonly kind: FakeKind
  readonly query: Query
  readonly response: ServerResponse
  version: number
  isMuted: boolean
}

interface Target {
  readonly kind: FakeKind
  readonly namespace: string | undefined
  /** Empty: the collection. */
  readonly name: string
  readonly part: Part
}

export class FakeApiserver {
  readonly objects: FakeObjects
  readonly authority: Authority
  readonly tokens = new Set(['token-1'])
  readonly requests: SeenRequest[] = []
  fault: (request: SeenRequest) => Fault | undefined = () => undefined
  /** 403 for what this says. */
  forbids: (request: SeenRequest) => boolean = () => false
  /** 422 with this text. */
  rejects: (body: unknown) => string | undefined = () => undefined
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #watches = new Set<OpenWatch>()
  readonly #bookmarks: NodeJS.Timeout
  readonly #host: string
  #port = 0
  #isOpen = false

  constructor(options: FakeOptions) {
    const { kinds, authority, clientAuthority, bookmarkMs = 200, host = '127.0.0.1' } = options
    this.#host = host
    this.objects = new FakeObjects(kinds)
    this.authority = authority ?? createAuthority('test-ca')
    const { pem, keyPem } = this.authority.issue([host, 'localhost'])
    const clients =
      clientAuthority === undefined
        ? {}
        : { ca: clientAuthority.pem, requestCert: true, rejectUnauthorized: false }
    this.#server = createServer({ cert: pem, key: keyPem, ...clients }, (request, response) => {
      // A client that hangs up within its request is not answered.
      this.#handle(request, response).catch(() => response.destroy())
    })
    this.#server.on('connection', (socket: Socket) => {
      // Accepted before `close`, and handed over after it.
      if (!this.#isOpen) socket.destroy()
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => undefined)
    })
    this.#bookmarks = setInterval(() => this.#sendBookmarks(), bookmarkMs)
  }

  get url(): string {
    const host = this.#host.includes(':') ? `[${this.#host}]` : this.#host
    return `https://${host}:${this.#port}`
  }

  get watchesOpen(): number {
    return this.#watches.size
  }

  /** Listens, on the port that it had before if it had one. */
  async open(): Promise<void> {
    this.#isOpen = true
    await new Promise<void>(resolve => this.#server.listen(this.#port, this.#host, resolve))
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Refuses connections and closes those that there are; `open` takes up again. */
  async close(): Promise<void> {
    this.#isOpen = false
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    this.cutAll()
    await closed
  }

  async end(): Promise<void> {
    clearInterval(this.#bookmarks)
    await this.close()
  }

  /** From the next connection on. */
  useCertificate({ pem, keyPem }: Certificate): void {
    this.#server.setSecureContext({ cert: pem, key: keyPem })
  }

  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  cutWatches(): void {
    for (const { response } of this.#watches) response.destroy()
  }

  /** As at the end of timeoutSeconds. */
  endWatches(): void {
    for (const { response } of this.#watches) response.end()
  }

  /** The open ones never get anything again, and no end. */
  muteWatches(): void {
    for (const watch of this.#watches) watch.isMuted = true
  }

  sendToWatches(text: string): void {
    for (const { response } of this.#watches) response.write(text)
  }

  /** Sends what has happened. To be called after the objects were changed without a request. */
  deliver(): void {
    for (const watch of this.#watches) if (!watch.isMuted) this.#deliverTo(watch)
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined)
    const url = new URL(request.url ?? '/', 'https://x')
    const seen: SeenRequest = {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      isWatch: url.searchParams.get('watch') === 'true',
      contentType: request.headers['content-type'] ?? '',
      credential: request.headers.authorization?.split(' ')[1] ?? '',
    }
    this.requests.push(seen)
    const body = await readAll(request)
    const fault = this.fault(seen)
    if (fault?.kind === 'slow') await delay(fault.delayMs, undefined, { ref: false })
    else if (fault !== undefined) {
      commit(fault, response)
      return
    }
    // The client has gone meanwhile: nothing would ever end what is begun now.
    if (response.destroyed) return
    try {
      this.#authenticate(request, seen.credential)
      this.#answer(seen, body, response)
    } catch (error) {
      if (!(error instanceof FakeRefusal)) throw error
      refuse(response, error)
    }
  }

  #authenticate({ socket }: IncomingMessage, credential: string): void {
    // A basic credential is base64 of what stands among the tokens as `name:password`.
    const isKnown = this.tokens.has(credential) || this.tokens.has(decoded(credential))
    if (isKnown || (socket instanceof TLSSocket && socket.authorized)) return
    throw new FakeRefusal(401, 'Unauthorized', 'Unauthorized')
  }

  #answer(seen: SeenRequest, text: string, response: ServerResponse): void {
    const target = this.#targetOf(seen.path)
    const { kind, name } = target
    if (this.forbids(seen)) {
      const what = `${seen.method} of ${kind.plural} is forbidden`
      throw new FakeRefusal(403, 'Forbidden', what, name)
    }
    if (seen.method === 'GET' && name === '') {
      this.#list(target, seen, response)
      return
    }
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    const why = seen.method === 'GET' ? undefined : this.rejects(body)
    if (why !== undefined) throw new FakeRefusal(422, 'Invalid', why, name)
    send(response, seen.method === 'POST' ? 201 : 200, this.#object(seen, target, body))
    if (seen.method !== 'GET') this.deliver()
  }

  #object({ method, contentType }: SeenRequest, target: Target, body: unknown): unknown {
    const { kind, namespace, name, part } = target
    switch (method) {
      case 'GET':
        return this.objects.get(kind, namespace, name)
      case 'POST':
        return this.objects.create(kind, namespace, body)
      case 'PUT':
        return this.objects.update(kind, namespace, name, body, part)
      case 'PATCH':
        if (contentType === 'application/merge-patch+json') {
          return this.objects.mergePatch(kind, namespace, name, body, part)
        }
        throw new FakeRefusal(415, 'UnsupportedMediaType', `no patch of the type ${contentType}`)
      case 'DELETE':
        return this.objects.delete(kind, namespace, name, preconditionsOf(body))
      default:
        throw new FakeRefusal(405, 'MethodNotAllowed', method)
    }
  }

  #targetOf(path: string): Target {
    const segments = path.split('/').slice(1).map(decodeURIComponent)
    const isCore = segments[0] === 'api'
    const [group, version] = isCore ? ['', segments[1]] : segments.slice(1, 3)
    const rest = segments.slice(isCore ? 2 : 3)
    // `namespaces/NAME` alone is the Namespace itself.
    const namespace = rest[0] === 'namespaces' && rest.length > 2 ? rest[1] : undefined
    const [plural = '', name = '', sub = ''] = rest.slice(namespace === undefined ? 0 : 2)
    const kind = this.objects.find(group ?? '', version ?? '', plural)
    return { kind, namespace, name, part: sub === 'status' ? 'status' : 'main' }
  }

  #list(
    { kind, namespace }: Target,
    { query: given, isWatch }: SeenRequest,
    response: ServerResponse,
  ) {
    const query: Query = {
      namespace,
      labelSelector: given.get('labelSelector') ?? '',
      fieldSelector: given.get('fieldSelector') ?? '',
    }
    if (isWatch) {
      this.#watch(kind, query, given, response)
      return
    }
    const limit = Number(given.get('limit') ?? 0)
    const page = this.objects.page(kind, query, limit, given.get('continue') ?? '')
    const metadata = { resourceVersion: String(page.version), continue: page.continueToken }
    // The items of a built-in kind do not say of which kind they are.
    const items = page.items.map(item =>
      kind.group.includes('.') && !kind.group.endsWith('k8s.io')
        ? item
        : { ...item, kind: undefined, apiVersion: undefined },
    )
    send(response, 200, { kind: `${kind.kind}List`, apiVersion: kind.version, metadata, items })
  }

  #watch(kind: FakeKind, query: Query, given: URLSearchParams, response: ServerResponse): void {
    const version = Number(given.get('resourceVersion'))
    const watch: OpenWatch = { kind, query, response, version, isMuted: false }
    this.objects.since(kind, query, version)
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.flushHeaders()
    const seconds = Number(given.get('timeoutSeconds') ?? 0)
    const timer = setTimeout(() => !watch.isMuted && response.end(), seconds * 1000)
    this.#watches.add(watch)
    response.on('close', () => {
      clearTimeout(timer)
      this.#watches.delete(watch)
    })
    this.#deliverTo(watch)
  }

  #deliverTo(watch: OpenWatch): void {
    const { kind, query, response } = watch
    try {
      for (const { type, object, version } of this.objects.since(kind, query, watch.version)) {
        response.write(`${JSON.stringify({ type, object })}\n`)
        watch.version = version
      }
    } catch (error) {
      if (!(error instanceof FakeRefusal)) throw error
      response.end(`${JSON.stringify({ type: 'ERROR', object: statusOf(error) })}\n`)
    }
  }

  #sendBookmarks(): void {
    for (const watch of this.#watches) {
      if (watch.isMuted) continue
      this.#deliverTo(watch)
      if (watch.response.writableEnded) continue
      watch.version = this.objects.version
      const metadata = { resourceVersion: String(watch.version) }
      const object = { kind: watch.kind.kind, metadata }
      watch.response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`)
    }
  }
}

/** Listens until the test is over. */
export async function startFakeApiserver(
  context: TestContext,
  options: FakeOptions,
): Promise<FakeApiserver> {
  const server = new FakeApiserver(options)
  await server.open()
  context.after(() => server.end())
  return server
}

function decoded(text: string): string {
  return Buffer.from(text, 'base64').toString()
}

function commit(fault: Fault, response: ServerResponse): void {
  switch (fault.kind) {
    case 'status': {
      const { status, retryAfterSeconds } = fault
      if (retryAfterSeconds !== undefined) response.setHeader('Retry-After', retryAfterSeconds)
      refuse(response, new FakeRefusal(status, 'Fault', 'a fault'))
      return
    }
    case 'cut':
      response.destroy()
      return
    case 'half':
      response.writeHead(200, { 'Content-Length': 1000 })
      response.write('{"kind":', () => response.destroy())
      return
    case 'garbage':
      response.end(fault.text)
      return
    case 'stall':
    case 'slow':
      return
    default:
      fault satisfies never
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(body))
}

function refuse(response: ServerResponse, refusal: FakeRefusal): void {
  send(response, refusal.status, statusOf(refusal))
}

function statusOf({ status: code, reason, message, object }: FakeRefusal) {
  const details = object === '' ? {} : { name: object }
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message, details }
}

function preconditionsOf(body: unknown): Preconditions {
  const given = typeof body === 'object' && body !== null && 'preconditions' in body
  return given ? ((body.preconditions ?? {}) as Preconditions) : {}
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
