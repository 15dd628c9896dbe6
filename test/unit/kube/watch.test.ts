import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Signal } from '../../../src/kube/signal.ts'
import { Watch } from '../../../src/kube/watch.ts'
import { type WatchTimes, watchTimes } from '../../../src/kube/watch-state.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { createAuthority } from '../../support/certificates.ts'
import { eventually } from '../../support/eventually.ts'
import { type FakeApiserver, type Fault, startFakeApiserver } from '../../support/fake-apiserver.ts'
import { fakeClient } from '../../support/fake-clients.ts'
import { configMaps, fakeKinds, type Note } from '../../support/kube-kinds.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

/** The real ones by a hundredth, so that a test sees what takes minutes. */
const quickTimes: WatchTimes = {
  ...watchTimes,
  backoff: { firstMs: 10, mostMs: 200 },
  healthyMs: 100,
  silenceMs: 900,
  spreadMs: 10,
  pageSize: 5,
}

async function setUp(context: TestContext, times = quickTimes) {
  const server = await startFakeApiserver(context, { kinds: fakeKinds })
  const secretDirectory = temporaryDirectory(context)
  const writeSecret = (file: 'token' | 'ca.crt', text: string) =>
    writeFileSync(join(secretDirectory, file), text)
  writeSecret('token', 'token-1')
  writeSecret('ca.crt', server.authority.pem)
  const client = fakeClient(server, { token: '', ca: '', secretDirectory })
  const changed = new Signal()
  const watch = new Watch({
    ...{ client, changed, times, clock: systemClock },
    type: configMaps,
    scope: { namespace: 'ns' },
  })
  context.after(() => watch.stop())
  const kind = server.objects.find('', 'v1', 'configmaps')
  const put = (name: string, text: string) => {
    const body = { metadata: { name }, data: { text } }
    const all = server.objects.select(kind, everything)
    const isThere = all.some(({ metadata }) => metadata.name === name)
    if (isThere) server.objects.update(kind, 'ns', name, body, 'main')
    else server.objects.create(kind, 'ns', body)
    server.deliver()
  }
  const remove = (name: string) => {
    server.objects.delete(kind, 'ns', name)
    server.deliver()
  }
  const isSame = () => {
    const there = server.objects.select(kind, everything)
    const held = watch.list().map(({ meta }) => meta.resourceVersion)
    const bad = watch.problems().length
    const good = there.filter(({ data }) => !JSON.stringify(data).includes('bad'))
    const versions = good.map(({ metadata }) => metadata.resourceVersion)
    return JSON.stringify(versions) === JSON.stringify(held) && bad === there.length - good.length
  }
  const explain = () =>
    JSON.stringify([watch.status(), watch.list(), server.objects.select(kind, everything)])
  const settles = (what: () => boolean = isSame) => eventually(what, explain)
  return { server, client, watch, changed, put, remove, isSame, settles, writeSecret }
}

const everything = { namespace: 'ns', labelSelector: '', fieldSelector: '' }

function fails(watch: Watch<Note>, error: RegExp): boolean {
  const status = watch.status()
  return status.state === 'retrying' && error.test(status.error)
}

/** How many requests of a sort there were. */
const count = (server: FakeApiserver, isWatch: boolean) =>
  server.requests.filter(request => request.isWatch === isWatch).length

test('a list in pages, then what happens; consumers hear of a burst once', async context => {
  const { server, watch, changed, put, settles } = await setUp(context)
  for (let index = 0; index < 12; index++) put(`n${index}`, 'x')
  await settles(() => watch.status().state === 'synced' && watch.list().length === 12)
  while (await changed.wait(50));
  const before = watch.list()
  assert.equal(watch.list(), before, 'the same array while nothing changes')
  for (let index = 0; index < 12; index++) put(`n${index}`, 'y')
  await settles()
  assert.equal(await changed.wait(), true)
  assert.equal(watch.get('ns', 'n3')?.text, 'y')
  assert.equal(watch.get('ns', 'none'), undefined)
  assert.equal(watch.get('other', 'n3'), undefined)
  assert.equal(count(server, true), 1)
})

