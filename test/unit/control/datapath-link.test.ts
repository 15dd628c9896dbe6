import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { DatapathLink } from '../../../src/control/datapath-link.ts'
import { Signal } from '../../../src/kube/signal.ts'
import { parseRemote } from '../../../src/net/address.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { GatewayError } from '../../../src/net/errors.ts'
import type { CipherChoice } from '../../../src/tables/cipher.ts'
import { type CableTable, emptyTables } from '../../../src/tables/tables.ts'
import { eventually } from '../../support/eventually.ts'
import { FakePath } from '../../support/fake-path.ts'
import { testLog } from '../../support/test-log.ts'

function start(context: TestContext, path: FakePath): DatapathLink {
  const link = new DatapathLink({
    ...{ connect: () => path.connect(), clock: systemClock, log: testLog() },
    ...{ changed: new Signal(), pollMs: 5 },
  })
  context.after(() => link.stop())
  return link
}

const device = (listenPort: number) => ({ device: { listenPort, fwmark: 0 }, cables: [] })

test('tables are posted once, and again when they are others', async context => {
  const path = new FakePath()
  const link = start(context, path)
  await eventually(() => link.status !== undefined)
  assert.equal(path.applied.length, 0)
  assert.equal(link.posted, undefined)
  link.want(device(1))
  await eventually(() => link.isInForce)
  link.want(device(1))
  link.want(device(2))
  await eventually(() => link.isInForce && path.applied.length === 2)
  assert.deepEqual(
    path.applied.map(({ generation, device: { listenPort } }) => [generation, listenPort]),
    [
      [1, 1],
      [2, 2],
    ],
  )
  assert.deepEqual(link.posted, device(2))
})

test('what is in force already is not posted: a restart is not seen', async context => {
  const path = new FakePath()
  path.tables = { generation: 7, ...device(1) }
  const link = start(context, path)
  await eventually(() => link.posted !== undefined)
  assert.deepEqual(link.posted, device(1))
  link.want(device(1))
  await eventually(() => link.isInForce)
  assert.equal(path.applied.length, 0)
})

test('a data path that was started again gets them when they are wanted then', async context => {
  const path = new FakePath()
  const link = start(context, path)
  await eventually(() => link.status !== undefined)
  link.want(device(1))
  await eventually(() => link.isInForce)
  path.isThere = false
  path.tables = emptyTables
  path.end()
  const isSaid = () => /no such socket; try: start it/.test(link.problems()[0]?.message ?? '')
  await eventually(() => link.status === undefined && isSaid())
  assert.deepEqual(link.problems()[0].code, 'datapath-away')
  path.isThere = true
  await eventually(() => link.status !== undefined)
  assert.equal(link.isInForce, false)
  link.want(device(1))
  await eventually(() => link.isInForce)
  assert.deepEqual(link.problems(), [])
  assert.equal(path.tables.generation, 1)
})

test('whoever posts in between is overwritten', async context => {
  const path = new FakePath()
  const link = start(context, path)
  await eventually(() => link.status !== undefined)
  link.want(device(1))
  await eventually(() => link.isInForce)
  path.tables = { generation: 9, ...device(3) }
  await eventually(() => path.tables.generation === 10)
  assert.deepEqual(path.tables, { generation: 10, ...device(1) })
})

test('ciphers that were set by hand are kept, and nothing else', async context => {
  const path = new FakePath()
  const link = start(context, path)
  const cable = (enabled: CipherChoice, port: number): CableTable => ({
    ...{ name: 'west', driver: 'wireguard', publicKey: new Uint8Array(32), keepaliveSeconds: 10 },
    ...{ remote: parseRemote(`192.0.2.1:${port}`), remoteSerial: 1, allowedIps: [] },
    ciphers: { enabled },
  })
  const tables = (enabled: CipherChoice, port = 4500) => ({
    device: { listenPort: 1, fwmark: 0 },
    cables: [cable(enabled, port)],
  })
  await eventually(() => link.status !== undefined)
  link.want(tables('auto'))
  await eventually(() => link.isInForce)
  path.tables = { generation: 9, ...tables(['aes-256-gcm'], 4501) }
  await eventually(() => link.handCiphers.size === 1)
  assert.deepEqual(link.handCiphers.get('west'), ['aes-256-gcm'])
  assert.equal(path.tables.generation, 9)
  link.want(tables(['aes-256-gcm']))
  await eventually(() => link.isInForce)
  assert.deepEqual(path.tables, { generation: 10, ...tables(['aes-256-gcm']) })
})

test('tables that are refused are a problem, and others are tried at once', async context => {
  const path = new FakePath()
  path.refusal = new GatewayError('EADDRINUSE', 'UDP port 4500 is in use')
  const link = start(context, path)
  await eventually(() => link.status !== undefined)
  link.want(device(1))
  await eventually(() => link.problems().length === 1)
  assert.deepEqual(
    link.problems().map(({ code, message }) => [code, message]),
    [['tables-refused', 'UDP port 4500 is in use']],
  )
  path.refusal = undefined
  link.want(device(2))
  await eventually(() => link.isInForce)
  assert.deepEqual(link.problems(), [])
  path.refusal = new GatewayError('EADDRINUSE', 'UDP port 4501 is in use')
  link.want(device(3))
  await eventually(() => link.problems().length === 1)
  // As they are: nothing is to be posted, and nothing is wrong.
  link.want(device(2))
  await eventually(() => link.problems().length === 0)
})
