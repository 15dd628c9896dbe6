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
