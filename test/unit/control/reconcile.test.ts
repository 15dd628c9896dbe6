// The whole of it: any world has a plan, a plan that is carried out leaves nothing to be done, and what
// one cluster writes changes nothing for the others.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { problemsMost } from '../../../src/control/problems.ts'
import { reconcile } from '../../../src/control/reconcile.ts'
import type { Plan, World } from '../../../src/control/world.ts'
import { parseObject } from '../../../src/kube/objects.ts'
import type { Resource, ResourceType } from '../../../src/kube/resource-type.ts'
import { type Cluster, clusterType } from '../../../src/kube/resources/cluster.ts'
import { type Endpoint, endpointType } from '../../../src/kube/resources/endpoint.ts'
import { decodeTables, encodeTables } from '../../../src/wire/tables.ts'
import {
  arbitraryCluster,
  arbitraryEndpoint,
  arbitraryWorld,
  byLiar,
} from '../../support/arbitrary-objects.ts'
import {
  clusterOf,
  endpointOf,
  gatewayOf,
  hostname,
  known,
  nowMs,
  unknown,
  type WorldChanges,
  worldWith,
} from '../../support/control-world.ts'
import { mutated } from '../../support/json-mutation.ts'
import { PlanCarrier } from '../../support/plan-carrier.ts'
import { rounds, seededRandom, testSeed } from '../../support/rng.ts'

/** Carries out plans until there is nothing to be done. */
function settled(world: World): { readonly world: World; readonly plan: Plan } {
  const carrier = new PlanCarrier(world)
  let seen = carrier.seenBy(world)
  for (let round = 0; round < 5; round++) {
    const plan = reconcile(seen)
    if (plan.writes.length === 0) return { world: seen, plan }
    carrier.carryOut(plan.writes)
    seen = { ...carrier.seenBy(world), posted: plan.tables }
  }
  assert.fail(
    `still to be done: ${reconcile(seen).writes.map(({ key, reason }) => `${key}: ${reason}`)}`,
  )
}

test('from nothing: a cable for each remote, our objects on both sides, copies of theirs here', () => {
  const { world, plan } = settled(worldWith())
  assert.deepEqual(
    plan.tables.cables.map(({ name }) => name),
    ['c2', 'c3'],
  )
  const names = (items: readonly Resource[]) => items.map(({ meta }) => meta.name).sort()
  assert.deepEqual(names(world.local.clusters.items), ['c1', 'c2', 'c3'])
  assert.deepEqual(names(world.broker.clusters.items), ['c1', 'c2', 'c3'])
  const endpoints = ['c1', 'c2', 'c3'].map(id => `${id}-submariner-cable-${id}-gateway`)
  assert.deepEqual(names(world.local.endpoints.items), endpoints)
  assert.deepEqual(names(world.broker.endpoints.items), endpoints)
  assert.deepEqual(plan.problems, [])
  assert.deepEqual(
    plan.pings.map(({ key }) => key),
    ['c2/4', 'c2/6', 'c3/4', 'c3/6'],
  )
  assert.equal(plan.podStatus, 'active')
  assert.equal(plan.gateway.connections.length, 4)
  assert.deepEqual(plan.vxlanSubnets, [])
})

test('a passive gateway writes nothing but its own Gateway, and has no cables', () => {
  const plan = reconcile(worldWith({ isActive: false }))
  assert.deepEqual([plan.writes, plan.tables.cables, plan.pings], [[], [], []])
  assert.equal(plan.podStatus, 'passive')
  assert.equal(plan.gateway.haState, 'passive')
  assert.equal(plan.remotes.length, 2)
})

test('VXLAN cables come with the subnets that need routes of the gateway', () => {
  const plan = reconcile(worldWith({ settings: { drivers: ['vxlan'] } }))
  assert.equal(plan.vxlanSubnets.length, 8)
})

test('cold, without any API: the same cables from what was remembered', () => {
  const { world, plan } = settled(worldWith())
  const nothing = { clusters: unknown, endpoints: unknown }
  const cold = reconcile({
    ...world,
    node: undefined,
    local: { ...nothing, gateways: unknown, submariner: undefined },
    broker: nothing,
    remembered: plan.remember,
    posted: undefined,
  })
  assert.deepEqual(cold.tables, plan.tables)
  assert.deepEqual(cold.writes, [])
  assert.deepEqual(cold.remember, plan.remember)
})

test('remembered are the others and our own Endpoint', () => {
  const { world, plan } = settled(worldWith())
  const ids = (items: readonly { readonly clusterId: string }[]) =>
    items.map(({ clusterId }) => clusterId)
  assert.deepEqual(ids(plan.remember.clusters), ['c2', 'c3'])
  assert.deepEqual(ids(plan.remember.endpoints), ['c2', 'c3', 'c1'])
  assert.equal(plan.remember.endpoints[2].hostname, hostname)
  assert.deepEqual(reconcile({ ...world, remembered: plan.remember }).remember, plan.remember)
})

test('old Gateways go, and the Gateway says what is wrong', () => {
  const old = gatewayOf('old', { updatedAtMs: nowMs - 60_000 })
  const local = { ...worldWith().local, gateways: known([old]) }
  const plan = reconcile(worldWith({ local, settings: { missingDriver: 'libreswan' } }))
  assert.ok(plan.writes.some(({ verb, key }) => verb === 'delete' && key === 'Gateway/old'))
  assert.match(plan.gateway.failure, /libreswan/)
})

