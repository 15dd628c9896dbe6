import assert from 'node:assert/strict'
import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseRemote } from '../../../src/net/address.ts'
import type { GatewayError } from '../../../src/net/errors.ts'
import type { Tables } from '../../../src/tables/tables.ts'
import type { DatapathClient } from '../../../src/wire/client.ts'
import { connectionLimits } from '../../../src/wire/connection.ts'
import { encodeFrame, frameBytesMax, frameType } from '../../../src/wire/frames.ts'
import { clientsMax, startWireServer } from '../../../src/wire/server.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { ScriptedDatapath } from '../../support/scripted-datapath.ts'
import { temporaryDirectory, until } from '../../support/temporary.ts'
import { RawClient, serveWire } from '../../support/wire.ts'

function tablesOf(generation: number): Tables {
  const privateKey = new Uint8Array(32).fill(generation)
  return { generation, device: { privateKey, listenPort: 0, fwmark: 0 }, cables: [] }
}

const listen = (path: string, datapath = new ScriptedDatapath()) =>
  startWireServer({ path, datapath, peerCredentials: () => ({ uid: 0, pid: 1 }), log: () => {} })

function codeOf(head: unknown): unknown {
  return typeof head === 'object' && head !== null && 'code' in head ? head.code : undefined
}

/** Sends, and waits for the farewell: an error frame without a request. */
async function farewell(path: string, send: (client: RawClient) => void): Promise<unknown> {
  const client = new RawClient(path)
  send(client)
  await until('the connection is closed', () => client.closed)
  const last = client.frames.at(-1)
  assert.deepEqual([last?.type, last?.id], [frameType.error, 0])
  return codeOf(last?.head)
}

test('the socket is for its owner alone, and goes with the server', async context => {
  const { path, server } = await serveWire(context)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  await server.close()
  assert.equal(existsSync(path), false)
})

test('a socket that nobody answers on is replaced, one in use is not', async context => {
  const path = join(temporaryDirectory(context), 'x.sock')
  const first = await listen(path)
  await assert.rejects(listen(path), { code: 'EADDRINUSE', hint: `hawser status --socket ${path}` })
  await first.close()

  // A process that was killed leaves its socket behind: bind, and never remove.
  const leftBehind = createServer()
  await new Promise<void>(resolve => leftBehind.listen(path, resolve))
  const stolen = `${path}.away`
  renameSync(path, stolen)
  await new Promise(resolve => leftBehind.close(resolve))
  renameSync(stolen, path)
  const second = await listen(path)
  assert.equal(statSync(path).isSocket(), true)
  await second.close()
})

test('a path that cannot be used is named with the reason', async context => {
  const directory = temporaryDirectory(context)
  const file = join(directory, 'file')
  writeFileSync(file, '')
  await assert.rejects(listen(file), { code: 'EEXIST' })
  await assert.rejects(listen(join(file, 'x.sock')), { message: /^cannot listen on .*: ENOTDIR$/ })
  // A directory that nobody made may be a slip of the pen.
  const absent = join(directory, 'rnu')
  await assert.rejects(listen(join(absent, 'x.sock')), {
    code: 'ENOENT',
    message: /: there is no .*\/rnu$/,
    hint: `mkdir -p ${absent}`,
  })
  assert.equal(existsSync(absent), false)
  await assert.rejects(listen(join(directory, 'x'.repeat(120))), { code: 'ENAMETOOLONG' })
})

test('a client of another user is turned away', async context => {
  const { path, datapath, lines } = await serveWire(context, 12_345)
  const code = await farewell(path, client => {
    client.hello()
    client.send(frameType.apply, 2, { generation: 1, device: {} })
  })
  assert.equal(code, 'EPERM')
  assert.equal(datapath.tables.generation, 0)
  assert.match(lines.join('\n'), /uid 12345/)
})

