// A data path without devices and workers that follows a test's script: what becomes of an apply,
// what the status says, whether a queue has room.

import type { Datapath } from '../../src/datapath/datapath.ts'
import type { Remote } from '../../src/net/address.ts'
import type { CaptureBlock, CaptureReader, CaptureRequest } from '../../src/tables/capture.ts'
import type { DatapathStatus } from '../../src/tables/status.ts'
import { emptyTables, type Tables } from '../../src/tables/tables.ts'

export class ScriptedDatapath implements Datapath {
  readonly interfaceName = 'gw0'
  tables: Tables = emptyTables
  readonly sent: { to: Remote; bytes: Uint8Array }[] = []
  stopped = 0
  /** Awaited before the tables are in force; a rejection refuses them. */
  beforeApply: (tables: Tables) => Promise<void> = async () => undefined
  queueHasRoom = true
  /** Captures that were asked for, and the blocks that they give. */
  readonly captures: CaptureRequest[] = []
  capturesStopped = 0
  blocks: CaptureBlock[] = []
  /** Fields of the status that differ from the usual. */
  statusFields: Partial<DatapathStatus> = {}

  async apply(tables: Tables): Promise<void> {
    await this.beforeApply(tables)
    this.tables = tables
  }

  status(): DatapathStatus {
    return {
      interfaceName: this.interfaceName,
      up: true,
      mtuBytes: 1420,
      generation: this.tables.generation,
      listenPort: 51_820,
      fwmark: 0,
      pid: 4711,
      pairs: 1,
      startedAtMs: 1_700_000_000_000,
      offloads: { tunTso: true, tunUso: true, udpSegmentation: true, udpGro: true, reasons: {} },
      aead: { speeds: [{ name: 'aes-256-gcm', nsPerPacket: 220 }], forms: ['openssl'] },
      receiveBufferBytes: 8_388_608,
      sendBufferBytes: 4_194_304,
      cables: [],
      counters: {},
      drops: {},
      ...this.statusFields,
    }
  }

  sendForeign(to: Remote, bytes: Uint8Array): boolean {
    if (this.queueHasRoom) this.sent.push({ to, bytes: bytes.slice() })
    return this.queueHasRoom
  }

  async startCapture(request: CaptureRequest): Promise<CaptureReader> {
    this.captures.push(request)
    return {
      read: async () => this.blocks.shift(),
      stop: async () => {
        this.capturesStopped++
      },
      wipe: () => {},
    }
  }

  keepDevice(): void {}

  async stop(): Promise<void> {
    this.stopped++
  }
}
