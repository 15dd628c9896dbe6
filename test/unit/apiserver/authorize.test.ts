// Roles, tokens and the trust rule, through the API without HTTP.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { roleAnnotation } from '../../../src/apiserver/accounts.ts'
import { cluster, meta } from '../../support/api-contract/check.ts'
import { BareApi } from '../../support/embedded-api.ts'

const ns = 'submariner-k8s-broker'
const core = `/api/v1/namespaces/${ns}`
const submariner = `/apis/submariner.io/v1/namespaces/${ns}`

function endpoint(id: string, label = id) {
  return {
    apiVersion: 'submariner.io/v1',
    kind: 'Endpoint',
    metadata: {
      name: `${id}-submariner-cable-${id}-gateway`,
      labels: { 'submariner-io/clusterID': label },
    },
    spec: {
      ...{ cluster_id: id, cable_name: `submariner-cable-${id}-gateway`, hostname: 'h' },
      ...{ subnets: [], nat_enabled: false, backend: 'wireguard' },
    },
  }
}

/** A broker with two members that have written what is theirs. */
function brokerOfTwo() {
  const broker = new BareApi('broker')
  const [east, west] = ['east', 'west'].map(id => broker.account(ns, `cluster-${id}`))
  for (const [id, token] of [
    ['east', east],
    ['west', west],
  ]) {
    const made = broker.call('POST', `${submariner}/clusters`, cluster(id), { token })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    assert.equal(
      broker.call('POST', `${submariner}/endpoints`, endpoint(id), { token }).status,
      201,
    )
  }
  return { broker, east, west }
}

const label = { metadata: { labels: { more: 'x' } } }
const westEndpoint = `${submariner}/endpoints/west-submariner-cable-west-gateway`
const slices = `/apis/discovery.k8s.io/v1/namespaces/${ns}/endpointslices`
const slice = (id: string) => ({
  ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4' },
  metadata: { generateName: 'web-', labels: { 'submariner-io/clusterID': id } },
  endpoints: [],
})