test('any world has a plan that a data path takes', () => {
  fc.assert(
    fc.property(arbitraryWorld, world => {
      const plan = reconcile(world)
      const tables = { generation: 1, ...plan.tables }
      assert.deepEqual(decodeTables(encodeTables(tables, true)), tables)
      assert.ok(plan.problems.length <= problemsMost + 1)
      assert.ok(plan.gateway.failure.length <= 1100)
      assert.ok(plan.problems.every(({ message, object }) => message.length + object.length <= 800))
      // The same world has the same plan, and what was posted changes nothing in it.
      assert.deepEqual(reconcile(world), plan)
      assert.deepEqual(reconcile({ ...world, posted: plan.tables }).tables, plan.tables)
    }),
    { numRuns: rounds(300) },
  )
})

/** Only what a server would have let in, and a parser would have let through. */
function readable(world: World): World {
  const carrier = new PlanCarrier(world)
  const seen = carrier.seenBy(world)
  const fine = <T>(side: { readonly items: readonly T[] }) => known(side.items)
  const { local, broker } = seen
  return {
    ...seen,
    isActive: true,
    local: {
      ...local,
      clusters: fine(local.clusters),
      endpoints: fine(local.endpoints),
      gateways: fine(local.gateways),
    },
    broker: { clusters: fine(broker.clusters), endpoints: fine(broker.endpoints) },
  }
}

test('plans that are carried out come to an end, whatever was there', () => {
  fc.assert(
    fc.property(arbitraryWorld, world => {
      settled(readable(world))
    }),
    { numRuns: rounds(200) },
  )
})

/** What a plan has for the clusters with these ids. */
function partOf(plan: Plan, ids: readonly string[]): unknown {
  return {
    cables: plan.tables.cables.filter(({ name }) => ids.includes(name)),
    connections: plan.gateway.connections.filter(({ endpoint }) =>
      ids.includes(endpoint.clusterId),
    ),
    pings: plan.pings.filter(({ clusterId }) => ids.includes(clusterId)),
    writes: plan.writes
      .filter(write => {
        const name = write.verb === 'delete' ? write.name : write.object.meta.name
        return ids.some(id => name === id || name.startsWith(`${id}-`))
      })
      .map(({ verb, server, key }) => `${server} ${verb} ${key}`),
  }
}

/** c2 by WireGuard and c3 by VXLAN. */
function mixed(changes: WorldChanges = {}): World {
  const backendConfig = { ...endpointOf(3).backendConfig, cables: ['vxlan'] }
  const world = worldWith({ endpoints: [endpointOf(2), endpointOf(3, { backendConfig })] })
  return { ...world, ...worldWith(changes), broker: world.broker }
}

test('a bad object of a young cluster changes nothing for the others', () => {
  const before = reconcile(mixed())
  const others = ['c1', 'c2', 'c3']
  const liar = fc.record({
    cluster: fc.option(arbitraryCluster(byLiar), { nil: undefined }),
    endpoint: fc.option(arbitraryEndpoint(byLiar), { nil: undefined }),
    claimsItself: fc.boolean(),
  })
  fc.assert(
    fc.property(liar, ({ cluster, endpoint, claimsItself }) => {
      const own = claimsItself ? { clusterId: 'c9' } : {}
      const { broker } = mixed()
      const world = {
        ...mixed(),
        broker: {
          clusters: known([...(cluster ? [{ ...cluster, ...own }] : []), ...broker.clusters.items]),
          endpoints: known([
            ...(endpoint ? [{ ...endpoint, ...own }] : []),
            ...broker.endpoints.items,
          ]),
        },
      }
      assert.deepEqual(partOf(reconcile(world), others), partOf(before, others))
    }),
    { numRuns: rounds(500) },
  )
})

test('whatever becomes of the youngest cluster’s objects, the others stay as they are', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const others = ['c1', 'c2', 'c3']
  const before = partOf(reconcile(mixed()), others)
  const { broker } = mixed()
  for (let round = 0; round < rounds(500); round++) {
    const cluster = changed(clusterType, clusterOf(4), random)
    const endpoint = changed(endpointType, endpointOf(4), random)
    const world = {
      ...mixed(),
      broker: {
        clusters: known([...broker.clusters.items, ...cluster.items], cluster.problems),
        endpoints: known([...broker.endpoints.items, ...endpoint.items], endpoint.problems),
      },
    }
    assert.deepEqual(partOf(reconcile(world), others), before, `HAWSER_SEED=${seed}`)
  }
})

/** The object with anything changed in its content and labels, as it parses. */
function changed<T extends Cluster | Endpoint>(
  type: ResourceType<T>,
  object: T,
  random: () => number,
): { readonly items: readonly T[]; readonly problems: ReturnType<typeof known>['problems'] } {
  const raw = type.serialize(object)
  const metadata = raw['metadata'] as Record<string, unknown>
  const labels = random() < 0.2 ? mutated(metadata['labels'], random) : metadata['labels']
  const spec = mutated(raw['spec'], random)
  const parsed = parseObject(type, { ...raw, spec, metadata: { ...metadata, labels } })
  if (!parsed.ok) return { items: [], problems: [parsed.problem] }
  const { createdAtMs } = object.meta
  return { items: [{ ...parsed.value, meta: { ...parsed.value.meta, createdAtMs } }], problems: [] }
}
