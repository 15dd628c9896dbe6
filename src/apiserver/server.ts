// HTTP/1.1 over TLS around the API: reads requests within their limits, writes answers, keeps the watches.
// A request is handled in one go, so writes are in the order in which their bodies were complete.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Api, ApiAnswer } from './api.ts'
import type { ServerCertificate } from './certificate.ts'
import { Holdings } from './holdings.ts'
import { Refusal, resourceName } from './refusal.ts'
import { WatchStream } from './watch-stream.ts'

export interface ServerOptions {
  readonly api: Api
  readonly certificate: ServerCertificate
  /** Undefined: all interfaces. */
  readonly host: string | undefined
  /** 0: the kernel chooses. */
  readonly port: number
  /** Of our own bugs, and of connections that fail. */
  readonly report: (line: string) => void
  readonly bookmarkMs?: number
  /** Of one user. */
  readonly watchesMost?: number
  readonly heldBytesMost?: number
}

export const limits = {
  bodyBytes: 3 * 1024 * 1024,
  connections: 8192,
  /** Of one user, unless it is told otherwise. */
  watches: 1000,
  /** Of one user: bodies that come in and answers that wait to be read. */
  heldBytes: 64 * 1024 * 1024,
  requestMs: 60_000,
  headersMs: 20_000,
  handshakeMs: 20_000,
  /** A kept connection is closed later than clients let go of it. */
  idleMs: 100_000,
  /** After this a watch ends by itself; the client asks for less. */
  watchSeconds: 3600,
  /** Open requests have so long to end when the server does. */
  closeMs: 2000,
} as const

/** A kube-apiserver's interval. */
const usualBookmarkMs = 60_000
const probeAfterMs = 15_000

export class ApiServer {
  readonly #api: Api
  readonly #options: ServerOptions
  readonly #server: Server
  readonly #streams = new Map<string, Set<WatchStream>>()
  readonly #watchesOf = new Map<string, number>()
  readonly #holdings: Holdings
  #bookmarks: NodeJS.Timeout | undefined
  #isClosing = false