test('cut, ended, garbage in the stream: resumed without a list, and nothing is missed', async context => {
  const { server, watch, put, settles } = await setUp(context)
  put('a', 'one')
  await settles(() => watch.status().state === 'synced')
  const lists = count(server, false)
  const accidents: (() => void)[] = [
    () => server.cutWatches(),
    () => server.endWatches(),
    () => server.sendToWatches('{"type":"ADDED","object":{}}\n'),
    () => server.sendToWatches('<html>\n'),
    () => server.sendToWatches('{"type":"MODIFIED","object":{"metad'),
    () => server.cutWatches(),
  ]
  for (const [index, accident] of accidents.entries()) {
    await eventually(() => server.watchesOpen === 1 && watch.status().state === 'synced')
    accident()
    if (index === 4) server.cutWatches()
    put('a', `after ${index}`)
    put(`n${index}`, 'new')
    await settles()
  }
  // A third failure in a row without an event between would list; here events came between.
  assert.equal(count(server, false), lists)
})

test('a half-open connection is noticed by its silence', async context => {
  const { server, watch, put, settles } = await setUp(context)
  await settles(() => watch.status().state === 'synced')
  server.muteWatches()
  put('a', 'unheard')
  await settles()
  assert.equal(count(server, true), 2)
  assert.equal(watch.status().state, 'synced')
})

test('a server that refuses is asked again, and the status says since when and why', async context => {
  const { server, watch, put, settles } = await setUp(context)
  await settles(() => watch.status().state === 'synced')
  server.fault = ({ isWatch }) => (isWatch ? { kind: 'status', status: 503 } : undefined)
  server.cutWatches()
  put('a', 'during')
  const fault = /^cannot watch configmaps ns at https:\S+: 503 Fault: a fault$/
  await settles(() => fails(watch, fault))
  const status = watch.status()
  assert.match(status.state === 'retrying' ? (status.hint ?? '') : '', /^curl -k https/)
  await settles(() => {
    const now = watch.status()
    return now.state === 'retrying' && now.attempts > 3 && now.nextTryMs >= now.sinceMs
  })
  server.fault = () => undefined
  await settles()
  assert.equal(watch.status().state, 'synced')
})

test('410: everything is listed anew, and what is gone is removed', async context => {
  const { server, watch, put, remove, settles } = await setUp(context)
  put('a', 'stays')
  put('b', 'goes')
  await settles(() => watch.list().length === 2)
  server.cutWatches()
  remove('b')
  server.objects.compact()
  await settles(() => watch.list().length === 1)
  // In the stream of a watch that is open.
  await settles(() => watch.status().state === 'synced')
  put('c', 'goes')
  server.muteWatches()
  await settles(() => watch.list().length === 2)
  remove('c')
  server.objects.compact()
  server.deliver()
  await settles()
})

test('an outage: the world that was known stays, and the return costs one request', async context => {
  const { server, watch, put, settles } = await setUp(context)
  put('a', 'one')
  await settles(() => watch.status().state === 'synced' && watch.list().length === 1)
  const lists = count(server, false)
  await server.close()
  put('a', 'while it is away')
  await settles(() => {
    const status = watch.status()
    return status.state === 'retrying' && status.attempts >= 6
  })
  assert.deepEqual([watch.synced, watch.list().map(({ text }) => text)], [true, ['one']])
  const before = server.requests.length
  await server.open()
  await settles()
  assert.equal(count(server, false), lists)
  assert.ok(server.requests.length - before <= 2)
})

test('tokens and CAs that are replaced while a watch runs', async context => {
  const { server, watch, put, settles, writeSecret } = await setUp(context)
  await settles(() => watch.status().state === 'synced')
  server.tokens.clear()
  server.tokens.add('token-2')
  server.cutWatches()
  await settles(() => fails(watch, /401/))
  writeSecret('token', 'token-2')
  put('a', 'with the new token')
  await settles()

  const next = createAuthority('next-ca')
  server.useCertificate(next.issue(['127.0.0.1']))
  server.cutAll()
  await settles(() => fails(watch, /a CA that is not trusted here/))
  writeSecret('ca.crt', next.pem)
  put('a', 'with the new CA')
  await settles()
  assert.equal(watch.status().state, 'synced')
})

