import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Command, CommanderError } from 'commander'
import { cableCommand } from '../../../src/cli/cable.ts'
import { parseAddress, parsePrefix, parseRemote } from '../../../src/net/address.ts'
import { GatewayError } from '../../../src/net/errors.ts'
import type { CableTable, Tables, WireguardCable } from '../../../src/tables/tables.ts'
import { serveWire } from '../../support/wire.ts'

/** Made anew each time: the data path wipes the keys of tables that it has replaced. */
const west = (changes: Partial<WireguardCable> = {}): WireguardCable => ({
  name: 'west',
  driver: 'wireguard',
  remote: parseRemote('192.0.2.1:4500'),
  remoteSerial: 3,
  allowedIps: [parsePrefix('10.2.0.0/16')],
  mtuBytes: 1380,
  publicKey: new Uint8Array(32).fill(2),
  presharedKey: new Uint8Array(32).fill(3),
  keepaliveSeconds: 25,
  ...changes,
})
const north: CableTable = {
  name: 'north',
  driver: 'vxlan',
  remoteSerial: 0,
  allowedIps: [],
  tunnelAddress: parseAddress('241.0.0.2'),
}

function tablesOf(generation: number, ...cables: CableTable[]): Tables {
  const vxlan = { vni: 1000, address: parseAddress('241.0.0.1'), mac: new Uint8Array(6) }
  const privateKey = new Uint8Array(32).fill(1)
  return { generation, device: { privateKey, listenPort: 4500, fwmark: 0, vxlan }, cables }
}

async function served(context: TestContext) {
  const wire = await serveWire(context)
  wire.datapath.tables = tablesOf(7, west(), north)
  const status = { lastHandshakeMs: 0, rxBytes: 0, txBytes: 0, counters: {}, drops: {} }
  wire.datapath.statusFields = {
    cables: [
      {
        ...{ name: 'west', driver: 'wireguard', cipher: 'chacha20-poly1305', ...status },
        remote: parseRemote('198.51.100.9:1234'),
      },
      { name: 'north', driver: 'vxlan', ...status },
    ],
  }
  const run = async (...args: string[]) => {
    let out = ''
    const write = (text: string) => {
      out += text
    }
    const cable = cableCommand({ write, widthMax: () => undefined, async *ticks() {} })
    for (const command of [cable, ...cable.commands])
      command.exitOverride().configureOutput({ outputError: () => {} })
    const program = new Command('hawser').exitOverride().addCommand(cable)
    const [verb, ...rest] = args
    const line = ['cable', verb, '--socket', wire.path, ...rest]
    await program.parseAsync(line, { from: 'user' })
    return out
  }
  return { ...wire, run }
}

test('list and show tell what is in force and what either side takes', async context => {
  const { datapath, run } = await served(context)
  const list = (await run('list')).split('\n').map(line => line.split(/ {3,}/))
  assert.deepEqual(list, [
    ['CABLE', 'DRIVER', 'REMOTE', 'CIPHER', 'ENABLED', 'REMOTE TAKES'],
    [
      ...['west', 'wireguard', '198.51.100.9:1234'],
      ...['chacha20-poly1305', 'chacha20-poly1305', 'unknown'],
    ],
    ['north', 'vxlan', '-', '-', '-', '-'],
    [''],
  ])
  datapath.tables = tablesOf(8, west({ ciphers: { enabled: 'auto', remote: ['aes-256-gcm'] } }))
  assert.match(await run('show', 'west'), /^west .* auto +aes-256-gcm$/m)
  const shown = JSON.parse(await run('show', 'west', '-o', 'json'))
  assert.deepEqual(
    [shown.kind, shown.cipher, shown.ciphers],
    ['Cable', 'chacha20-poly1305', { enabled: 'auto', remote: ['aes-256-gcm'] }],
  )
  const { kind, interfaceName, cables } = JSON.parse(await run('list', '-o', 'json'))
  assert.deepEqual([kind, interfaceName, cables.length], ['CableList', 'gw0', 1])
  datapath.tables = tablesOf(9)
  assert.equal(await run('list'), 'no cables\n')
})

test('set changes the ciphers of one cable, and nothing else', async context => {
  const { datapath, run } = await served(context)
  const out = await run('set', 'west', '--cipher', 'aes-256-gcm,chacha20-poly1305')
  assert.match(
    out,
    /^cable west: aes-256-gcm,chacha20-poly1305, remote takes unknown; generation 8/,
  )
  const enabled = ['aes-256-gcm', 'chacha20-poly1305'] as const
  assert.deepEqual(datapath.tables, tablesOf(8, west({ ciphers: { enabled } }), north))
  await run('set', 'west', '--remote-ciphers', 'aes-256-gcm')
  const remote = ['aes-256-gcm'] as const
  assert.deepEqual(datapath.tables.cables[0], west({ ciphers: { enabled, remote } }))
  await run('set', 'west', '--cipher', 'auto')
  assert.deepEqual(datapath.tables.cables[0], west({ ciphers: { enabled: 'auto', remote } }))
  assert.equal(datapath.tables.generation, 10)
})

test('set reads again when somebody else has posted meanwhile', async context => {
  const { datapath, run, attach } = await served(context)
  const other = await attach()
  let posts = 0
  // The other client's post comes in between the reading and the posting.
  datapath.beforeApply = async tables => {
    if (posts++ > 0 || tables.generation !== 8) return
    datapath.tables = tablesOf(20, west({ keepaliveSeconds: 5 }))
    throw new GatewayError('STALE', 'generation 8 is not above 20, which is in force')
  }
  await run('set', 'west', '--cipher', 'auto')
  assert.deepEqual(datapath.tables, {
    ...tablesOf(21, west({ keepaliveSeconds: 5, ciphers: { enabled: 'auto' } })),
  })
  assert.equal((await other.status()).generation, 21)
})

test('what is wrong ends with exit code 2 and says what there is', async context => {
  const { datapath, run } = await served(context)
  const cases: readonly (readonly [string[], RegExp])[] = [
    [['set', 'east', '--cipher', 'auto'], /no cable has the name "east"/],
    [['set', 'north', '--cipher', 'auto'], /driver vxlan: it has no cipher/],
    [['set', 'west'], /nothing to set/],
    [['show', 'east'], /no cable has the name "east"/],
  ]
  for (const [args, message] of cases)
    await assert.rejects(run(...args), (error: unknown) => {
      assert.ok(error instanceof GatewayError && error.exit === 2, String(error))
      assert.ok(error.hint !== undefined)
      return message.test(error.message)
    })
  const usage: readonly (readonly [string[], RegExp])[] = [
    [['--cipher', 'des'], /unknown cipher "des"; known are chacha20-poly1305, aes-256-gcm, auto$/],
    [['--cipher', 'none'], /a cable without a cipher is one of the driver vxlan/],
    [['--remote-ciphers', 'auto'], /unknown cipher "auto"/],
    [['--cipher', 'aes-256-gcm,aes-256-gcm'], /twice/],
  ]
  for (const [args, message] of usage)
    await assert.rejects(run('set', 'west', ...args), (error: unknown) => {
      assert.ok(error instanceof CommanderError, String(error))
      return message.test(error.message)
    })
  assert.equal(datapath.tables.generation, 7)
})
