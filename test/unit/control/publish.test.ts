// The behaviour of stock's datastore syncer, case by case: what the active gateway writes of Clusters
// and Endpoints.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Known, Write } from '../../../src/broker/writes.ts'
import { describeSelf } from '../../../src/control/own-objects.ts'
import { type Publication, publish } from '../../../src/control/publish.ts'
import { findRemotes } from '../../../src/control/remotes.ts'
import type { World } from '../../../src/control/world.ts'
import { label } from '../../../src/kube/names.ts'
import type { Cluster } from '../../../src/kube/resources/cluster.ts'
import { type Endpoint, noAddresses } from '../../../src/kube/resources/endpoint.ts'
import { parseAddress } from '../../../src/net/address.ts'
import {
  brokerNamespace,
  clusterOf,
  endpointOf,
  gatewayOf,
  hostname,
  keyOf,
  known,
  localNamespace,
  metaOn,
  prefixes,
  texts,
  unknown,
  type WorldChanges,
  worldWith,
} from '../../support/control-world.ts'

const own = describeSelf(worldWith())
const ownName = own.endpoint.meta.name
const ownHere: Endpoint = { ...own.endpoint, meta: metaOn(localNamespace, ownName, undefined, 5) }
const ownThere: Endpoint = { ...own.endpoint, meta: metaOn(brokerNamespace, ownName, 'c1', 5) }
const clusterHere: Cluster = { ...own.cluster, meta: metaOn(localNamespace, 'c1', undefined, 5) }
const clusterThere: Cluster = { ...own.cluster, meta: metaOn(brokerNamespace, 'c1', 'c1', 5) }

interface Objects {
  readonly hereClusters?: readonly Cluster[]
  readonly hereEndpoints?: readonly Endpoint[] | Known<Endpoint>
  readonly thereClusters?: readonly Cluster[]
  readonly thereEndpoints?: readonly Endpoint[] | Known<Endpoint>
}

/** A world where our own objects are as they should be, and nobody else is there. */
function worldOf(objects: Objects, changes: WorldChanges = {}): World {
  const knownOf = (side: readonly Endpoint[] | Known<Endpoint>) =>
    'synced' in side ? side : known(side)
  const {
    hereClusters = [clusterHere],
    hereEndpoints = [ownHere],
    thereClusters = [clusterThere],
    thereEndpoints = [ownThere],
  } = objects
  return worldWith({
    local: {
      ...worldWith().local,
      clusters: known(hereClusters),
      endpoints: knownOf(hereEndpoints),
    },
    broker: { clusters: known(thereClusters), endpoints: knownOf(thereEndpoints) },
    ...changes,
  })
}

function planOf(world: World): Publication {
  return publish(world, describeSelf(world), findRemotes(world).accepted)
}

function shown(write: Write): string {
  const name = write.verb === 'delete' ? write.name : write.object.meta.name
  return `${write.server} ${write.verb} ${write.type.kind} ${name}`
}

const copyOf = (endpoint: Endpoint): Endpoint => ({
  ...endpoint,
  meta: metaOn(localNamespace, endpoint.meta.name, endpoint.clusterId, 9),
})

const cluster2Here: Cluster = {
  ...clusterOf(2),
  meta: metaOn(localNamespace, 'c2', 'c2', 9),
}
const c2 = { thereClusters: [clusterThere, clusterOf(2)] }
const name2 = 'c2-submariner-cable-c2-gateway'
const withCopies = {
  ...c2,
  hereClusters: [clusterHere, cluster2Here],
  hereEndpoints: [ownHere, copyOf(endpointOf(2))],
}
const older = (name: string, place: string, owner?: string): Endpoint => ({
  ...own.endpoint,
  hostname: 'other-node',
  meta: metaOn(place, name, owner, 3),
})

interface Case {
  readonly name: string
  readonly objects: Objects
  readonly world?: WorldChanges
  readonly writes: readonly string[]
  readonly problems?: readonly string[]
  readonly wantsNewKey?: boolean
}