test('what does not parse is a problem with its name, until it is repaired or deleted', async context => {
  const { watch, put, remove, settles } = await setUp(context)
  put('good', 'one')
  put('broken', 'bad')
  put('hopeless', 'bad')
  await settles(() => watch.problems().length === 2)
  assert.deepEqual(
    watch.list().map(({ meta }) => meta.name),
    ['good'],
  )
  put('broken', 'repaired')
  remove('hopeless')
  await settles(() => watch.problems().length === 0)
  assert.deepEqual(
    watch.list().map(({ meta }) => meta.name),
    ['broken', 'good'],
  )
})

test('a stopped watch leaves no connection and asks no more, wherever it was', async context => {
  for (const fault of [undefined, { kind: 'stall' }, { kind: 'cut' }] as const) {
    const { server, watch } = await setUp(context)
    server.fault = () => fault
    await eventually(() => server.requests.length > 1 || fault?.kind === 'stall')
    await watch.stop()
    await watch.stop()
    const asked = server.requests.length
    await eventually(() => server.watchesOpen === 0)
    assert.equal(server.requests.length, asked)
  }
})

test('watches that were cut together do not come back together', async context => {
  const { server, client, changed, settles } = await setUp(context)
  const times = { ...quickTimes, backoff: { firstMs: 400, mostMs: 400 } }
  const others = Array.from({ length: 20 }, () => {
    const parts = { client, changed, times, clock: systemClock, type: configMaps }
    return new Watch<Note>({ ...parts, scope: { namespace: 'ns' } })
  })
  context.after(() => Promise.all(others.map(watch => watch.stop())))
  await settles(() => others.every(watch => watch.status().state === 'synced'))
  server.cutWatches()
  await settles(() => others.every(watch => watch.status().state === 'retrying'))
  const tries = others.map(watch => {
    const status = watch.status()
    return status.state === 'retrying' ? Math.round(status.nextTryMs) : 0
  })
  assert.ok(new Set(tries).size >= 15, tries.join())
  await settles(() => others.every(watch => watch.status().state === 'synced'))
})

test('random faults over real connections: in the end the store equals the server', async context => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const upTo = (limit: number) => Math.floor(random() * limit)
  const { server, watch, put, remove, isSame, settles } = await setUp(context)
  const faults: readonly Fault[] = [
    { kind: 'status', status: 500 },
    { kind: 'status', status: 503, retryAfterSeconds: 0 },
    { kind: 'status', status: 410 },
    { kind: 'cut' },
    { kind: 'half' },
    { kind: 'garbage', text: '{"kind":"Nothing"}' },
    { kind: 'slow', delayMs: 20 },
  ]
  server.fault = () => (random() < 0.3 ? faults[upTo(faults.length)] : undefined)
  const accidents: (() => void)[] = [
    () => server.cutWatches(),
    () => server.endWatches(),
    () => server.cutAll(),
    () => server.sendToWatches('garbage\n'),
    () => server.objects.compact(),
    () => server.deliver(),
  ]
  const there = new Set<string>()
  for (let round = 0; round < 60; round++) {
    for (let change = 0; change < 5; change++) {
      const name = `n${upTo(15)}`
      if (there.has(name) && random() < 0.4) {
        there.delete(name)
        remove(name)
      } else {
        there.add(name)
        put(name, random() < 0.2 ? 'bad' : `text ${upTo(1000)}`)
      }
    }
    accidents[upTo(accidents.length)]()
    // Let it get somewhere: as far as it happens to come in a few turns of the loop.
    const asked = server.requests.length
    await eventually(() => isSame() || server.requests.length > asked)
  }
  server.fault = () => undefined
  await settles(() => isSame() && watch.status().state === 'synced').catch((error: unknown) => {
    throw new Error(`HAWSER_SEED=${seed}`, { cause: error })
  })
})
