// The main-thread handle of the data path: opens the devices, starts the two workers, posts tables
// and reads status. No packet passes through this thread.

import type { Remote } from '../net/address.ts'
import type { DatapathStatus, ForeignDatagram } from '../tables/status.ts'
import type { Tables } from '../tables/tables.ts'

export interface DatapathOptions {
  readonly interfaceName: string
  /** An open TUN descriptor to adopt (WG_TUN_FD). */
  readonly tunFd?: number
  /** The device outlives the process (`hawser datapath`), or not (`hawser wg`). */
  readonly persistent: boolean
  /** MTU given to a device that we make; default 1420. */
  readonly mtuBytes?: number
  /** Called once when the data path cannot go on: device deleted, a worker died. */
  readonly onEnd: (reason: string, failed: boolean) => void
  readonly onForeign?: (datagram: ForeignDatagram) => void
  readonly log: (line: string) => void
}

export interface Datapath {
  readonly interfaceName: string
  /** The snapshot in force. */
  readonly tables: Tables
  /**
   * Applies a snapshot whole or not at all: resolves when both workers forward by it. Rejects with
   * GatewayError (EADDRINUSE, ENOSPC for a full table, …) and then the snapshot before is in force.
   */
  apply(tables: Tables): Promise<void>
  status(): DatapathStatus
  /** Sends a datagram from the cable port. Returns false when the queue is full. */
  sendForeign(to: Remote, bytes: Uint8Array): boolean
  /** Stops the workers, wipes keys, closes the devices. */
  stop(): Promise<void>
}

/** Opens the devices and starts the workers. Throws GatewayError. */
export declare function startDatapath(options: DatapathOptions): Promise<Datapath>
