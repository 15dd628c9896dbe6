// Figures as people read them: a few digits, and the spread behind the median.

import type { Summary } from './statistics.ts'

/** A number with about three significant digits, never in exponents. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value === 0) return '0'
  const digits = 2 - Math.floor(Math.log10(Math.abs(value)))
  return value.toFixed(Math.min(3, Math.max(0, digits)))
}

export function formatSummary(summary: Summary | null): string {
  if (summary === null) return '–'
  if (summary.count === 1) return formatNumber(summary.median)
  const spread = `${formatNumber(summary.min)}-${formatNumber(summary.max)}`
  return `${formatNumber(summary.median)} (${spread})`
}
