// The behaviour of stock's broker syncer (its resource and broker syncer suites), case by case, over
// plans; and that carrying a plan out leaves nothing to be done.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  foreignObjects,
  inPlace,
  ownObjects,
  planSync,
  type Replacement,
  type Sync,
} from '../../../src/broker/sync.ts'
import type { Known, Write } from '../../../src/broker/writes.ts'
import { label } from '../../../src/kube/names.ts'
import { type ConfigMap, configMapType } from '../../../src/kube/resources/config-map.ts'
import { known, metaOn, unknown } from '../../support/control-world.ts'

const local = 'here'
const broker = 'there'

/** `owner`: the cluster in its label. */
function object(
  place: string,
  name: string,
  owner?: string,
  data: Readonly<Record<string, string>> = { key: 'value' },
): ConfigMap {
  return { meta: metaOn(place, name, owner, 1), data }
}

interface Case {
  readonly name: string
  readonly here?: readonly ConfigMap[] | Known<ConfigMap>
  readonly there?: readonly ConfigMap[] | Known<ConfigMap>
  readonly replacement?: Replacement<ConfigMap>
  readonly isFromAllNamespaces?: boolean
  readonly writes: readonly string[]
  readonly conflicts?: readonly string[]
}

const recreating: Replacement<ConfigMap> = {
  mustRecreate: (before, after) => before.data['key'] !== after.data['key'],
  mustGoFirst: () => true,
}

function labelled(object: ConfigMap, labels: Readonly<Record<string, string>>): ConfigMap {
  return { ...object, meta: { ...object.meta, labels: { ...object.meta.labels, ...labels } } }
}

function annotated(object: ConfigMap, annotations: Readonly<Record<string, string>>): ConfigMap {
  return { ...object, meta: { ...object.meta, annotations } }
}

const unreadable = (namespace: string, name: string): Known<ConfigMap> => ({
  ...known<ConfigMap>([]),
  problems: [{ kind: 'ConfigMap', namespace, name, problem: 'broken' }],
})

const cases: readonly Case[] = [
  {
    name: 'an object that is created here is created on the broker, with our label',
    here: [object(local, 'a')],
    writes: ['broker create there/a c1'],
  },
  {
    name: 'one that is changed here is updated there',
    here: [object(local, 'a', undefined, { key: 'new' })],
    there: [object(broker, 'a', 'c1')],
    writes: ['broker update there/a c1'],
  },
  {
    name: 'one that is the same on both sides is left alone',
    here: [object(local, 'a')],
    there: [object(broker, 'a', 'c1')],
    writes: [],
  },
  {
    name: 'one that is deleted here is deleted there',
    there: [object(broker, 'a', 'c1')],
    writes: ['broker delete there/a'],
  },
  {
    name: 'what others wrote on the broker is copied, label and all',
    there: [object(broker, 'a', 'c2')],
    writes: ['local create here/a c2'],
  },
  {
    name: 'a copy follows its source',
    here: [object(local, 'a', 'c2')],
    there: [object(broker, 'a', 'c2', { key: 'new' })],
    writes: ['local update here/a c2'],
  },
  {
    name: 'a copy without a source is deleted',
    here: [object(local, 'a', 'c2')],
    writes: ['local delete here/a'],
  },
  {
    name: 'no echo: a copy does not go out, and ours does not come in',
    here: [object(local, 'a', 'c2'), object(local, 'b')],
    there: [object(broker, 'a', 'c2'), object(broker, 'b', 'c1')],
    writes: [],
  },
  {
    name: 'an object of the broker without a label is nobody’s',
    there: [object(broker, 'a')],
    writes: [],
  },
  {
    name: 'before the broker has been listed nothing is written on either side',
    here: [object(local, 'a'), object(local, 'b', 'c2')],
    there: unknown,
    writes: [],
  },
  {
    name: 'before we have been listed nothing is deleted on the broker',
    here: unknown,
    there: [object(broker, 'a', 'c1'), object(broker, 'b', 'c2')],
    writes: [],
  },
  {
    name: 'both listed and one of them empty: what has no source is gone',
    here: [object(local, 'b', 'c2')],
    there: [object(broker, 'a', 'c1')],
    writes: ['local delete here/b', 'broker delete there/a'],
  },
  {
    name: 'labels and annotations go along',
    here: [annotated(labelled(object(local, 'a'), { color: 'red' }), { note: 'x' })],
    there: [object(broker, 'a', 'c1')],
    writes: ['broker update there/a c1 color=red note=x'],
  },
  {
    name: 'labels and annotations of others on the copy stay, and are no reason to write',
    here: [labelled(annotated(object(local, 'a', 'c2'), { theirs: 'x' }), { theirs: 'y' })],
    there: [object(broker, 'a', 'c2')],
    writes: [],
  },
  {
    name: 'from all namespaces: the broker is told from which',
    here: [object(local, 'a')],
    isFromAllNamespaces: true,
    writes: ['broker create there/a c1 submariner-io/originatingNamespace=here'],
  },
  {
    name: 'an object of another cluster is not written over on the broker',
    here: [object(local, 'a')],
    there: [object(broker, 'a', 'c2', { key: 'theirs' })],
    writes: [],
    conflicts: ['local a of ', 'broker a of c2'],
  },
  {
    name: 'ours is not written over by a copy',
    here: [object(local, 'a')],
    there: [object(broker, 'a', 'c2'), object(broker, 'b', 'c1')],
    writes: ['broker delete there/b'],
    conflicts: ['local a of ', 'broker a of c2'],
  },
  {
    name: 'one on the broker without a label is not taken over',
    here: [object(local, 'a')],
    there: [object(broker, 'a')],
    writes: [],
    conflicts: ['broker a of '],
  },
  {
    name: 'one that cannot be read is deleted, and created when it is gone',
    here: [object(local, 'a')],
    there: unreadable(broker, 'a'),
    writes: ['broker delete there/a'],
  },
  {
    name: 'for those who look at comings and goings alone a change is a deletion first',
    here: [object(local, 'a', undefined, { key: 'new' })],
    there: [object(broker, 'a', 'c1')],
    replacement: recreating,
    writes: ['broker delete there/a'],
  },
  {
    name: 'and what has no place any more goes before what takes it',
    here: [object(local, 'new')],
    there: [object(broker, 'old', 'c1')],
    replacement: recreating,
    writes: ['broker delete there/old'],
  },
]

