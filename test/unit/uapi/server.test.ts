import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseRemote } from '../../../src/net/address.ts'
import { GatewayError } from '../../../src/net/errors.ts'
import { EADDRINUSE, EAGAIN, EINVAL, EIO, EPERM, EPROTO } from '../../../src/uapi/errno.ts'
import { connectionsMax, listenUapi, type UapiServerOptions } from '../../../src/uapi/server.ts'
import { FakeDatapath } from '../../support/fake-datapath.ts'
import { temporaryDirectory, until } from '../../support/temporary.ts'
import { ask, UapiClient } from '../../support/uapi-client.ts'

const key = (letter: string): string => Buffer.alloc(32, letter).toString('hex')

async function serve(context: TestContext, options: Partial<UapiServerOptions> = {}) {
  const datapath = new FakeDatapath('wg7')
  const lines: string[] = []
  const removed = { count: 0 }
  const server = await listenUapi({
    interfaceName: 'wg7',
    datapath,
    readOnly: false,
    directory: join(temporaryDirectory(context), 'wireguard'),
    onSocketRemoved: () => removed.count++,
    log: line => lines.push(line),
    ...options,
  })
  context.after(() => server.close())
  return { datapath, server, path: server.path, lines, removed }
}

test('what was set is read back', async context => {
  const { path, datapath } = await serve(context)
  const set = await ask(
    path,
    `set=1\nprivate_key=${key('k')}\nlisten_port=5000\nfwmark=9\npublic_key=${key('a')}
preshared_key=${key('p')}\nendpoint=[2001:db8::1]:7\npersistent_keepalive_interval=25
allowed_ip=10.0.0.0/8\nallowed_ip=fd00::/64\npublic_key=${key('b')}\n\n`,
  )
  assert.deepEqual(set, { lines: [], errno: 0 })
  datapath.cableFields.set(datapath.tables.cables[0].name, {
    lastHandshakeMs: 1_700_000_000_250,
    rxBytes: 148,
    txBytes: 2 ** 52,
    remote: parseRemote('192.0.2.9:99'),
  })
  assert.deepEqual(await ask(path, 'get=1\n\n'), {
    lines: [
      `private_key=${key('k')}`,
      'listen_port=5000',
      'fwmark=9',
      `public_key=${key('a')}`,
      `preshared_key=${key('p')}`,
      'protocol_version=1',
      'endpoint=192.0.2.9:99',
      'last_handshake_time_sec=1700000000',
      'last_handshake_time_nsec=250000000',
      'tx_bytes=4503599627370496',
      'rx_bytes=148',
      'persistent_keepalive_interval=25',
      'allowed_ip=10.0.0.0/8',
      'allowed_ip=fd00::/64',
      `public_key=${key('b')}`,
      `preshared_key=${'0'.repeat(64)}`,
      'protocol_version=1',
      'last_handshake_time_sec=0',
      'last_handshake_time_nsec=0',
      'tx_bytes=0',
      'rx_bytes=0',
      'persistent_keepalive_interval=0',
    ],
    errno: 0,
  })
})

test('a peer with a choice of ciphers has lines of ours behind the known ones', async context => {
  const { path, datapath } = await serve(context)
  const set = `set=1\npublic_key=${key('a')}\nhawser_ciphers=auto\nhawser_remote_ciphers=aes-256-gcm`
  assert.equal((await ask(path, `${set}\nallowed_ip=10.0.0.0/8\n\n`)).errno, 0)
  const ownLines = async () =>
    (await ask(path, 'get=1\n\n')).lines.filter(line => line.startsWith('hawser_'))
  const ciphers = ['hawser_ciphers=auto', 'hawser_remote_ciphers=aes-256-gcm']
  assert.deepEqual(await ownLines(), ciphers)
  datapath.cableFields.set(datapath.tables.cables[0].name, { cipher: 'aes-256-gcm' })
  assert.deepEqual(await ownLines(), ['hawser_cipher=aes-256-gcm', ...ciphers])
})

