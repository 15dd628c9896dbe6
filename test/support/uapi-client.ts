// The other end of a UAPI socket: sends text, and reads answers up to their errno line.

import { connect, type Socket } from 'node:net'

export interface Answer {
  /** All lines but the errno. */
  readonly lines: readonly string[]
  readonly errno: number
}

/** Sends one request over a connection of its own. */
export async function ask(path: string, request: string | Uint8Array): Promise<Answer> {
  const client = await UapiClient.connect(path)
  try {
    client.send(request)
    return await client.answer()
  } finally {
    client.close()
  }
}

export class UapiClient {
  readonly socket: Socket
  #text = ''
  #ended = false
  #wake = Promise.withResolvers<void>()

  static async connect(path: string): Promise<UapiClient> {
    const socket = connect({ path, allowHalfOpen: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new UapiClient(socket)
  }

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (part: string) => {
      this.#text += part
      this.#notify()
    })
    socket.on('error', () => this.#notify())
    socket.on('close', () => this.#end())
    socket.on('end', () => this.#end())
  }

  /** What has come and was not taken by `answer`. */
  get unread(): string {
    return this.#text
  }

  send(request: string | Uint8Array): void {
    this.socket.write(request)
  }

  /** Says that nothing more will be sent. */
  finish(): void {
    this.socket.end()
  }

  close(): void {
    this.socket.destroy()
  }

  /** The next answer. Rejects when the server ends the connection without one. */
  async answer(): Promise<Answer> {
    for (;;) {
      const match = /(?:^|\n)errno=(-?\d+)\n\n/.exec(this.#text)
      if (match !== null) {
        const lines = this.#text.slice(0, match.index).split('\n').filter(Boolean)
        this.#text = this.#text.slice(match.index + match[0].length)
        return { lines, errno: Number(match[1]) }
      }
      if (this.#ended) throw new Error(`the server ended the connection: ${this.#text}`)
      await this.#wake.promise
    }
  }

  /** Resolves when the server has ended the connection. */
  async ended(): Promise<void> {
    while (!this.#ended) await this.#wake.promise
  }

  #end(): void {
    this.#ended = true
    this.#notify()
  }

  #notify(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers<void>()
  }
}
