// Create, update and delete: names, versions, preconditions, status, finalizers, token Secrets.

import assert from 'node:assert/strict'
import { eventually } from '../eventually.ts'
import type { Json } from '../raw-api.ts'
import {
  type ApiCheck,
  at,
  causesOf,
  cluster,
  collection,
  configMap,
  meta,
  refusedWith,
  serviceImport,
} from './check.ts'

export const writeChecks: readonly ApiCheck[] = [
  {
    name: 'an object gets its identity, and nobody can change it',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'clusters')
      const given = cluster('life', { uid: 'mine', creationTimestamp: '2001-01-01T00:00:00Z' })
      const made = await api.raw.ok('POST', path, given)
      const { uid, creationTimestamp, generation, namespace } = meta(made)
      assert.ok(typeof uid === 'string' && uid !== '' && uid !== 'mine')
      assert.notEqual(creationTimestamp, '2001-01-01T00:00:00Z')
      assert.deepEqual([generation, namespace], [1, api.namespace])
      const metadata = { ...meta(made), creationTimestamp: '2001-01-01T00:00:00Z', generation: 9 }
      const updated = await api.raw.ok('PUT', `${path}/life`, { ...made, metadata })
      assert.deepEqual(
        [meta(updated)['creationTimestamp'], meta(updated)['generation']],
        [creationTimestamp, 1],
      )
      const other = { ...made, metadata: { ...meta(updated), uid: 'other' } }
      refusedWith(await api.raw.call('PUT', `${path}/life`, other), 409, 'Conflict')
      const again = await api.raw.call('POST', path, cluster('life'))
      const words = refusedWith(again, 409, 'AlreadyExists')
      assert.equal(words, 'clusters.submariner.io "life" already exists')
      await api.raw.ok('DELETE', `${path}/life`)
    },
  },
  {
    name: 'generation counts what is wanted, the version counts everything, and nothing counts nothing',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'clusters')
      const made = await api.raw.ok('POST', path, cluster('counted'))
      const same = await api.raw.ok('PUT', `${path}/counted`, made)
      assert.equal(meta(same)['resourceVersion'], meta(made)['resourceVersion'])
      const labels = { ...(meta(made)['labels'] as Json), more: 'yes' }
      const labelled = { ...same, metadata: { ...meta(same), labels } }
      const second = await api.raw.ok('PUT', `${path}/counted`, labelled)
      assert.equal(meta(second)['generation'], 1)
      assert.notEqual(meta(second)['resourceVersion'], meta(same)['resourceVersion'])
      const spec = { ...(second['spec'] as Json), cluster_cidr: ['10.9.0.0/16'] }
      const third = await api.raw.ok('PUT', `${path}/counted`, { ...second, spec })
      assert.equal(meta(third)['generation'], 2)
      const late = await api.raw.call('PUT', `${path}/counted`, second)
      assert.match(refusedWith(late, 409, 'Conflict'), /^Operation cannot be fulfilled on clusters/)
      const { resourceVersion: _, ...metadata } = meta(third)
      const unnumbered = await api.raw.call('PUT', `${path}/counted`, { ...third, metadata })
      refusedWith(unnumbered, 422, 'Invalid')
      assert.deepEqual(causesOf(unnumbered), ['metadata.resourceVersion FieldValueInvalid'])
      await api.raw.ok('DELETE', `${path}/counted`)
    },
  },
  {
    name: 'a name is made from generateName',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      const body = { ...configMap('x'), metadata: { generateName: 'made-' } }
      const names = await Promise.all(
        [1, 2, 3].map(async () => meta(await api.raw.ok('POST', path, body))['name']),
      )
      assert.equal(new Set(names).size, 3)
      for (const name of names) assert.match(String(name), /^made-[a-z0-9]{5}$/)
    },
  },
  {
    name: 'names, labels and namespaces must fit',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      const wrong = await api.raw.call('POST', path, configMap('Upper_Case'))
      refusedWith(wrong, 422, 'Invalid')
      assert.deepEqual(causesOf(wrong), ['metadata.name FieldValueInvalid'])
      const none = await api.raw.call('POST', path, { ...configMap('x'), metadata: {} })
      assert.deepEqual(causesOf(none), ['metadata.name FieldValueRequired'])
      const labels = { labels: { 'a b': 'x', fine: 'not fine!' } }
      const labelled = await api.raw.call('POST', path, configMap('labelled', {}, labels))
      refusedWith(labelled, 422, 'Invalid')
      const elsewhere = configMap('elsewhere', {}, { namespace: 'another' })
      refusedWith(await api.raw.call('POST', path, elsewhere), 400, 'BadRequest')
      const nowhere = await api.raw.call(
        'POST',
        '/api/v1/namespaces/not-there/configmaps',
        configMap('nowhere'),
      )
      assert.match(refusedWith(nowhere, 404, 'NotFound'), /namespaces "not-there" not found/)
      await api.raw.ok('POST', path, configMap('named'))
      const renamed = await api.raw.call('PUT', `${path}/named`, configMap('renamed'))
      refusedWith(renamed, 400, 'BadRequest')
    },
  },
  {
    name: 'a deletion has preconditions, and says what it has done',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      const made = await api.raw.ok('POST', path, configMap('doomed'))
      const { uid, resourceVersion } = meta(made)
      await api.raw.ok('PATCH', `${path}/doomed`, { data: { a: '1' } })
      const options = { kind: 'DeleteOptions', apiVersion: 'v1' }
      for (const preconditions of [{ uid: 'other' }, { resourceVersion }]) {
        const answer = await api.raw.call('DELETE', `${path}/doomed`, { ...options, preconditions })
        refusedWith(answer, 409, 'Conflict')
      }
      const preconditions = { uid }
      const done = await api.raw.ok('DELETE', `${path}/doomed`, { ...options, preconditions })
      assert.deepEqual([done['kind'], done['status']], ['Status', 'Success'])
      assert.equal(at(done, 'details', 'uid'), uid)
      refusedWith(await api.raw.call('DELETE', `${path}/doomed`), 404, 'NotFound')
    },
  },
  {
    name: 'a dry run does everything but to keep it',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      const made = await api.raw.ok('POST', `${path}?dryRun=All`, configMap('dry'))
      assert.notEqual(meta(made)['uid'], undefined)
      refusedWith(await api.raw.call('GET', `${path}/dry`), 404, 'NotFound')
      await api.raw.ok('POST', path, configMap('dry'))
      await api.raw.ok('DELETE', `${path}/dry?dryRun=All`)
      await api.raw.ok('GET', `${path}/dry`)
    },
  },
  {
    name: 'finalizers hold an object until the last one is gone',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      const finalizers = ['hawser.test/one', 'hawser.test/two']
      await api.raw.ok('POST', path, configMap('held', {}, { finalizers }))
      const marked = await api.raw.ok('DELETE', `${path}/held`)
      assert.equal(marked['kind'], 'ConfigMap')
      assert.match(String(meta(marked)['deletionTimestamp']), /^\d{4}-/)
      const grown = { metadata: { finalizers: [...finalizers, 'hawser.test/three'] } }
      refusedWith(await api.raw.call('PATCH', `${path}/held`, grown), 422, 'Invalid')
      const fewer = { metadata: { finalizers: finalizers.slice(1) } }
      const left = await api.raw.ok('PATCH', `${path}/held`, fewer)
      assert.equal(meta(left)['deletionTimestamp'], meta(marked)['deletionTimestamp'])
      await api.raw.ok('PATCH', `${path}/held`, { metadata: { finalizers: null } })
      refusedWith(await api.raw.call('GET', `${path}/held`), 404, 'NotFound')
    },
  },
  {
    name: 'the status is written apart, where there is such a subresource',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'serviceimports')
      const status = { clusters: [] }
      const made = await api.raw.ok('POST', path, serviceImport('apart', { status }))
      assert.equal(made['status'], undefined)
      const spec = { ...(made['spec'] as Json), type: 'Headless' }
      const clusters = [{ cluster: 'c1' }]
      const body = { ...made, spec, status: { clusters } }
      const second = await api.raw.ok('PUT', `${path}/apart/status`, body)
      assert.deepEqual(second['status'], { clusters })
      assert.equal(at(second, 'spec', 'type'), 'ClusterSetIP')
      assert.equal(meta(second)['generation'], 1)
      const third = await api.raw.ok('PUT', `${path}/apart`, { ...second, spec, status: {} })
      assert.deepEqual([at(third, 'spec', 'type'), third['status']], ['Headless', { clusters }])
      assert.equal(meta(third)['generation'], 2)
      const clustersPath = collection(api, 'clusters')
      await api.raw.ok('POST', clustersPath, cluster('no-status'))
      const none = await api.raw.call('GET', `${clustersPath}/no-status/status`)
      assert.equal(none.status, 404)
    },
  },
  {
    name: 'a Secret takes text, and keeps its type',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'secrets')
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'text' } }
      const made = await api.raw.ok('POST', path, { ...secret, stringData: { a: 'text' } })
      assert.deepEqual([made['type'], made['data']], ['Opaque', { a: 'dGV4dA==' }])
      assert.equal(made['stringData'], undefined)
      const other = await api.raw.call('PUT', `${path}/text`, { ...made, type: 'other' })
      assert.deepEqual(causesOf(other), ['type FieldValueInvalid'])
    },
  },
  {
    name: 'the token Secret of an account is filled, works, and goes with the account',
    needs: 'broker',
    async run(api) {
      const accounts = collection(api, 'serviceaccounts')
      const secrets = collection(api, 'secrets')
      const own = { apiVersion: 'v1' }
      const metadata = { name: 'contract-account' }
      await api.raw.ok('POST', accounts, { ...own, kind: 'ServiceAccount', metadata })
      const annotations = { 'kubernetes.io/service-account.name': 'contract-account' }
      await api.raw.ok('POST', secrets, {
        ...{ ...own, kind: 'Secret', metadata: { name: 'contract-token', annotations } },
        type: 'kubernetes.io/service-account-token',
      })
      let data: Json = {}
      await eventually(async () => {
        data = ((await api.raw.ok('GET', `${secrets}/contract-token`))['data'] ?? {}) as Json
        return data['token'] !== undefined
      })
      const text = (name: string) => Buffer.from(String(data[name]), 'base64').toString()
      assert.equal(text('namespace'), api.namespace)
      assert.match(text('ca.crt'), /BEGIN CERTIFICATE/)
      const token = text('token')
      // It is known, and may nothing yet.
      const words = refusedWith(
        await api.raw.call('GET', secrets, undefined, { token }),
        403,
        'Forbidden',
      )
      const user = `system:serviceaccount:${api.namespace}:contract-account`
      assert.ok(words.includes(`User "${user}" cannot list resource "secrets"`), words)
      await api.raw.ok('DELETE', `${accounts}/contract-account`)
      await eventually(
        async () => (await api.raw.call('GET', `${secrets}/contract-token`)).status === 404,
      )
      await eventually(
        async () => (await api.raw.call('GET', secrets, undefined, { token })).status === 401,
      )
    },
  },
]
