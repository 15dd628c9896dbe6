// What we rely on from an API server, as checks that run against any: the fake one of the unit tests, the
// embedded one, a real one. They need a namespace of their own and rights on configmaps and leases in it.

import assert from 'node:assert/strict'
import type { KubeClient, ObjectName, Stored } from '../../src/kube/client.ts'
import { Election } from '../../src/kube/lease.ts'
import type { ResourceType } from '../../src/kube/resource-type.ts'
import { Signal } from '../../src/kube/signal.ts'
import { Watch } from '../../src/kube/watch.ts'
import { systemClock } from '../../src/net/clock.ts'
import { eventually } from './eventually.ts'
import { configMaps, type Note, newNote } from './kube-kinds.ts'
import { refused } from './refused.ts'

export interface ContractServer {
  readonly client: KubeClient
  readonly namespace: string
}

export interface ContractCheck {
  readonly name: string
  run(server: ContractServer): Promise<void>
}

/** A second for what the kernel and two processes need, in an election whose times are seconds. */
const quickTimes = { durationMs: 3000, renewDeadlineMs: 2000, retryPeriodMs: 200 }

async function inNamespace({ client, namespace }: ContractServer, name: string, text = 'one') {
  const note = newNote(namespace, name, text, { labels: { 'hawser.test/of': name } })
  const stored = await client.create(configMaps, note)
  const where: ObjectName = { name, namespace }
  return { stored, where }
}

const withText = (stored: Stored<Note>, text: string): Note => ({ ...stored.value, text })

