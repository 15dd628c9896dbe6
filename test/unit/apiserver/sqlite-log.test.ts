// The log on disk: what it keeps, who may open it, what a full disk does, and kill -9 at any time.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { SqliteLog } from '../../../src/apiserver/sqlite-log.ts'
import { Store } from '../../../src/apiserver/store.ts'
import { GatewayError } from '../../../src/net/errors.ts'
import { RawApi } from '../../support/raw-api.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

const main = new URL('../../../src/cli/main.ts', import.meta.url).pathname
const filler = new URL('../../support/log-filler.ts', import.meta.url).pathname

const open = (directory: string) => new Store(['configmaps', 'secrets'], new SqliteLog(directory))

function note(name: string, text: string) {
  return { kind: 'ConfigMap', metadata: { name, namespace: 'ns' }, data: { text } }
}

test('what was written is there after a restart, and the versions go on', context => {
  const directory = join(temporaryDirectory(context), 'data')
  const first = open(directory)
  first.put('configmaps', 'ns/a', note('a', 'one'))
  first.put('configmaps', 'ns/a', note('a', 'two'))
  first.put('configmaps', 'ns/b', note('b', 'three'))
  first.put('secrets', 'ns/s', note('s', 'four'))
  first.remove('configmaps', 'ns/b')
  const { version } = first
  const before = first.list('configmaps')
  first.close()
  const second = open(directory)
  assert.equal(second.version, version)
  assert.deepEqual(second.list('configmaps'), before)
  // Nothing has happened to a kind after its last change: a watch from there goes on.
  assert.equal(second.history.position('configmaps', version), 0)
  assert.equal(second.history.position('configmaps', version - 1), undefined)
  assert.equal(second.history.position('secrets', version - 1), 0)
  assert.equal(second.put('configmaps', 'ns/c', note('c', 'x')).version, version + 1)
  second.close()
  const modes = [directory, join(directory, 'store.db')].map(path => statSync(path).mode & 0o777)
  assert.deepEqual(modes, [0o700, 0o600])
})

test('a second process is refused while the first one lives', context => {
  const directory = temporaryDirectory(context)
  const log = new SqliteLog(directory)
  const busy = (error: unknown) => error instanceof GatewayError && error.code === 'EBUSY'
  assert.throws(() => new SqliteLog(directory), busy)
  log.close()
  const store = open(directory)
  store.close()
})

test('a disk that is full refuses writes, and what was acknowledged stays', async context => {
  const directory = temporaryDirectory(context)
  // Blocks of 512 bytes: a file may have two MiB.
  const script = 'ulimit -f 4096; exec "$0" "$@"'
  const child = execFile('sh', ['-c', script, process.execPath, filler, directory])
  let text = ''
  let errors = ''
  child.stdout?.on('data', chunk => (text += chunk))
  child.stderr?.on('data', chunk => (errors += chunk))
  await once(child, 'close')
  assert.notEqual(text, '', errors)
  const said = JSON.parse(text) as Readonly<Record<string, unknown>>
  assert.ok(Number(said['written']) > 50, text)
  assert.equal(said['listed'], said['written'])
  assert.match(String(said['why']), /full|I\/O error/)
  const store = open(directory)
  assert.equal(store.count('configmaps'), said['written'])
  assert.equal(store.version, said['version'])
  store.close()
})

interface Served {
  readonly raw: RawApi
  kill(): Promise<void>
}

