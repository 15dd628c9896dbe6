// The last round trips of a health check: least, mean, most and standard deviation (of the samples
// themselves, not an estimate for more) over a window of 1000. Stock starts its window again when it
// is full; this one slides.

import type { Latency } from '../kube/resources/connection.ts'

export const windowSamples = 1000

export class RoundTrips {
  readonly #samples = new Float64Array(windowSamples)
  #count = 0

  /** In whole nanoseconds. A negative one, of a clock that is not what it should be, counts as none. */
  add(rttNs: number): void {
    if (!(rttNs >= 0)) return
    this.#samples[this.#count % windowSamples] = Math.round(rttNs)
    this.#count++
  }

  latency(): Latency | undefined {
    if (this.#count === 0) return undefined
    const samples = this.#samples.subarray(0, Math.min(this.#count, windowSamples))
    let [sum, minNs, maxNs] = [0, Number.POSITIVE_INFINITY, 0]
    for (const sample of samples) {
      sum += sample
      minNs = Math.min(minNs, sample)
      maxNs = Math.max(maxNs, sample)
    }
    const mean = sum / samples.length
    let squares = 0
    for (const sample of samples) squares += (sample - mean) ** 2
    return {
      lastNs: this.#samples[(this.#count - 1) % windowSamples],
      minNs,
      averageNs: Math.round(mean),
      maxNs,
      stdDevNs: Math.round(Math.sqrt(squares / samples.length)),
    }
  }
}
