// What the API of a lab's cluster does by itself: ClusterIPs, slices, namespaces that are emptied, what is
// owned and goes with its owner.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogError, MemoryLog } from '../../../src/apiserver/store.ts'
import { at, configMap, meta, service } from '../../support/api-contract/check.ts'
import { BareApi } from '../../support/embedded-api.ts'
import type { Json } from '../../support/raw-api.ts'

const core = '/api/v1/namespaces/default'
const slices = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices'

function pod(
  name: string,
  ips: readonly string[],
  isReady: boolean,
  labels: Json = { app: 'web' },
) {
  const status = isReady ? 'True' : 'False'
  return {
    body: { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec: { nodeName: 'n1' } },
    status: {
      phase: 'Running',
      podIPs: ips.map(ip => ({ ip })),
      conditions: [{ type: 'Ready', status }],
    },
  }
}

function run(lab: BareApi, { body, status }: ReturnType<typeof pod>): void {
  const made = lab.call('POST', `${core}/pods`, body)
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const path = `${core}/pods/${body.metadata.name}/status`
  const patched = lab.call('PATCH', path, { status })
  assert.equal(patched.status, 200, JSON.stringify(patched.body))
}

const items = (lab: BareApi, path: string) => lab.call('GET', path).body['items'] as readonly Json[]

test('a Service gets an address of each family that it asks for, and frees it', () => {
  const lab = new BareApi('lab')
  const made = (name: string, spec: Json = {}) => {
    const { status, body } = lab.call('POST', `${core}/services`, service(name, spec))
    return status === 201 ? at(body, 'spec', 'clusterIPs') : status
  }
  assert.deepEqual(made('a'), ['10.45.0.1'])
  assert.deepEqual(made('b', { ipFamilyPolicy: 'PreferDualStack' }), ['10.45.0.2', 'fd45::1'])
  assert.deepEqual(made('c', { ipFamilies: ['IPv6'] }), ['fd45::2'])
  assert.deepEqual(made('d', { clusterIP: 'None' }), ['None'])
  assert.deepEqual(made('e', { clusterIP: '10.45.3.4' }), ['10.45.3.4'])
  assert.equal(made('f', { clusterIP: '10.45.3.4' }), 422)
  assert.equal(made('g', { clusterIP: '10.46.0.1' }), 422)
  assert.equal(made('h', { clusterIP: 'x' }), 422)
  assert.deepEqual(made('i', { type: 'ExternalName', externalName: 'x.example' }), undefined)
  assert.equal(lab.call('DELETE', `${core}/services/a`).status, 200)
  assert.deepEqual(made('j'), ['10.45.0.1'])
})

test('slices follow Services and Pods', () => {
  const lab = new BareApi('lab')
  lab.call('POST', `${core}/services`, service('web', { ipFamilyPolicy: 'PreferDualStack' }))
  const names = items(lab, slices).map(slice => meta(slice)['name'])
  assert.deepEqual(names, ['web-ipv4', 'web-ipv6'])
  run(lab, pod('p1', ['10.44.0.5', 'fd44::5'], true))
  run(lab, pod('p2', ['10.44.0.6'], false))
  run(lab, pod('other', ['10.44.0.7'], true, { app: 'db' }))
  const addresses = () =>
    items(lab, slices).map(slice =>
      (slice['endpoints'] as readonly Json[]).map(each => [
        at(each, 'addresses', 0),
        at(each, 'conditions', 'ready'),
      ]),
    )
  assert.deepEqual(addresses(), [
    [
      ['10.44.0.5', true],
      ['10.44.0.6', false],
    ],
    [['fd44::5', true]],
  ])
  const [first] = items(lab, slices)
  assert.deepEqual(first['ports'], [{ name: 'web', protocol: 'TCP', port: 80 }])
  assert.equal(at(first, 'endpoints', 0, 'targetRef', 'name'), 'p1')
  const ready = { status: { conditions: [{ type: 'Ready', status: 'True' }] } }
  lab.call('PATCH', `${core}/pods/p2/status`, ready)
  lab.call('DELETE', `${core}/pods/p1`)
  assert.deepEqual(addresses(), [[['10.44.0.6', true]], []])
  lab.call('PATCH', `${core}/services/web`, { spec: { selector: { app: 'db' } } })
  assert.deepEqual(addresses(), [[['10.44.0.7', true]], []])
  lab.call('DELETE', `${core}/services/web`)
  assert.deepEqual(items(lab, slices), [])
})