test('errors: negative for a set, positive for a get, and nothing is changed', async context => {
  const { path, datapath } = await serve(context)
  const { tables } = datapath
  const cases: readonly (readonly [string, number])[] = [
    [`set=1\nlisten_port=1\npublic_key=${key('a')}\ncolour=green\n\n`, -EINVAL],
    ['set=1\nlisten_port=1\nremove=true\n\n', -EINVAL],
    ['get=1\nlisten_port\n\n', EINVAL],
    ['get=3\n\n', -EPROTO],
  ]
  for (const [request, errno] of cases) assert.equal((await ask(path, request)).errno, errno)
  assert.equal(datapath.tables, tables)
})

test('what the data path refuses becomes its errno', async context => {
  const { path, datapath, lines } = await serve(context)
  const failures: readonly (readonly [Error, number])[] = [
    [new GatewayError('EADDRINUSE', 'udp port 53 is taken'), -EADDRINUSE],
    [new GatewayError('EPERM', 'fwmark needs CAP_NET_ADMIN'), -EPERM],
    [new GatewayError('NO_SUCH_CODE', 'something else'), -EIO],
    [new TypeError('a bug'), -EIO],
  ]
  for (const [error, errno] of failures) {
    datapath.beforeApply = async () => {
      throw error
    }
    assert.equal((await ask(path, 'set=1\nlisten_port=53\n\n')).errno, errno)
    assert.ok(lines.some(line => line.includes(error.message)))
  }
  assert.equal(datapath.tables.generation, 0)
  datapath.status = () => {
    throw new Error('no status')
  }
  assert.equal((await ask(path, 'get=1\n\n')).errno, EIO)
})

test('several requests on one connection are answered in order', async context => {
  const { path } = await serve(context)
  const client = await UapiClient.connect(path)
  client.send(`set=1\nlisten_port=1\n\nget=1\n\nset=1\nlisten_port=99999\n\nget=1\n\n`)
  assert.equal((await client.answer()).errno, 0)
  assert.deepEqual(await client.answer(), { lines: ['listen_port=1'], errno: 0 })
  assert.equal((await client.answer()).errno, -EINVAL)
  assert.deepEqual(await client.answer(), { lines: ['listen_port=1'], errno: 0 })
  client.close()
})

test('the end of the stream ends a set; half a line is refused', async context => {
  const { path, datapath } = await serve(context)
  for (const [text, errno] of [
    ['set=1\nlisten_port=8\n', 0],
    ['set=1\nlisten_port=9', -EPROTO],
  ] as const) {
    const client = await UapiClient.connect(path)
    client.send(text)
    client.finish()
    assert.equal((await client.answer()).errno, errno)
    await client.ended()
  }
  assert.equal(datapath.tables.device.listenPort, 8)
})

test('sets of many connections run one after the other and none is lost', async context => {
  const { path, datapath } = await serve(context)
  let running = 0
  datapath.beforeApply = async () => {
    assert.equal(++running, 1)
    await new Promise(resolve => setImmediate(resolve))
    running--
  }
  const letters = [...'abcdefghijklmnopqrst']
  const answers = await Promise.all(
    letters.map(letter => ask(path, `set=1\npublic_key=${key(letter)}\n\n`)),
  )
  assert.ok(answers.every(({ errno }) => errno === 0))
  assert.equal(datapath.tables.cables.length, letters.length)
})

test('130 560 allowed IPs are set at once and read back whole', async context => {
  const { path, datapath } = await serve(context)
  const lines: string[] = []
  for (let i = 0; i < 65_280; i++) {
    lines.push(`allowed_ip=10.${i >> 8}.${i & 255}.0/24`)
    lines.push(`allowed_ip=fd00:${(i + 1).toString(16)}::/64`)
  }
  const started = performance.now()
  const set = await ask(path, `set=1\npublic_key=${key('a')}\n${lines.join('\n')}\n\n`)
  const setMs = performance.now() - started
  assert.equal(set.errno, 0)
  assert.equal(datapath.tables.cables[0].allowedIps.length, 130_560)
  const got = await ask(path, 'get=1\n\n')
  const prefixes = got.lines.filter(line => line.startsWith('allowed_ip='))
  assert.deepEqual(prefixes, lines)
  // All of them move to another peer, and the first one keeps none.
  const moved = await ask(path, `set=1\npublic_key=${key('b')}\n${lines.join('\n')}\n\n`)
  assert.equal(moved.errno, 0)
  assert.deepEqual(
    datapath.tables.cables.map(cable => cable.allowedIps.length),
    [0, 130_560],
  )
  context.diagnostic(`set ${Math.round(setMs)} ms`)
})

