// Lists: selectors, pages of one moment.

import assert from 'node:assert/strict'
import type { Json } from '../raw-api.ts'
import {
  type ApiCheck,
  at,
  type ContractApi,
  collection,
  configMap,
  meta,
  refusedWith,
} from './check.ts'

async function namesIn(api: ContractApi, path: string): Promise<string[]> {
  const { items } = await api.raw.ok('GET', path)
  return (items as readonly Json[]).map(item => String(meta(item)['name']))
}

export const listChecks: readonly ApiCheck[] = [
  {
    name: 'labels select',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      const all: Readonly<Record<string, Json>> = {
        'select-1': { 'hawser.test/set': 'x', tier: 'a' },
        'select-2': { 'hawser.test/set': 'x', tier: 'b', old: '' },
        'select-3': { 'hawser.test/set': 'x' },
      }
      for (const [name, labels] of Object.entries(all)) {
        await api.raw.ok('POST', path, configMap(name, {}, { labels }))
      }
      const rows: readonly (readonly [string, ...number[]])[] = [
        ['tier=a', 1],
        ['tier==b', 2],
        ['tier!=a', 2, 3],
        ['tier in (a, b)', 1, 2],
        ['tier notin (a)', 2, 3],
        ['tier', 1, 2],
        ['!tier', 3],
        ['tier,!old', 1],
        ['old=', 2],
      ]
      for (const [selector, ...numbers] of rows) {
        const query = encodeURIComponent(`hawser.test/set=x,${selector}`)
        const names = await namesIn(api, `${path}?labelSelector=${query}`)
        assert.deepEqual(
          names,
          numbers.map(number => `select-${number}`),
          selector,
        )
      }
      const wrong = await api.raw.call('GET', `${path}?labelSelector=${encodeURIComponent('a b')}`)
      refusedWith(wrong, 400, 'BadRequest')
    },
  },
  {
    name: 'fields select: names, and what an Event is about',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      await api.raw.ok('POST', path, configMap('field-1'))
      await api.raw.ok('POST', path, configMap('field-2'))
      const query = (selector: string) => `fieldSelector=${encodeURIComponent(selector)}`
      assert.deepEqual(await namesIn(api, `${path}?${query('metadata.name=field-2')}`), ['field-2'])
      const others = await namesIn(api, `${path}?${query('metadata.name!=field-2')}`)
      assert.ok(others.includes('field-1') && !others.includes('field-2'))
      const both = `metadata.name=field-1,metadata.namespace=${api.namespace}`
      assert.deepEqual(await namesIn(api, `${path}?${query(both)}`), ['field-1'])
      const wrong = await api.raw.call('GET', `${path}?${query('data.a=1')}`)
      refusedWith(wrong, 400, 'BadRequest')
      const events = collection(api, 'events')
      const involvedObject = { kind: 'ConfigMap', namespace: api.namespace, name: 'field-1' }
      await api.raw.ok('POST', events, {
        ...{ apiVersion: 'v1', kind: 'Event', metadata: { name: 'field-event' }, involvedObject },
        ...{ reason: 'Tried', message: 'it was tried', type: 'Normal' },
      })
      const about = 'involvedObject.name=field-1,involvedObject.kind=ConfigMap'
      assert.deepEqual(await namesIn(api, `${events}?${query(about)}`), ['field-event'])
      const none = 'involvedObject.name=field-2'
      assert.deepEqual(await namesIn(api, `${events}?${query(none)}`), [])
    },
  },
  {
    name: 'a list comes in pages, all of them as it was at the first one',
    needs: 'broker',
    async run(api) {
      const path = `${collection(api, 'configmaps')}?labelSelector=hawser.test%2Fpaged`
      const labels = { labels: { 'hawser.test/paged': 'yes' } }
      for (const name of ['paged-1', 'paged-2', 'paged-3', 'paged-5']) {
        await api.raw.ok('POST', collection(api, 'configmaps'), configMap(name, {}, labels))
      }
      const first = await api.raw.ok('GET', `${path}&limit=2`)
      assert.equal((first['items'] as readonly Json[]).length, 2)
      await api.raw.ok('POST', collection(api, 'configmaps'), configMap('paged-4', {}, labels))
      await api.raw.ok('DELETE', `${collection(api, 'configmaps')}/paged-3`)
      const names: unknown[] = []
      let token = String(meta(first)['continue'])
      // With a selector a server may name a page that is empty.
      while (token !== '') {
        const page = `${path}&limit=2&continue=${encodeURIComponent(token)}`
        const next = await api.raw.ok('GET', page)
        names.push(...(next['items'] as readonly Json[]).map(item => meta(item)['name']))
        assert.equal(meta(next)['resourceVersion'], meta(first)['resourceVersion'])
        token = String(meta(next)['continue'] ?? '')
      }
      assert.deepEqual(names, ['paged-3', 'paged-5'])
      const now = await namesIn(api, path)
      assert.deepEqual(now, ['paged-1', 'paged-2', 'paged-4', 'paged-5'])
      const wrong = await api.raw.call('GET', `${path}&limit=2&continue=x`)
      refusedWith(wrong, 400, 'BadRequest')
    },
  },
  {
    name: 'a list is of a kind, and all namespaces can be listed',
    needs: 'broker',
    async run(api) {
      const list = await api.raw.ok('GET', '/apis/submariner.io/v1/clusters')
      assert.deepEqual([list['kind'], list['apiVersion']], ['ClusterList', 'submariner.io/v1'])
      assert.match(String(at(list, 'metadata', 'resourceVersion')), /^\d+$/)
      assert.ok(Array.isArray(list['items']))
    },
  },
]