const cases: readonly Case[] = [
  { name: 'all is as it should be', objects: {}, writes: [] },
  {
    name: 'nothing is there yet: Cluster and Endpoint are made on both sides',
    objects: { hereClusters: [], hereEndpoints: [], thereClusters: [], thereEndpoints: [] },
    writes: [
      'local create Cluster c1',
      'broker create Cluster c1',
      `local create Endpoint ${ownName}`,
      `broker create Endpoint ${ownName}`,
    ],
  },
  {
    name: 'a passive gateway writes neither, and copies nothing',
    objects: { ...c2, hereClusters: [], thereEndpoints: [endpointOf(2)] },
    world: { isActive: false },
    writes: [],
  },
  {
    name: 'what somebody deleted on the broker is made again',
    objects: { thereClusters: [], thereEndpoints: [] },
    writes: ['broker create Cluster c1', `broker create Endpoint ${ownName}`],
  },
  {
    name: 'what somebody changed on the broker is put right',
    objects: { thereEndpoints: [{ ...ownThere, hostname: 'wrong' }] },
    writes: [`broker update Endpoint ${ownName}`],
  },
  {
    name: 'another CIDR is an update on both sides',
    objects: {
      hereClusters: [{ ...clusterHere, clusterCidrs: [] }],
      thereClusters: [{ ...clusterThere, clusterCidrs: [] }],
    },
    writes: ['local update Cluster c1', 'broker update Cluster c1'],
  },
  {
    name: 'a fail-over to this node updates the Endpoint in place',
    objects: {
      hereEndpoints: [{ ...ownHere, hostname: 'other-node' }],
      thereEndpoints: [{ ...ownThere, hostname: 'other-node' }],
    },
    writes: [`local update Endpoint ${ownName}`, `broker update Endpoint ${ownName}`],
  },
  {
    name: 'there is one Endpoint of a cluster: others of ours are deleted on both sides',
    objects: {
      hereEndpoints: [ownHere, older('c1-old', localNamespace)],
      thereEndpoints: [ownThere, older('c1-old', brokerNamespace, 'c1')],
    },
    writes: ['local delete Endpoint c1-old', 'broker delete Endpoint c1-old'],
  },
  {
    name: 'the Endpoint of another cluster is copied, and its Cluster',
    objects: { ...c2, thereEndpoints: [ownThere, endpointOf(2)] },
    writes: ['local create Cluster c2', `local create Endpoint ${name2}`],
  },
  {
    name: 'a copy that is as it should be is left alone',
    objects: { ...withCopies, thereEndpoints: [ownThere, endpointOf(2)] },
    writes: [],
  },
  {
    name: 'a copy follows',
    objects: { ...withCopies, thereEndpoints: [ownThere, endpointOf(2, { hostname: 'new' })] },
    writes: [`local update Endpoint ${name2}`],
  },
  {
    name: 'a remote Endpoint that is gone is deleted here',
    objects: withCopies,
    writes: [`local delete Endpoint ${name2}`],
  },
  {
    name: 'a remote Cluster that is gone takes its Endpoint’s copy along',
    objects: {
      ...withCopies,
      thereClusters: [clusterThere],
      thereEndpoints: [ownThere, endpointOf(2)],
    },
    writes: ['local delete Cluster c2', `local delete Endpoint ${name2}`],
  },
  {
    name: 'an Endpoint with nothing accepted is not copied',
    objects: {
      ...withCopies,
      hereEndpoints: [ownHere],
      thereEndpoints: [ownThere, endpointOf(2, { subnets: prefixes('10.1.0.0/16') })],
    },
    writes: [],
  },
  {
    name: 'no echo: the copy of another’s Endpoint does not go to the broker, once it is gone there',
    objects: { ...withCopies, thereEndpoints: unknown },
    writes: [],
  },
  {
    name: 'an object that somebody made here for another cluster stays here, and is named',
    objects: {
      hereEndpoints: [ownHere, endpointOf(7, { meta: metaOn(localNamespace, 'x', undefined, 1) })],
    },
    writes: [],
    problems: ['stray-object endpoints/x'],
  },
  {
    name: 'our own with our label is no copy: made anew without it',
    objects: { hereEndpoints: [{ ...ownHere, meta: metaOn(localNamespace, ownName, 'c1', 5) }] },
    writes: [`local delete Endpoint ${ownName}`],
    problems: [`name-taken endpoints/${ownName}`],
  },
  {
    name: 'the name of our Endpoint is taken on the broker',
    objects: {
      ...c2,
      hereClusters: withCopies.hereClusters,
      thereEndpoints: [endpointOf(2, { meta: metaOn(brokerNamespace, ownName, 'c2', 9) })],
    },
    writes: [],
    problems: [`name-taken endpoints/${ownName}`, `name-taken endpoints/${ownName}`],
  },
  {
    name: 'ours cannot be read on the broker: deleted, and made when it is gone',
    objects: {
      thereEndpoints: known<Endpoint>(
        [],
        [{ kind: 'Endpoint', namespace: brokerNamespace, name: ownName, problem: 'broken' }],
      ),
    },
    writes: [`broker delete Endpoint ${ownName}`],
  },
  {
    name: 'without a private address what is published stays as it is',
    objects: {},
    world: { self: { privateIps: noAddresses } },
    writes: [],
  },
  {
    name: 'the API is away and the broker is there: the broker is written all the same',
    objects: { hereEndpoints: unknown, thereEndpoints: [] },
    writes: [`broker create Endpoint ${ownName}`],
  },
]

for (const { name, objects, world, writes, problems = [], wantsNewKey = false } of cases) {
  test(name, () => {
    const plan = planOf(worldOf(objects, world))
    assert.deepEqual(plan.writes.map(shown), writes)
    assert.deepEqual(
      plan.problems.map(({ code, object }) => `${code} ${object}`),
      problems,
    )
    assert.equal(plan.wantsNewKey, wantsNewKey)
  })
}

test('ours have no label here and have it on the broker', () => {
  const world = worldWith({ clusters: [], endpoints: [] })
  for (const write of planOf(world).writes) {
    assert.ok(write.verb === 'create')
    const wanted = write.server === 'broker' ? { [label.clusterId]: 'c1' } : {}
    assert.deepEqual(write.object.meta.labels, wanted)
    const namespace = write.server === 'broker' ? brokerNamespace : localNamespace
    assert.equal(write.object.meta.namespace, namespace)
  }
})

