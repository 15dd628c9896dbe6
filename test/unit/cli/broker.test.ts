// `hawser broker serve` and `hawser api serve` as programs: what they write, say and refuse.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { InvalidArgumentError } from 'commander'
import { hostOf, parseListen, urlOf } from '../../../src/cli/serving.ts'
import { parseBrokerInfo } from '../../../src/kube/broker-info.ts'
import { RawApi } from '../../support/raw-api.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

const main = new URL('../../../src/cli/main.ts', import.meta.url).pathname

interface Program {
  readonly errors: () => string
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>
  ready(): Promise<void>
  stop(): Promise<number | null>
}

function start(context: TestContext, args: readonly string[]): Program {
  const child = spawn(process.execPath, [main, ...args, '--ready-fd', '3'], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  let errors = ''
  child.stderr?.on('data', chunk => (errors += chunk))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  const stop = () => {
    if (child.exitCode === null) child.kill('SIGTERM')
    return ended
  }
  context.after(stop)
  const ready = async () => {
    const pipe = child.stdio[3] as import('node:stream').Readable
    const [first] = (await Promise.race([once(pipe, 'data'), ended.then(code => [code])])) as [
      unknown,
    ]
    assert.equal(String(first), 'ready\n', errors)
  }
  return { errors: () => errors, ended, ready, stop }
}

test('broker serve writes a join file that opens the broker, and keeps everything', async context => {
  const directory = join(temporaryDirectory(context), 'broker')
  const url = 'https://broker.example:7443'
  const args = ['broker', 'serve', '--data', directory, '--listen', '127.0.0.1:0']
  const first = start(context, [...args, '--public-url', url])
  await first.ready()
  const file = join(directory, 'broker-info.subm')
  const info = parseBrokerInfo(readFileSync(file, 'utf8'))
  assert.equal(info.brokerUrl, url)
  assert.deepEqual(info.components, ['connectivity', 'service-discovery'])
  assert.equal(info.psk?.length, 48)
  assert.match(new TextDecoder().decode(info.token.ca), /BEGIN CERTIFICATE/)
  assert.equal(await first.stop(), 0)
  assert.match(first.errors(), /hawser join .*broker-info\.subm/)
  assert.match(first.errors(), /no high availability/)
  const secret = new TextDecoder().decode(info.token.token)
  assert.ok(!first.errors().includes(secret))
  for (const name of readdirSync(directory).filter(each => each !== 'tls')) {
    assert.equal(statSync(join(directory, name)).mode & 0o077, 0, name)
  }

  const second = start(context, args)
  await second.ready()
  const again = parseBrokerInfo(readFileSync(file, 'utf8'))
  assert.deepEqual({ ...again, brokerUrl: url }, info)
  const kept = readdirSync(directory).filter(name => name.startsWith('broker-info.subm.'))
  assert.equal(kept.length, 1)
  const raw = new RawApi({
    url: again.brokerUrl,
    ca: new TextDecoder().decode(again.token.ca),
    token: secret,
  })
  context.after(() => raw.close())
  const path = `/apis/submariner.io/v1alpha1/namespaces/${again.token.namespace}/brokers`
  const brokers = await raw.ok('GET', path)
  assert.equal((brokers['items'] as readonly unknown[]).length, 1)

  const third = start(context, args)
  assert.equal(await third.ended, 1)
  assert.match(third.errors(), /in use by another process/)
  assert.equal(await second.stop(), 0)
})

test('api serve writes kubeconfigs, on loopback alone', async context => {
  const directory = temporaryDirectory(context)
  const args = ['api', 'serve', '--data', directory, '--memory', '--service-cidr', '10.45.0.0/16']
  const refused = start(context, [...args, '--listen', '0.0.0.0:0'])
  assert.equal(await refused.ended, 2)
  assert.match(refused.errors(), /loopback/)
  const lab = start(context, args)
  await lab.ready()
  for (const name of ['admin', 'component']) {
    const file = join(directory, `${name}.kubeconfig`)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.match(readFileSync(file, 'utf8'), /https:\/\/127\.0\.0\.1:\d+/)
  }
  assert.equal(await lab.stop(), 0)
})

test('where to listen is an address and a port', () => {
  const rows: readonly (readonly [string, string | undefined, number])[] = [
    [':6443', undefined, 6443],
    ['0.0.0.0:1', '0.0.0.0', 1],
    ['[::]:6443', '::', 6443],
    ['[2001:DB8::1]:0', '2001:db8::1', 0],
  ]
  for (const [text, host, port] of rows) assert.deepEqual(parseListen(text), { host, port })
  for (const text of ['', '6443', 'x:1', '::1:6443', '1.2.3.4:70000', '[1.2.3:1']) {
    assert.throws(() => parseListen(text), InvalidArgumentError, text)
  }
  assert.equal(urlOf({ host: '2001:db8::1', port: 0 }, 7), 'https://[2001:db8::1]:7')
  assert.equal(hostOf('https://[2001:db8::1]:7/x'), '2001:db8::1')
  for (const url of ['http://x', 'x', 'https://x?y']) {
    assert.throws(() => hostOf(url), { code: 'BAD_FLAG' }, url)
  }
})