test('a reader that stalls delays nobody, and gets all in the end', async context => {
  const { path, datapath } = await serve(context)
  const lines = Array.from({ length: 65_536 }, (_, i) => `allowed_ip=10.${i >> 8}.${i & 255}.0/24`)
  await ask(
    path,
    `set=1\npublic_key=${key('a')}\npreshared_key=${key('p')}\n${lines.join('\n')}\n\n`,
  )
  const slow = await UapiClient.connect(path)
  slow.socket.pause()
  slow.send('get=1\n\n')
  assert.equal((await ask(path, 'set=1\nlisten_port=77\n\n')).errno, 0)
  assert.equal((await ask(path, `set=1\npublic_key=${key('a')}\nremove=true\n\n`)).errno, 0)
  assert.equal(datapath.tables.cables.length, 0)
  slow.socket.resume()
  const answer = await slow.answer()
  assert.equal(answer.lines.filter(line => line.startsWith('allowed_ip=')).length, lines.length)
  assert.ok(answer.lines.includes(`preshared_key=${key('p')}`))
  slow.close()
})

test('keys that are out of force are wiped, those in force are not', async context => {
  const { path, datapath } = await serve(context)
  const isZero = (bytes: Uint8Array | undefined) => bytes?.every(byte => byte === 0)
  const peerA = `public_key=${key('a')}\npreshared_key=${key('p')}`
  await ask(path, `set=1\nprivate_key=${key('k')}\n${peerA}\n\n`)
  const first = datapath.tables
  let refused = first
  datapath.beforeApply = async tables => {
    refused = tables
    throw new GatewayError('EADDRINUSE', 'taken')
  }
  await ask(path, `set=1\nprivate_key=${key('m')}\nlisten_port=1\n\n`)
  assert.equal(isZero(refused.device.privateKey), true)
  assert.equal(isZero(first.device.privateKey), false)
  datapath.beforeApply = async () => {}
  await ask(path, `set=1\nprivate_key=${key('n')}\n\n`)
  assert.equal(isZero(first.device.privateKey), true)
  const [cable] = first.cables
  assert.ok(cable.driver === 'wireguard')
  assert.equal(isZero(cable.presharedKey), false)
  await ask(path, `set=1\nreplace_peers=true\n\n`)
  assert.equal(isZero(cable.presharedKey), true)
  assert.equal(isZero(datapath.tables.device.privateKey), false)
})

test('read-only: a get answers, a set is EPERM', async context => {
  const { path, datapath } = await serve(context, { readOnly: true })
  assert.equal((await ask(path, 'set=1\nlisten_port=1\n\n')).errno, -EPERM)
  assert.deepEqual(await ask(path, 'get=1\n\n'), { lines: ['listen_port=40000'], errno: 0 })
  assert.equal(datapath.tables.generation, 0)
})

test('peers that vanish in the middle of anything leave the server whole', async context => {
  const { path } = await serve(context)
  for (const text of [
    '',
    's',
    'set=1\n',
    `set=1\nprivate_key=${key('k')}`,
    'get=1\n\n'.repeat(99),
  ]) {
    for (let i = 0; i < 5; i++) {
      const socket = connect(path)
      socket.on('error', () => {})
      socket.write(text, () => socket.destroy())
      await once(socket, 'close')
    }
  }
  assert.deepEqual(await ask(path, 'get=1\n\n'), { lines: ['listen_port=40000'], errno: 0 })
})

test('too many connections: the next is told EAGAIN, and room comes back', async context => {
  const { path } = await serve(context)
  const idle: UapiClient[] = []
  for (let i = 0; i < connectionsMax; i++) idle.push(await UapiClient.connect(path))
  assert.equal((await ask(path, 'get=1\n\n')).errno, EAGAIN)
  assert.equal((await ask(path, 'set=1\nlisten_port=1\n\n')).errno, -EAGAIN)
  for (const client of idle) client.close()
  const endMs = performance.now() + 20_000
  while ((await ask(path, 'get=1\n\n')).errno !== 0) assert.ok(performance.now() < endMs)
})

