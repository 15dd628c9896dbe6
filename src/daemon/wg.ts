// `hawser wg`: the data path with a UAPI listener in one process, a drop-in for wireguard-go.
//
// Main path: give up the privileges that are not needed, open the data path, listen, say that we
// are ready, and serve until SIGINT or SIGTERM, until the device is deleted or until somebody
// removes the socket. All of these are a clean end: the socket is removed, keys are wiped. Only a
// data path that cannot go on is a failure.
//
// Nothing here resolves the interface by name after the start: it may have been moved to another
// network namespace by then.

import { startDatapath } from '../datapath/datapath.ts'
import { loadNative } from '../native.ts'
import { GatewayError } from '../net/errors.ts'
import { listenUapi, type UapiServer } from '../uapi/server.ts'
import { wipeTables } from '../wire/tables.ts'
import { exitOnUncaught } from './fatal.ts'

export interface WireguardOptions {
  readonly interfaceName: string
  /** Pairs of workers; default 1. */
  readonly pairs?: number
  /** An open TUN descriptor to adopt (WG_TUN_FD). */
  readonly tunFd?: number
  /** A listening UAPI socket to adopt (WG_UAPI_FD). */
  readonly uapiFd?: number
  /** Where the UAPI socket is made; /var/run/wireguard. */
  readonly uapiDirectory?: string
  /** Called when the device can be configured and the socket listens. */
  readonly onReady: () => void
  /** Called with the line of an error that nobody caught, before the process ends. */
  readonly onFatal?: (message: string) => void
  /** Says what happens, a line at a time. */
  readonly log: (line: string) => void
}

/** What the daemon is made of; a test brings its own. */
export interface WireguardParts {
  readonly startDatapath: typeof startDatapath
  /** Drops every capability but these, by number. */
  readonly secureProcess: (keepCapabilities: readonly number[]) => void
}

/**
 * linux/capability.h. NET_ADMIN: device, routes, SO_MARK. SYS_ADMIN: setns into the namespace of a
 * device that was moved. NET_RAW: sockets that only send. NET_BIND_SERVICE: a listen port below
 * 1024, which can be set at any time.
 */
const keptCapabilities: readonly number[] = [10, 12, 13, 21]

interface End {
  readonly reason: string
  readonly failed: boolean
}

/** Serves until the end. Resolves after a clean one, rejects with GatewayError after another. */
export async function runWireguard(
  options: WireguardOptions,
  parts: WireguardParts = realParts(),
): Promise<void> {
  const ended = Promise.withResolvers<End>()
  const onSignal = (signal: NodeJS.Signals): void => {
    ended.resolve({ reason: `received ${signal}`, failed: false })
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  try {
    parts.secureProcess(keptCapabilities)
    await serve(options, parts, ended)
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

async function serve(
  options: WireguardOptions,
  parts: WireguardParts,
  ended: PromiseWithResolvers<End>,
): Promise<void> {
  const { interfaceName, pairs = 1, tunFd, uapiFd, uapiDirectory, log } = options
  const datapath = await parts
    .startDatapath({
      interfaceName,
      persistent: false,
      pairs,
      onEnd: (reason, failed) => ended.resolve({ reason, failed }),
      log,
      ...(tunFd === undefined ? {} : { tunFd }),
    })
    .catch((error: unknown) => {
      throw explain(error, interfaceName)
    })
  let server: UapiServer | undefined
  const stop = async (): Promise<void> => {
    await server?.close()
    await datapath.stop()
    wipeTables(datapath.tables)
  }
  const forget = exitOnUncaught(stop, options.onFatal)
  try {
    server = await listenUapi({
      interfaceName,
      datapath,
      readOnly: false,
      onSocketRemoved: () =>
        ended.resolve({ reason: 'the UAPI socket was removed', failed: false }),
      log,
      ...(uapiDirectory === undefined ? {} : { directory: uapiDirectory }),
      ...(uapiFd === undefined ? {} : { fd: uapiFd }),
    })
    options.onReady()
    log(`${interfaceName}: serving ${server.path}`)
    const { reason, failed } = await ended.promise
    if (failed) throw new GatewayError('EIO', `${interfaceName}: ${reason}`)
    log(`${interfaceName}: ending: ${reason}`)
  } finally {
    await stop()
    forget()
  }
}

function realParts(): WireguardParts {
  const native = loadNative()
  return { startDatapath, secureProcess: keep => native.secureProcess(keep) }
}

/** Turns what the kernel said to the TUN device into what is wrong and what to do about it. */
function explain(error: unknown, name: string): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const known = deviceErrors[code]
  if (known === undefined) return error
  const [what, hint] = known
  return new GatewayError(code, `${name}: ${what}`, {
    hint: hint.replaceAll('NAME', name),
    cause: error,
  })
}

const noDriver = ['there is no TUN driver here', 'modprobe tun'] as const
const notAllowed = ['making a TUN device needs root or CAP_NET_ADMIN', 'run it as root'] as const

const deviceErrors: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  EPERM: notAllowed,
  EACCES: notAllowed,
  ENOENT: [
    'there is no /dev/net/tun here',
    'modprobe tun; in a container, give it the device /dev/net/tun',
  ],
  ENODEV: noDriver,
  ENXIO: noDriver,
  EBUSY: [
    'this interface is in use by another process',
    'choose another name, or delete it: ip link delete NAME',
  ],
  // The name itself was checked: a device of another kind has it.
  EINVAL: ['this name belongs to a device of another kind', 'choose another; ip -d link show NAME'],
}
