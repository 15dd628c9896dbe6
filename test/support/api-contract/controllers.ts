// What follows from a write: at once in the embedded API, after a while where controllers do it.

import assert from 'node:assert/strict'
import { eventually } from '../eventually.ts'
import type { Json } from '../raw-api.ts'
import { type ApiCheck, at, collection, configMap, meta, refusedWith, service } from './check.ts'

export const controllerChecks: readonly ApiCheck[] = [
  {
    name: 'what is owned goes with its owner',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      const owner = await api.raw.ok('POST', path, configMap('owner'))
      const { uid } = meta(owner)
      const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }]
      await api.raw.ok('POST', path, configMap('owned', {}, { ownerReferences }))
      await api.raw.ok('DELETE', `${path}/owner`, { propagationPolicy: 'Background' })
      await eventually(async () => (await api.raw.call('GET', `${path}/owned`)).status === 404)
    },
  },
  {
    name: 'a namespace takes what is in it along, and takes nothing new meanwhile',
    needs: 'lab',
    async run({ raw }) {
      const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'contract-gone' } }
      const made = await raw.ok('POST', '/api/v1/namespaces', namespace)
      assert.equal(at(made, 'status', 'phase'), 'Active')
      const labels = meta(made)['labels']
      assert.equal(at(labels, 'kubernetes.io/metadata.name'), 'contract-gone')
      const maps = '/api/v1/namespaces/contract-gone/configmaps'
      const finalizers = ['hawser.test/held']
      await raw.ok('POST', maps, configMap('held', {}, { finalizers }))
      await raw.ok('POST', maps, configMap('plain'))
      const marked = await raw.ok('DELETE', '/api/v1/namespaces/contract-gone')
      assert.equal(at(marked, 'status', 'phase'), 'Terminating')
      const late = await raw.call('POST', maps, configMap('late'))
      refusedWith(late, 403, 'Forbidden')
      assert.equal(at(late.body, 'details', 'causes', 0, 'reason'), 'NamespaceTerminating')
      await eventually(async () => (await raw.call('GET', `${maps}/plain`)).status === 404)
      await raw.ok('PATCH', `${maps}/held`, { metadata: { finalizers: null } })
      const path = '/api/v1/namespaces/contract-gone'
      await eventually(async () => (await raw.call('GET', path)).status === 404)
    },
  },
  {
    name: 'a Service with a selector has slices with its Pods',
    needs: 'lab',
    async run(api) {
      const { raw } = api
      const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'contract-node' } }
      await raw.ok('POST', collection(api, 'nodes'), node)
      const pods = collection(api, 'pods')
      const containers = [{ name: 'c', image: 'none' }]
      await raw.ok('POST', pods, {
        ...{
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'sliced', labels: { app: 'sliced' } },
        },
        spec: { nodeName: 'contract-node', containers },
      })
      await raw.ok('POST', collection(api, 'services'), service('sliced'))
      const status = {
        phase: 'Running',
        podIP: '10.99.0.7',
        podIPs: [{ ip: '10.99.0.7' }],
        conditions: [{ type: 'Ready', status: 'True' }],
      }
      await raw.ok('PATCH', `${pods}/sliced/status`, { status })
      const selector = 'labelSelector=kubernetes.io%2Fservice-name%3Dsliced'
      const slices = `${collection(api, 'endpointslices')}?${selector}`
      let found: readonly Json[] = []
      await eventually(async () => {
        found = (await raw.ok('GET', slices))['items'] as readonly Json[]
        return at(found, 0, 'endpoints', 0, 'conditions', 'ready') === true
      })
      const [slice] = found
      assert.deepEqual(at(slice, 'endpoints', 0, 'addresses'), ['10.99.0.7'])
      assert.equal(at(slice, 'endpoints', 0, 'targetRef', 'name'), 'sliced')
      assert.equal(at(slice, 'endpoints', 0, 'nodeName'), 'contract-node')
      assert.deepEqual(slice['ports'], [{ name: 'web', port: 80, protocol: 'TCP' }])
      assert.equal(slice['addressType'], 'IPv4')
      const manager = at(slice, 'metadata', 'labels', 'endpointslice.kubernetes.io/managed-by')
      assert.equal(manager, 'endpointslice-controller.k8s.io')
      assert.equal(at(slice, 'metadata', 'ownerReferences', 0, 'name'), 'sliced')
      await raw.ok('DELETE', `${collection(api, 'services')}/sliced`)
      await eventually(async () => {
        const left = (await raw.ok('GET', slices))['items'] as readonly Json[]
        return left.length === 0
      })
      await raw.ok('DELETE', `${pods}/sliced?gracePeriodSeconds=0`)
      await raw.ok('DELETE', `${collection(api, 'nodes')}/contract-node`)
    },
  },
]
