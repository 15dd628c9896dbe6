import assert from 'node:assert/strict'
import { existsSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { runWireguard, type WireguardParts } from '../../../src/daemon/wg.ts'
import type { DatapathOptions } from '../../../src/datapath/datapath.ts'
import { FakeDatapath } from '../../support/fake-datapath.ts'
import { temporaryDirectory } from '../../support/temporary.ts'
import { ask } from '../../support/uapi-client.ts'

/** A daemon over a fake data path, in this process, once it is ready. */
async function start(context: TestContext) {
  const directory = temporaryDirectory(context)
  const datapath = new FakeDatapath('wg7')
  const order: string[] = []
  const given = Promise.withResolvers<DatapathOptions>()
  const ready = Promise.withResolvers<void>()
  const parts: WireguardParts = {
    secureProcess: keep => order.push(`keep ${keep.join(' ')}`),
    startDatapath: async options => {
      order.push('start')
      given.resolve(options)
      return datapath
    },
  }
  const finished = runWireguard(
    {
      interfaceName: 'wg7',
      tunFd: 77,
      uapiDirectory: directory,
      onReady: ready.resolve,
      log: () => {},
    },
    parts,
  )
  await Promise.race([ready.promise, finished])
  const path = join(directory, 'wg7.sock')
  return { datapath, options: await given.promise, order, finished, path }
}

test('privileges go first, the device dies with the process, and wg can configure it', async context => {
  const { datapath, options, order, finished, path } = await start(context)
  assert.deepEqual(order, ['keep 10 12 13 21', 'start'])
  const { interfaceName, persistent, tunFd } = options
  assert.deepEqual([interfaceName, persistent, tunFd], ['wg7', false, 77])
  const key = Buffer.alloc(32, 'k').toString('hex')
  assert.equal((await ask(path, `set=1\nprivate_key=${key}\n\n`)).errno, 0)
  const { privateKey } = datapath.tables.device
  process.emit('SIGTERM', 'SIGTERM')
  await finished
  assert.equal(datapath.stopped, true)
  assert.equal(existsSync(path), false)
  assert.ok(privateKey?.every(byte => byte === 0))
  assert.equal(process.listenerCount('SIGTERM'), 0)
})

test('SIGINT, a removed socket and a deleted device are clean ends', async context => {
  const ends: readonly ((daemon: Awaited<ReturnType<typeof start>>) => void)[] = [
    () => process.emit('SIGINT', 'SIGINT'),
    ({ path }) => unlinkSync(path),
    ({ options }) => options.onEnd('the device was deleted', false),
  ]
  for (const end of ends) {
    const daemon = await start(context)
    end(daemon)
    await daemon.finished
    assert.equal(daemon.datapath.stopped, true)
    assert.equal(existsSync(daemon.path), false)
  }
})

test('a data path that cannot go on is a failure, with its reason', async context => {
  const daemon = await start(context)
  daemon.options.onEnd('a worker died', true)
  await assert.rejects(daemon.finished, { message: 'wg7: a worker died', exit: 1 })
  assert.equal(daemon.datapath.stopped, true)
})

test('a name that is served already: the device is closed again', async context => {
  const first = await start(context)
  const datapath = new FakeDatapath('wg7')
  const second = runWireguard(
    {
      interfaceName: 'wg7',
      uapiDirectory: join(first.path, '..'),
      onReady: () => assert.fail('it must not become ready'),
      log: () => {},
    },
    { secureProcess: () => {}, startDatapath: async () => datapath },
  )
  await assert.rejects(second, { code: 'EADDRINUSE', message: /wg7\.sock is served by another/ })
  assert.equal(datapath.stopped, true)
  process.emit('SIGTERM', 'SIGTERM')
  await first.finished
})

test('a parent that has gone ends the daemon: nobody knows of it', async context => {
  const datapath = new FakeDatapath('wg7')
  const daemon = runWireguard(
    {
      interfaceName: 'wg7',
      uapiDirectory: temporaryDirectory(context),
      onReady: () => {
        throw Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })
      },
      log: () => {},
    },
    { secureProcess: () => {}, startDatapath: async () => datapath },
  )
  await assert.rejects(daemon, { code: 'EPIPE' })
  assert.equal(datapath.stopped, true)
})

test('what the kernel refuses at the start becomes what to do about it', async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['EPERM', /^wg7: making a TUN device needs root or CAP_NET_ADMIN$/],
    ['ENOENT', /^wg7: there is no \/dev\/net\/tun here$/],
    ['ENODEV', /^wg7: there is no TUN driver here$/],
    ['EBUSY', /^wg7: this interface is in use by another process$/],
    ['EINVAL', /^wg7: this name belongs to a device of another kind$/],
  ]
  for (const [code, message] of cases) {
    const startDatapath = async () => {
      throw Object.assign(new Error(`TUNSETIFF: ${code}`), { code })
    }
    const options = { interfaceName: 'wg7', onReady: () => {}, log: () => {} }
    await assert.rejects(
      runWireguard(options, { secureProcess: () => {}, startDatapath }),
      (error: Error & { hint?: string; exit?: number }) => {
        assert.match(error.message, message)
        assert.ok(error.hint)
        assert.equal(error.exit, 1)
        return true
      },
    )
  }
})
