// A watch on its connection: frames are read from the watch while the socket takes them. When it does not,
// nothing is kept for it; it goes on from its position once the socket is empty again, and is cut when the
// history has moved past it.

import type { ServerResponse } from 'node:http'
import type { OpenedWatch } from './reading.ts'

/** Written at once: one system call and one TLS record for several frames. */
const batchBytes = 32 * 1024

export interface StreamOptions extends OpenedWatch {
  readonly user: string
  readonly tokenHash: string
}

export class WatchStream {
  readonly user: string
  readonly tokenHash: string
  readonly kind: StreamOptions['watch']['kind']
  readonly #opened: OpenedWatch
  readonly #response: ServerResponse
  #isBlocked = false

  constructor(response: ServerResponse, options: StreamOptions) {
    this.user = options.user
    this.tokenHash = options.tokenHash
    this.kind = options.watch.kind
    this.#opened = options
    this.#response = response
    response.on('drain', () => {
      this.#isBlocked = false
      this.pump()
    })
  }

  /** Sends what there is, as far as the socket takes it. */
  pump(): void {
    const { watch } = this.#opened
    if (this.#isBlocked) {
      if (watch.isLost()) this.cut()
      return
    }
    while (!this.#isBlocked && !this.#response.destroyed) {
      let text = ''
      let next = watch.next()
      while (next.kind === 'frame') {
        text += next.text
        if (text.length >= batchBytes) break
        next = watch.next()
      }
      if (text !== '') this.#isBlocked = !this.#response.write(text)
      if (next.kind === 'lost') this.cut()
      if (next.kind !== 'frame') return
    }
  }

  /** Says that everything up to a version has been sent. To be called after `pump`. */
  bookmark(version: number): void {
    const { watch, wantsBookmarks } = this.#opened
    if (!wantsBookmarks || this.#isBlocked || this.#response.destroyed) return
    this.#isBlocked = !this.#response.write(watch.bookmark(version))
  }

  /** An end in order: the client resumes. */
  end(): void {
    this.#response.end()
  }

  cut(): void {
    this.#response.destroy()
  }
}
