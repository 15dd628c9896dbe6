import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Command } from 'commander'
import { datapathCommands } from '../../../src/cli/datapath.ts'
import { explainDrop } from '../../../src/cli/drop-reasons.ts'
import { dropsSince } from '../../../src/cli/drops-view.ts'
import { findSocket } from '../../../src/cli/find-socket.ts'
import { parseRemote } from '../../../src/net/address.ts'
import { exitCode } from '../../../src/net/errors.ts'
import { dropNames } from '../../../src/tables/counters.ts'
import type { CableStatus } from '../../../src/tables/status.ts'
import { temporaryDirectory } from '../../support/temporary.ts'
import { serveWire } from '../../support/wire.ts'

const key = Buffer.alloc(32, 1).toString('base64')

const west: CableStatus = {
  name: 'west',
  driver: 'wireguard',
  remote: parseRemote('192.0.2.1:4500'),
  cipher: 'aes-256-gcm',
  lastHandshakeMs: Date.now() - 5000,
  rxBytes: 3 * 1024 * 1024,
  txBytes: 512 * 1024,
  counters: { 'rx-packets': 77 },
  drops: { replayed: 2, 'no-remote': 40 },
}
const north: CableStatus = {
  name: 'north',
  driver: 'vxlan',
  lastHandshakeMs: 0,
  rxBytes: 0,
  txBytes: 0,
  counters: {},
  drops: {},
}

interface Ran {
  readonly out: string
  readonly code: number
}

/** Runs a command line; `looks` are run one before each further look of --watch and --follow. */
async function run(args: readonly string[], looks: (() => void)[] = [], width?: number) {
  let out = ''
  const program = new Command('hawser').exitOverride()
  const commands = datapathCommands({
    write: text => {
      out += text
    },
    widthMax: () => width,
    async *ticks() {
      for (const look of looks) {
        look()
        yield
      }
    },
  })
  for (const command of commands)
    program.addCommand(command.exitOverride().configureOutput({ outputError: () => {} }))
  try {
    await program.parseAsync([...args], { from: 'user' })
    const ran: Ran = { out, code: Number(process.exitCode ?? 0) }
    return ran
  } finally {
    process.exitCode = undefined
  }
}

async function served(context: TestContext) {
  const wire = await serveWire(context)
  wire.datapath.statusFields = { cables: [west, north], drops: { 'no-route': 9 } }
  return wire
}

test('status shows the data path and a row for each cable', async context => {
  const { path, datapath } = await served(context)
  datapath.statusFields = {
    ...datapath.statusFields,
    fwmark: 16,
    offloads: {
      ...{ tunTso: true, tunUso: false, udpSegmentation: true, udpGro: true },
      reasons: { tunUso: 'EINVAL' },
    },
  }
  const { out, code } = await run(['status', '--socket', path])
  assert.equal(code, exitCode.ok)
  const lines = out.split('\n')
  assert.match(lines[0], /^interface {2}gw0, up, mtu 1420$/)
  assert.match(out, /udp port 51820, fwmark 0x10$/m)
  assert.match(out, /tun-tso on, tun-uso off \(EINVAL\), udp-segmentation on, udp-gro on$/m)
  assert.match(out, /^ciphers {4}aes-256-gcm 220 ns a packet \(forms: openssl\)$/m)
  assert.match(out, /^buffers {4}receive 8\.00 MiB, send 4\.00 MiB$/m)
  assert.match(out, /^drops {6}9 of no cable: no-route 9$/m)
  assert.match(out, /^CABLE +DRIVER +CIPHER +REMOTE +HANDSHAKE +RX MiB +TX MiB +DROPS$/m)
  assert.match(
    out,
    /^west +wireguard +aes-256-gcm +192\.0\.2\.1:4500 +[5-9] s ago +3\.00 +0\.50 +42$/m,
  )
  assert.match(out, /^north +vxlan +- +- +- +0\.00 +0\.00 +0$/m)
  const wide = await run(['status', '--socket', path, '-o', 'wide'])
  assert.match(wide.out, /RX PACKETS/)
  assert.match(wide.out, /^west .* 77 /m)
})

test('status as JSON has a versioned envelope and no key', async context => {
  const { path, attach } = await served(context)
  const client = await attach()
  const privateKey = new Uint8Array(32).fill(1)
  await client.apply({
    generation: 1,
    device: { privateKey, listenPort: 0, fwmark: 0 },
    cables: [],
  })
  const { out } = await run(['status', '--socket', path, '-o', 'json'])
  const document = JSON.parse(out)
  assert.deepEqual([document.apiVersion, document.kind], ['hawser.io/v1alpha1', 'DatapathStatus'])
  assert.equal(document.cables[0].remote, '192.0.2.1:4500')
  assert.equal(document.generation, 1)
  assert.equal(out.includes(key) || /key/i.test(out), false)
})

test('a device that is down is unhealthy: exit code 1', async context => {
  const { path, datapath } = await served(context)
  datapath.statusFields = { up: false }
  const { out, code } = await run(['status', '--socket', path])
  assert.equal(code, exitCode.failed)
  assert.match(out, /gw0, DOWN/)
  assert.match(out, /no cables\n$/)
})

test('watching shows it again, and a document a line as JSON', async context => {
  const { path, datapath } = await served(context)
  const later = () => {
    datapath.statusFields = { mtuBytes: 1380 }
  }
  const { out } = await run(['status', '--socket', path, '-w', '-o', 'json'], [later])
  const documents = out.trim().split('\n')
  assert.deepEqual(
    documents.map(line => JSON.parse(line).mtuBytes),
    [1420, 1380],
  )
  const piped = await run(['status', '--socket', path, '-w'], [later])
  assert.equal(piped.out.match(/^interface/gm)?.length, 2)
  assert.equal(piped.out.includes('\x1b'), false)
  const shown = await run(['status', '--socket', path, '-w'], [later], 80)
  assert.ok(shown.out.startsWith('\x1b[H\x1b[J'))
})

