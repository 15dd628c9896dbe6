// HTTP requests to one API server over TLS, with credentials that may change under way.
//
//   access (read again) ─► request ─► 401, or a certificate that is not trusted? ─► read the credentials
//   at once ─► if they are others, the same request once more ─► 2xx: the answer, else a KubeError
//
// Every request has a limit that covers all of it, getting the credentials included; a stream has one
// until its headers are there. Requests share kept connections; each stream has one of its own, with TCP
// probes, so that a peer that vanished is noticed within half a minute where the kernel can tell.
// HTTP/1.1, no redirects followed, no compression asked for.

import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { createSecureContext } from 'node:tls'
import type { Access, Credentials } from './credentials.ts'
import {
  answerError,
  type CallName,
  callError,
  connectionError,
  KubeError,
  kubeCodeOf,
} from './errors.ts'

export interface Call extends Omit<CallName, 'server'> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Begins with a slash; encoded. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly contentType?: string
  readonly limitMs: number
  readonly signal?: AbortSignal
}

/** A page of 500 objects of the largest kinds has a tenth of this. */
const bodyBytesMost = 64 * 1024 * 1024
const errorBytesMost = 64 * 1024
/** First TCP probe after this; Node sends ten more, one a second. */
const probeAfterMs = 15_000

/** A kept connection was closed by the server just when it was used again: no answer was begun. */
const staleConnection = new Error('a kept connection was closed')

export class Transport {
  readonly #credentials: Credentials
  readonly #userAgent: string
  #pool: Pool | undefined

  constructor(credentials: Credentials, userAgent: string) {
    this.#credentials = credentials
    this.#userAgent = userAgent
  }

  get server(): string {
    return this.#credentials.server
  }

  /** The answer's JSON. Throws KubeError. */
  async json(call: Call): Promise<unknown> {
    return this.#within(call, async signal => {
      const { response, access } = await this.#open(call, signal)
      const text = await readBody(response, bodyBytesMost)
      if (text === undefined) {
        throw this.#error(call, 'BAD_ANSWER', `more than ${bodyBytesMost / 2 ** 20} MiB`)
      }
      try {
        return JSON.parse(text)
      } catch {
        const begin = JSON.stringify(access.withoutSecrets(text).slice(0, 40))
        throw this.#error(call, 'BAD_ANSWER', `no JSON, but ${begin}: is this an API server?`)
      }
    })
  }

  /** The answer as it comes. Whoever asked destroys it when it has had enough. Throws KubeError. */
  async stream(call: Call): Promise<IncomingMessage> {
    return this.#within(call, async signal => (await this.#open(call, signal, 'stream')).response)
  }

  /** Closes the connections that are not in use. */
  close(): void {
    this.#pool?.retire()
    this.#pool = undefined
  }

  #error(call: Call, code: 'UNAVAILABLE' | 'BAD_ANSWER' | 'ABORTED', why: string): KubeError {
    return callError({ ...call, server: this.server }, code, why)
  }

  /** Ends the work after the call's limit or on its signal, whatever it is waiting for. */
  async #within<T>(call: Call, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const abort = new AbortController()
    const stopped = Promise.withResolvers<never>()
    let isLate = false
    const stop = () => {
      abort.abort()
      stopped.reject(staleConnection)
    }
    const timer = setTimeout(() => {
      isLate = true
      // The path may be dead: what is kept of it would cost the next request its time too.
      this.#pool?.closeIdle()
      stop()
    }, call.limitMs)
    call.signal?.addEventListener('abort', stop, { once: true })
    if (call.signal?.aborted === true) stop()
    try {
      return await Promise.race([stopped.promise, work(abort.signal)])
    } catch (error) {
      if (call.signal?.aborted === true) throw this.#error(call, 'ABORTED', 'it was called off')
      if (isLate) {
        throw this.#error(call, 'UNAVAILABLE', `no answer within ${call.limitMs / 1000} s`)
      }
      if (error instanceof KubeError) throw error
      throw connectionError({ ...call, server: this.server }, error)
    } finally {
      clearTimeout(timer)
      call.signal?.removeEventListener('abort', stop)
    }
  }

  async #open(call: Call, signal: AbortSignal, use: Use = 'request'): Promise<Opened> {
    const access = await this.#credentials.access()
    try {
      return await this.#exchange(access, call, signal, use)
    } catch (error) {
      const failure =
        error instanceof Error && !(error instanceof KubeError)
          ? connectionError({ ...call, server: access.server }, error)
          : error
      const code = kubeCodeOf(failure)
      if (code !== 'UNAUTHORIZED' && code !== 'CERTIFICATE') throw failure
      const other = await this.#credentials.refresh(access)
      if (other === undefined) throw failure
      return this.#exchange(other, call, signal, use)
    }
  }

  /** Resolves with an answer of 2xx. */
  async #exchange(access: Access, call: Call, signal: AbortSignal, use: Use): Promise<Opened> {
    const pool = this.#poolFor(access)
    const send = () => this.#send(access, call, signal, pool.agentFor(use))
    const response = await send().catch((error: unknown) => {
      if (error !== staleConnection) throw error
      pool.closeIdle()
      return send()
    })
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 300) return { response, access }
    const body = access.withoutSecrets((await readBody(response, errorBytesMost)) ?? '')
    const retryAfter = response.headers['retry-after']
    const name = { ...call, server: access.server }
    throw answerError(name, status, body, retryAfter, { unauthorized: this.#credentials.renewal })
  }

  #send(access: Access, call: Call, signal: AbortSignal, agent: Agent): Promise<IncomingMessage> {
    const url = new URL(`${access.server}${call.path}`)
    for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value)
    const body = call.body === undefined ? undefined : JSON.stringify(call.body)
    const headers: Record<string, string | number> = {
      ...access.headers,
      Accept: 'application/json',
      'User-Agent': this.#userAgent,
    }
    if (body !== undefined) {
      headers['Content-Type'] = call.contentType ?? 'application/json'
      headers['Content-Length'] = Buffer.byteLength(body)
    }
    return new Promise((resolve, reject) => {
      const request = httpsRequest(url, { method: call.method, headers, agent, signal }, resolve)
      request.on('socket', socket => socket.setKeepAlive(true, probeAfterMs))
      request.on('error', error => {
        const isStale = request.reusedSocket && isReset(error) && call.method !== 'POST'
        reject(isStale ? staleConnection : error)
      })
      request.end(body)
    })
  }

  #poolFor(access: Access): Pool {
    if (this.#pool?.serves(access) === true) return this.#pool
    this.#pool?.retire()
    this.#pool = new Pool(access)
    return this.#pool
  }
}

