// Errno numbers as the UAPI carries them.
//
// The sign is a trap. `wg` prints the number of a failed set as it is negated, so a set answers
// with a negative one; for a get it accepts digits only and turns anything else into EPROTO, so a
// get answers with a positive one (wireguard-tools, src/ipc-uapi.h).

import { constants } from 'node:os'
import { GatewayError } from '../net/errors.ts'

/** A positive errno, 0 for success. */
export type Errno = number

const { errno } = constants

export const errnoOk: Errno = 0
export const { E2BIG, EADDRINUSE, EAGAIN, EINVAL, EIO, ENOSPC, EPERM, EPROTO } = errno

/** The errno that stands for a failure of the data path. What has no errno name is EIO. */
export function errnoOf(error: unknown): Errno {
  if (!(error instanceof GatewayError)) return EIO
  const number = (errno as Readonly<Record<string, number | undefined>>)[error.code]
  return number ?? EIO
}

/** Its name, for log lines. */
export function errnoName(number: Errno): string {
  const found = Object.entries(errno).find(([, value]) => value === number)
  return found === undefined ? `errno ${number}` : found[0]
}