test('a client that cannot be identified is turned away', async context => {
  const path = join(temporaryDirectory(context), 'x.sock')
  const peerCredentials = () => {
    throw new Error('ENOTCONN')
  }
  const datapath = new ScriptedDatapath()
  const server = await startWireServer({ path, datapath, peerCredentials, log: () => {} })
  context.after(() => server.close())
  assert.equal(await farewell(path, client => client.hello()), 'EPERM')
})

test('the next client above the limit is turned away, the others stay', async context => {
  const { path, attach } = await serveWire(context)
  const clients = await Promise.all(Array.from({ length: clientsMax }, attach))
  assert.equal(await farewell(path, client => client.hello()), 'EAGAIN')
  assert.equal((await clients[0].status()).interfaceName, 'gw0')
  clients[1].close()
  let another: DatapathClient | undefined
  await until('there is room again', () => {
    attach().then(
      client => {
        another = client
      },
      () => undefined,
    )
    return another !== undefined
  })
})

const cutOff: readonly [what: string, code: string, send: (client: RawClient) => void][] = [
  ['no hello first', 'EPROTO', client => client.send(frameType.status, 1, {})],
  ['a newer version only', 'EPROTONOSUPPORT', c => c.send(1, 1, { oldest: 3, newest: 4 })],
  ['versions of no sense', 'EINVAL', client => client.send(1, 1, { oldest: 4, newest: 3 })],
  ['a large hello', 'EMSGSIZE', client => client.send(1, 1, 'x'.repeat(5000))],
  ['bytes that are no frame', 'EMSGSIZE', client => client.socket.write('GET / HTTP/1.1\r\n\r\n')],
  [
    'an oversized frame',
    'EMSGSIZE',
    client => {
      client.hello()
      const length = Buffer.alloc(4)
      length.writeUInt32LE(frameBytesMax - 3)
      client.socket.write(length)
    },
  ],
  [
    'half a frame',
    'EPROTO',
    client => {
      client.hello()
      client.socket.end(Uint8Array.of(20, 0, 0, 0, 4))
    },
  ],
  [
    'a head that is no JSON',
    'EPROTO',
    client => {
      client.hello()
      client.socket.write(Uint8Array.of(13, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0x7b))
    },
  ],
]

test('what is no conversation ends with a reason, and the server goes on', async context => {
  const { path, attach } = await serveWire(context)
  const bystander = await attach()
  for (const [what, code, send] of cutOff) assert.equal(await farewell(path, send), code, what)
  assert.equal((await bystander.status()).interfaceName, 'gw0')
})

test('a silent client makes room after a while', async context => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const { path } = await serveWire(context)
  const client = new RawClient(path)
  // The server knows the first client once it has answered the second.
  const second = new RawClient(path)
  second.hello()
  await until('the second is greeted', () => second.frames.length > 0)
  context.mock.timers.tick(connectionLimits.helloMs)
  await until('the silent one is gone', () => client.closed)
  assert.equal(codeOf(client.frames[0]?.head), 'ETIMEDOUT')
  assert.equal(second.closed, false)
  second.socket.destroy()
})

test('an unknown request is refused and the connection stays', async context => {
  const { path } = await serveWire(context)
  const client = new RawClient(path)
  client.hello()
  client.send(99, 2, {})
  client.send(frameType.status, 3, { field: 'of a later version' })
  await until('both are answered', () => client.frames.length === 3)
  assert.deepEqual(
    client.frames.map(({ type, id }) => [type, id]),
    [
      [frameType.ok, 1],
      [frameType.error, 2],
      [frameType.ok, 3],
    ],
  )
  client.socket.destroy()
})

test('a client that closes its sending side still gets its answers', async context => {
  const { path, datapath } = await serveWire(context)
  const gate = Promise.withResolvers<void>()
  datapath.beforeApply = () => gate.promise
  const client = new RawClient(path)
  client.hello()
  client.send(frameType.apply, 2, { generation: 1, device: {} })
  client.socket.end()
  await until('the hello is answered', () => client.frames.length === 1)
  gate.resolve()
  await until('the connection is closed', () => client.closed)
  assert.deepEqual(client.frames.at(-1), { type: frameType.ok, id: 2, head: {} })
})

