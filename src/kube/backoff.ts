// Delays between tries that go on failing: they double up to a limit, and four fifths of each are
// chance, so that the watches of many gateways do not come back to a server in one burst.

export interface BackoffTimes {
  readonly firstMs: number
  readonly mostMs: number
}

/** In whole ms. `attempt` counts from 1; `random` is in [0, 1). */
export function backoffMs(times: BackoffTimes, attempt: number, random: number): number {
  const doublings = Math.min(attempt - 1, 30)
  const window = Math.min(times.mostMs, times.firstMs * 2 ** doublings)
  return Math.round(window * (0.2 + 0.8 * random))
}
