// Timestamps of initiations: TAI64N (https://cr.yp.to/libtai/tai64.html), 8 bytes of seconds and
// 4 of nanoseconds, big-endian, so that they compare as bytes. The responder accepts only a later
// one than the last that it saw, which is what stops replayed initiations.
//
// The nanoseconds are rounded down to 2^24 (about 17 ms), so that initiations do not tell the
// sender's clock to whoever may open them. A stamp is always later than the one before, even when
// the wall clock was set back: an initiation with an older stamp would be refused.

import { specification } from './messages.ts'

/** Whitened steps: 2^24 ns. */
const stepNs = 0x100_0000
/** TAI was ten seconds ahead of UTC in 1970; leap seconds since then are left out, as by all. */
const taiOffset = 10

/** The stamps of one peer's initiations. */
export class Stamps {
  #seconds = 0
  #nanoseconds = -1

  /** Writes the stamp for this wall-clock time, or the next free one after the last. */
  next(wallMs: number, out: Uint8Array): void {
    let seconds = Math.floor(wallMs / 1000)
    let nanoseconds = whiten(Math.floor((wallMs - seconds * 1000) * 1e6))
    if (
      seconds < this.#seconds ||
      (seconds === this.#seconds && nanoseconds <= this.#nanoseconds)
    ) {
      seconds = this.#seconds
      nanoseconds = this.#nanoseconds + stepNs
      if (nanoseconds >= 1e9) {
        seconds++
        nanoseconds = 0
      }
    }
    this.#seconds = seconds
    this.#nanoseconds = nanoseconds
    write(out, seconds, nanoseconds)
  }
}

/** Whether stamp `a` is later than stamp `b`. */
export function isLater(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < specification.timestampBytes; i++) {
    if (a[i] !== b[i]) return a[i] > b[i]
  }
  return false
}

function whiten(nanoseconds: number): number {
  return nanoseconds - (nanoseconds % stepNs)
}

function write(out: Uint8Array, seconds: number, nanoseconds: number): void {
  const view = new DataView(out.buffer, out.byteOffset, specification.timestampBytes)
  const tai = seconds + taiOffset
  view.setUint32(0, 0x4000_0000 + Math.floor(tai / 2 ** 32))
  view.setUint32(4, tai % 2 ** 32)
  view.setUint32(8, nanoseconds)
}
