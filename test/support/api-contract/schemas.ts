// What a schema does: unknown fields are dropped, warned about or refused; values must fit.

import assert from 'node:assert/strict'
import {
  type ApiCheck,
  at,
  causesOf,
  cluster,
  collection,
  configMap,
  refusedWith,
  serviceImport,
} from './check.ts'

export const schemaChecks: readonly ApiCheck[] = [
  {
    name: 'unknown fields are dropped, with a warning when it is asked for',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'clusters')
      const body = cluster('pruned', {}, { cluster_Cidr: ['x'] })
      const warned = await api.raw.call('POST', `${path}?fieldValidation=Warn`, body)
      assert.equal(warned.status, 201)
      assert.match(
        String(warned.headers['warning']),
        /^299 - "unknown field \\"spec.cluster_Cidr\\""/,
      )
      assert.equal(at(warned.body, 'spec', 'cluster_Cidr'), undefined)
      await api.raw.ok('DELETE', `${path}/pruned`)
      const silent = await api.raw.call('POST', `${path}?fieldValidation=Ignore`, body)
      assert.deepEqual([silent.status, silent.headers['warning']], [201, undefined])
      assert.equal(at(silent.body, 'spec', 'cluster_Cidr'), undefined)
    },
  },
  {
    name: 'unknown fields are refused when validation is strict',
    needs: 'broker',
    async run(api) {
      const strict = 'fieldValidation=Strict'
      const path = collection(api, 'clusters')
      const body = cluster('strict', {}, { cluster_Cidr: ['x'] })
      const words = refusedWith(
        await api.raw.call('POST', `${path}?${strict}`, body),
        400,
        'BadRequest',
      )
      assert.match(words, /strict decoding error: unknown field "spec.cluster_Cidr"/)
      const maps = collection(api, 'configmaps')
      const map = { ...configMap('strict'), dato: {} }
      const built = refusedWith(
        await api.raw.call('POST', `${maps}?${strict}`, map),
        400,
        'BadRequest',
      )
      assert.match(built, /strict decoding error: unknown field "dato"/)
      await api.raw.ok('POST', `${path}?${strict}`, cluster('strict'))
      const patch = { spec: { more: 1 } }
      const patched = await api.raw.call('PATCH', `${path}/strict?${strict}`, patch)
      assert.match(refusedWith(patched, 422, 'Invalid'), /unknown field "spec.more"/)
    },
  },
  {
    name: 'values that do not fit are named, each with its field',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'clusters')
      const wrong = cluster(
        'wrong',
        {},
        {
          ...{ cluster_cidr: 'x', global_cidr: undefined, service_cidr: [1] },
        },
      )
      const answer = await api.raw.call('POST', path, wrong)
      const words = refusedWith(answer, 422, 'Invalid')
      assert.match(words, /^Cluster\.submariner\.io "wrong" is invalid: \[/)
      assert.deepEqual(at(answer.body, 'details', 'kind'), 'Cluster')
      assert.deepEqual(causesOf(answer), [
        'spec.cluster_cidr FieldValueTypeInvalid',
        'spec.global_cidr FieldValueRequired',
        'spec.service_cidr[0] FieldValueTypeInvalid',
      ])
      const long = cluster('a'.repeat(64), { labels: {} })
      const longAnswer = await api.raw.call('POST', path, long)
      refusedWith(longAnswer, 422, 'Invalid')
      assert.deepEqual(causesOf(longAnswer), ['spec.cluster_id FieldValueTooLong'])
      const short = cluster('short', {}, { cluster_id: '' })
      const shortAnswer = await api.raw.call('POST', path, short)
      assert.deepEqual(causesOf(shortAnswer), ['spec.cluster_id FieldValueInvalid'])
      const imports = collection(api, 'serviceimports')
      const type = serviceImport('typed', { spec: { type: 'Other', ports: [] } })
      const typed = await api.raw.call('POST', imports, type)
      assert.deepEqual(causesOf(typed), ['spec.type FieldValueNotSupported'])
    },
  },
  {
    name: 'an object is of the kind that its path says',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'clusters')
      const other = { ...cluster('kind'), kind: 'Endpoint' }
      const wrong = await api.raw.call('POST', path, other)
      refusedWith(wrong, 422, 'Invalid')
      assert.deepEqual(causesOf(wrong), ['kind FieldValueInvalid'])
      const version = { ...cluster('kind'), apiVersion: 'submariner.io/v2' }
      const wrongVersion = await api.raw.call('POST', path, version)
      assert.ok(wrongVersion.status === 422 || wrongVersion.status === 400, wrongVersion.text)
      const map = { ...configMap('kind'), kind: 'Secret' }
      const built = await api.raw.call('POST', collection(api, 'configmaps'), map)
      refusedWith(built, 400, 'BadRequest')
    },
  },
  {
    name: 'what is left out gets its default',
    needs: 'lab',
    async run(api) {
      const path = collection(api, 'services')
      const made = await api.raw.ok('POST', path, {
        ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'defaults' } },
        spec: { ports: [{ port: 80 }] },
      })
      const { spec } = made as { readonly spec: Readonly<Record<string, unknown>> }
      assert.deepEqual([spec['type'], spec['sessionAffinity']], ['ClusterIP', 'None'])
      assert.deepEqual(spec['ports'], [{ port: 80, protocol: 'TCP', targetPort: 80 }])
      assert.match(String(spec['clusterIP']), /^[0-9a-f.:]+$/)
      assert.deepEqual(spec['clusterIPs'], [spec['clusterIP']])
      const moved = { spec: { clusterIP: '10.255.255.1', clusterIPs: ['10.255.255.1'] } }
      refusedWith(await api.raw.call('PATCH', `${path}/defaults`, moved), 422, 'Invalid')
    },
  },
]
