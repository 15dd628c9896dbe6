// A token bucket for each source address: 20 handshake messages a second, five at once, as the Linux
// driver (ratelimiter.c). It guards the Diffie-Hellman operations under load, when a source has
// already shown with its cookie that it receives at its address. An IPv6 source is its /64, because
// whoever has one address of it has them all.
//
// The table is capped: when it is full of fresh sources, new ones are refused. Sources that were
// quiet for a second have a full bucket again and are forgotten.

import { REMOTE } from '../tables/shared.ts'

const packetsPerSecond = 20
const burst = 5
const costMs = 1000 / packetsPerSecond
const fullMs = costMs * burst
const forgetAfterMs = 1_000
const AF_INET = 2

interface Bucket {
  /** Credit in milliseconds; a message costs 50. */
  creditMs: number
  sinceMs: number
}

export class RateLimiter {
  readonly #capacity: number
  readonly #buckets = new Map<string, Bucket>()
  #sweptMs = Number.NEGATIVE_INFINITY

  constructor(capacity = 16_384) {
    this.#capacity = capacity
  }

  /** Sources that are remembered. */
  get size(): number {
    return this.#buckets.size
  }

  /** Takes a token of the remote's source, if there is one. */
  allow(remote: Uint8Array, nowMs: number): boolean {
    this.#sweep(nowMs)
    const key = sourceKey(remote)
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#capacity) return false
      this.#buckets.set(key, { creditMs: fullMs - costMs, sinceMs: nowMs })
      return true
    }
    bucket.creditMs = Math.min(fullMs, bucket.creditMs + Math.max(0, nowMs - bucket.sinceMs))
    bucket.sinceMs = nowMs
    if (bucket.creditMs < costMs) return false
    bucket.creditMs -= costMs
    return true
  }

  #sweep(nowMs: number): void {
    if (nowMs < this.#sweptMs + forgetAfterMs) return
    this.#sweptMs = nowMs
    for (const [key, bucket] of this.#buckets) {
      if (nowMs >= bucket.sinceMs + forgetAfterMs) this.#buckets.delete(key)
    }
  }
}

/** The IPv4 address or the IPv6 /64, in the record's bytes. */
function sourceKey(remote: Uint8Array): string {
  const isIpv4 = remote[REMOTE.FAMILY] === AF_INET
  const end = REMOTE.ADDRESS + (isIpv4 ? 4 : 8)
  let key = isIpv4 ? '4' : '6'
  for (let i = REMOTE.ADDRESS; i < end; i++) key += String.fromCharCode(remote[i])
  return key
}
