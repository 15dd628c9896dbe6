import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { parsePrefix, parseRemote } from '../../../src/net/address.ts'
import { exitCode, type GatewayError } from '../../../src/net/errors.ts'
import type { ForeignDatagram } from '../../../src/tables/status.ts'
import type { Tables } from '../../../src/tables/tables.ts'
import { answerLimitMs, DatapathClient, unreachable } from '../../../src/wire/client.ts'
import { encodeFrame, frameType } from '../../../src/wire/frames.ts'
import { temporaryDirectory, until } from '../../support/temporary.ts'
import { serveWire } from '../../support/wire.ts'

const key = (byte: number) => new Uint8Array(32).fill(byte)

const tables: Tables = {
  generation: 3,
  device: { privateKey: key(1), listenPort: 4500, fwmark: 0x10 },
  cables: [
    {
      name: 'west',
      driver: 'wireguard',
      remote: parseRemote('[2001:db8::1]:4500'),
      remoteSerial: 1,
      allowedIps: [parsePrefix('10.42.0.0/16')],
      publicKey: key(2),
      presharedKey: key(3),
      keepaliveSeconds: 25,
    },
  ],
}

test('tables are applied and read back, keys only when asked for', async context => {
  const { datapath, attach } = await serveWire(context)
  const client = await attach()
  await client.apply(tables)
  assert.deepEqual(datapath.tables, tables)
  assert.deepEqual(await client.readTables({ keys: true }), tables)
  const without = await client.readTables()
  assert.equal(without.device.privateKey, undefined)
  assert.equal(
    without.cables[0].driver === 'wireguard' && without.cables[0].presharedKey,
    undefined,
  )
})

test('the largest set of allowed IPs goes through whole', async context => {
  const { datapath, attach } = await serveWire(context)
  const client = await attach()
  const allowedIps = Array.from({ length: 130_560 }, (_, i) =>
    parsePrefix(`fd00::${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}`),
  )
  const large: Tables = { ...tables, cables: [{ ...tables.cables[0], allowedIps }] }
  await client.apply(large)
  assert.equal(datapath.tables.cables[0].allowedIps.length, 130_560)
  assert.deepEqual((await client.readTables()).cables[0].allowedIps[99_999], allowedIps[99_999])
})

test('several requests are in flight, and each gets its own answer', async context => {
  const { datapath, attach } = await serveWire(context)
  const client = await attach()
  const gate = Promise.withResolvers<void>()
  datapath.beforeApply = () => gate.promise
  const applied = client.apply(tables)
  const [status, before] = await Promise.all([client.status(), client.readTables()])
  assert.deepEqual([status.generation, before.generation], [0, 0])
  gate.resolve()
  await applied
  assert.equal((await client.status()).generation, 3)
})

test('what the data path says against a snapshot reaches the caller', async context => {
  const { datapath, attach } = await serveWire(context)
  const client = await attach()
  const { GatewayError } = await import('../../../src/net/errors.ts')
  datapath.beforeApply = async () => {
    throw new GatewayError('EADDRINUSE', 'udp port 4500 is taken', { hint: 'ss -ulpn' })
  }
  await assert.rejects(client.apply(tables), {
    code: 'EADDRINUSE',
    message: 'udp port 4500 is taken',
    hint: 'ss -ulpn',
  })
})

test('datagrams come in and go out', async context => {
  const { datapath, server, attach } = await serveWire(context)
  const client = await attach()
  const got: ForeignDatagram[] = []
  await client.onForeign(datagram => got.push(datagram))
  const from = parseRemote('[fe80::2%4]:3478')
  server.pushForeign({ from, receivedAtMs: 12.5, bytes: Uint8Array.of(1, 2, 3) })
  await until('it arrives', () => got.length > 0)
  assert.deepEqual(got, [{ from, receivedAtMs: 12.5, bytes: Uint8Array.of(1, 2, 3) }])

  assert.equal(await client.sendForeign(from, Uint8Array.of(4, 5)), true)
  assert.deepEqual(datapath.sent, [{ to: from, bytes: Uint8Array.of(4, 5) }])
  datapath.queueHasRoom = false
  assert.equal(await client.sendForeign(from, Uint8Array.of(6)), false)
  await assert.rejects(client.sendForeign(from, new Uint8Array(0)), { code: 'EINVAL' })
})

