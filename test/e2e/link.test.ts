// The data path and the state of its device. It runs in this process, whose clock for looking at the
// device stands still: what is noticed here was told by the device itself.

import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { mock } from 'node:test'
import { type Datapath, startDatapath } from '../../src/datapath/datapath.ts'
import { emptyTables } from '../../src/tables/tables.ts'
import { eventually } from '../support/eventually.ts'
import { ip, namespaceTest } from '../support/namespace-test.ts'

const port = 4500
const initiation = Uint8Array.of(1, 0, 0, 0, ...new Uint8Array(144))
const offloads = {
  tunTso: false,
  tunUso: false,
  udpSegmentation: false,
  udpGro: false,
  reasons: {},
}

/** Sends an initiation that no peer made, and waits until it was dropped for this reason. */
async function dropsInitiation(datapath: Datapath, reason: string): Promise<void> {
  const socket = createSocket('udp4')
  socket.send(initiation, port, '127.0.0.1')
  await eventually(
    () => datapath.status().drops[reason] === 1,
    () => JSON.stringify(datapath.status().drops),
  )
  socket.close()
}

namespaceTest(
  'a device that was never up is waited for, and what comes before is dropped',
  async () => {
    mock.timers.enable({ apis: ['setInterval'] })
    const lines: string[] = []
    const datapath = await startDatapath({
      ...{ interfaceName: 'gw0', persistent: false, offloads },
      onEnd: reason => lines.push(reason),
      log: line => lines.push(line),
    })
    try {
      const privateKey = new Uint8Array(32).fill(8)
      const device = { ...emptyTables.device, privateKey, listenPort: port }
      await datapath.apply({ ...emptyTables, generation: 1, device })
      await dropsInitiation(datapath, 'device-down')
      assert.equal(datapath.status().drops['bad-mac1'], undefined)
      assert.deepEqual(lines, [])

      ip('link set gw0 up')
      await eventually(() => lines.length > 0)
      assert.deepEqual(lines, ['gw0 is up'])
      await dropsInitiation(datapath, 'bad-mac1')

      // Down is seen when somebody looks; from then on it is waited for again.
      ip('link set gw0 down')
      assert.equal(datapath.status().up, false)
      await eventually(() => lines.length > 1)
      ip('link set gw0 up')
      await eventually(() => lines.length > 2)
      assert.deepEqual(lines.slice(1), ['gw0 is down', 'gw0 is up'])
    } finally {
      await datapath.stop()
    }
  },
)
