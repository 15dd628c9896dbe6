import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planSubmarinerStatus } from '../../../src/control/submariner-status.ts'
import type { World } from '../../../src/control/world.ts'
import { type Submariner, submarinerType } from '../../../src/kube/resources/submariner.ts'
import {
  gatewayOf,
  hostname,
  known,
  nowMs,
  unknown,
  type WorldChanges,
  worldWith,
} from '../../support/control-world.ts'
import { goldenObject, parsed } from '../../support/golden-objects.ts'

const golden = parsed(submarinerType, goldenObject('submariner'))
const gateways = [gatewayOf(hostname, { haState: 'active' }), gatewayOf('other')]

function worldOf(submariner: Submariner | undefined, changes: WorldChanges = {}): World {
  const local = { ...worldWith().local, gateways: known(gateways), submariner }
  return worldWith({ local, ...changes })
}

function statusIn(world: World): Record<string, unknown> {
  const [write] = planSubmarinerStatus(world)
  assert.ok(write.verb === 'update')
  return submarinerType.serialize(write.object as Submariner)['status'] as Record<string, unknown>
}

const bare: Submariner = { ...golden, status: undefined }

test('the active gateway says what the cluster is, and which gateways there are', () => {
  const world = worldOf(bare)
  const [write] = planSubmarinerStatus(world)
  assert.ok(write.verb === 'update')
  assert.deepEqual(
    [write.server, write.key, write.status],
    ['local', 'Submariner/submariner', true],
  )
  const { gateways: listed, ...status } = statusIn(world)
  assert.deepEqual(status, {
    clusterID: 'c1',
    natEnabled: false,
    clusterCIDR: '10.1.0.0/16,fd00:1::/48',
    serviceCIDR: '10.101.0.0/16,fd00:101::/112',
    colorCodes: 'blue',
    networkPlugin: 'generic',
    version: '0.3.0',
  })
  const states = (listed as readonly { readonly haStatus: string }[]).map(
    ({ haStatus }) => haStatus,
  )
  assert.deepEqual(states, ['active', 'passive'])
})

test('a network plugin that somebody found stays', () => {
  const status = golden.status ?? assert.fail('the golden object has a status')
  const world = worldOf({ ...golden, status: { ...status, networkPlugin: 'OVNKubernetes' } })
  assert.equal(statusIn(world)['networkPlugin'], 'OVNKubernetes')
})

test('it is written when it is different, and only then', () => {
  const [write] = planSubmarinerStatus(worldOf(bare))
  assert.ok(write.verb === 'update')
  const raw = {
    ...goldenObject('submariner'),
    status: submarinerType.serialize(write.object as Submariner)['status'],
  }
  const read = parsed(submarinerType, JSON.parse(JSON.stringify(raw)))
  assert.deepEqual(planSubmarinerStatus(worldOf(read)), [])
})

test('gateways that are no more are not in it', () => {
  const old = gatewayOf('old', { updatedAtMs: nowMs - 60_000 })
  const local = { ...worldOf(bare).local, gateways: known([old]) }
  assert.equal(statusIn(worldOf(bare, { local }))['gateways'], undefined)
})

const silent: readonly (readonly [string, World])[] = [
  ['a passive gateway', worldOf(bare, { isActive: false })],
  ['one without the resource', worldOf(undefined)],
  [
    'one that does not know the Gateways yet',
    worldOf(bare, { local: { ...worldOf(bare).local, gateways: unknown } }),
  ],
]

for (const [name, world] of silent) {
  test(`${name} writes none`, () => {
    assert.deepEqual(planSubmarinerStatus(world), [])
  })
}