  constructor(options: ServerOptions) {
    const { api, certificate } = options
    this.#api = api
    this.#options = options
    this.#holdings = new Holdings(options.heldBytesMost ?? limits.heldBytes)
    this.#server = createServer(
      {
        cert: certificate.certificate,
        key: certificate.key,
        minVersion: 'TLSv1.2',
        requestTimeout: limits.requestMs,
        headersTimeout: limits.headersMs,
        handshakeTimeout: limits.handshakeMs,
        keepAliveTimeout: limits.idleMs,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: probeAfterMs,
      },
      (request, response) => {
        this.#serve(request, response).catch(error => this.#failed(response, error))
      },
    )
    this.#server.maxConnections = limits.connections
    // Who hangs up in the middle is no news.
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy())
    this.#server.on('clientError', (_error, socket: Socket) => socket.destroy())
  }

  /** Resolves with the port. Rejects with the system's error. */
  async listen(): Promise<number> {
    const { host, port, bookmarkMs = usualBookmarkMs } = this.#options
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      const where = host === undefined ? { port } : { port, host }
      this.#server.listen({ ...where, backlog: 1024 }, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    this.#bookmarks = setInterval(() => this.#sendBookmarks(), bookmarkMs)
    return (this.#server.address() as AddressInfo).port
  }

  get watchesOpen(): number {
    return [...this.#streams.values()].reduce((sum, { size }) => sum + size, 0)
  }

  /** Ends the watches, lets requests end, closes. */
  async close(): Promise<void> {
    this.#isClosing = true
    clearInterval(this.#bookmarks)
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    for (const stream of this.#allStreams()) stream.end()
    this.#server.closeIdleConnections()
    const late = setTimeout(() => this.#server.closeAllConnections(), limits.closeMs)
    await closed
    clearTimeout(late)
  }

  /** Sends watches what has changed; to be called after the API was used without a request. */
  deliver(): void {
    const changed = this.#api.takeChanged()
    for (const kind of changed) {
      for (const stream of this.#streams.get(kind) ?? []) stream.pump()
    }
    if (!changed.has('secrets') && !changed.has('serviceaccounts')) return
    for (const stream of this.#allStreams()) {
      if (!this.#api.isKnown(stream.tokenHash)) stream.cut()
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined)
    const url = request.url ?? '/'
    const [path = '', query = ''] = splitAt(url, '?')
    const { headers, method = 'GET' } = request
    const user = this.#api.nameOf(headers.authorization ?? '')
    const holdings = this.#holdings
    let held = 0
    const hold = (bytes: number) => {
      held += bytes
      holdings.add(user, bytes)
    }
    response.on('close', () => holdings.add(user, -held))
    const most = user === '' ? 0 : limits.bodyBytes
    const body = await readBody(request, most, bytes => {
      hold(bytes)
      return !holdings.isFull(user)
    })
    if (response.destroyed) return
    if (body === 'too-long' || holdings.isFull(user)) {
      // What is left of a body is not read.
      response.setHeader('Connection', 'close')
      refuse(response, refusalFor(user, body === 'too-long'))
      return
    }
    const answer = this.#api.handle({
      ...{ method, path, query: new URLSearchParams(query), body: body.toString() },
      accept: headers.accept ?? '',
      contentType: headers['content-type'] ?? '',
      authorization: headers.authorization ?? '',
    })
    if (answer.kind === 'text') hold(answer.text.length)
    this.#send(request, response, answer)
    this.deliver()
  }

  #send(request: IncomingMessage, response: ServerResponse, answer: ApiAnswer): void {
    switch (answer.kind) {
      case 'text': {
        // Clients take 16 KiB of headers.
        for (const warning of answer.warnings.slice(0, 20)) {
          response.appendHeader('Warning', `299 - ${quoted(warning)}`)
        }
        sendText(response, answer.status, answer.contentType, answer.text)
        return
      }
      case 'frame':
        response.writeHead(200, streamHeaders)
        response.end(answer.text)
        return
      case 'watch':
        this.#open(request, response, answer)
        return
      default:
        answer satisfies never
    }
  }

  #open(
    { socket }: IncomingMessage,
    response: ServerResponse,
    answer: ApiAnswer & { readonly kind: 'watch' },
  ): void {
    const { user } = answer
    const count = this.#watchesOf.get(user) ?? 0
    const { watchesMost = limits.watches } = this.#options
    if (count >= watchesMost || this.#isClosing) {
      const why = this.#isClosing ? 'the server is ending' : `${user} has ${count} watches`
      refuse(response, new Refusal('TooManyRequests', why, { retryAfterSeconds: 1 }))
      return
    }
    this.#watchesOf.set(user, count + 1)
    response.writeHead(200, streamHeaders)
    response.flushHeaders()
    socket.setNoDelay(true)
    const stream = new WatchStream(response, answer)
    const resource = resourceName(stream.kind)
    const streams = this.#streams.get(resource) ?? new Set()
    this.#streams.set(resource, streams.add(stream))
    const seconds = Math.min(answer.timeoutSeconds || limits.watchSeconds, limits.watchSeconds)
    const timer = setTimeout(() => {
      stream.pump()
      stream.bookmark(this.#api.store.version)
      stream.end()
    }, seconds * 1000)
    response.on('close', () => {
      clearTimeout(timer)
      streams.delete(stream)
      const left = (this.#watchesOf.get(user) ?? 1) - 1
      if (left === 0) this.#watchesOf.delete(user)
      else this.#watchesOf.set(user, left)
    })
    stream.pump()
  }

  #sendBookmarks(): void {
    for (const stream of this.#allStreams()) {
      stream.pump()
      stream.bookmark(this.#api.store.version)
    }
  }

  #allStreams(): WatchStream[] {
    return [...this.#streams.values()].flatMap(streams => [...streams])
  }

  /** Our own bug; the store is as whole as before, so the others are served on. */
  #failed(response: ServerResponse, error: unknown): void {
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#options.report(`a request failed: ${why}`)
    if (response.headersSent) response.destroy()
    else refuse(response, new Refusal('InternalError', 'Internal error occurred'))
  }
}

function refusalFor(user: string, isTooLong: boolean): Refusal {
  if (user === '') return new Refusal('Unauthorized', 'Unauthorized')
  if (isTooLong) {
    const why = `Request entity too large: limit is ${limits.bodyBytes}`
    return new Refusal('RequestEntityTooLarge', why)
  }
  const why = `${user} has too much under way that is not sent or not read`
  return new Refusal('TooManyRequests', why, { retryAfterSeconds: 1 })
}

const streamHeaders = { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' }

function sendText(
  response: ServerResponse,
  status: number,
  contentType: string,
  text: string,
): void {
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-cache, private',
  })
  response.end(text)
}

function refuse(response: ServerResponse, refusal: Refusal): void {
  const seconds = refusal.details?.retryAfterSeconds
  if (seconds !== undefined) response.setHeader('Retry-After', seconds)
  sendText(response, refusal.code, 'application/json', JSON.stringify(refusal.status()))
}

function splitAt(text: string, sign: string): [string, string] {
  const at = text.indexOf(sign)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** `take`: whether there is room for so many bytes more; where there is not, the rest is not read. */
async function readBody(
  request: IncomingMessage,
  bytesMost: number,
  take: (bytes: number) => boolean,
): Promise<Buffer | 'too-long'> {
  if (Number(request.headers['content-length'] ?? 0) > bytesMost) return 'too-long'
  const chunks: Buffer[] = []
  let bytes = 0
  // The connection stays, so that the answer says why.
  const parts: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false })
  for await (const chunk of parts) {
    bytes += chunk.length
    if (bytes > bytesMost) return 'too-long'
    chunks.push(chunk)
    if (!take(chunk.length)) break
  }
  return Buffer.concat(chunks)
}

/** As a quoted string of a header (RFC 9110 5.6.4), in ASCII. */
function quoted(text: string): string {
  const plain = text.replace(/[^\x20-\x7e]/g, '?').slice(0, 300)
  return `"${plain.replace(/["\\]/g, '\\$&')}"`
}
