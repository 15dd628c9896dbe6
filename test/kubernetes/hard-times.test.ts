// What a real server does to those who live on it: it forgets its past, it dies and comes back, it stops
// to believe a token. Watches and elections must come through that by themselves and miss nothing.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { Election } from '../../src/kube/lease.ts'
import { leaseType } from '../../src/kube/lease-record.ts'
import { Signal } from '../../src/kube/signal.ts'
import { Watch } from '../../src/kube/watch.ts'
import { systemClock } from '../../src/net/clock.ts'
import { eventually } from '../support/eventually.ts'
import { configMaps, type Note, newNote } from '../support/kube-kinds.ts'
import { longLivedToken } from '../support/kubernetes/accounts.ts'
import { openGate } from '../support/kubernetes/gate.ts'
import { sharedServers } from '../support/kubernetes/servers.ts'
import { refused } from '../support/refused.ts'
import { temporaryDirectory } from '../support/temporary.ts'

const servers = sharedServers(['hard'])

/** Longer than a restart on any machine: no right to lead ends in it. */
const patientTimes = { durationMs: 120_000, renewDeadlineMs: 90_000, retryPeriodMs: 200 }

/** Counts the lists: a watch makes one, and another when it has lost the thread. */
class CountingClient extends KubeClient {
  lists = 0

  override async listPage(...args: Parameters<KubeClient['listPage']>) {
    this.lists++
    return super.listPage(...args)
  }
}

/** A watch of notes that ends with the test. */
function watchNotes(context: TestContext, client: KubeClient, namespace: string) {
  const parts = { client, scope: { namespace }, changed: new Signal(), clock: systemClock }
  const watch = new Watch({ ...parts, type: configMaps })
  context.after(() => watch.stop())
  const sees = (...expected: string[]) =>
    eventually(
      () => {
        const texts = watch.list().map(({ meta, text }) => `${meta.name} ${text}`)
        return JSON.stringify(texts.sort()) === JSON.stringify(expected)
      },
      () => JSON.stringify([watch.list(), watch.status()]),
      60_000,
    )
  return { watch, sees }
}

const withText = (note: Note, text: string): Note => ({ ...note, text })

test('a watch whose past is forgotten lists again, and has missed nothing', async context => {
  const server = servers.get('hard')
  const namespace = await server.newNamespace()
  const direct = server.client()
  for (const name of ['goes', 'stays', 'turns']) {
    await direct.create(configMaps, newNote(namespace, name, 'old'))
  }
  const gate = await openGate(context, server.url)
  const client = new CountingClient(server.credentials({ server: gate.url }), 'hawser-test')
  const { watch, sees } = watchNotes(context, client, namespace)
  await sees('goes old', 'stays old', 'turns old')
  const [{ meta }] = watch.list()
  await gate.shut()
  await direct.delete(configMaps, { namespace, name: 'goes' })
  await direct.change(configMaps, { namespace, name: 'turns' }, note => withText(note, 'new'))
  await direct.create(configMaps, newNote(namespace, 'comes', 'new'))
  await servers.compact()
  // The cache of a running server would still know what etcd has forgotten.
  await server.kill()
  await server.start()
  await gate.open()
  await sees('comes new', 'stays old', 'turns new')
  assert.equal(client.lists, 2)

  const options = { resourceVersion: meta.resourceVersion, timeoutSeconds: 10 }
  const stream = await direct.watch(configMaps, { namespace }, options)
  const [frame] = await stream.take(1).toArray()
  stream.destroy()
  const { type, object } = JSON.parse(String(frame)) as { type: string; object: { code: number } }
  assert.deepEqual([type, object.code], ['ERROR', 410])
})

test('a list whose past is forgotten half-way says so', async () => {
  const server = servers.get('hard')
  const namespace = await server.newNamespace()
  const client = server.client()
  for (const name of ['one', 'two', 'three']) {
    await client.create(configMaps, newNote(namespace, name, 'x'))
  }
  const { continueToken } = await client.listPage(configMaps, { namespace }, { limit: 1 })
  await client.delete(configMaps, { namespace, name: 'two' })
  await servers.compact()
  await server.kill()
  await server.start()
  const next = client.listPage(configMaps, { namespace }, { limit: 1, continueToken })
  await refused(next, 'GONE', 'cannot list configmaps')
})

test('a server that is killed and comes back: the watch goes on, and the leader leads on', async context => {
  const server = servers.get('hard')
  const namespace = await server.newNamespace()
  const client = server.client()
  const { watch, sees } = watchNotes(context, client, namespace)
  const shared = { client, namespace, name: 'lock', clock: systemClock, times: patientTimes }
  const candidate = (identity: string) => {
    const election = new Election({ ...shared, identity, changed: new Signal() })
    context.after(() => election.stop())
    return election
  }
  const first = candidate('a')
  await eventually(() => first.leadership().state === 'leader')
  const reign = () => {
    const now = first.leadership()
    return now.state === 'leader' ? [now.epoch, now.sinceMs] : now.state
  }
  const begun = reign()
  const second = candidate('b')
  await eventually(() => {
    const now = second.leadership()
    return now.state === 'standby' && now.holder === 'a'
  })
  await server.kill()
  await eventually(() => watch.status().state === 'retrying')
  await server.start()
  await client.create(configMaps, newNote(namespace, 'after', 'here'))
  await sees('after here')
  const lease = async () => (await client.get(leaseType, { namespace, name: 'lock' })).raw
  const renewed = async () => ((await lease()) as { spec: { renewTime: string } }).spec.renewTime
  const before = await renewed()
  await eventually(async () => (await renewed()) !== before)
  assert.deepEqual(reign(), begun)
  assert.equal(second.leadership().state, 'standby')
  await first.release()
  await eventually(() => second.leadership().state === 'leader')
})

test('a token that is rotated: the old one is refused, the new one is read from the file', async context => {
  const server = servers.get('hard')
  const namespace = await server.newNamespace()
  const admin = server.client()
  const { token } = await longLivedToken(server, namespace, 'member')
  const create = (...args: string[]) => server.kubectl(['create', '-n', namespace, ...args])
  await create('role', 'member', '--verb=list,watch', '--resource=configmaps')
  const account = `--serviceaccount=${namespace}:member`
  await create('rolebinding', 'member', '--role=member', account)
  const secretDirectory = temporaryDirectory(context)
  const write = (text: string) => writeFileSync(join(secretDirectory, 'token'), text)
  write(token)
  const { watch, sees } = watchNotes(context, server.client({ secretDirectory }), namespace)
  await admin.create(configMaps, newNote(namespace, 'note', 'one'))
  await sees('note one')

  const secret = `/api/v1/namespaces/${namespace}/secrets/member-token`
  assert.equal((await server.raw('DELETE', secret)).status, 200)
  const rotated = await longLivedToken(server, namespace, 'member')
  assert.notEqual(rotated.token, token)
  await server.kill()
  await server.start()
  const problem = () => {
    const status = watch.status()
    return status.state === 'retrying' ? status.error : ''
  }
  await eventually(() => problem().includes('Unauthorized'), problem)
  await admin.change(configMaps, { namespace, name: 'note' }, note => withText(note, 'two'))
  write(rotated.token)
  await sees('note two')
})
