// The handle of the main thread, in this process: what it does about its device, and what it bounds.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mock } from 'node:test'
import { type Datapath, startDatapath } from '../../src/datapath/datapath.ts'
import { foreignMailMost } from '../../src/datapath/foreign.ts'
import { parseRemote } from '../../src/net/address.ts'
import { emptyTables } from '../../src/tables/tables.ts'
import { east, west } from '../support/e2e/clusters.ts'
import { cableTo as vxlanCableTo, deviceOf as vxlanDevice } from '../support/e2e/vxlan.ts'
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

/** A data path that listens. What it says goes into `lines`. */
async function start(lines: string[] = []): Promise<Datapath> {
  const datapath = await startDatapath({
    ...{ interfaceName: 'gw0', persistent: false, offloads },
    onEnd: reason => lines.push(reason),
    log: line => lines.push(line),
  })
  const privateKey = new Uint8Array(32).fill(8)
  const device = { ...emptyTables.device, privateKey, listenPort: port }
  await datapath.apply({ ...emptyTables, generation: 1, device })
  return datapath
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

namespaceTest('a device that was never up is waited for', async () => {
  // The clock for looking at the device stands still: what is noticed was told by the device itself.
  mock.timers.enable({ apis: ['setInterval'] })
  const lines: string[] = []
  const datapath = await start(lines)
  try {
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
})

namespaceTest('datagrams to send wait in a bounded number', async () => {
  const datapath = await start()
  const receiver = createSocket('udp4')
  let received = 0
  receiver.on('message', () => received++)
  await new Promise<void>(resolve => receiver.bind(0, '127.0.0.1', resolve))
  try {
    const to = parseRemote(`127.0.0.1:${receiver.address().port}`)
    const send = () => datapath.sendForeign(to, Uint8Array.of(1, 2, 3))
    // Nothing that the worker says is heard within one turn of this thread.
    const sent = Array.from({ length: foreignMailMost + 10 }, send)
    assert.deepEqual(sent, [...Array(foreignMailMost).fill(true), ...Array(10).fill(false)])
    await eventually(() => received === foreignMailMost)
    await eventually(send)
    await eventually(() => received === foreignMailMost + 1)
  } finally {
    receiver.close()
    await datapath.stop()
  }
})

/** How many UDP sockets have which mark here; without one it is 0. */
function socketsByMark(): Record<string, number> {
  const marks: Record<string, number> = {}
  const shown = execFileSync('ss', ['-H', '-u', '-a', '-n', '-e'], { encoding: 'utf8' })
  for (const line of shown.trim().split('\n')) {
    const mark = /\bfwmark:(\S+)/.exec(line)?.[1] ?? '0'
    marks[mark] = (marks[mark] ?? 0) + 1
  }
  return marks
}

namespaceTest('the mark is on the sockets of the first VXLAN cable too', async () => {
  const datapath = await start()
  try {
    assert.deepEqual(socketsByMark(), { 0: 2 })
    const device = { ...vxlanDevice(east), listenPort: port }
    const cables = [vxlanCableTo(west)]
    await datapath.apply({ generation: 2, device: { ...device, fwmark: 0x99 }, cables })
    // The pair of the port, and eight of either family for entropy.
    assert.deepEqual(socketsByMark(), { '0x99': 18 })
    await datapath.apply({ generation: 3, device: { ...device, fwmark: 0x77 }, cables })
    assert.deepEqual(socketsByMark(), { '0x77': 18 })
  } finally {
    await datapath.stop()
  }
})

namespaceTest(
  'the mark is on all sockets when the port and the first VXLAN cable come with it',
  async () => {
    const datapath = await start()
    try {
      const device = { ...vxlanDevice(east), listenPort: port + 1, fwmark: 0x99 }
      await datapath.apply({ generation: 2, device, cables: [vxlanCableTo(west)] })
      assert.deepEqual(socketsByMark(), { '0x99': 18 })
    } finally {
      await datapath.stop()
    }
  },
)
