// What a gateway writes of itself: its Gateway object, the labels of its Pod; and what an uninstall
// takes away.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { GatewayReport } from '../../../src/control/gateway-report.ts'
import { PodLabel } from '../../../src/control/pod-label.ts'
import { deleteOwnObjects } from '../../../src/control/uninstall.ts'
import { emptyBackendConfig } from '../../../src/kube/resources/backend-config.ts'
import { noAddresses } from '../../../src/kube/resources/endpoint.ts'
import type { Gateway, HaState } from '../../../src/kube/resources/gateway.ts'
import { newMeta } from '../../../src/kube/resources/resource.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { controlKinds } from '../../support/control-kinds.ts'
import { eventually } from '../../support/eventually.ts'
import { type FakeApiserver, startFakeApiserver } from '../../support/fake-apiserver.ts'
import { fakeClient } from '../../support/fake-clients.ts'
import { testLog } from '../../support/test-log.ts'

function gateway(haState: HaState): Gateway {
  return {
    meta: newMeta('node-1', 'ns'),
    updatedAtMs: undefined,
    globalIp: undefined,
    version: '1',
    haState,
    failure: '',
    connections: [],
    localEndpoint: {
      ...{ clusterId: 'c1', cableName: 'cable', hostname: 'node-1', subnets: [] },
      ...{ privateIps: noAddresses, publicIps: noAddresses, healthCheckIps: noAddresses },
      ...{ isNatEnabled: false, backend: 'wireguard', backendConfig: emptyBackendConfig },
    },
  }
}

async function start(context: TestContext): Promise<FakeApiserver> {
  const server = await startFakeApiserver(context, { kinds: controlKinds })
  server.forbids = ({ method }) => method === 'PATCH'
  return server
}

function objects(server: FakeApiserver, plural: string, labelSelector = '') {
  const group = plural === 'pods' ? '' : 'submariner.io'
  const kind = server.objects.find(group, 'v1', plural)
  return server.objects.select(kind, { namespace: undefined, labelSelector, fieldSelector: '' })
}

const annotations = (server: FakeApiserver) =>
  objects(server, 'gateways')[0]?.metadata['annotations'] as Record<string, string> | undefined
const haState = (server: FakeApiserver) =>
  (objects(server, 'gateways')[0]?.['status'] as { haStatus: string } | undefined)?.haStatus

test('a Gateway is written again and again, at once for news, and goes in the end', async context => {
  const server = await start(context)
  const parts = { client: fakeClient(server), clock: systemClock, log: testLog() }
  const report = new GatewayReport({ ...parts, periodMs: 600 })
  report.show(gateway('passive'))
  await eventually(() => haState(server) === 'passive')
  assert.match(annotations(server)?.['update-timestamp'] ?? '', /^\d{10}$/)
  // Globalnet writes beside it, so what we read last is stale.
  const kind = server.objects.find('submariner.io', 'v1', 'gateways')
  const theirs = { metadata: { annotations: { 'submariner.io/globalIp': '242.0.0.1' } } }
  server.objects.mergePatch(kind, 'ns', 'node-1', theirs, 'main')
  report.show(gateway('active'))
  await eventually(() => haState(server) === 'active')
  assert.equal(annotations(server)?.['submariner.io/globalIp'], '242.0.0.1')
  const writes = report.writes
  await eventually(() => report.writes > writes)
  await report.stop({ removes: true })
  assert.deepEqual(objects(server, 'gateways'), [])
})

test('a Gateway that cannot be written is a problem, and goes on being tried', async context => {
  const server = await start(context)
  server.forbids = ({ method }) => method === 'POST'
  const parts = { client: fakeClient(server), clock: systemClock, log: testLog() }
  const report = new GatewayReport({ ...parts, periodMs: 50 })
  context.after(() => report.stop({ removes: false }))
  report.show(gateway('active'))
  await eventually(() => report.problems().length === 1)
  assert.match(report.problems()[0].message, /403 Forbidden/)
  server.forbids = () => false
  await eventually(() => haState(server) === 'active' && report.problems().length === 0)
})

