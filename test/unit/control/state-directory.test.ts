import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { StateDirectory } from '../../../src/control/state-directory.ts'
import { clusterType } from '../../../src/kube/resources/cluster.ts'
import { endpointType } from '../../../src/kube/resources/endpoint.ts'
import { submarinerType } from '../../../src/kube/resources/submariner.ts'
import { gatewayOf } from '../../support/control-world.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

const metadata = (name: string) => ({
  name,
  namespace: 'broker',
  uid: `uid-${name}`,
  resourceVersion: '7',
  creationTimestamp: '2026-01-02T03:04:05Z',
  labels: { 'submariner-io/clusterID': 'west' },
})

function remembered() {
  const cluster = clusterType.parse({
    metadata: metadata('west'),
    spec: { cluster_id: 'west', cluster_cidr: ['10.2.0.0/16'], service_cidr: [], global_cidr: [] },
  })
  const endpoint = endpointType.parse({
    metadata: metadata('west-cable'),
    spec: {
      ...{ cluster_id: 'west', cable_name: 'cable', hostname: 'node', subnets: ['10.2.0.0/16'] },
      ...{ private_ip: '192.0.2.2', public_ip: '', nat_enabled: false, backend: 'wireguard' },
    },
  })
  assert.ok(cluster.ok && endpoint.ok)
  return { clusters: [cluster.value], endpoints: [endpoint.value] }
}

function open(context: TestContext): { path: string; state: StateDirectory } {
  const path = join(temporaryDirectory(context), 'state')
  return { path, state: StateDirectory.open(path) }
}

test('a cluster that has left keeps its key, and neither settings nor others', context => {
  const { path, state } = open(context)
  const key = new Uint8Array(32).fill(9)
  state.keepPrivateKey(key)
  state.keepRemembered(remembered())
  state.forget()
  const again = StateDirectory.open(path)
  assert.deepEqual(again.privateKey(), key)
  assert.deepEqual(again.remembered(), { clusters: [], endpoints: [] })
  assert.equal(again.submariner(), undefined)
  assert.deepEqual(again.problems(), [])
})

test('settings are written again when they are others, not when their status is', context => {
  const { path, state } = open(context)
  const file = join(path, 'submariner.json')
  const keep = (clusterId: string, resourceVersion: string) => {
    const parsed = submarinerType.parse({
      metadata: { name: 'submariner', namespace: 'ns', uid: 'u', resourceVersion },
      spec: {
        ...{ broker: 'k8s', brokerK8sApiServer: 'x:1', brokerK8sRemoteNamespace: 'ns' },
        ...{ clusterID: clusterId, namespace: 'ns', clusterCIDR: '', serviceCIDR: '' },
        ...{ natEnabled: false, debug: false, ceIPSecDebug: false },
      },
      status: { clusterCIDR: '10.1.0.0/16' },
    })
    assert.ok(parsed.ok && parsed.value.status !== undefined)
    const gateways = [gatewayOf(`node-${resourceVersion}`)]
    state.keepSubmariner({ ...parsed.value, status: { ...parsed.value.status, gateways } })
    return readFileSync(file, 'utf8')
  }
  const first = keep('east', '1')
  assert.match(first, /10\.1\.0\.0/)
  writeFileSync(file, '')
  assert.equal(keep('east', '2'), '')
  assert.match(keep('west', '3'), /west/)
  assert.equal(StateDirectory.open(path).submariner()?.clusterId, 'west')
})

test('what was kept is there after a restart, for nobody else to read', context => {
  const { path, state } = open(context)
  const key = state.privateKey()
  assert.equal(key.length, 32)
  assert.deepEqual(state.privateKey(), key)
  assert.equal(state.presharedKey(), undefined)
  state.keepPresharedKey(new Uint8Array(32).fill(7))
  state.keepHeldEpoch(3)
  state.keepRemembered(remembered())
  const again = StateDirectory.open(path)
  assert.deepEqual(again.privateKey(), key)
  assert.deepEqual(again.presharedKey(), new Uint8Array(32).fill(7))
  assert.equal(again.heldEpoch(), 3)
  // Ages and labels too: they decide who is believed.
  assert.deepEqual(again.remembered(), remembered())
  assert.deepEqual(again.problems(), [])
  assert.equal(statSync(path).mode & 0o777, 0o700)
  for (const name of readdirSync(path)) {
    assert.equal(statSync(join(path, name)).mode & 0o777, 0o600, name)
    assert.doesNotMatch(name, /\.new$/)
  }
  again.keepHeldEpoch(undefined)
  assert.equal(StateDirectory.open(path).heldEpoch(), undefined)
  assert.notDeepEqual(again.newPrivateKey(), key)
})

test('garbage in the files is a problem, and is as if nothing were there', context => {
  const { path, state } = open(context)
  const names = ['wireguard.key', 'psk', 'remotes.json', 'submariner.json', 'held-epoch']
  for (const name of names) writeFileSync(join(path, name), '\0not { what it was')
  assert.equal(state.privateKey().length, 32)
  assert.equal(state.presharedKey(), undefined)
  assert.deepEqual(state.remembered(), { clusters: [], endpoints: [] })
  assert.equal(state.submariner(), undefined)
  assert.equal(state.heldEpoch(), undefined)
  // A new key was stored in the place of the broken one.
  assert.deepEqual(
    state
      .problems()
      .map(({ object }) => object.slice(path.length + 1))
      .sort(),
    ['held-epoch', 'psk', 'remotes.json', 'submariner.json'],
  )
  assert.doesNotMatch(JSON.stringify(state.problems()), /what it was/)
})

test('objects of which one is broken are read without it', context => {
  const { path, state } = open(context)
  const good = remembered()
  state.keepRemembered(good)
  const file = join(path, 'remotes.json')
  const lists = JSON.parse(readFileSync(file, 'utf8')) as { clusters: unknown[] }
  lists.clusters.unshift({ spec: 7 }, null)
  writeFileSync(file, JSON.stringify(lists))
  assert.deepEqual(StateDirectory.open(path).remembered(), good)
})

test('a file that cannot be written is wanted until it can', context => {
  const { path, state } = open(context)
  // Root writes where modes forbid it, but no file where a directory is.
  mkdirSync(join(path, 'held-epoch.new'))
  state.keepHeldEpoch(5)
  assert.equal(state.heldEpoch(), undefined)
  const [problem] = state.problems()
  assert.equal(problem.code, 'state-directory')
  assert.match(problem.message, /held-epoch: E/)
  chmodSync(path, 0o700)
  state.retry()
  assert.equal(state.problems().length, 1)
})

test('without any directory it lasts as long as the process', context => {
  const file = join(temporaryDirectory(context), 'file')
  writeFileSync(file, '')
  const state = StateDirectory.open(join(file, 'state'))
  const key = state.privateKey()
  assert.deepEqual(state.privateKey(), key)
  state.keepHeldEpoch(1)
  assert.equal(state.heldEpoch(), 1)
  state.retry()
  assert.deepEqual(
    state.problems().map(({ code }) => code),
    ['state-directory'],
  )
})
