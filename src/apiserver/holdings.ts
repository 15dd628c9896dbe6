// What the requests of each user hold of this process' memory: bodies that come in, answers that wait to be
// taken. A member that sends slowly, or never reads, holds up its own requests and nobody else's.

export class Holdings {
  readonly #most: number
  readonly #bytesOf = new Map<string, number>()

  /** `most`: in bytes, of one user; what goes beyond it is the last that is let in. */
  constructor(most: number) {
    this.#most = most
  }

  isFull(user: string): boolean {
    return (this.#bytesOf.get(user) ?? 0) > this.#most
  }

  /** Below 0: gives back. */
  add(user: string, bytes: number): void {
    const sum = (this.#bytesOf.get(user) ?? 0) + bytes
    if (sum === 0) this.#bytesOf.delete(user)
    else this.#bytesOf.set(user, sum)
  }
}
