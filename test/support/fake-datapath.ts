// A data path without devices and workers, for tests of what stands in front of it: it keeps the
// tables that it is given and tells the status that the test has set.

import type { Datapath } from '../../src/datapath/datapath.ts'
import type { Remote } from '../../src/net/address.ts'
import type { CaptureReader } from '../../src/tables/capture.ts'
import type { CableStatus, DatapathStatus } from '../../src/tables/status.ts'
import { emptyTables, type Tables } from '../../src/tables/tables.ts'

export class FakeDatapath implements Datapath {
  readonly interfaceName: string
  tables: Tables = emptyTables
  /** Called by apply first; when it rejects, so does apply, and the snapshot before stays. */
  beforeApply: (tables: Tables) => Promise<void> = async () => {}
  /** Over what the tables say. */
  statusFields: Partial<DatapathStatus> = {}
  /** The same for a cable, by its name. */
  readonly cableFields = new Map<string, Partial<CableStatus>>()
  readonly sent: { to: Remote; bytes: Uint8Array }[] = []
  queueHasRoom = true
  stopped = false

  constructor(interfaceName = 'gw0') {
    this.interfaceName = interfaceName
  }

  async apply(tables: Tables): Promise<void> {
    await this.beforeApply(tables)
    this.tables = tables
  }

  status(): DatapathStatus {
    const { device, cables, generation } = this.tables
    return {
      interfaceName: this.interfaceName,
      up: true,
      mtuBytes: 1420,
      generation,
      listenPort: device.listenPort === 0 ? 40_000 : device.listenPort,
      fwmark: device.fwmark,
      pid: process.pid,
      pairs: 1,
      startedAtMs: 0,
      offloads: {
        tunTso: false,
        tunUso: false,
        udpSegmentation: false,
        udpGro: false,
        reasons: {},
      },
      aead: { speeds: [], forms: [] },
      receiveBufferBytes: 0,
      sendBufferBytes: 0,
      cables: cables.map(({ name, driver, remote }) => ({
        name,
        driver,
        ...(remote === undefined ? {} : { remote }),
        lastHandshakeMs: 0,
        rxBytes: 0,
        txBytes: 0,
        counters: {},
        drops: {},
        ...this.cableFields.get(name),
      })),
      counters: {},
      drops: {},
      ...this.statusFields,
    }
  }

  sendForeign(to: Remote, bytes: Uint8Array): boolean {
    if (this.queueHasRoom) this.sent.push({ to, bytes })
    return this.queueHasRoom
  }

  async startCapture(): Promise<CaptureReader> {
    return { read: async () => undefined, stop: async () => {}, wipe: () => {} }
  }

  keepDevice(): void {}

  async stop(): Promise<void> {
    this.stopped = true
  }
}