async function serve(context: TestContext, directory: string): Promise<Served> {
  const child = spawn(
    process.execPath,
    [main, 'broker', 'serve', '--data', directory, '--listen', '127.0.0.1:0', '--ready-fd', '3'],
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] },
  )
  const closed = once(child, 'close')
  const kill = async () => {
    if (child.exitCode === null) child.kill('SIGKILL')
    await closed
  }
  context.after(kill)
  let errors = ''
  child.stderr?.on('data', chunk => (errors += chunk))
  const ready = child.stdio[3] as import('node:stream').Readable
  const [first] = (await Promise.race([once(ready, 'data'), closed])) as [unknown]
  assert.equal(String(first), 'ready\n', errors)
  const config = JSON.parse(readFileSync(join(directory, 'admin.kubeconfig'), 'utf8')) as {
    readonly clusters: readonly { readonly cluster: Readonly<Record<string, string>> }[]
    readonly users: readonly { readonly user: { readonly token: string } }[]
  }
  const [{ cluster }] = config.clusters
  const ca = Buffer.from(cluster['certificate-authority-data'], 'base64').toString()
  const raw = new RawApi({ url: cluster['server'], ca, token: config.users[0].user.token })
  return { raw, kill }
}

test('kill -9 at any time loses nothing that was acknowledged', async context => {
  const seed = testSeed()
  context.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const directory = temporaryDirectory(context)
  const path = '/api/v1/namespaces/submariner-k8s-broker/configmaps'
  /** Name: the text that was acknowledged last; undefined: its deletion was. */
  const acknowledged = new Map<string, string | undefined>()
  /** Name: what was asked for without an answer. */
  const open_ = new Map<string, string | undefined>()
  let lastVersion = 0
  let total = 0

  async function write(raw: RawApi, writer: number): Promise<void> {
    for (let number = 0; ; number++) {
      const name = `w${writer}-${Math.floor(random() * 4)}`
      const isThere = acknowledged.get(name) !== undefined
      const text = isThere && random() < 0.3 ? undefined : `${writer} ${number} ${random()}`
      open_.set(name, text)
      const map = { apiVersion: 'v1', ...note(name, text ?? '') }
      const body = { ...map, metadata: { name } }
      const answer =
        text === undefined
          ? await raw.ok('DELETE', `${path}/${name}`)
          : isThere
            ? await raw.ok('PUT', `${path}/${name}`, body)
            : await raw.ok('POST', path, body)
      acknowledged.set(name, text)
      open_.delete(name)
      total++
      const { resourceVersion } = answer['metadata'] as Readonly<Record<string, string>>
      if (resourceVersion !== undefined)
        lastVersion = Math.max(lastVersion, Number(resourceVersion))
    }
  }

  async function check(raw: RawApi): Promise<void> {
    const list = await raw.ok('GET', `${path}`)
    const items = list['items'] as readonly ReturnType<typeof note>[]
    const there = new Map(
      items
        .filter(({ metadata }) => metadata.name.startsWith('w'))
        .map(({ metadata, data }) => [metadata.name, data.text]),
    )
    for (const name of new Set([...acknowledged.keys(), ...there.keys(), ...open_.keys()])) {
      const found = there.get(name)
      const isOpen = open_.has(name) && found === open_.get(name)
      assert.ok(isOpen || found === acknowledged.get(name), `seed ${seed}: ${name} is ${found}`)
      acknowledged.set(name, found)
    }
    open_.clear()
    const { resourceVersion } = list['metadata'] as Readonly<Record<string, string>>
    assert.ok(Number(resourceVersion) >= lastVersion, `seed ${seed}: the version went back`)
  }

  for (let round = 0; round < 5; round++) {
    const served = await serve(context, directory)
    await check(served.raw)
    const before = total
    let failure: unknown
    const writers = [0, 1, 2].map(writer =>
      write(served.raw, writer).catch((error: unknown) => {
        failure ??= error
      }),
    )
    // At any point in the middle of writing; not a wait for something to be done.
    while (total < before + 5 + random() * 60) {
      assert.equal(failure, undefined, `seed ${seed}: a write failed before the server was killed`)
      await delay(1)
    }
    await served.kill()
    await Promise.all(writers)
    served.raw.close()
  }
  const last = await serve(context, directory)
  await check(last.raw)
  last.raw.close()
  assert.ok(total > 25, `${total} writes`)
})