test('a socket that is not there, or that nobody serves, is unreachable: exit code 3', async context => {
  const directory = temporaryDirectory(context)
  const absent = join(directory, 'gw0.sock')
  await assert.rejects(DatapathClient.connect(absent), {
    code: 'UNREACHABLE',
    exit: exitCode.unreachable,
    message: `cannot reach the data path at ${absent}: no such socket`,
    hint: `hawser datapath --interface NAME --socket ${absent}`,
  })
  writeFileSync(absent, '')
  await assert.rejects(DatapathClient.connect(absent), { message: /nobody listens there$/ })
  assert.equal(unreachable('/run/hawser/gw0.sock', 'x').hint, 'hawser datapath --interface gw0')
})

test('a socket that accepts and never answers is given up: exit code 4', async context => {
  const path = join(temporaryDirectory(context), 'x.sock')
  const server = createServer()
  await new Promise<void>(resolve => server.listen(path, resolve))
  context.after(() => server.close())
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const accepted = once(server, 'connection')
  const connecting = assert.rejects(DatapathClient.connect(path), {
    code: 'TIMED_OUT',
    exit: exitCode.timedOut,
    message: `the data path at ${path} does not answer: nothing within 5 s`,
    hint: `ss -xlp src ${path} names its process; if it hangs, start it again`,
  })
  const [socket] = (await accepted) as [Socket]
  // The hello is there, and so the clock of its answer runs.
  await once(socket, 'data')
  context.mock.timers.tick(answerLimitMs.usual)
  await connecting
})

test('a snapshot may take longer than a question, and ends in the same way', async context => {
  const { datapath, attach } = await serveWire(context)
  const client = await attach()
  const begun = Promise.withResolvers<void>()
  datapath.beforeApply = () => {
    begun.resolve()
    return new Promise(() => undefined)
  }
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const applied = assert.rejects(client.apply(tables), {
    code: 'TIMED_OUT',
    exit: exitCode.timedOut,
    message: /nothing within 30 s$/,
  })
  await begun.promise
  context.mock.timers.tick(answerLimitMs.work - 1)
  assert.equal((await client.status()).generation, 0)
  context.mock.timers.tick(1)
  await applied
  assert.equal(await client.closed, 'no answer within 30 s')
})

test('all that waits fails when the data path goes away, with its reason', async context => {
  const { datapath, server, attach } = await serveWire(context)
  const client = await attach()
  datapath.beforeApply = () => new Promise(() => undefined)
  const refused = assert.rejects(client.apply(tables), (error: GatewayError) => {
    assert.equal(error.exit, exitCode.unreachable)
    assert.match(error.message, /ended the connection: the data path ends$/)
    return true
  })
  await client.status()
  await server.close()
  await refused
  assert.equal(await client.closed, 'the data path ends')
  await assert.rejects(client.status(), { exit: exitCode.unreachable })
})

test('a server of an unknown version is an error with both versions', async context => {
  const path = join(temporaryDirectory(context), 'x.sock')
  const server = createServer(socket => {
    const head = { code: 'EPROTONOSUPPORT', message: 'the data path speaks 7, this client 1' }
    socket.end(encodeFrame(frameType.error, 0, { head, trailer: new Uint8Array(0) }))
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  context.after(() => server.close())
  await assert.rejects(DatapathClient.connect(path), {
    code: 'EPROTONOSUPPORT',
    message: /speaks 7, this client 1$/,
  })
})

test('a client that is turned away before it spoke learns why', async context => {
  const { path } = await serveWire(context, 12_345)
  await assert.rejects(DatapathClient.connect(path), {
    code: 'EPERM',
    exit: exitCode.unreachable,
    message: /process 1 has uid 12345; only root/,
  })
})

test('a server that sends nonsense is left', async context => {
  const path = join(temporaryDirectory(context), 'x.sock')
  const server = createServer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  await new Promise<void>(resolve => server.listen(path, resolve))
  context.after(() => server.close())
  await assert.rejects(DatapathClient.connect(path), {
    exit: exitCode.unreachable,
    message: /cannot be read/,
  })
})