export const kubeContract: readonly ContractCheck[] = [
  {
    name: 'an object is created, read, updated, patched and deleted',
    async run(server) {
      const { client } = server
      const { stored, where } = await inNamespace(server, 'life')
      assert.notEqual(stored.value.meta.uid, '')
      const read = await client.get(configMaps, where)
      assert.deepEqual(read.value, stored.value)
      const second = await client.update(configMaps, read, withText(read, 'two'))
      assert.notEqual(second.value.meta.resourceVersion, read.value.meta.resourceVersion)
      await client.patch(configMaps, where, { data: { more: 'here' } })
      const third = await client.get(configMaps, where)
      assert.equal(third.value.text, 'two')
      const fourth = await client.update(configMaps, third, withText(third, 'four'))
      assert.deepEqual((fourth.raw as { data: unknown }).data, { text: 'four', more: 'here' })
      await client.patch(configMaps, where, { data: { more: null } })
      const { raw } = await client.get(configMaps, where)
      assert.deepEqual((raw as { data: unknown }).data, { text: 'four' })
      await client.delete(configMaps, where)
      await refused(client.get(configMaps, where), 'NOT_FOUND', 'cannot get configmaps')
    },
  },
  {
    name: 'who is late gets a conflict, and a change is made on what the other one wrote',
    async run(server) {
      const { client } = server
      const { stored, where } = await inNamespace(server, 'race')
      await client.update(configMaps, stored, withText(stored, 'first'))
      const late = client.update(configMaps, stored, withText(stored, 'late'))
      await refused(late, 'CONFLICT', `update configmaps ${server.namespace}/race at https://`)
      const again = inNamespace(server, 'race')
      await refused(again, 'ALREADY_EXISTS', 'cannot create configmaps')

      const add = (letter: string) =>
        client.change(configMaps, where, note => ({ ...note, text: `${note.text} ${letter}` }))
      await Promise.all([add('a'), add('b'), add('c'), add('d')])
      const { value } = await client.get(configMaps, where)
      assert.deepEqual(value.text.split(' ').sort(), ['a', 'b', 'c', 'd', 'first'])
      const same = await client.change(configMaps, where, () => undefined)
      assert.deepEqual(same.value, value)
    },
  },
  {
    name: 'a deletion may be for one very object alone',
    async run(server) {
      const { client } = server
      const { stored, where } = await inNamespace(server, 'doomed')
      const { uid, resourceVersion } = stored.value.meta
      await client.patch(configMaps, where, { data: { text: 'two' } })
      await refused(client.delete(configMaps, where, { uid: `${uid}x` }), 'CONFLICT', 'delete')
      await refused(client.delete(configMaps, where, { resourceVersion }), 'CONFLICT', 'delete')
      await client.delete(configMaps, where, { uid, propagation: 'Background' })
      await refused(client.delete(configMaps, where), 'NOT_FOUND', 'delete')
    },
  },
  {
    name: 'what is not valid and what is no kind is refused as such',
    async run({ client, namespace }) {
      const bad = client.create(configMaps, newNote(namespace, 'Upper_Case', 'x'))
      await refused(bad, 'INVALID', 'cannot create configmaps')
      const none: ResourceType<Note> = { ...configMaps, group: 'none.hawser.io', plural: 'nones' }
      await refused(client.list(none, { namespace }), 'NO_SUCH_KIND', 'list nones.none.hawser.io')
      const one = client.get(none, { name: 'x', namespace })
      await refused(one, 'NO_SUCH_KIND', 'get nones.none.hawser.io')
    },
  },
  {
    name: 'lists come in pages and by selectors',
    async run(server) {
      const { client, namespace } = server
      for (const name of ['page-1', 'page-2', 'page-3']) await inNamespace(server, name)
      const names: string[] = []
      let continueToken = ''
      do {
        const page = await client.listPage(configMaps, { namespace }, { limit: 1, continueToken })
        assert.ok(page.items.length <= 1)
        for (const raw of page.items) {
          const parsed = configMaps.parse(raw)
          names.push(parsed.ok ? parsed.value.meta.name : parsed.name)
        }
        continueToken = page.continueToken
      } while (continueToken !== '')
      const whole = await client.list(configMaps, { namespace })
      const all = [...whole.items.map(({ meta }) => meta.name), ...whole.problems.map(p => p.name)]
      assert.deepEqual(names.sort(), all.sort())
      const byLabel = { namespace, labelSelector: 'hawser.test/of=page-2' }
      const labelled = await client.list(configMaps, byLabel)
      assert.deepEqual(
        labelled.items.map(({ meta }) => meta.name),
        ['page-2'],
      )
      const byField = { namespace, fieldSelector: 'metadata.name=page-3' }
      const named = await client.list(configMaps, byField)
      assert.deepEqual(
        named.items.map(({ meta }) => meta.name),
        ['page-3'],
      )
    },
  },
  {
    name: 'a watch sees what is there, what comes, changes, breaks, is repaired and goes',
    async run(server) {
      const { client, namespace } = server
      const label = { labels: { 'hawser.test/watch': 'yes' } }
      await client.create(configMaps, newNote(namespace, 'seen-1', 'one', label))
      const changed = new Signal()
      const scope = { namespace, labelSelector: 'hawser.test/watch=yes' }
      const watch = new Watch({ client, type: configMaps, scope, changed, clock: systemClock })
      const texts = () => watch.list().map(({ meta, text }) => `${meta.name} ${text}`)
      const see = async (...expected: string[]) => {
        while (JSON.stringify(texts()) !== JSON.stringify(expected)) {
          assert.ok(await changed.wait(20_000), `${texts()} ${JSON.stringify(watch.status())}`)
        }
      }
      try {
        await see('seen-1 one')
        assert.ok(watch.synced)
        const stored = await client.create(configMaps, newNote(namespace, 'seen-2', 'two', label))
        await see('seen-1 one', 'seen-2 two')
        await client.update(configMaps, stored, withText(stored, 'new'))
        await see('seen-1 one', 'seen-2 new')
        const one = { name: 'seen-1', namespace }
        await client.patch(configMaps, one, { data: { text: null } })
        await see('seen-2 new')
        assert.deepEqual(
          watch.problems().map(({ name }) => name),
          ['seen-1'],
        )
        await client.patch(configMaps, one, { data: { text: 'good' } })
        await see('seen-1 good', 'seen-2 new')
        assert.deepEqual(watch.problems(), [])
        await client.patch(configMaps, one, { metadata: { labels: { 'hawser.test/watch': null } } })
        await see('seen-2 new')
        await client.delete(configMaps, { name: 'seen-2', namespace })
        await see()
        assert.equal(watch.status().state, 'synced')
      } finally {
        await watch.stop()
      }
    },
  },
  {
    name: 'one of two leads; the other one takes over when it is let go, and when it is dead',
    async run({ client, namespace }) {
      const changed = new Signal()
      const shared = { client, namespace, name: 'contract-lock', clock: systemClock, changed }
      const candidate = (identity: string) =>
        new Election({ ...shared, identity, times: quickTimes })
      const first = candidate('a')
      await eventually(() => first.leadership().state === 'leader')
      first.carry({ 'hawser.test/stamp': '40000000' })
      const second = candidate('b')
      const holder = () => {
        const now = second.leadership()
        return now.state === 'standby' ? now.holder : now.state
      }
      await eventually(() => holder() === 'a')
      await eventually(() => second.annotations()['hawser.test/stamp'] === '40000000')
      await first.release()
      await eventually(() => holder() === 'leader')
      // It dies: nobody renews any more.
      await second.stop()
      const third = candidate('c')
      await eventually(() => third.leadership().state === 'leader')
      const now = third.leadership()
      assert.deepEqual([now.state === 'leader' && now.epoch], [2])
      assert.equal(third.annotations()['hawser.test/stamp'], '40000000')
      await third.release()
    },
  },
]