/** What the member east may do, and what not. */
const attempts: readonly (readonly [
  status: number,
  method: string,
  path: string,
  body?: unknown,
])[] = [
  [200, 'GET', `${submariner}/clusters`],
  [200, 'GET', `${submariner}/endpoints`],
  [200, 'PATCH', `${submariner}/clusters/east`, label],
  [403, 'PATCH', `${submariner}/clusters/west`, label],
  [403, 'DELETE', `${submariner}/clusters/west`],
  [403, 'POST', `${submariner}/clusters`, cluster('north')],
  [403, 'PATCH', westEndpoint, label],
  [403, 'DELETE', westEndpoint],
  [403, 'POST', `${submariner}/endpoints`, endpoint('north', 'east')],
  [201, 'POST', slices, slice('east')],
  [403, 'POST', slices, slice('west')],
  [200, 'GET', `${core}/secrets/cluster-east-token`],
  [200, 'GET', `${core}/secrets/submariner-ipsec-psk`],
  [200, 'GET', `${core}/secrets?fieldSelector=metadata.name%3Dcluster-east-token`],
  [403, 'GET', `${core}/secrets/cluster-west-token`],
  [403, 'GET', `${core}/secrets/submariner-k8s-broker-admin-token`],
  [403, 'GET', `${core}/secrets`],
  [403, 'GET', `${core}/secrets?fieldSelector=metadata.name%3Dcluster-west-token`],
  [403, 'GET', `${core}/secrets?fieldSelector=metadata.name%3D`],
  [403, 'GET', `${core}/secrets?fieldSelector=metadata.name!%3Dcluster-east-token`],
  [403, 'GET', '/api/v1/secrets?fieldSelector=metadata.name%3Dcluster-east-token'],
  [403, 'PATCH', `${core}/secrets/cluster-east-token`, label],
  [403, 'POST', `${core}/serviceaccounts`, { metadata: { name: 'cluster-north' } }],
  [403, 'GET', `${core}/serviceaccounts`],
  [403, 'POST', `${core}/configmaps`, { metadata: { name: 'x' } }],
  [200, 'GET', `/apis/submariner.io/v1alpha1/namespaces/${ns}/brokers`],
  [404, 'GET', `/apis/multicluster.x-k8s.io/v1alpha1/namespaces/${ns}/serviceimports//status`],
  [403, 'GET', `${core}%2F/secrets/cluster-east-token`],
  [403, 'GET', `${core}/secrets/cluster-east-token%2F..%2Fcluster-west-token`],
  [404, 'GET', `/API/v1/namespaces/${ns}/secrets/cluster-west-token`],
  [404, 'GET', `//api/v1/namespaces/${ns}/secrets/cluster-west-token`],
  [403, 'GET', '/apis/submariner.io/v1/clusters'],
  [403, 'GET', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'],
  [200, 'GET', `/api/v1/namespaces/${ns}`],
  [403, 'GET', '/api/v1/namespaces'],
  [405, 'DELETE', `/api/v1/namespaces/${ns}`],
  [405, 'DELETE', `${submariner}/clusters`],
]

for (const [status, method, path, body] of attempts) {
  const what = body === undefined ? '' : ` of ${JSON.stringify(meta(body))}`
  test(`a member: ${method} ${path}${what} is ${status}`, () => {
    const { broker, east } = brokerOfTwo()
    const answer = broker.call(method, path, body, { token: east })
    assert.equal(answer.status, status, JSON.stringify(answer.body))
  })
}

test('a selector that names an object twice opens nothing that it does not match', () => {
  const { broker, east } = brokerOfTwo()
  const both = 'metadata.name%3Dcluster-east-token,metadata.name%3Dcluster-west-token'
  const answer = broker.call('GET', `${core}/secrets?fieldSelector=${both}`, undefined, {
    token: east,
  })
  assert.deepEqual(answer.body['items'] ?? [], [])
})

test('a reader reads everything but Secrets, a component writes what programs of a cluster write', () => {
  const lab = new BareApi('lab')
  const token = (role: string) => lab.account('default', role, { [roleAnnotation]: role })
  const [reader, component, nobody] = ['reader', 'component', 'stranger'].map(token)
  const maps = '/api/v1/namespaces/default/configmaps'
  const secrets = '/api/v1/namespaces/default/secrets'
  const map = { metadata: { name: 'x' } }
  const status = (who: string, method: string, path: string, body?: unknown) =>
    lab.call(method, path, body, { token: who }).status
  assert.deepEqual([status(reader, 'GET', maps), status(reader, 'GET', secrets)], [200, 403])
  assert.equal(status(reader, 'POST', maps, map), 403)
  assert.equal(status(component, 'POST', maps, map), 201)
  assert.deepEqual(
    [status(component, 'GET', secrets), status(component, 'POST', secrets, map)],
    [200, 403],
  )
  const namespace = { metadata: { name: 'mine' } }
  assert.equal(status(component, 'POST', '/api/v1/namespaces', namespace), 403)
  assert.equal(status(nobody, 'GET', maps), 403)
  // The annotation makes nobody a member, and outside the broker's namespace no name does.
  const member = lab.account('default', 'cluster-east', { [roleAnnotation]: 'member' })
  assert.equal(status(member, 'GET', '/api/v1/namespaces/default/secrets/cluster-east-token'), 403)
})

test('a token ends with its Secret, and a new Secret has another one', () => {
  const { broker, east } = brokerOfTwo()
  const secret = `${core}/secrets/cluster-east-token`
  const first = broker.call('GET', secret).body
  const changed = { data: { token: Buffer.from('chosen').toString('base64') } }
  broker.call('PATCH', secret, changed)
  assert.deepEqual(broker.call('GET', secret).body['data'], first['data'])
  assert.equal(broker.call('GET', secret, undefined, { token: 'chosen' }).status, 401)
  assert.equal(broker.call('DELETE', secret).status, 200)
  const clusters = `${submariner}/clusters`
  assert.equal(broker.call('GET', clusters, undefined, { token: east }).status, 401)
  const again = broker.account(ns, 'cluster-east')
  assert.notEqual(again, east)
  assert.equal(broker.call('GET', clusters, undefined, { token: again }).status, 200)
})

test('a token ends when its account is to go, though a finalizer holds that', () => {
  const { broker, west } = brokerOfTwo()
  const clusters = `${submariner}/clusters`
  const account = `${core}/serviceaccounts/cluster-west`
  const hash = createHash('sha256').update(west).digest('base64')
  broker.call('PATCH', account, { metadata: { finalizers: ['test/held'] } })
  assert.equal(broker.api.isKnown(hash), true)
  assert.equal(broker.call('DELETE', account).status, 200)
  assert.equal(broker.call('GET', clusters, undefined, { token: west }).status, 401)
  assert.equal(broker.api.isKnown(hash), false)
})

test('an account that is made anew does not take over the token of the former one', () => {
  const { broker, west } = brokerOfTwo()
  const account = `${core}/serviceaccounts/cluster-west`
  assert.equal(broker.call('DELETE', account).status, 200)
  assert.equal(broker.call('GET', `${core}/secrets/cluster-west-token`).status, 404)
  const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'cluster-west' } }
  assert.equal(broker.call('POST', `${core}/serviceaccounts`, body).status, 201)
  const clusters = `${submariner}/clusters`
  assert.equal(broker.call('GET', clusters, undefined, { token: west }).status, 401)
})

test('a token Secret of no account is refused', () => {
  const broker = new BareApi('broker')
  const type = 'kubernetes.io/service-account-token'
  const annotations = { 'kubernetes.io/service-account.name': 'nobody' }
  const metadata = { name: 'x', annotations }
  const answer = broker.call('POST', `${core}/secrets`, { metadata, type })
  assert.equal(answer.status, 422)
})
