// What the control loop is handed by whoever composes it: the log, the data path's connection and the
// machine's network, as interfaces. The loop opens nothing by itself but sockets of pings.

import type { Address, Prefix } from '../net/address.ts'
import type { DatapathStatus } from '../tables/status.ts'
import type { Tables } from '../tables/tables.ts'

export interface Log {
  error(line: string): void
  info(line: string): void
  debug(line: string): void
}

/** A connection to the data path, as wire/client.ts makes it. */
export interface DatapathConnection {
  apply(tables: Tables): Promise<void>
  status(): Promise<DatapathStatus>
  readTables(options: { keys: boolean }): Promise<Tables>
  /** Resolves with the reason when it has ended. */
  readonly closed: Promise<string>
  close(): void
}

export interface CableRoutes {
  readonly interfaceName: string
  /** Behind VXLAN cables: in table 100, to the device. */
  readonly subnets: readonly Prefix[]
  /** What this machine's own packets to them are sent from, of each family. */
  readonly sources: readonly Address[]
}

/** What a gateway changes in the machine's network. */
export interface HostNetwork {
  /** Up, with an MTU that leaves room for the cables' headers. */
  bringUp(interfaceName: string): Promise<void>
  applyCableRoutes(routes: CableRoutes): Promise<void>
}
