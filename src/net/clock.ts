// The only place that reads the real clocks. Protocol code is given instants.

export interface Clock {
  /** CLOCK_MONOTONIC in ms, the same for every thread of the machine. */
  monotonicMs(): number
  /** Wall clock, ms since 1970. */
  wallMs(): number
}

export const systemClock: Clock = {
  monotonicMs: () => Number(process.hrtime.bigint()) / 1e6,
  wallMs: () => Date.now(),
}

/** By how much an offset may be off: the wall clock is read in whole milliseconds. */
const offsetErrorMs = 2

/**
 * The wall clock minus the monotonic clock, in ms: `before` while that is right, so that what is added
 * to it keeps its order, or a new one when the wall clock was set.
 */
export function wallOffsetMs(before: number): number {
  const offset = systemClock.wallMs() - systemClock.monotonicMs()
  return Math.abs(offset - before) <= offsetErrorMs ? before : offset
}