function syncOf(given: Case): Sync<ConfigMap> {
  const knownOf = (side: Case['here'] = []): Known<ConfigMap> =>
    'synced' in side ? side : known(side)
  const [here, there] = [knownOf(given.here), knownOf(given.there)]
  return {
    type: configMapType,
    clusterId: 'c1',
    localNamespace: local,
    brokerNamespace: broker,
    local: here,
    broker: there,
    exports: ownObjects(here.items),
    imports: foreignObjects(there.items, 'c1'),
    made: [],
    isOutdated: () => false,
    isFromAllNamespaces: given.isFromAllNamespaces ?? false,
    replacement: given.replacement ?? inPlace,
  }
}

function shown(write: Write): string {
  if (write.verb === 'delete') return `${write.server} delete ${write.namespace}/${write.name}`
  const { name, namespace, labels, annotations } = write.object.meta
  const { [label.clusterId]: owner = '', ...others } = labels
  const extras = Object.entries({ ...others, ...annotations }).map(
    ([key, text]) => `${key}=${text}`,
  )
  return [`${write.server} ${write.verb} ${namespace}/${name}`, owner, ...extras].join(' ')
}

for (const given of cases) {
  test(given.name, () => {
    const { writes, conflicts } = planSync(syncOf(given))
    assert.deepEqual(writes.map(shown), given.writes)
    assert.deepEqual(
      conflicts.map(({ server, name, owner }) => `${server} ${name} of ${owner}`),
      given.conflicts ?? [],
    )
  })
}

test('an update says the version that it was made from, and keeps what others wrote', () => {
  const there = labelled(object(broker, 'a', 'c1'), { theirs: 'x' })
  const given: Case = {
    name: '',
    here: [object(local, 'a', undefined, { key: 'new' })],
    there: [there],
    writes: [],
  }
  const [write] = planSync(syncOf(given)).writes
  assert.ok(write.verb === 'update')
  assert.equal(write.object.meta.uid, there.meta.uid)
  assert.equal(write.object.meta.resourceVersion, there.meta.resourceVersion)
  assert.equal(write.object.meta.labels['theirs'], 'x')
})

test('a deletion names the very object', () => {
  const there = object(broker, 'a', 'c1')
  const [write] = planSync(syncOf({ name: '', there: [there], writes: [] })).writes
  assert.ok(write.verb === 'delete')
  assert.equal(write.uid, there.meta.uid)
})
