import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Election, type ElectionParts } from '../../../src/kube/lease.ts'
import type { LeaseTimes } from '../../../src/kube/lease-record.ts'
import { leaseIdentity, objectName } from '../../../src/kube/names.ts'
import { Signal } from '../../../src/kube/signal.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { eventually } from '../../support/eventually.ts'
import { startFakeApiserver } from '../../support/fake-apiserver.ts'
import { fakeClient } from '../../support/fake-clients.ts'
import type { FakeObject } from '../../support/fake-objects.ts'
import { fakeKinds } from '../../support/kube-kinds.ts'

const quickTimes: LeaseTimes = { durationMs: 3000, renewDeadlineMs: 1000, retryPeriodMs: 50 }

async function setUp(context: TestContext) {
  const server = await startFakeApiserver(context, { kinds: fakeKinds })
  // The Role of the stock gateways.
  server.forbids = ({ method, query }) => method === 'PATCH' || query.has('watch')
  const campaign = (identity: string, more: Partial<ElectionParts> = {}) => {
    const election = new Election({
      client: fakeClient(server),
      name: objectName.gatewayLease,
      namespace: 'ns',
      identity,
      changed: new Signal(),
      clock: systemClock,
      times: quickTimes,
      ...more,
    })
    context.after(() => election.stop())
    return election
  }
  const kind = server.objects.find('coordination.k8s.io', 'v1', 'leases')
  const lease = (): FakeObject => server.objects.get(kind, 'ns', objectName.gatewayLease)
  const spec = () => lease()['spec'] as Record<string, unknown>
  return { server, campaign, kind, lease, spec }
}

const is = (election: Election, state: string) => () => election.leadership().state === state

/** It stands by, and knows for whom. */
const sees = (election: Election, holder: string) => () => {
  const now = election.leadership()
  return now.state === 'standby' && now.holder === holder
}

test('the object is what stock gateways read and write, and what is not ours stays in it', async context => {
  const { server, campaign, kind, lease, spec } = await setUp(context)
  const before = { holderIdentity: '', leaseTransitions: 2, strategy: 'OldestEmulationVersion' }
  const metadata = {
    name: objectName.gatewayLease,
    labels: { theirs: 'yes' },
    annotations: { theirs: 'too' },
  }
  server.objects.create(kind, 'ns', { metadata, spec: before })
  const election = campaign('host-submariner-gateway')
  await eventually(is(election, 'leader'))
  const first = spec()
  const microTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
  assert.match(String(first['renewTime']), microTime)
  assert.match(String(first['acquireTime']), microTime)
  assert.deepEqual(
    { ...first, renewTime: '', acquireTime: '' },
    {
      ...{ holderIdentity: 'host-submariner-gateway', leaseTransitions: 3 },
      ...{ leaseDurationSeconds: 3, acquireTime: '', renewTime: '' },
      strategy: 'OldestEmulationVersion',
    },
  )
  await eventually(() => spec()['renewTime'] !== first['renewTime'])
  assert.equal(spec()['acquireTime'], first['acquireTime'])
  assert.deepEqual(lease().metadata.labels, { theirs: 'yes' })
  election.carry({ ours: 'now' })
  const annotations = () => JSON.stringify(lease().metadata['annotations'])
  await eventually(() => annotations() === '{"theirs":"too","ours":"now"}')
  assert.equal(leaseIdentity('host'), 'host-submariner-gateway')
})

test('an outage: the holder goes on without a lease and takes it again; a standby waits', async context => {
  const { server, campaign } = await setUp(context)
  const changed = new Signal()
  const first = campaign('a', { changed })
  await eventually(is(first, 'leader'))
  const second = campaign('b')
  await eventually(sees(second, 'a'))
  await server.close()
  await eventually(is(first, 'leader-without-api'))
  const leadership = first.leadership()
  assert.ok(leadership.state === 'leader-without-api')
  assert.equal(leadership.error.code, 'UNAVAILABLE')
  assert.match(
    leadership.error.message,
    /leases.coordination.k8s.io ns\/submariner-gateway-lock at https/,
  )
  assert.equal(await changed.wait(20_000), true)
  assert.equal(second.leadership().state, 'standby')
  await server.open()
  await eventually(is(first, 'leader'))
  assert.equal(second.leadership().state, 'standby')
})

test('a holder that is cut off alone is followed by a standby, and ends when it hears of it', async context => {
  const { server, campaign } = await setUp(context)
  const first = campaign('a')
  await eventually(is(first, 'leader'))
  server.tokens.add('token-2')
  const second = campaign('b', { client: fakeClient(server, { token: 'token-2' }) })
  await eventually(sees(second, 'a'))
  server.fault = ({ credential }) => (credential === 'token-1' ? { kind: 'cut' } : undefined)
  await eventually(is(first, 'leader-without-api'))
  await eventually(is(second, 'leader'))
  assert.equal(first.leadership().state, 'leader-without-api')
  const successor = second.leadership()
  assert.ok(successor.state === 'leader')
  first.hearHolder(successor.epoch)
  assert.equal(first.leadership().state, 'standby')
})

test('a token that is not accepted any more costs the leadership, in time', async context => {
  const { server, campaign } = await setUp(context)
  const election = campaign('a')
  await eventually(is(election, 'leader'))
  server.tokens.clear()
  await eventually(is(election, 'standby'))
  const leadership = election.leadership()
  assert.equal(leadership.state === 'standby' && leadership.error?.code, 'UNAUTHORIZED')
  server.tokens.add('token-1')
  await eventually(is(election, 'leader'))
})

test('a holder whose heartbeat is silent is not waited for', async context => {
  const { campaign, spec } = await setUp(context)
  const first = campaign('a', { times: { ...quickTimes, durationMs: 600_000 } })
  await eventually(is(first, 'leader'))
  const second = campaign('b')
  await eventually(sees(second, 'a'))
  second.hearHolder(0)
  await first.stop()
  assert.equal(spec()['holderIdentity'], 'a')
  second.hearNothingOf('a')
  await eventually(is(second, 'leader'))
})

test('a restart on the same node leads at once, a release leaves the lease free', async context => {
  const { campaign, spec } = await setUp(context)
  const first = campaign('a')
  await eventually(is(first, 'leader'))
  await first.stop()
  const again = campaign('a')
  await eventually(is(again, 'leader'))
  const leadership = again.leadership()
  assert.equal(leadership.state === 'leader' && leadership.epoch, 0)
  await again.release()
  assert.deepEqual([spec()['holderIdentity'], spec()['leaseDurationSeconds']], ['', 1])
  assert.equal(again.leadership().state, 'standby')
})

test('a Lease that somebody has edited by hand is still one', async context => {
  const { server, campaign, kind } = await setUp(context)
  const spec = { holderIdentity: 7, leaseTransitions: 'x', leaseDurationSeconds: -1, renewTime: {} }
  server.objects.create(kind, 'ns', { metadata: { name: objectName.gatewayLease }, spec })
  const election = campaign('a')
  await eventually(is(election, 'leader'))
})