test('a Gateway that is refused like one of a race is a problem in the end, and asked for with pauses', async context => {
  const server = await start(context)
  let posts = 0
  server.fault = ({ method }) => {
    if (method !== 'POST') return undefined
    posts++
    return { kind: 'status', status: 409 }
  }
  const parts = { client: fakeClient(server), clock: systemClock, log: testLog() }
  const report = new GatewayReport(parts)
  context.after(() => report.stop({ removes: false }))
  report.show(gateway('active'))
  await eventually(() => report.problems().length === 1)
  assert.equal(posts, 2)
})

test('whatever somebody has written in the place of our Gateway gives way', async context => {
  const server = await start(context)
  const kind = server.objects.find('submariner.io', 'v1', 'gateways')
  server.objects.create(kind, 'ns', { metadata: { name: 'node-1' }, status: 'none' })
  const parts = { client: fakeClient(server), clock: systemClock, log: testLog() }
  const report = new GatewayReport({ ...parts, periodMs: 50 })
  context.after(() => report.stop({ removes: false }))
  report.show(gateway('active'))
  await eventually(() => haState(server) === 'active')
})

test('a Pod is labelled by a patch, or by an update where that is forbidden', async context => {
  for (const mayPatch of [true, false]) {
    const server = await start(context)
    server.forbids = ({ method }) => method === 'PATCH' && !mayPatch
    const kind = server.objects.find('', 'v1', 'pods')
    server.objects.create(kind, 'ns', { metadata: { name: 'pod', labels: { app: 'gateway' } } })
    const pod = new PodLabel({
      ...{ client: fakeClient(server), namespace: 'ns', podName: 'pod', nodeName: 'node-1' },
      log: testLog(),
    })
    const labels = () => objects(server, 'pods')[0].metadata.labels ?? {}
    pod.want('active')
    await eventually(() => labels()['gateway.submariner.io/status'] === 'active')
    assert.equal(labels()['gateway.submariner.io/node'], 'node-1')
    assert.equal(labels()['app'], 'gateway')
    await pod.stop('passive')
    assert.equal(labels()['gateway.submariner.io/status'], 'passive')
  }
})

test('an uninstall takes ours off both servers, and leaves the others theirs', async context => {
  const [local, broker] = [await start(context), await start(context)]
  const add = (server: FakeApiserver, plural: string, name: string, owner?: string) => {
    const kind = server.objects.find('submariner.io', 'v1', plural)
    const labels = owner === undefined ? {} : { 'submariner-io/clusterID': owner }
    // Most of them do not even parse.
    server.objects.create(kind, 'ns', { metadata: { name, labels }, spec: {} })
  }
  const spec = { cluster_id: 'c1', cluster_cidr: [], service_cidr: [], global_cidr: [] }
  for (const owner of ['c1', 'c2']) {
    const kind = broker.objects.find('submariner.io', 'v1', 'clusters')
    const labels = { 'submariner-io/clusterID': owner }
    broker.objects.create(kind, 'ns', {
      ...{ metadata: { name: owner, labels }, spec: { ...spec, cluster_id: owner } },
    })
    add(local, 'endpoints', `${owner}-cable`, owner === 'c1' ? undefined : owner)
  }
  add(local, 'gateways', 'node-1')
  const log = testLog()
  const failures = await deleteOwnObjects({
    ...{ local: fakeClient(local), broker: fakeClient(broker), log },
    ...{ clusterId: 'c1', namespace: 'ns', brokerNamespace: 'ns' },
  })
  assert.deepEqual(failures, [])
  assert.deepEqual(
    objects(broker, 'clusters').map(({ metadata }) => metadata.name),
    ['c2'],
  )
  for (const plural of ['endpoints', 'gateways']) assert.deepEqual(objects(local, plural), [])
  // With a broker that is away the rest is done all the same.
  add(local, 'gateways', 'node-2')
  await broker.close()
  const again = await deleteOwnObjects({
    ...{ local: fakeClient(local), broker: fakeClient(broker), log },
    ...{ clusterId: 'c1', namespace: 'ns', brokerNamespace: 'ns' },
  })
  assert.deepEqual(
    again.map(({ code }) => code),
    ['UNAVAILABLE', 'UNAVAILABLE'],
  )
  assert.deepEqual(objects(local, 'gateways'), [])
})
