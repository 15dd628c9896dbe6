// `hawser datapath`: the data path as a process of its own, started by a supervisor (pod, systemd,
// lab) and fed with tables over its unix socket. In order: drop privileges, open the devices, serve
// the socket and the read-only UAPI, tell the supervisor, and wait for a signal or for the device to
// be deleted; both end it with exit code 0. No packet and no decision passes through here.
//
// Clients come and go and nothing that they do ends the process: it forwards by the last tables.
// The TUN device is persistent unless asked otherwise, so that routes survive a restart; what fails
// before everything is served leaves no device that it has made.

import { closeSync, writeSync } from 'node:fs'
import type { Datapath, DatapathOptions } from '../datapath/datapath.ts'
import { type ExitCode, exitCode } from '../net/errors.ts'
import type { OffloadStatus } from '../tables/status.ts'
import { startWireServer, type WireServer } from '../wire/server.ts'
import { readTablesFile } from '../wire/tables-file.ts'
import { exitOnUncaught } from './fatal.ts'
import type { Log } from './log.ts'
import { onFirstSignal } from './signals.ts'

/**
 * CAP_NET_BIND_SERVICE: cable ports below 1024. CAP_NET_ADMIN: TUN, SO_MARK, SO_*BUFFORCE.
 * CAP_NET_RAW: source addresses, SO_BINDTODEVICE.
 */
const keptCapabilities = [10, 12, 13]

export interface DatapathDaemonOptions {
  readonly interfaceName: string
  readonly socketPath: string
  readonly mtuBytes?: number
  readonly pairs: number
  /** Gets `ready` and a newline when everything is served. */
  readonly readyFd?: number
  /** The device goes with the process. */
  readonly ephemeral: boolean
  /** A JSON file with the first tables. */
  readonly tablesFile?: string
}

/** What the daemon is put together from. */
export interface DatapathDaemonParts {
  /** Tries the offloads, which takes privileges that are given up afterwards. */
  readonly chooseOffloads: () => OffloadStatus
  readonly secureProcess: (keepCapabilities: readonly number[]) => void
  readonly peerCredentials: (fd: number) => { uid: number; pid: number }
  /** Keeps others from the device for as long as it is not closed. */
  readonly claimDevice: (interfaceName: string) => Promise<Running>
  readonly startDatapath: (options: DatapathOptions) => Promise<Datapath>
  /** Serves the UAPI socket of the interface, read-only. */
  readonly startUapi: (datapath: Datapath, log: Log) => Promise<{ close(): Promise<void> }>
  readonly log: Log
}

interface Running {
  close(): Promise<void>
}

interface End {
  readonly reason: string
  readonly failed: boolean
}

/** Runs until it is told to end. Throws GatewayError when it cannot start. */
export async function runDatapathDaemon(
  options: DatapathDaemonOptions,
  parts: DatapathDaemonParts,
): Promise<ExitCode> {
  const { log } = parts
  const { interfaceName, socketPath } = options
  // Before the privileges go: the file may belong to somebody else than root.
  const first = options.tablesFile ? readTablesFile(options.tablesFile, 1) : undefined
  const offloads = parts.chooseOffloads()
  // Before the workers start: threads inherit the capabilities of the one that makes them.
  parts.secureProcess(keptCapabilities)
  const ending = Promise.withResolvers<End>()
  const forgetSignals = onFirstSignal(name => ending.resolve({ reason: name, failed: false }))
  const running: Running[] = []
  const stop = () => stopAll(running, log)
  const letFail = exitOnUncaught(stop, message => log.error(message))
  let server: WireServer | undefined
  try {
    running.push(await parts.claimDevice(interfaceName))
    const datapath = await parts.startDatapath({
      interfaceName,
      persistent: !options.ephemeral,
      pairs: options.pairs,
      offloads,
      ...(options.mtuBytes === undefined ? {} : { mtuBytes: options.mtuBytes }),
      onEnd: (reason, failed) => ending.resolve({ reason, failed }),
      onForeign: datagram => server?.pushForeign(datagram) ?? false,
      log: line => log.info(line),
    })
    running.push({ close: () => datapath.stop() })
    if (first) await datapath.apply(first)
    const { peerCredentials } = parts
    const serverLog = (line: string) => log.info(line)
    server = await startWireServer({ path: socketPath, datapath, peerCredentials, log: serverLog })
    running.push(server)
    running.push(await parts.startUapi(datapath, log))
    datapath.keepDevice()
    log.info(`${interfaceName} is served on ${socketPath}`)
    if (options.readyFd !== undefined) announce(options.readyFd, log)
    const end = await ending.promise
    log[end.failed ? 'error' : 'info'](`${interfaceName} ends: ${end.reason}`)
    return end.failed ? exitCode.failed : exitCode.ok
  } finally {
    await stop()
    letFail()
    forgetSignals()
  }
}

/** The last that started is the first to stop; one that fails to does not keep the others. */
async function stopAll(running: Running[], log: Log): Promise<void> {
  for (let part = running.pop(); part; part = running.pop())
    await part.close().catch((error: Error) => log.error(`while stopping: ${error.message}`))
}

function announce(fd: number, log: Log): void {
  try {
    writeSync(fd, 'ready\n')
    if (fd > 2) closeSync(fd)
  } catch (error) {
    // The supervisor is gone: no reason to stop forwarding.
    log.error(`cannot tell that it is ready: ${(error as Error).message}`)
  }
}
