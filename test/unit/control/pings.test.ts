import assert from 'node:assert/strict'
import { openSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import type { PingNative } from '../../../src/control/ping-socket.ts'
import { Pings } from '../../../src/control/pings.ts'
import { Signal } from '../../../src/kube/signal.ts'
import { ECHO } from '../../../src/native.ts'
import { parseAddress } from '../../../src/net/address.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { eventually } from '../../support/eventually.ts'

interface Request {
  readonly to: Uint8Array
  readonly sequence: number
  readonly payload: Uint8Array
  readonly atMs: number
}

/** A network whose remotes answer when they are asked for what has come. */
class FakeNetwork implements PingNative {
  readonly opened: string[] = []
  /** Errno of the next sends. */
  failing = 0
  answers: (request: Request) => boolean = () => true
  readonly #waiting: Request[] = []
  /** Replies to another process, in front of ours. */
  foreign = 0

  openIcmp({ family, device = '', source }: Parameters<PingNative['openIcmp']>[0]): number {
    if (device === 'gone') throw new Error('bind ICMP to the device gone: No such device')
    this.opened.push(`${family} ${device} ${source}`)
    return openSync('/dev/null', 'r')
  }

  sendEcho(_fd: number, to: Uint8Array, _id: number, sequence: number, payload: Uint8Array) {
    if (this.failing !== 0) return -this.failing
    const atMs = systemClock.monotonicMs()
    const request = { to: to.slice(), sequence, payload: payload.slice(), atMs }
    if (this.answers(request)) this.#waiting.push(request)
    return atMs
  }

  receiveEchoes(_fd: number, words: Float64Array, bytes: Uint8Array): number {
    let row = 0
    const put = ({ to, sequence, payload, atMs }: Request) => {
      words.set([1, sequence, atMs + 5, payload.length], 1 + row * ECHO.WORDS)
      bytes.set(to, row * ECHO.BYTES)
      bytes.set(payload, row * ECHO.BYTES + ECHO.PAYLOAD)
      row++
    }
    for (const request of this.#waiting.splice(0)) {
      if (this.foreign-- > 0) put({ ...request, payload: new Uint8Array(16) })
      put(request)
    }
    return row
  }
}

const target = (key: string, to: string) => ({
  ...{ key, clusterId: key.split('/')[0] },
  ...{ from: parseAddress('10.1.0.1'), to: parseAddress(to) },
})

function start(context: TestContext, native: PingNative, interfaceName = 'gw0') {
  const changed = new Signal()
  const pings = new Pings({
    ...{ native, interfaceName, clock: systemClock, changed },
    ...{ intervalMs: 20, packetLossMost: 2 },
  })
  context.after(() => pings.stop())
  const state = (key: string) => pings.reports().get(key)?.state
  return { pings, changed, state }
}

test('who answers is well, with its round trips; who does not has failed', async context => {
  const network = new FakeNetwork()
  network.foreign = 2
  const silent = parseAddress('10.3.0.1')
  network.answers = ({ to }) => Buffer.compare(to, silent.bytes) !== 0
  const { pings, changed, state } = start(context, network)
  const [west, north] = [target('west/4', '10.2.0.1'), target('north/4', '10.3.0.1')]
  pings.want([west, north])
  assert.deepEqual([state('west/4'), state('north/4')], ['unknown', 'unknown'])
  await eventually(() => state('west/4') === 'ok' && state('north/4') === 'failed')
  assert.equal(await changed.wait(20_000), true)
  const latency = pings.reports().get('west/4')?.latency
  assert.equal(Math.round((latency?.averageNs ?? 0) / 1000), 5000)
  assert.match(pings.reports().get('north/4')?.message ?? '', /remote endpoint IP "10\.3\.0\.1"/)
  assert.deepEqual(network.opened, ['4 gw0 10,1,0,1'])
  // It stays known while the plan asks for the same, and begins anew for another address.
  pings.want([{ ...west }, { ...north, to: parseAddress('10.3.0.2') }])
  assert.deepEqual([state('west/4'), state('north/4')], ['ok', 'unknown'])
  await eventually(() => state('north/4') === 'ok')
  pings.want([])
  assert.equal(pings.reports().size, 0)
})

test('what cannot be sent is a problem, and not of the remote', async context => {
  const network = new FakeNetwork()
  network.failing = 19
  const { pings, state } = start(context, network)
  pings.want([target('west/4', '10.2.0.1')])
  await eventually(() => pings.problems().length === 1)
  assert.equal(state('west/4'), 'unknown')
  assert.deepEqual(
    pings.problems().map(({ code, clusterId }) => [code, clusterId]),
    [['ping-not-sent', 'west']],
  )
})

test('a device that is not there is said', async context => {
  const { pings } = start(context, new FakeNetwork(), 'gone')
  pings.want([target('west/4', '10.2.0.1')])
  await eventually(() => pings.problems().length === 1)
  assert.match(pings.problems()[0].message, /No such device/)
})
