// Loads the test variant of the addon: the whole of src/native.ts, and under `test` the parts of the
// data path one by one. HAWSER_NATIVE names the build, as for the addon itself.

import { createRequire } from 'node:module'
import type { Description, Native } from '../../src/native.ts'

/** Words of a packet that `coalesce` is given. */
export const PACKET = {
  WORDS: 6,
  OFFSET: 0,
  LENGTH: 1,
  SLOT: 2,
  CABLE: 3,
  TOS: 4,
  TRAIN: 5,
} as const

/**
 * Words of a job that `aead` is given; GOOD is the result. COUNTER_HIGH adds 2^32 times itself, SALT
 * is the beginning of the nonce, ADDITIONAL the length of the data before the text.
 */
export const JOB = {
  WORDS: 8,
  ...{ OFFSET: 0, LENGTH: 1, SLOT: 2, COUNTER: 3, GOOD: 4 },
  ...{ COUNTER_HIGH: 5, SALT: 6, ADDITIONAL: 7 },
} as const

export interface TestExports {
  /** The value of a checksum field over these bytes. */
  checksum(bytes: Uint8Array, offset: number, length: number): number
  /** The segments of the packet that the row (ROW words) describes, null when it does not fit. */
  segment(slab: Uint8Array, row: Int32Array): Uint8Array[] | null
  /** Coalesces packets (PACKET words each) into rows and pieces. Returns the number of rows. */
  coalesce(
    slab: Uint8Array,
    packets: Int32Array,
    rows: Int32Array,
    pieces: Int32Array,
    allowed: number,
  ): number
  /**
   * Seals or opens jobs (JOB words each) in `data` with the keys of `slots`, as one batch. `form`
   * names the form of both ciphers, '' is the one in force.
   */
  aead(form: string, seal: boolean, slots: Uint8Array, data: Uint8Array, jobs: Float64Array): void
  /** Seals and opens `rounds` times; nanoseconds of sealing and opening go to `times`. */
  timeAead(
    form: string,
    slots: Uint8Array,
    data: Uint8Array,
    jobs: Float64Array,
    rounds: number,
    times: Float64Array,
  ): void
  /** What `form` comes to, as in a description. */
  aeadForm(form: string): Description['aead']
  /** Accepts a counter in a replay window of REPLAY.BYTES. */
  acceptCounter(window: Uint8Array, counter: bigint): boolean
}

export interface TestNative extends Native {
  readonly test: TestExports
}

export function loadTestNative(): TestNative {
  const variant = process.env['HAWSER_NATIVE'] ?? 'build/Release'
  const file = new URL(`../../native/${variant}/hawser_test.node`, import.meta.url).pathname
  return createRequire(import.meta.url)(file) as TestNative
}
