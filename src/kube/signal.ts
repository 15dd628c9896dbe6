// "Something has changed", for one consumer that then looks at everything anew. Raising it many times
// before the consumer comes back is the same as once; and it comes back when what came in together has
// been dealt with, not in the midst of it: a thousand events in a row cost one look.

/** Longer timers overflow and fire at once. */
const timerMsMost = 2 ** 31 - 1

export class Signal {
  #isRaised = false
  #wake: (() => void) | undefined
  #soon: NodeJS.Immediate | undefined

  raise(): void {
    this.#isRaised = true
    if (this.#wake === undefined) return
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined
      this.#wake?.()
    })
  }

  /** Resolves once raised, with true, and lowers it; with false when that did not come in time. */
  async wait(limitMs: number = Number.POSITIVE_INFINITY): Promise<boolean> {
    if (this.#wake !== undefined) throw new Error('a signal has one consumer')
    if (!this.#isRaised && limitMs > 0) await this.#sleep(limitMs)
    const wasRaised = this.#isRaised
    this.#isRaised = false
    return wasRaised
  }

  #sleep(limitMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer =
        limitMs === Number.POSITIVE_INFINITY
          ? undefined
          : setTimeout(() => this.#wake?.(), Math.min(Math.ceil(limitMs), timerMsMost))
      this.#wake = () => {
        clearTimeout(timer)
        // It was meant for this wait, not for the next.
        clearImmediate(this.#soon)
        this.#soon = undefined
        this.#wake = undefined
        resolve()
      }
    })
  }
}