test('the socket is for its owner alone, in a directory that all may see', async context => {
  const { path, server } = await serve(context)
  assert.equal(statSync(path).mode & 0o777, 0o700)
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o755)
  assert.deepEqual(readdirSync(join(path, '..')), ['wg7.sock'])
  await server.close()
  assert.equal(existsSync(path), false)
})

test('a stale socket is taken over, a live one is not, and no other file is touched', async context => {
  const directory = temporaryDirectory(context)
  const first = await serve(context, { directory })
  await assert.rejects(serve(context, { directory }), { code: 'EADDRINUSE' })
  assert.equal((await ask(first.path, 'get=1\n\n')).errno, 0)
  await first.server.close()
  // What a killed daemon leaves behind: a socket that was bound and that nobody listens on.
  const dead = createServer()
  await new Promise<void>(resolve => dead.listen(`${first.path}.dead`, resolve))
  linkSync(`${first.path}.dead`, first.path)
  await new Promise(resolve => dead.close(resolve))
  const second = await serve(context, { directory })
  assert.equal((await ask(second.path, 'get=1\n\n')).errno, 0)
  await second.server.close()
  writeFileSync(first.path, 'precious')
  await assert.rejects(serve(context, { directory }), { code: 'EEXIST', hint: /rm / })
  assert.ok(existsSync(first.path))
})

test('a directory that cannot be made is one clear error', async context => {
  const file = join(temporaryDirectory(context), 'file')
  writeFileSync(file, '')
  await assert.rejects(serve(context, { directory: file }), { message: /cannot serve .*file/ })
})

test('removing or replacing the socket file is noticed, its neighbours are not', async context => {
  const directory = temporaryDirectory(context)
  const removed = await serve(context, { directory })
  mkdirSync(join(directory, 'other'))
  writeFileSync(join(directory, 'wg8.sock'), '')
  unlinkSync(join(directory, 'wg8.sock'))
  await ask(removed.path, 'get=1\n\n')
  assert.equal(removed.removed.count, 0)
  unlinkSync(removed.path)
  await until('the removal is noticed', () => removed.removed.count === 1)

  const replaced = await serve(context, { directory })
  const successor = await serve(context, { directory: join(directory, 'other') })
  renameSync(successor.path, replaced.path)
  await until('the replacement is noticed', () => replaced.removed.count === 1)
  // The end of the first one must leave the socket of its successor alone.
  await replaced.server.close()
  assert.equal((await ask(replaced.path, 'get=1\n\n')).errno, 0)
})

test('closing does not count as a removal', async context => {
  const { server, removed } = await serve(context)
  await server.close()
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(removed.count, 0)
})

test('a listening descriptor is adopted', async context => {
  const directory = temporaryDirectory(context)
  const path = join(directory, 'wg7.sock')
  const adopter = `
    import { listenUapi } from ${JSON.stringify(new URL('../../../src/uapi/server.ts', import.meta.url).href)}
    import { FakeDatapath } from ${JSON.stringify(new URL('../../support/fake-datapath.ts', import.meta.url).href)}
    const server = await listenUapi({ interfaceName: 'wg7', datapath: new FakeDatapath('wg7'),
      readOnly: false, directory: ${JSON.stringify(directory)}, fd: 3,
      onSocketRemoved: () => server.close(), log: () => {} })`
  const listener = createServer()
  await new Promise<void>(resolve => listener.listen(`${path}.bound`, resolve))
  linkSync(`${path}.bound`, path)
  const { fd } = Reflect.get(listener, '_handle') as { fd: number }
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', adopter], {
    stdio: ['ignore', 'inherit', 'inherit', fd],
  })
  const exited = once(child, 'exit')
  await once(child, 'spawn')
  listener.close()
  assert.deepEqual(await ask(path, 'get=1\n\n'), { lines: ['listen_port=40000'], errno: 0 })
  unlinkSync(path)
  assert.deepEqual(await exited, [0, null])
})

test('a descriptor that is no socket is one clear error', async context => {
  for (const fd of [2, 9999]) {
    await assert.rejects(serve(context, { fd }), { code: 'EINVAL', message: /descriptor/ })
  }
})
