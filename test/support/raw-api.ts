// HTTP to an API server as tests want it: any method, any header, the answer whatever it is; and watches,
// frame by frame. The client of src/kube would not send what is to be refused.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { createInterface } from 'node:readline'

export interface RawServer {
  readonly url: string
  /** PEM. */
  readonly ca: string
  readonly token: string
}

export type Json = Readonly<Record<string, unknown>>

export interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Empty when it is no JSON. */
  readonly body: Json
  readonly text: string
}

export interface RawOptions {
  readonly accept?: string
  readonly contentType?: string
  readonly token?: string
}

export class RawApi {
  readonly server: RawServer
  readonly #agent: Agent

  constructor(server: RawServer) {
    this.server = server
    this.#agent = new Agent({ ca: server.ca, keepAlive: true })
  }

  /** `body`: a string is sent as it is. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    options: RawOptions = {},
  ): Promise<RawAnswer> {
    const response = await this.#request(method, path, body, options)
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += chunk
    const { statusCode: status = 0, headers } = response
    return { status, headers, text, body: parsed(text) }
  }

  /** Throws when the answer is no 2xx. */
  async ok(method: string, path: string, body?: unknown, options: RawOptions = {}): Promise<Json> {
    const answer = await this.call(method, path, body, options)
    if (answer.status < 300) return answer.body
    throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`)
  }

  async watch(path: string, options: RawOptions = {}): Promise<RawWatch> {
    return new RawWatch(await this.#request('GET', path, undefined, options))
  }

  close(): void {
    this.#agent.destroy()
  }

  #request(
    method: string,
    path: string,
    body: unknown,
    options: RawOptions,
  ): Promise<IncomingMessage> {
    const patchType = 'application/merge-patch+json'
    const contentType = method === 'PATCH' ? patchType : 'application/json'
    const { token } = { ...this.server, ...options }
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const sent = request(
        `${this.server.url}${path}`,
        {
          method,
          agent: this.#agent,
          headers: {
            Accept: options.accept ?? 'application/json',
            ...(token === '' ? {} : { Authorization: `Bearer ${token}` }),
            // Node says no length of the body of a DELETE by itself.
            ...(text === undefined
              ? {}
              : {
                  'Content-Type': options.contentType ?? contentType,
                  'Content-Length': Buffer.byteLength(text),
                }),
          },
        },
        resolve,
      )
      sent.on('error', reject)
      sent.end(text)
    })
  }
}

export interface Frame {
  readonly type: string
  readonly object: Json
}

export class RawWatch {
  readonly status: number
  readonly #response: IncomingMessage
  readonly #lines: AsyncIterator<string>

  constructor(response: IncomingMessage) {
    this.status = response.statusCode ?? 0
    this.#response = response
    // A watch that is cut ends like one that ends.
    response.on('error', () => undefined)
    this.#lines = createInterface({ input: response })[Symbol.asyncIterator]()
  }

  /** The next frame; undefined at the end. */
  async next(): Promise<Frame | undefined> {
    const { value, done } = await this.#lines.next()
    return done === true ? undefined : (JSON.parse(value) as Frame)
  }

  /** The next one that is no bookmark. */
  async change(): Promise<Frame | undefined> {
    for (;;) {
      const frame = await this.next()
      if (frame?.type !== 'BOOKMARK') return frame
    }
  }

  close(): void {
    this.#response.destroy()
  }
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    return {}
  }
}
