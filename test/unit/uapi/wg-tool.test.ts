// The listener against the program that the world uses: `wg` of wireguard-tools, over the real
// directory, which the program has compiled in (so this needs root).

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { GatewayError } from '../../../src/net/errors.ts'
import { publicKeyOf } from '../../../src/uapi/own-key.ts'
import { listenUapi } from '../../../src/uapi/server.ts'
import { FakeDatapath } from '../../support/fake-datapath.ts'

const run = promisify(execFile)
const interfaceName = `hwt${process.pid}`

const key = (letter: string): string => Buffer.alloc(32, letter).toString('base64')
const peerA = key('a')
const peerB = key('b')

async function wg(...args: readonly string[]): Promise<string> {
  const env = { PATH: process.env['PATH'] ?? '/usr/bin', WG_HIDE_KEYS: 'never' }
  const options = { env, maxBuffer: 64 * 1024 * 1024 }
  return (await run('wg', [...args], options)).stdout
}

async function serve(context: TestContext, readOnly = false) {
  const datapath = new FakeDatapath(interfaceName)
  const onSocketRemoved = (): void => {}
  const log = (): void => {}
  const server = await listenUapi({ interfaceName, datapath, readOnly, onSocketRemoved, log })
  const directory = mkdtempSync(join(tmpdir(), 'hawser-'))
  context.after(async () => {
    rmSync(directory, { recursive: true })
    await server.close()
  })
  const file = (text: string): string => {
    const path = join(directory, 'config')
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  return { datapath, file }
}

/** The dump of `wg show`: a line for the device and one for each peer, tab-separated. */
async function dump(): Promise<string[][]> {
  const text = await wg('show', interfaceName, 'dump')
  return text
    .trimEnd()
    .split('\n')
    .map(line => line.split('\t'))
}

const config = `[Interface]
PrivateKey = ${key('k')}
ListenPort = 4711
FwMark = 0x20

[Peer]
PublicKey = ${peerA}
PresharedKey = ${key('p')}
Endpoint = 192.0.2.1:51820
PersistentKeepalive = 25
AllowedIPs = 10.1.0.0/16, fd00:1::/48

[Peer]
PublicKey = ${peerB}
Endpoint = [2001:db8::1]:51820
AllowedIPs = 10.2.0.0/16
`

test('wg setconf, show and showconf', async context => {
  const { datapath, file } = await serve(context)
  await wg('setconf', interfaceName, file(config))
  assert.equal(datapath.tables.cables.length, 2)
  const own = Buffer.from(publicKeyOf(Buffer.alloc(32, 'k'))).toString('base64')
  assert.deepEqual(await dump(), [
    [key('k'), own, '4711', '0x20'],
    [peerA, key('p'), '192.0.2.1:51820', '10.1.0.0/16,fd00:1::/48', '0', '0', '0', '25'],
    [peerB, '(none)', '[2001:db8::1]:51820', '10.2.0.0/16', '0', '0', '0', 'off'],
  ])
  assert.ok((await wg('show', 'interfaces')).split(/\s+/).includes(interfaceName))
  assert.match(await wg('show', interfaceName), /persistent keepalive: every 25 seconds/)
  // What showconf writes is a configuration that gives the same again.
  const before = await dump()
  const shown = await wg('showconf', interfaceName)
  await wg('setconf', interfaceName, file(shown))
  assert.deepEqual(await dump(), before)
})

test('wg show: transfer, handshake and the address that a peer has roamed to', async context => {
  const { datapath, file } = await serve(context)
  await wg('setconf', interfaceName, file(config))
  datapath.cableFields.set(datapath.tables.cables[0].name, {
    rxBytes: 1234,
    txBytes: 5678,
    lastHandshakeMs: 1_700_000_000_900,
  })
  const [, first] = await dump()
  assert.deepEqual(first.slice(4, 7), ['1700000000', '1234', '5678'])
})

test('wg set: one value at a time', async context => {
  const { datapath, file } = await serve(context)
  await wg('setconf', interfaceName, file(config))
  await wg('set', interfaceName, 'peer', peerB, 'allowed-ips', '10.1.0.0/16,10.3.0.1/8')
  await wg('set', interfaceName, 'peer', peerA, 'persistent-keepalive', 'off')
  await wg('set', interfaceName, 'listen-port', '4712', 'fwmark', '0')
  await wg('set', interfaceName, 'peer', peerA, 'endpoint', '127.0.0.1:99')
  await wg('set', interfaceName, 'peer', peerA, 'preshared-key', '/dev/null')
  assert.deepEqual(await dump(), [
    [key('k'), (await wg('show', interfaceName, 'public-key')).trim(), '4712', 'off'],
    [peerA, '(none)', '127.0.0.1:99', 'fd00:1::/48', '0', '0', '0', 'off'],
    [peerB, '(none)', '[2001:db8::1]:51820', '10.1.0.0/16,10.0.0.0/8', '0', '0', '0', 'off'],
  ])
  await wg('set', interfaceName, 'peer', peerA, 'remove')
  assert.equal(datapath.tables.cables.length, 1)
  await wg('set', interfaceName, 'private-key', '/dev/null')
  assert.equal(datapath.tables.device.privateKey, undefined)
})

test('wg addconf adds, wg syncconf changes only what differs', async context => {
  const { datapath, file } = await serve(context)
  await wg('setconf', interfaceName, file(config))
  await wg('addconf', interfaceName, file(`[Peer]\nPublicKey = ${key('c')}\n`))
  assert.equal(datapath.tables.cables.length, 3)
  const [kept] = datapath.tables.cables
  const synced = config.replace('10.2.0.0/16', '10.2.0.0/16, 10.9.0.0/24')
  await wg('syncconf', interfaceName, file(synced))
  assert.equal(datapath.tables.cables.length, 2)
  assert.equal(datapath.tables.cables[0].name, kept.name)
  assert.deepEqual(
    (await dump()).slice(1).map(line => line[3]),
    ['10.1.0.0/16,fd00:1::/48', '10.2.0.0/16,10.9.0.0/24'],
  )
})

test('wg says the errors in words', async context => {
  const { datapath } = await serve(context)
  datapath.beforeApply = async () => {
    throw new GatewayError('EADDRINUSE', 'udp port 53 is taken')
  }
  await assert.rejects(wg('set', interfaceName, 'listen-port', '53'), /Address already in use/)
  datapath.status = () => {
    throw new Error('no status')
  }
  await assert.rejects(wg('show', interfaceName), /Input\/output error/)
})

test('read-only: wg show works, wg set is not permitted', async context => {
  await serve(context, true)
  assert.equal((await dump())[0][2], '40000')
  await assert.rejects(wg('set', interfaceName, 'listen-port', '53'), /Operation not permitted/)
})

test('130 560 allowed IPs in one wg set, read back whole', async context => {
  const { file } = await serve(context)
  const prefixes = Array.from(
    { length: 65_280 },
    (_, i) => `10.${i >> 8}.${i & 255}.0/24, fd00:${(i + 1).toString(16)}::/64`,
  )
  const peer = `[Peer]\nPublicKey = ${peerA}\nAllowedIPs = ${prefixes.join(', ')}\n`
  await wg('setconf', interfaceName, file(peer))
  const [line] = (await wg('show', interfaceName, 'allowed-ips')).trimEnd().split('\n')
  assert.deepEqual(line.split('\t')[1].split(' '), prefixes.join(', ').split(', '))
})

test('wg takes no notice of the lines of ours', async context => {
  const { datapath } = await serve(context)
  const peer = { driver: 'wireguard', name: 'a', remoteSerial: 0, keepaliveSeconds: 25 } as const
  const publicKey = new Uint8Array(Buffer.from(peerA, 'base64'))
  const ciphers = { enabled: 'auto', remote: ['aes-256-gcm'] } as const
  const cables = [{ ...peer, publicKey, allowedIps: [], ciphers }]
  datapath.tables = { ...datapath.tables, cables }
  datapath.cableFields.set('a', { cipher: 'aes-256-gcm', txBytes: 7 })
  const [, line] = await dump()
  assert.deepEqual([line[0], line[6], line[7]], [peerA, '7', '25'])
})
