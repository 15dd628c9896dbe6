// Discovery, versions, tables, media types, and what is not served.

import assert from 'node:assert/strict'
import type { Json } from '../raw-api.ts'
import { type ApiCheck, at, cluster, collection, configMap, refusedWith } from './check.ts'
import { differences, type OpenapiV2 } from './openapi.ts'

const tableType = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'

export const discoveryChecks: readonly ApiCheck[] = [
  {
    name: 'health and version need no token, everything else does',
    needs: 'broker',
    async run({ raw }) {
      for (const path of ['/livez', '/readyz', '/healthz']) {
        const answer = await raw.call('GET', path, undefined, { token: '' })
        assert.deepEqual([answer.status, answer.text], [200, 'ok'])
      }
      const { body } = await raw.call('GET', '/version', undefined, { token: '' })
      assert.equal(body['major'], '1')
      assert.match(String(body['minor']), /^3\d/)
      assert.match(String(body['gitVersion']), /^v1\.3\d\./)
      const wrong = await raw.call('GET', '/api/v1', undefined, { token: 'of-nobody' })
      refusedWith(wrong, 401, 'Unauthorized')
    },
  },
  {
    name: 'groups, versions and resources are found',
    needs: 'broker',
    async run({ raw }) {
      assert.deepEqual((await raw.ok('GET', '/api'))['versions'], ['v1'])
      const groups = (await raw.ok('GET', '/apis'))['groups'] as readonly Json[]
      const submariner = groups.find(group => group['name'] === 'submariner.io')
      assert.ok(submariner)
      const group = await raw.ok('GET', '/apis/submariner.io')
      assert.deepEqual(group['preferredVersion'], submariner['preferredVersion'])
      const { resources } = await raw.ok('GET', '/apis/submariner.io/v1')
      const found = (resources as readonly Json[]).find(each => each['name'] === 'clusters')
      assert.deepEqual([found?.['kind'], found?.['namespaced']], ['Cluster', true])
      const verbs = (found?.['verbs'] ?? []) as readonly string[]
      for (const verb of ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']) {
        assert.ok(verbs.includes(verb), verb)
      }
      const core = (await raw.ok('GET', '/api/v1'))['resources'] as readonly Json[]
      const maps = core.find(each => each['name'] === 'configmaps')
      assert.deepEqual(maps?.['shortNames'], ['cm'])
      const mcs = await raw.ok('GET', '/apis/multicluster.x-k8s.io/v1alpha1')
      const names = (mcs['resources'] as readonly Json[]).map(each => each['name'])
      assert.ok(names.includes('serviceimports') && names.includes('serviceimports/status'))
    },
  },
  {
    name: 'the schema says that a patch of every kind takes fieldValidation',
    needs: 'broker',
    async run({ raw }) {
      const { paths } = await raw.ok('GET', '/openapi/v3')
      for (const [root, kind] of [
        ['apis/submariner.io/v1', 'Cluster'],
        ['api/v1', 'ConfigMap'],
      ]) {
        const url = at(paths, root, 'serverRelativeURL')
        const document = await raw.ok('GET', String(url))
        const patches = Object.values(document['paths'] as Json).flatMap(path => {
          const patch = at(path, 'patch')
          const of = at(patch, 'x-kubernetes-group-version-kind', 'kind')
          return of === kind ? [patch] : []
        })
        const parameters = patches.flatMap(patch => at(patch, 'parameters') as readonly Json[])
        assert.ok(parameters.some(({ name, in: place }) => name === 'fieldValidation' && place))
      }
    },
  },
  {
    name: 'a list is shown as a table with the columns of its kind',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      await api.raw.ok('POST', path, configMap('table-1', { a: '1', b: '2' }))
      const field = 'fieldSelector=metadata.name%3Dtable-1'
      const accept = { accept: tableType }
      const table = await api.raw.ok('GET', `${path}?${field}`, undefined, accept)
      assert.deepEqual([table['kind'], table['apiVersion']], ['Table', 'meta.k8s.io/v1'])
      const columns = (table['columnDefinitions'] as readonly Json[]).map(each => each['name'])
      assert.deepEqual(columns, ['Name', 'Data', 'Age'])
      const [row, ...more] = table['rows'] as readonly Json[]
      assert.equal(more.length, 0)
      assert.deepEqual((row['cells'] as readonly unknown[]).slice(0, 2), ['table-1', 2])
      assert.match(String((row['cells'] as readonly unknown[])[2]), /^\d+[sm]/)
      assert.equal(at(row, 'object', 'kind'), 'PartialObjectMetadata')
      assert.equal(at(row, 'object', 'metadata', 'name'), 'table-1')
      const whole = `${path}/table-1?includeObject=Object`
      const one = await api.raw.ok('GET', whole, undefined, accept)
      assert.deepEqual(at(one, 'rows', 0, 'object', 'data'), { a: '1', b: '2' })
    },
  },
  {
    name: "a custom kind's table has the columns of its definition",
    needs: 'lab',
    async run(api) {
      const path = collection(api, 'gateways')
      const endpoint = {
        ...{ backend: 'wireguard', cable_name: 'c', cluster_id: 'c1', hostname: 'h' },
        ...{ nat_enabled: false, subnets: [] },
      }
      const status = {
        ...{ haStatus: 'active', connections: [], localEndpoint: endpoint },
        ...{ statusFailure: '', version: '1' },
      }
      await api.raw.ok('POST', path, {
        ...{ apiVersion: 'submariner.io/v1', kind: 'Gateway', metadata: { name: 'table-gw' } },
        status,
      })
      const table = await api.raw.ok('GET', path, undefined, { accept: tableType })
      const columns = (table['columnDefinitions'] as readonly Json[]).map(each => each['name'])
      assert.deepEqual(columns, ['Name', 'HA Status'])
      assert.deepEqual(at(table, 'rows', 0, 'cells'), ['table-gw', 'active'])
    },
  },
  {
    name: 'what is not served is not found, not allowed, or of an unsupported type',
    needs: 'broker',
    async run(api) {
      const { raw, namespace } = api
      const paths = ['/apis/none.hawser.io/v1/things', `/api/v1/namespaces/${namespace}/things`]
      for (const path of paths) assert.equal((await raw.call('GET', path)).status, 404, path)
      const clusters = collection(api, 'clusters')
      const everywhere = await raw.call('POST', '/apis/submariner.io/v1/clusters', cluster('c1'))
      assert.equal(everywhere.status, 404)
      const maps = collection(api, 'configmaps')
      refusedWith(await raw.call('PATCH', maps, {}), 405, 'MethodNotAllowed')
      const missing = await raw.call('GET', `${clusters}/not-there`)
      const words = refusedWith(missing, 404, 'NotFound')
      assert.equal(words, 'clusters.submariner.io "not-there" not found')
      assert.deepEqual(missing.body['details'], {
        ...{ name: 'not-there', group: 'submariner.io', kind: 'clusters' },
      })
      const form = { contentType: 'application/x-www-form-urlencoded' }
      const typed = await raw.call('POST', clusters, 'a=b', form)
      refusedWith(typed, 415, 'UnsupportedMediaType')
      const accept = await raw.call('GET', clusters, undefined, { accept: 'text/html' })
      refusedWith(accept, 406, 'NotAcceptable')
      const garbage = await raw.call('POST', clusters, '{"kind":')
      refusedWith(garbage, 400, 'BadRequest')
    },
  },
  {
    name: 'a body of more than three MiB is too large',
    needs: 'broker',
    async run(api) {
      const text = 'x'.repeat(3 * 1024 * 1024)
      const answer = await api.raw.call(
        'POST',
        collection(api, 'configmaps'),
        configMap('large', { text }),
      )
      refusedWith(answer, 413, 'RequestEntityTooLarge')
      const small = configMap('strange')
      const stranger = { token: 'of-nobody' }
      const unknown = await api.raw.call('POST', collection(api, 'configmaps'), small, stranger)
      refusedWith(unknown, 401, 'Unauthorized')
    },
  },
  {
    name: 'fields and merge keys of the built-in kinds are those that are published',
    needs: 'kubernetes',
    async run({ raw }) {
      const published = await raw.ok('GET', '/openapi/v2')
      assert.deepEqual(differences(published as unknown as OpenapiV2), [])
    },
  },
]