test('an object that stands in the way of a slice holds up nothing else', () => {
  const lab = new BareApi('lab')
  const metadata = { name: 'web-ipv4' }
  const mine = { metadata, addressType: 'IPv4', endpoints: [] }
  assert.equal(lab.call('POST', slices, mine).status, 201)
  assert.equal(lab.call('POST', `${core}/services`, service('web')).status, 201)
  assert.equal(lab.call('POST', `${core}/services`, service('other')).status, 201)
  const names = items(lab, slices).map(slice => meta(slice)['name'])
  assert.deepEqual(names, ['other-ipv4', 'web-ipv4'])
})

test('a namespace takes what is in it along, and waits for finalizers', () => {
  const lab = new BareApi('lab')
  const namespace = { metadata: { name: 'gone' } }
  assert.equal(lab.call('POST', '/api/v1/namespaces', namespace).status, 201)
  const maps = '/api/v1/namespaces/gone/configmaps'
  lab.call('POST', maps, configMap('plain'))
  lab.call('POST', maps, configMap('held', {}, { finalizers: ['hawser.test/x'] }))
  const marked = lab.call('DELETE', '/api/v1/namespaces/gone')
  assert.equal(marked.status, 200)
  assert.notEqual(meta(marked.body)['deletionTimestamp'], undefined)
  assert.equal(at(marked.body, 'status', 'phase'), 'Terminating')
  assert.equal(lab.call('GET', `${maps}/plain`).status, 404)
  const refused = lab.call('POST', maps, configMap('late'))
  assert.equal(refused.status, 403)
  assert.equal(at(refused.body, 'details', 'causes', 0, 'reason'), 'NamespaceTerminating')
  assert.equal(lab.call('GET', '/api/v1/namespaces/gone').status, 200)
  lab.call('PATCH', `${maps}/held`, { metadata: { finalizers: null } })
  assert.equal(lab.call('GET', '/api/v1/namespaces/gone').status, 404)
})

test('what is owned goes with its last owner, unless it is orphaned', () => {
  const lab = new BareApi('lab')
  const maps = `${core}/configmaps`
  const owner = (name: string) => {
    const { body } = lab.call('POST', maps, configMap(name))
    return { apiVersion: 'v1', kind: 'ConfigMap', name, uid: meta(body)['uid'] }
  }
  const [a, b, c] = ['a', 'b', 'c'].map(owner)
  lab.call('POST', maps, configMap('of-a', {}, { ownerReferences: [a] }))
  lab.call('POST', maps, configMap('of-both', {}, { ownerReferences: [a, b] }))
  lab.call('POST', maps, configMap('of-c', {}, { ownerReferences: [c] }))
  const isThere = (name: string) => lab.call('GET', `${maps}/${name}`).status === 200
  lab.call('DELETE', `${maps}/a`)
  assert.deepEqual([isThere('of-a'), isThere('of-both')], [false, true])
  lab.call('DELETE', `${maps}/b`)
  assert.equal(isThere('of-both'), false)
  lab.call('DELETE', `${maps}/c`, { propagationPolicy: 'Orphan' })
  assert.deepEqual(meta(lab.call('GET', `${maps}/of-c`).body)['ownerReferences'], [])
})

test('what could not follow a write follows the next one', () => {
  class FlakyLog extends MemoryLog {
    left = Number.POSITIVE_INFINITY
    override append(): void {
      if (this.left-- <= 0) throw new LogError('database or disk is full')
    }
  }
  const log = new FlakyLog()
  const lab = new BareApi('lab', log)
  log.left = 1
  assert.equal(lab.call('POST', `${core}/services`, service('web')).status, 201)
  assert.deepEqual(items(lab, slices), [])
  const full = lab.call('POST', `${core}/configmaps`, configMap('x'))
  assert.deepEqual([full.status, full.body['reason']], [500, 'InternalError'])
  assert.match(String(full.body['message']), /database or disk is full/)
  assert.equal(lab.call('GET', `${core}/services/web`).status, 200)
  log.left = 100
  assert.equal(lab.call('POST', `${core}/configmaps`, configMap('x')).status, 201)
  assert.equal(items(lab, slices).length, 1)
})

test('definitions are there to be read', () => {
  const lab = new BareApi('lab')
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  const names = items(lab, path).map(each => meta(each)['name'])
  assert.equal(names.length, 8)
  const one = lab.call('GET', `${path}/gateways.submariner.io`)
  assert.equal(at(one.body, 'status', 'conditions', 1, 'type'), 'Established')
  assert.equal(lab.call('DELETE', `${path}/gateways.submariner.io`).status, 405)
})
