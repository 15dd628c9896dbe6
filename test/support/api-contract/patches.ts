// The three patches.

import assert from 'node:assert/strict'
import type { Json } from '../raw-api.ts'
import {
  type ApiCheck,
  at,
  cluster,
  collection,
  configMap,
  meta,
  refusedWith,
  service,
} from './check.ts'

const merge = { contentType: 'application/merge-patch+json' }
const json = { contentType: 'application/json-patch+json' }
const strategic = { contentType: 'application/strategic-merge-patch+json' }

export const patchChecks: readonly ApiCheck[] = [
  {
    name: 'a merge patch sets, removes with null and replaces lists',
    needs: 'broker',
    async run(api) {
      const path = `${collection(api, 'clusters')}/merged`
      const metadata = { labels: { 'submariner-io/clusterID': 'merged', a: '1', b: '2' } }
      await api.raw.ok('POST', collection(api, 'clusters'), cluster('merged', metadata))
      const patch = {
        metadata: { labels: { a: null, c: '3' } },
        spec: { cluster_cidr: ['10.7.0.0/16', '10.8.0.0/16'], color_codes: ['blue'] },
      }
      const patched = await api.raw.ok('PATCH', path, patch, merge)
      assert.deepEqual(meta(patched)['labels'], {
        ...{ 'submariner-io/clusterID': 'merged', b: '2', c: '3' },
      })
      assert.deepEqual(at(patched, 'spec', 'cluster_cidr'), ['10.7.0.0/16', '10.8.0.0/16'])
      assert.equal(meta(patched)['generation'], 2)
      const stale = { metadata: { resourceVersion: '1', labels: { d: '4' } } }
      refusedWith(await api.raw.call('PATCH', path, stale, merge), 409, 'Conflict')
      const wrong = { spec: { cluster_cidr: null } }
      refusedWith(await api.raw.call('PATCH', path, wrong, merge), 422, 'Invalid')
      const missing = `${collection(api, 'clusters')}/not-there`
      refusedWith(await api.raw.call('PATCH', missing, {}, merge), 404, 'NotFound')
    },
  },
  {
    name: 'a JSON patch is done as a whole or not at all',
    needs: 'broker',
    async run(api) {
      const path = `${collection(api, 'configmaps')}/json`
      await api.raw.ok('POST', collection(api, 'configmaps'), configMap('json', { a: '1', b: '2' }))
      const patch = [
        { op: 'test', path: '/data/a', value: '1' },
        { op: 'replace', path: '/data/a', value: '9' },
        { op: 'remove', path: '/data/b' },
        { op: 'add', path: '/data/c~1d', value: '3' },
      ]
      const wrongKey = await api.raw.call('PATCH', path, patch, json)
      refusedWith(wrongKey, 422, 'Invalid')
      const good = [...patch.slice(0, 3), { op: 'add', path: '/data/c', value: '3' }]
      const patched = await api.raw.ok('PATCH', path, good, json)
      assert.deepEqual(patched['data'], { a: '9', c: '3' })
      const failing = await api.raw.call('PATCH', path, good, json)
      refusedWith(failing, 422, 'Invalid')
      assert.deepEqual((await api.raw.ok('GET', path))['data'], { a: '9', c: '3' })
      refusedWith(await api.raw.call('PATCH', path, { data: {} }, json), 400, 'BadRequest')
    },
  },
  {
    name: 'a strategic merge patch is for built-in kinds',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      const finalizers = ['hawser.test/a']
      await api.raw.ok('POST', path, configMap('strategic', { a: '1' }, { finalizers }))
      const patch = { data: { b: '2' }, metadata: { finalizers: ['hawser.test/b'] } }
      const patched = await api.raw.ok('PATCH', `${path}/strategic`, patch, strategic)
      assert.deepEqual(patched['data'], { a: '1', b: '2' })
      assert.deepEqual(meta(patched)['finalizers'], ['hawser.test/b', 'hawser.test/a'])
      const fewer = {
        metadata: { '$deleteFromPrimitiveList/finalizers': ['hawser.test/a', 'hawser.test/b'] },
      }
      const last = await api.raw.ok('PATCH', `${path}/strategic`, fewer, strategic)
      assert.deepEqual(meta(last)['finalizers'] ?? [], [])
      const clusters = collection(api, 'clusters')
      await api.raw.ok('POST', clusters, cluster('strategic'))
      const custom = await api.raw.call('PATCH', `${clusters}/strategic`, {}, strategic)
      refusedWith(custom, 415, 'UnsupportedMediaType')
    },
  },
  {
    name: 'a strategic merge patch merges the lists that have a key',
    needs: 'lab',
    async run(api) {
      const path = collection(api, 'services')
      const ports = [
        { name: 'web', port: 80 },
        { name: 'tls', port: 443 },
      ]
      await api.raw.ok('POST', path, service('keyed', { ports }))
      const patch = {
        spec: {
          '$setElementOrder/ports': [{ port: 9090 }, { port: 443 }],
          ports: [
            { name: 'metrics', port: 9090 },
            { port: 80, $patch: 'delete' },
          ],
        },
      }
      const patched = await api.raw.ok('PATCH', `${path}/keyed`, patch, strategic)
      const namesOf = (body: Json) =>
        (at(body, 'spec', 'ports') as readonly Json[]).map(({ name }) => name)
      assert.deepEqual(namesOf(patched), ['metrics', 'tls'])
      // Without an order what is new comes first, and what is there keeps its place.
      const more = [
        { name: 'tls', port: 443, protocol: 'TCP' },
        { name: 'dns', port: 53 },
      ]
      const added = await api.raw.ok('PATCH', `${path}/keyed`, { spec: { ports: more } }, strategic)
      assert.deepEqual(namesOf(added), ['metrics', 'tls', 'dns'])
    },
  },
]
