// Durations as Go writes and reads them (time.Duration.String and time.ParseDuration): `401.2µs`,
// `1m30s`. Whole nanoseconds, up to 2^53 of them: 104 days.

/** The micro sign. Go writes it, and reads the Greek letter and `u` too. */
const micro = '\u00b5'
const greekMu = '\u03bc'

const unitNs: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  [`${micro}s`]: 1_000n,
  [`${greekMu}s`]: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

const secondNs = 1_000_000_000

/** The shortest unit that leaves a whole part, without zeros behind it; from a second on, h, m and s. */
export function formatGoDuration(durationNs: number): string {
  if (durationNs === 0) return '0s'
  if (durationNs < 0) return `-${formatGoDuration(-durationNs)}`
  if (durationNs < 1e3) return `${durationNs}ns`
  if (durationNs < 1e6) return `${decimal(durationNs, 3)}${micro}s`
  if (durationNs < secondNs) return `${decimal(durationNs, 6)}ms`
  const minutes = Math.floor(durationNs / (60 * secondNs))
  const seconds = `${decimal(durationNs % (60 * secondNs), 9)}s`
  if (minutes === 0) return seconds
  const hours = Math.floor(minutes / 60)
  return hours === 0 ? `${minutes}m${seconds}` : `${hours}h${minutes % 60}m${seconds}`
}

/** A whole number with the point moved left, without zeros at its end. */
function decimal(value: number, places: number): string {
  const whole = Math.floor(value / 10 ** places)
  const fraction = String(value % 10 ** places).padStart(places, '0')
  return `${whole}.${fraction}`.replace(/\.?0+$/, '')
}

/** Nanoseconds, or undefined for what Go does not take, or for more than 2^53. */
export function parseGoDuration(text: string): number | undefined {
  const whole = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+|0)$/.exec(text)
  if (whole === null || text.length > 100) return undefined
  let sum = 0n
  for (const [, integer, fraction = '', unit] of whole[2].matchAll(
    /(\d*)\.?(\d*)([a-z\u00b5\u03bc]+)/g,
  )) {
    // Truncated, as in Go.
    sum += (BigInt(`${integer}${fraction}`) * unitNs[unit]) / 10n ** BigInt(fraction.length)
  }
  if (sum > BigInt(Number.MAX_SAFE_INTEGER)) return undefined
  return whole[1] === '-' ? 0 - Number(sum) : Number(sum)
}
