import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { DatapathDaemonOptions } from '../../../src/daemon/datapath.ts'
import { DatapathClient } from '../../../src/wire/client.ts'
import { temporaryDirectory, until } from '../../support/temporary.ts'

const program = fileURLToPath(new URL('../../support/datapath-daemon.ts', import.meta.url))

interface Daemon {
  readonly socketPath: string
  readonly directory: string
  readonly out: () => string[]
  readonly errors: () => string
  readonly signal: (name: NodeJS.Signals) => void
  readonly deleteDevice: () => void
  /** Resolves with the exit code, -1 when a signal killed it. */
  readonly ended: Promise<number>
  readonly ready: Promise<string>
}

function startDaemon(
  context: TestContext,
  more: Partial<DatapathDaemonOptions> = {},
  failure = '',
): Daemon {
  const directory = temporaryDirectory(context)
  const socketPath = join(directory, 'gw0.sock')
  const endFile = join(directory, 'end')
  const options = {
    interfaceName: 'gw0',
    socketPath,
    pairs: 1,
    ephemeral: false,
    readyFd: 3,
    ...more,
  }
  const child = spawn(process.execPath, [program, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, HAWSER_TEST_END: endFile, HAWSER_TEST_FAIL: failure },
  })
  context.after(() => child.kill('SIGKILL'))
  let out = ''
  let errors = ''
  let announced = ''
  child.stdout?.on('data', chunk => {
    out += chunk
  })
  child.stderr?.on('data', chunk => {
    errors += chunk
  })
  const ready = new Promise<string>(resolve => {
    const pipe = child.stdio[3] as NodeJS.ReadableStream
    pipe.on('data', chunk => {
      announced += chunk
    })
    pipe.on('end', () => resolve(announced))
  })
  return {
    socketPath,
    directory,
    out: () => out.trim().split('\n'),
    errors: () => errors,
    signal: name => child.kill(name),
    deleteDevice: () => writeFileSync(endFile, ''),
    ended: new Promise(resolve => child.on('close', code => resolve(code ?? -1))),
    ready,
  }
}

test('it starts in order, tells that it is ready once, and ends cleanly by signals', async context => {
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    const daemon = startDaemon(context, { mtuBytes: 1380 })
    assert.equal(await daemon.ready, 'ready\n')
    const client = await DatapathClient.connect(daemon.socketPath)
    assert.equal((await client.status()).interfaceName, 'gw0')
    daemon.signal(name)
    assert.equal(await daemon.ended, 0)
    assert.deepEqual(daemon.out(), [
      'chose offloads',
      'kept 10 12 13',
      'datapath gw0 persistent true mtu 1380',
      'uapi gw0',
      'device kept',
      'uapi stopped',
      'datapath stopped',
      'exit 0',
    ])
    assert.equal(existsSync(daemon.socketPath), false)
    assert.match(daemon.errors(), new RegExp(`gw0 ends: ${name}$`, 'm'))
    assert.equal(await client.closed, 'the data path ends')
  }
})

test('a deleted device ends it with 0 and a line, a dead worker with 1', async context => {
  for (const [failure, code] of [
    ['', 0],
    ['worker', 1],
  ] as const) {
    const daemon = startDaemon(context, { ephemeral: true }, failure)
    await daemon.ready
    daemon.deleteDevice()
    assert.equal(await daemon.ended, code)
    assert.match(daemon.errors(), /gw0 ends: the device was deleted\n$/)
    assert.match(daemon.out()[2], /persistent false/)
  }
})

test('first tables come from a file, and a bad file stops it before anything is opened', async context => {
  const directory = temporaryDirectory(context)
  const tablesFile = join(directory, 'tables.json')
  writeFileSync(tablesFile, '{"generation": 9, "device": {"listenPort": 4500}}')
  const daemon = startDaemon(context, { tablesFile })
  await daemon.ready
  const client = await DatapathClient.connect(daemon.socketPath)
  assert.equal((await client.readTables()).device.listenPort, 4500)
  assert.equal((await client.status()).generation, 9)
  client.close()
  daemon.signal('SIGTERM')
  assert.equal(await daemon.ended, 0)

  writeFileSync(tablesFile, '{"device": {"listenPort": true}}')
  const refused = startDaemon(context, { tablesFile })
  assert.equal(await refused.ended, 1)
  assert.match(refused.errors(), /tables\.json: device\.listenPort: expected a whole number/)
  assert.deepEqual(refused.out(), [''])
})

test('when a part does not start, the others are stopped', async context => {
  const daemon = startDaemon(context, {}, 'uapi')
  assert.equal(await daemon.ended, 1)
  assert.equal(await daemon.ready, '')
  assert.deepEqual(daemon.out().slice(2), [
    'datapath gw0 persistent true mtu undefined',
    'datapath stopped',
  ])
  assert.equal(existsSync(daemon.socketPath), false)
})

test('when a part does not stop, the others are', async context => {
  const daemon = startDaemon(context, {}, 'stop')
  await daemon.ready
  daemon.signal('SIGTERM')
  assert.equal(await daemon.ended, 0)
  assert.match(daemon.errors(), /while stopping: uapi would not stop/)
  assert.ok(daemon.out().includes('datapath stopped'))
})

test('two on one path: the second says so and touches nothing', async context => {
  const first = startDaemon(context)
  await first.ready
  const second = startDaemon(context, { socketPath: first.socketPath })
  assert.equal(await second.ended, 1)
  assert.match(second.errors(), /another process serves/)
  const client = await DatapathClient.connect(first.socketPath)
  assert.equal((await client.status()).up, true)
  client.close()
})

test('it goes on when nobody listens for the ready line or reads the log', async context => {
  // Descriptor 999 is not open: the supervisor is gone.
  const daemon = startDaemon(context, { readyFd: 999 })
  await until('it serves', () => daemon.errors().includes('cannot tell that it is ready'))
  const client = await DatapathClient.connect(daemon.socketPath)
  assert.equal((await client.status()).up, true)
  client.close()
})
