import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Executor } from '../../../src/control/executor.ts'
import type { Write } from '../../../src/control/world.ts'
import { Signal } from '../../../src/kube/signal.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { eventually } from '../../support/eventually.ts'
import { startFakeApiserver } from '../../support/fake-apiserver.ts'
import { fakeClient } from '../../support/fake-clients.ts'
import { fakeKinds, type Note, newNote, notes } from '../../support/kube-kinds.ts'
import { testLog } from '../../support/test-log.ts'

async function setUp(context: TestContext) {
  const server = await startFakeApiserver(context, { kinds: fakeKinds })
  const broker = await startFakeApiserver(context, { kinds: fakeKinds })
  for (const one of [server, broker]) one.forbids = ({ method }) => method === 'PATCH'
  const changed = new Signal()
  const log = testLog()
  const local = fakeClient(server)
  const executor = new Executor({
    ...{ local, broker: fakeClient(broker), clock: systemClock, log, changed },
  })
  context.after(() => executor.stop())
  const kind = server.objects.find(notes.group, notes.version, notes.plural)
  const textOf = (name: string) => {
    const [found] = server.objects.select(kind, {
      namespace: 'ns',
      labelSelector: '',
      fieldSelector: `metadata.name=${name}`,
    })
    return found?.['spec']
  }
  return { server, broker, executor, changed, log, local, kind, textOf }
}

function update(object: Note): Write {
  return {
    ...{ server: 'local', key: `Note/${object.meta.name}`, reason: 'because' },
    ...{ verb: 'update', type: notes, object },
  }
}

function create(name: string, server: 'local' | 'broker' = 'local'): Write {
  const object = newNote('ns', name, 'new')
  return { server, key: `Note/${name}`, reason: 'because', verb: 'create', type: notes, object }
}

test('objects are made, changed and taken away, here and at the broker', async context => {
  const { server, broker, executor, log, local, kind, textOf } = await setUp(context)
  executor.want([create('a'), create('a', 'broker')])
  await eventually(() => executor.isIdle)
  assert.notEqual(textOf('a'), undefined)
  assert.equal(broker.requests.filter(({ method }) => method === 'POST').length, 1)
  assert.deepEqual([...log.lines].sort(), [
    'info broker: create Note/a: because',
    'info local: create Note/a: because',
  ])
  const { value } = await local.get(notes, { namespace: 'ns', name: 'a' })
  // Somebody puts something beside it: the update keeps that.
  server.objects.mergePatch(kind, 'ns', 'a', { metadata: { labels: { theirs: 'yes' } } }, 'main')
  const read = await local.get(notes, { namespace: 'ns', name: 'a' })
  executor.want([update({ ...read.value, text: 'changed' })])
  await eventually(() => executor.isIdle)
  const after = await local.get(notes, { namespace: 'ns', name: 'a' })
  assert.deepEqual([after.value.text, after.value.meta.labels], ['changed', { theirs: 'yes' }])
  const { uid } = value.meta
  const place = { name: 'a', namespace: 'ns', uid }
  executor.want([{ ...create('a'), verb: 'delete', type: notes, ...place } as Write])
  await eventually(() => executor.isIdle)
  assert.equal(textOf('a'), undefined)
})

test('what has changed since the plan was made is not written over', async context => {
  const { executor, changed, local } = await setUp(context)
  await local.create(notes, newNote('ns', 'a', 'first'))
  const { value } = await local.get(notes, { namespace: 'ns', name: 'a' })
  await local.change(notes, { namespace: 'ns', name: 'a' }, note => ({ ...note, text: 'theirs' }))
  executor.want([update({ ...value, text: 'ours' })])
  assert.equal(await changed.wait(20_000), true)
  const after = await local.get(notes, { namespace: 'ns', name: 'a' })
  assert.equal(after.value.text, 'theirs')
  // It is no problem: the loop looks again.
  assert.deepEqual(executor.problems(), [])
})

test('a refusal is one problem, tried again, and over when it is taken', async context => {
  const { server, executor, textOf } = await setUp(context)
  server.forbids = ({ method }) => method === 'POST'
  executor.want([create('a')])
  const posts = () => server.requests.filter(({ method }) => method === 'POST').length
  await eventually(() => posts() >= 3)
  const [problem, ...more] = executor.problems()
  assert.deepEqual([problem.code, more], ['write-failed', []])
  assert.match(problem.message, /403 Forbidden.*kubectl auth can-i create notes/)
  server.forbids = () => false
  await eventually(() => executor.isIdle)
  assert.notEqual(textOf('a'), undefined)
  assert.deepEqual(executor.problems(), [])
})

test('a server that is away is asked ever less, and no problem of ours', async context => {
  const { server, executor } = await setUp(context)
  await server.close()
  executor.want([create('a')])
  await eventually(() => !executor.isIdle)
  await server.open()
  await eventually(() => executor.isIdle)
  assert.deepEqual(executor.problems(), [])
})
