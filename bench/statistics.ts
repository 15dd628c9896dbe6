// Medians and ratios of repeated measurements. Rounds are interleaved (A B C, A B C, …), and the
// speed of a shared machine drifts by more than the differences that matter between rounds, so a
// ratio is taken within each round first and only then summarised. No mean anywhere: one disturbed
// round must not move the result.

export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly count: number
}

/** Values by round number. */
export type ByRound = ReadonlyMap<number, number>

/** The median and the spread of `values`, or null of none. */
export function summarize(values: Iterable<number>): Summary | null {
  const sorted = [...values].sort((a, b) => a - b)
  if (sorted.length === 0) return null
  return {
    median: quantile(sorted, 0.5),
    min: sorted[0],
    max: sorted[sorted.length - 1],
    count: sorted.length,
  }
}

/** Summarises above[r] / below[r] over the rounds that both have. */
export function summarizeRatio(above: ByRound, below: ByRound): Summary | null {
  const ratios: number[] = []
  for (const [round, value] of above) {
    const base = below.get(round)
    if (base !== undefined && base > 0) ratios.push(value / base)
  }
  return summarize(ratios)
}

/** The quantile `q` in [0, 1] of ascending values, between neighbours by linear interpolation. */
export function quantile(sorted: readonly number[], q: number): number {
  if (sorted.length === 0) return Number.NaN
  const position = (sorted.length - 1) * q
  const below = Math.floor(position)
  const above = Math.ceil(position)
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below)
}