type Use = 'request' | 'stream'

interface Opened {
  readonly response: IncomingMessage
  readonly access: Access
}

/** Connections made with one TLS material. */
class Pool {
  readonly #access: Access
  readonly #requests: Agent
  readonly #streams: Agent

  constructor(access: Access) {
    const { ca, certificate, key, serverName, isInsecure } = access.tls
    const options = {
      // Made once: with many roots that costs milliseconds.
      secureContext: secureContextOf(access, {
        ...(ca === undefined ? {} : { ca: [...ca] }),
        ...(certificate === undefined ? {} : { cert: certificate }),
        ...(key === undefined ? {} : { key }),
      }),
      rejectUnauthorized: !isInsecure,
      ...(serverName === undefined ? {} : { servername: serverName }),
    }
    this.#access = access
    this.#requests = access.agent ?? new Agent({ ...options, keepAlive: true, maxFreeSockets: 4 })
    this.#streams = access.agent ?? new Agent({ ...options, keepAlive: false })
  }

  serves(access: Access): boolean {
    const isSameTls = JSON.stringify(access.tls) === JSON.stringify(this.#access.tls)
    return access === this.#access || (isSameTls && access.agent === this.#access.agent)
  }

  agentFor(use: Use): Agent {
    return use === 'stream' ? this.#streams : this.#requests
  }

  closeIdle(): void {
    for (const sockets of Object.values(this.#requests.freeSockets)) {
      for (const socket of sockets ?? []) socket.destroy()
    }
  }

  /** Connections in use end with their requests. */
  retire(): void {
    this.#requests.maxFreeSockets = 0
    this.closeIdle()
  }
}

function secureContextOf(access: Access, options: Parameters<typeof createSecureContext>[0]) {
  try {
    return createSecureContext(options)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new KubeError(
      'NO_CREDENTIALS',
      `the client certificate for ${access.server} cannot be used: ${why}`,
      {
        hint: 'openssl x509 -noout -subject -in FILE, and openssl pkey -noout -in FILE for its key',
      },
    )
  }
}

function isReset(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
}

/** The body as text; undefined when it has more bytes than that. */
async function readBody(response: IncomingMessage, bytesMost: number): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bytesMost) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
