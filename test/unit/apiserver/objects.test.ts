// What objects may be, all of a kind together.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configMap } from '../../support/api-contract/check.ts'
import { BareApi } from '../../support/embedded-api.ts'

const maps = '/api/v1/namespaces/submariner-k8s-broker/configmaps'

test('when a kind is full nothing of it grows, and what is there shrinks and goes', () => {
  const broker = new BareApi('broker')
  const text = 'x'.repeat(3_000_000)
  const finalizers = ['test/held']
  const post = (name: string) =>
    broker.call('POST', maps, configMap(name, { text, small: 'x' }, { finalizers })).status
  let count = 0
  while (post(`m${count}`) === 201) assert.ok(++count < 20, 'it is never full')
  assert.equal(post('one-more'), 403)
  const patch = (name: string, data: unknown) =>
    broker.call('PATCH', `${maps}/${name}`, { data }).status
  assert.deepEqual([patch('m0', { small: 'yy' }), patch('m0', { small: 'y' })], [403, 200])
  assert.equal(broker.call('DELETE', `${maps}/m0`).status, 200)
  assert.equal(
    broker.call('PATCH', `${maps}/m0`, { metadata: { finalizers: null } }).status,
    200,
    'the last finalizer takes it along',
  )
  assert.equal(broker.call('GET', `${maps}/m0`).status, 404)
  assert.equal(patch('m1', { text: 'short' }), 200)
  assert.equal(post('one-more'), 201)
})