test('snapshots of several clients are applied one after the other', async context => {
  const { datapath, attach } = await serveWire(context)
  let running = 0
  const order: number[] = []
  datapath.beforeApply = async tables => {
    assert.equal(++running, 1)
    await new Promise(resolve => setImmediate(resolve))
    order.push(tables.generation)
    running--
  }
  const clients = await Promise.all([attach(), attach(), attach()])
  await Promise.all(clients.map((client, index) => client.apply(tablesOf(index + 1))))
  assert.deepEqual(order, [1, 2, 3])
  assert.equal(datapath.tables.generation, 3)
})

test('a stale snapshot is refused and both generations are named', async context => {
  const { datapath, attach } = await serveWire(context)
  const client = await attach()
  await client.apply(tablesOf(5))
  for (const generation of [4, 5])
    await assert.rejects(client.apply(tablesOf(generation)), (error: GatewayError) => {
      assert.equal(error.code, 'STALE')
      assert.match(error.message, new RegExp(`generation ${generation} .* 5,`))
      return true
    })
  assert.deepEqual(datapath.tables, tablesOf(5))
})

test('the keys of a replaced snapshot and of a refused one are wiped', async context => {
  const { datapath, attach } = await serveWire(context)
  const client = await attach()
  const seen: Tables[] = []
  datapath.beforeApply = async tables => {
    seen.push(tables)
    if (tables.generation === 4) throw new Error('no')
  }
  for (const generation of [1, 2, 3]) await client.apply(tablesOf(generation))
  await assert.rejects(client.apply(tablesOf(4)), { code: 'INTERNAL', message: 'no' })
  const wiped = seen.map(tables => tables.device.privateKey?.every(byte => byte === 0))
  // One snapshot late: somebody may still read the one before.
  assert.deepEqual(wiped, [true, false, false, true])
})

test('what the client does not read is not piled up', async context => {
  const { path, datapath } = await serveWire(context)
  const counters = Object.fromEntries(Array.from({ length: 4000 }, (_, i) => [`counter-${i}`, i]))
  datapath.statusFields = { counters }
  let asked = 0
  const { status } = datapath
  datapath.status = () => {
    asked++
    return status.call(datapath)
  }
  const client = new RawClient(path)
  client.hello()
  await until('it is greeted', () => client.frames.length === 1)
  client.socket.pause()
  const requests = 500
  for (let id = 2; id < requests + 2; id++) client.send(frameType.status, id, {})
  await until('the server stops to read', () => asked > 5)
  for (let turn = 0; turn < 200; turn++) await new Promise(resolve => setImmediate(resolve))
  assert.ok(asked < 100, `${asked} statuses were made for nobody`)
  client.socket.resume()
  await until('all are answered in the end', () => client.frames.length === requests + 1)
  client.socket.destroy()
})

const datagram = (bytes: number) => ({
  from: parseRemote('192.0.2.7:3478'),
  receivedAtMs: 1,
  bytes: new Uint8Array(bytes),
})

test('datagrams go to subscribers only, at a bounded rate, and the rest is counted', async context => {
  const { server, attach } = await serveWire(context)
  const [subscriber, other] = await Promise.all([attach(), attach()])
  let got = 0
  let missed = 0
  await subscriber.onForeign((_, count) => {
    got++
    missed = count
  })
  const { pushBurst, pushesPerSecond } = connectionLimits
  const startedMs = performance.now()
  const burst = 10 * pushBurst
  for (let i = 0; i < burst; i++) server.pushForeign(datagram(20))
  await until('the burst arrives', () => got >= pushBurst)
  let sent = burst
  await until('another one tells what was missed', () => {
    server.pushForeign(datagram(20))
    sent++
    return missed > 0
  })
  assert.ok(got + missed <= sent, `got ${got}, missed ${missed} of ${sent}`)
  // However slow this machine is: the burst, and what was earned since.
  const earned = ((performance.now() - startedMs) * pushesPerSecond) / 1000
  assert.ok(got <= pushBurst + earned, `got ${got}`)
  assert.equal((await other.status()).interfaceName, 'gw0')
})