test('drops are listed, the largest first, each reason explained', async context => {
  const { path } = await served(context)
  const { out } = await run(['drops', '--socket', path])
  const [table, notes] = out.split('\n\n')
  assert.deepEqual(
    table.split('\n').map(line => line.split(/\s+/)),
    [
      ['CABLE', 'REASON', 'COUNT'],
      ['west', 'no-remote', '40'],
      ['-', 'no-route', '9'],
      ['west', 'replayed', '2'],
    ],
  )
  assert.match(notes, /^no-route: no cable has a prefix for the destination\n {2}try: /m)
  const json = JSON.parse((await run(['drops', '--socket', path, '-o', 'json'])).out)
  assert.deepEqual([json.apiVersion, json.kind], ['hawser.io/v1alpha1', 'DropList'])
  assert.deepEqual(json.drops[1], { reason: 'no-route', count: 9, ...explainDrop('no-route') })
})

test('following drops shows what was added', async context => {
  const { path, datapath } = await served(context)
  const quiet = () => undefined
  const more = () => {
    datapath.statusFields = { cables: [{ ...west, drops: { replayed: 5 } }], drops: {} }
  }
  const { out } = await run(['drops', '--socket', path, '-f'], [quiet, more])
  assert.match(out, /\n\d\d:\d\d:\d\d {2}west {2}replayed {2}\+3\n$/)
  datapath.statusFields = {}
  const empty = await run(['drops', '--socket', path])
  assert.equal(empty.out, 'no drops\n')
})

test('a counter that went back was started anew', () => {
  const before = [{ cable: 'west', reason: 'replayed', count: 7 }]
  const after = [{ cable: 'west', reason: 'replayed', count: 2 }]
  assert.deepEqual(dropsSince(before, after), after)
  assert.deepEqual(dropsSince(after, after), [])
})

test('every drop reason has an explanation of its own', () => {
  const meanings = dropNames.slice(1).map(name => explainDrop(name).meaning)
  assert.equal(new Set(meanings).size, dropNames.length - 1)
  assert.equal(meanings.includes(explainDrop('no such reason').meaning), false)
})

test('apply posts a file with the next generation', async context => {
  const { path, datapath } = await served(context)
  const file = join(temporaryDirectory(context), 'tables.json')
  const cable = { name: 'west', driver: 'wireguard', publicKey: key, allowedIps: ['10.0.0.0/8'] }
  writeFileSync(file, JSON.stringify({ device: { privateKey: key }, cables: [cable] }))
  for (const generation of [1, 2]) {
    const { out } = await run(['apply', '--socket', path, file])
    assert.equal(out, `generation ${generation} in force, cables: 1\n`)
    assert.equal(datapath.tables.generation, generation)
  }
  assert.deepEqual(datapath.tables.device.privateKey, new Uint8Array(32).fill(1))
  writeFileSync(file, JSON.stringify({ generation: 1, device: {} }))
  await assert.rejects(run(['apply', '--socket', path, file]), { code: 'STALE' })
  writeFileSync(file, JSON.stringify({ device: {}, cables: [{ ...cable, publicKey: 'x' }] }))
  await assert.rejects(run(['apply', '--socket', path, file]), {
    code: 'EINVAL',
    message: `${file}: cables[0].publicKey: expected 32 bytes`,
  })
})

test('without a data path every command says how to start one, exit code 3', async context => {
  const path = join(temporaryDirectory(context), 'gw0.sock')
  for (const args of [['status'], ['drops'], ['apply', '/dev/null']])
    await assert.rejects(run([...args, '--socket', path]), {
      exit: exitCode.unreachable,
      message: `cannot reach the data path at ${path}: no such socket`,
      hint: `hawser datapath --interface NAME --socket ${path}`,
    })
})

test('the socket is the one that was named, or the only one', context => {
  const directory = join(temporaryDirectory(context), 'run')
  const none = { exit: exitCode.unreachable, message: `no data path has a socket in ${directory}` }
  assert.throws(() => findSocket({}, directory), none)
  mkdirSync(directory)
  assert.throws(() => findSocket({}, directory), none)
  writeFileSync(join(directory, 'gw0.sock'), '')
  writeFileSync(join(directory, 'datapath.log'), '')
  assert.equal(findSocket({}, directory), join(directory, 'gw0.sock'))
  writeFileSync(join(directory, 'gw1.sock'), '')
  assert.throws(() => findSocket({}, directory), {
    exit: exitCode.usage,
    message: 'several data paths run here: gw0, gw1',
  })
  assert.equal(findSocket({ interface: 'gw1' }, directory), join(directory, 'gw1.sock'))
  assert.equal(findSocket({ socket: '/x' }, directory), '/x')
})

test('wrong flags are usage errors', async () => {
  const rows: readonly (readonly string[])[] = [
    ['datapath'],
    ['datapath', '--interface', 'a/b'],
    ['datapath', '--interface', 'x'.repeat(16)],
    ['datapath', '--interface', '..'],
    ['datapath', '--interface', 'gw0', '--mtu', '67'],
    ['datapath', '--interface', 'gw0', '--mtu', '1e3'],
    ['datapath', '--interface', 'gw0', '--ready-fd', '-1'],
    ['datapath', '--interface', 'gw0', '--ready-fd', '987'],
    ['datapath', '--interface', 'gw0', '--log-level', 'loud'],
    ['status', '-o', 'yaml'],
    ['apply'],
  ]
  for (const args of rows)
    await assert.rejects(run(args), { name: /CommanderError|InvalidArgumentError/ }, args.join(' '))
})
