// A data path as control sees it: attached to or not, with tables that it takes or refuses.

import type { DatapathConnection } from '../../src/control/parts.ts'
import { GatewayError } from '../../src/net/errors.ts'
import type { DatapathStatus } from '../../src/tables/status.ts'
import { emptyTables, type Tables } from '../../src/tables/tables.ts'

const idleStatus: DatapathStatus = {
  ...{ interfaceName: 'gw0', up: true, mtuBytes: 1420, generation: 0, listenPort: 4500 },
  ...{ fwmark: 0, pid: 1, pairs: 1, startedAtMs: 0, receiveBufferBytes: 0, sendBufferBytes: 0 },
  offloads: { tunTso: true, tunUso: true, udpSegmentation: true, udpGro: true, reasons: {} },
  aead: { speeds: [], forms: [] },
  ...{ cables: [], counters: {}, drops: {} },
}

export class FakePath {
  tables: Tables = emptyTables
  readonly applied: Tables[] = []
  refusal: GatewayError | undefined
  isThere = true
  connections: { end: (reason: string) => void }[] = []

  async connect(): Promise<DatapathConnection> {
    if (!this.isThere) throw new GatewayError('UNREACHABLE', 'no such socket', { hint: 'start it' })
    const closed = Promise.withResolvers<string>()
    let reason: string | undefined
    const end = (why: string) => {
      reason = why
      closed.resolve(why)
    }
    const check = () => {
      if (reason !== undefined) throw new GatewayError('UNREACHABLE', reason)
    }
    this.connections.push({ end })
    return {
      closed: closed.promise,
      close: () => end('closed'),
      status: async () => {
        check()
        const { generation } = this.tables
        return { ...idleStatus, generation }
      },
      readTables: async () => {
        check()
        return this.tables
      },
      apply: async tables => {
        check()
        if (this.refusal !== undefined) throw this.refusal
        if (tables.generation <= this.tables.generation) throw new GatewayError('STALE', 'stale')
        this.tables = tables
        this.applied.push(tables)
      },
    }
  }

  end(): void {
    for (const { end } of this.connections) end('it ended')
  }
}
