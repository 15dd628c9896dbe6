// A TUN device with a queue for each pair of workers. One queue is the plain device that everybody
// knows. With more it has IFF_MULTI_QUEUE. A flow then comes out of the queue into which its answers were
// written last, and so leaves by the pair that its peer belongs to; what nobody answers is dealt out by
// hash.

import { closeSync, readFileSync } from 'node:fs'
import type { SetupFunctions } from '../native.ts'
import { GatewayError } from '../net/errors.ts'

export interface TunQueues {
  /** As the kernel has it. */
  readonly name: string
  readonly fds: readonly number[]
  /** Closes the queues; a device that is not persistent goes with the last. */
  close(): void
}

export interface TunQueuesOptions {
  readonly name: string
  readonly queues: number
  /** A persistent device with another number of queues is deleted and made anew. */
  readonly mayReplace: boolean
  /** MTU of a device that is made. */
  readonly mtuBytes: number
  /** Adopt this descriptor, which is one queue, whatever was asked for. */
  readonly fd?: number
}

/** Throws GatewayError with an errno name as its code. */
export function openTun(native: SetupFunctions, options: TunQueuesOptions): TunQueues {
  const { name, mayReplace, mtuBytes } = options
  const queues = options.fd === undefined && mayHaveSeveral(options) ? options.queues : 1
  const adopted = options.fd === undefined ? {} : { fd: options.fd }
  const fds: number[] = []
  const close = () => {
    for (const fd of fds) closeSync(fd)
  }
  let called = name
  try {
    for (let queue = 0; queue < queues; queue++) {
      const shared = { persistent: false, mayReplace, mtuBytes, multiQueue: queues > 1, ...adopted }
      const opened = native.openTun({ name: called, ...shared })
      fds.push(opened.fd)
      called = opened.name
    }
    return { name: called, fds, close }
  } catch (cause) {
    close()
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'EIO'
    throw failure(code, cause instanceof Error ? cause.message : String(cause), cause)
  }
}

/**
 * A device that is there and may not be replaced is somebody's: made beforehand with one queue, or in
 * use, and then one more of several queues would take packets away. Asked for one queue, the kernel
 * gives the former and refuses the latter.
 */
function mayHaveSeveral({ name, mayReplace }: TunQueuesOptions): boolean {
  const devices = readFileSync('/proc/net/dev', 'utf8')
  return mayReplace || !devices.split('\n').some(line => line.trimStart().startsWith(`${name}:`))
}

function failure(code: string, text: string, cause: unknown): GatewayError {
  const hint = hints[code]
  return new GatewayError(code, text, { cause, ...(hint === undefined ? {} : { hint }) })
}

const hints: Readonly<Record<string, string>> = {
  EPERM: 'run as root or with CAP_NET_ADMIN',
  EACCES: 'run as root, or give this user access to /dev/net/tun',
  ENOENT: 'mkdir -p /dev/net && mknod /dev/net/tun c 10 200',
  ENODEV: 'modprobe tun',
  ENXIO: 'modprobe tun',
  EBUSY: 'another process has this device: stop it, or choose another name',
  EINVAL: 'another kind of device may have this name: ip link show',
}
