// What the list of attempts (test/trust) has no server for: objects that hold anything.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusalOf, type WriteAttempt } from '../../../src/broker/trust.ts'
import { clusterLabel, clusterObject, importObject } from '../../support/trust/world.ts'

const asMember = (id: string) => ({
  mayUpdateCluster: (cluster: string) => cluster === id,
  user: `cluster-${id}`,
})
const admin = { mayUpdateCluster: () => true, user: 'admin' }

const broken: readonly unknown[] = [
  ...[undefined, null, 0, '', [], {}, { metadata: null }, { metadata: { labels: [] } }],
  { metadata: { name: 7, labels: { [clusterLabel]: 7 } }, spec: { cluster_id: {} } },
  { metadata: { annotations: 'x' }, status: { clusters: 'x' }, spec: { ips: 'x' } },
]

test('whatever an object holds, the rule says yes or no, and never yes to what has no owner', () => {
  for (const kind of ['Cluster', 'Endpoint', 'EndpointSlice']) {
    for (const object of broken) {
      const attempt: WriteAttempt = { verb: 'create', kind, object, ...asMember('c1') }
      assert.equal(typeof refusalOf(attempt), 'string', `${kind} ${JSON.stringify(object)}`)
      const update: WriteAttempt = { ...attempt, verb: 'update', oldObject: object }
      assert.equal(typeof refusalOf(update), 'string')
      const removal: WriteAttempt = { verb: 'delete', kind, oldObject: object, ...asMember('c1') }
      assert.equal(typeof refusalOf(removal), 'string')
    }
  }
  for (const object of broken) {
    for (const verb of ['create', 'update', 'delete'] as const) {
      refusalOf({ verb, kind: 'ServiceImport', object, oldObject: object, ...asMember('c1') })
    }
  }
})

test('an object from before the rule is whose it says that it is', () => {
  const { metadata, ...rest } = clusterObject('c1')
  const unlabelled = { ...rest, metadata: { ...metadata, labels: {} } }
  const repair = { verb: 'update', kind: 'Cluster', oldObject: unlabelled } as const
  const object = clusterObject('c1')
  assert.equal(refusalOf({ ...repair, object, ...asMember('c1') }), undefined)
  assert.match(refusalOf({ ...repair, object, ...asMember('c2') }) ?? '', /"c1"/)
  const nobodys = { metadata: { name: 'x' } }
  const removal = { verb: 'delete', kind: 'Endpoint', oldObject: nobodys } as const
  assert.match(refusalOf({ ...removal, ...asMember('c1') }) ?? '', /without a cluster/)
  assert.equal(refusalOf({ ...removal, ...admin }), undefined)
})

test('an admin may write every object that says whose it is', () => {
  const object = clusterObject('c1')
  assert.equal(refusalOf({ verb: 'create', kind: 'Cluster', object, ...admin }), undefined)
  const web = importObject('web', ['c1', 'c2'], 'c1')
  assert.equal(
    refusalOf({ verb: 'create', kind: 'ServiceImport', object: web, ...admin }),
    undefined,
  )
  const bare = { metadata: { name: 'c1' }, spec: { cluster_id: 'c1' } }
  assert.match(
    refusalOf({ verb: 'create', kind: 'Cluster', object: bare, ...admin }) ?? '',
    /the label submariner-io\/clusterID is missing/,
  )
})

test('an object of another kind, with a label, belongs to that cluster', () => {
  const object = { metadata: { labels: { [clusterLabel]: 'c1' } } }
  const write = { verb: 'create', kind: 'ConfigMap', object } as const
  assert.equal(refusalOf({ ...write, ...asMember('c1') }), undefined)
  assert.match(refusalOf({ ...write, ...asMember('c2') }) ?? '', /"c1"/)
  assert.equal(refusalOf({ ...write, object: {}, ...asMember('c2') }), undefined)
})