test('a subscriber that does not read loses datagrams, not the server its memory', async context => {
  const { path, server } = await serveWire(context)
  const client = new RawClient(path)
  client.hello()
  client.send(frameType.subscribe, 2, {})
  await until('it is subscribed', () => client.frames.length === 2)
  client.socket.pause()
  const pushes = 200
  for (let i = 0; i < pushes; i++) server.pushForeign(datagram(60_000))
  client.socket.resume()
  // Answers still come, behind the few datagrams that were queued.
  client.send(frameType.status, 3, {})
  await until('the status comes', () => client.frames.some(frame => frame.id === 3))
  const queued = client.frames.filter(frame => frame.type === frameType.foreign).length
  assert.ok(queued > 0 && queued < 30, `${queued} were queued`)
  client.socket.destroy()
})

test('a bug behind a request is an answer, not the end', async context => {
  const { datapath, attach, lines } = await serveWire(context)
  const client = await attach()
  datapath.status = () => {
    throw new TypeError('of undefined')
  }
  await assert.rejects(client.status(), { code: 'INTERNAL', message: 'of undefined' })
  await client.apply(tablesOf(1))
  assert.ok(lines.some(line => line.includes('of undefined')))
})

/** A frame, whole or with a few bytes changed, or noise: mutants of whole frames get furthest. */
function fuzzed(random: () => number, generation: number): Uint8Array {
  const below = (limit: number) => Math.floor(random() * limit)
  if (random() < 0.2) return Buffer.from(Array.from({ length: below(300) }, () => below(256)))
  const device = { privateKey: [0, 32], listenPort: below(70_000) }
  const heads = [{ generation, device }, {}, { keys: true }, { to: '192.0.2.1:1', bytes: [0, 32] }]
  const head = heads[below(heads.length)]
  const frame = encodeFrame(below(8), below(5), { head, trailer: new Uint8Array(32) })
  for (let change = below(3); change > 0; change--) frame[below(frame.length)] = below(256)
  return frame
}

async function fuzz(context: TestContext, seed: number): Promise<void> {
  const { path, datapath, attach } = await serveWire(context)
  const random = seededRandom(seed)
  const bystander = await attach()
  const outcomes = new Map<unknown, number>()
  for (let round = 1; round <= 1000; round++) {
    const client = new RawClient(path)
    if (random() < 0.9) client.hello()
    for (let i = Math.floor(random() * 6); i >= 0; i--) client.socket.write(fuzzed(random, round))
    const rude = random() < 0.3
    client.socket.end(() => rude && client.socket.destroy())
    await until('the client is gone', () => client.closed)
    for (const { type, head } of client.frames) {
      const outcome = type === frameType.error ? codeOf(head) : type
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
  }
  // Had nothing got through, nothing would have been tested.
  for (const outcome of [frameType.ok, 'EINVAL', 'EPROTO', 'EMSGSIZE', 'ENOSYS'])
    assert.ok(outcomes.has(outcome), `no ${outcome} in ${JSON.stringify([...outcomes])}`)
  const { generation } = datapath.tables
  assert.ok(generation > 0)
  assert.equal((await bystander.status()).generation, generation)
}

test('random bytes and mutated frames never end the server', async context => {
  const seed = testSeed()
  try {
    await fuzz(context, seed)
  } catch (cause) {
    throw new Error(`HAWSER_SEED=${seed}`, { cause })
  }
})
