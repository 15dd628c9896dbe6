// How many pairs of workers a data path has. Each pair has a queue of the TUN device and sockets of its
// own, and keeps two cores busy under load.

import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { exitCode, GatewayError } from '../net/errors.ts'

/** Powers of two: pairs are told apart by bits of a receiver index. */
const choices = [8, 4, 2, 1] as const
const variable = 'HAWSER_PAIRS'

/** What HAWSER_PAIRS asks for, else one for every two cores. Throws GatewayError (exit code 2). */
export function choosePairs(
  env: NodeJS.ProcessEnv,
  cores: number = availableParallelism(),
): number {
  const text = env[variable]
  if (text === undefined || text === '') return choices.find(pairs => pairs * 2 <= cores) ?? 1
  const pairs = choices.find(choice => String(choice) === text)
  if (pairs !== undefined) return pairs
  throw new GatewayError('EINVAL', `${variable}=${text}: there can be 1, 2, 4 or 8 pairs`, {
    exit: exitCode.usage,
    hint: `unset ${variable}: one pair for every two cores`,
  })
}

/**
 * Whoever opens a device with several queues is given one more, also while another process has it, and
 * takes packets away from it; who wants another number of queues makes the device anew. An abstract
 * socket of the network namespace says that it is taken.
 */
export function claimDevice(name: string): Promise<{ close(): Promise<void> }> {
  const server = createServer().unref()
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const isTaken = cause.code === 'EADDRINUSE'
      reject(
        new GatewayError(isTaken ? 'EBUSY' : (cause.code ?? 'EIO'), `TUN device ${name} is busy`, {
          hint: 'another process has this device: stop it, or choose another name',
          cause,
        }),
      )
    })
    server.listen(`\0hawser/tun/${name}`, () => {
      resolve({ close: async () => void server.close() })
    })
  })
}
