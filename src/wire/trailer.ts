// Collects the bytes of a frame while its head is built: each piece gets [offset, length] to stand
// in the head in its place.

import type { Body } from './frames.ts'

export type BytesReference = readonly [offset: number, length: number]

export class TrailerWriter {
  readonly #pieces: Uint8Array[] = []
  #length = 0

  add(bytes: Uint8Array): BytesReference {
    const offset = this.#length
    this.#pieces.push(bytes)
    this.#length += bytes.length
    return [offset, bytes.length]
  }

  /** The finished body; the trailer is a copy of every piece. */
  body(head: unknown): Body {
    const trailer = new Uint8Array(this.#length)
    let offset = 0
    for (const piece of this.#pieces) {
      trailer.set(piece, offset)
      offset += piece.length
    }
    return { head, trailer }
  }
}