test('a copy carries accepted subnets only', () => {
  const endpoint = endpointOf(2, {
    subnets: prefixes('10.2.0.0/16', '10.1.0.0/16', '10.77.0.0/16'),
  })
  const world = worldWith({ clusters: [clusterOf(2)], endpoints: [endpoint] })
  const write = planOf(world).writes.find(
    ({ server, key }) => server === 'local' && key === `Endpoint/${name2}`,
  )
  assert.ok(write?.verb === 'create')
  assert.deepEqual(texts((write.object as Endpoint).subnets), ['10.2.0.0/16'])
  assert.equal(write.object.meta.labels[label.clusterId], 'c2')
})

test('Globalnet’s address becomes what is pinged, by an update', () => {
  const globalCidrs = prefixes('242.1.0.0/16')
  const base = worldWith({ settings: { globalCidrs } })
  const before = describeSelf(base).endpoint
  const local = {
    ...base.local,
    endpoints: known([{ ...before, meta: metaOn(localNamespace, ownName, undefined, 5) }]),
    gateways: known([gatewayOf(hostname, { globalIp: parseAddress('242.1.0.9') })]),
  }
  const writes = planOf({ ...base, local }).writes.filter(
    ({ key }) => key === `Endpoint/${ownName}`,
  )
  assert.deepEqual(writes.map(shown), [
    `local update Endpoint ${ownName}`,
    `broker create Endpoint ${ownName}`,
  ])
})

// Beside stock agents.

const stock = { settings: { hasStockAgents: true } }
const stockOwn = describeSelf(worldWith(stock)).endpoint
const stockName = stockOwn.meta.name
const stockHere = (over: Partial<Endpoint> = {}): Endpoint => ({
  ...stockOwn,
  meta: metaOn(localNamespace, stockName, undefined, 5),
  ...over,
})
const stockThere = (over: Partial<Endpoint> = {}): Endpoint => ({
  ...stockOwn,
  meta: metaOn(brokerNamespace, stockName, 'c1', 5),
  ...over,
})
const both = (over: Partial<Endpoint>): Objects => ({
  hereEndpoints: [stockHere(over)],
  thereEndpoints: [stockThere(over)],
})
const deleted = [`local delete Endpoint ${stockName}`, `broker delete Endpoint ${stockName}`]
const { backendConfig } = stockOwn

const stockCases: readonly Case[] = [
  { name: 'all is as it should be', objects: both({}), writes: [] },
  {
    name: 'other subnets: deleted first, with another key to come',
    ...{ objects: both({ subnets: prefixes('10.1.0.0/16') }), writes: deleted, wantsNewKey: true },
  },
  {
    name: 'another port',
    objects: both({ backendConfig: { ...backendConfig, udpPort: 4501 } }),
    ...{ writes: deleted, wantsNewKey: true },
  },
  {
    name: 'the key is another one already',
    objects: both({
      subnets: prefixes('10.1.0.0/16'),
      backendConfig: { ...backendConfig, publicKey: keyOf(77) },
    }),
    writes: deleted,
  },
  {
    name: 'it is gone: made anew',
    objects: { hereEndpoints: [], thereEndpoints: [] },
    writes: [`local create Endpoint ${stockName}`, `broker create Endpoint ${stockName}`],
  },
  {
    name: 'what is no part of being the same is updated in place',
    objects: both({ healthCheckIps: noAddresses }),
    writes: [`local update Endpoint ${stockName}`, `broker update Endpoint ${stockName}`],
  },
  {
    name: 'that of another node goes first, and ours comes when it is gone',
    objects: {
      hereEndpoints: [older('c1-old', localNamespace)],
      thereEndpoints: [older('c1-old', brokerNamespace, 'c1')],
    },
    writes: ['local delete Endpoint c1-old', 'broker delete Endpoint c1-old'],
    // Here it has our key.
    wantsNewKey: true,
  },
  {
    name: 'the copy of a remote that changed is deleted first',
    objects: {
      ...withCopies,
      hereEndpoints: [stockHere(), copyOf(endpointOf(2))],
      thereEndpoints: [stockThere(), endpointOf(2, { hostname: 'new' })],
    },
    writes: [`local delete Endpoint ${name2}`],
  },
  {
    name: 'the copy under the old name goes before the one under the new comes',
    objects: {
      ...withCopies,
      hereEndpoints: [stockHere(), copyOf(endpointOf(2, { cableName: 'old' }))],
      thereEndpoints: [stockThere(), endpointOf(2)],
    },
    writes: ['local delete Endpoint c2-old'],
  },
]

for (const { name, objects, writes, wantsNewKey = false } of stockCases) {
  test(`beside stock agents: ${name}`, () => {
    const plan = planOf(worldOf(objects, stock))
    assert.deepEqual(plan.writes.map(shown), writes)
    assert.equal(plan.wantsNewKey, wantsNewKey)
  })
}
