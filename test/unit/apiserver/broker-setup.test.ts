// What a broker holds from its starts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setUpBroker } from '../../../src/apiserver/broker-setup.ts'
import { at, meta } from '../../support/api-contract/check.ts'
import { BareApi } from '../../support/embedded-api.ts'

test('the Broker says what the last start says, and the rest stays', () => {
  const { api, ...broker } = bareBroker()
  const path = '/apis/submariner.io/v1alpha1/namespaces/submariner-k8s-broker/brokers'
  const first = broker.start(['connectivity'], ['example.org'])
  const before = broker.get(path)
  broker.start(['connectivity'], ['example.org'])
  assert.deepEqual(broker.get(path), before)
  const second = broker.start(['connectivity', 'service-discovery'], [])
  const after = broker.get(path)
  assert.deepEqual(at(after, 'spec', 'components'), second.components)
  assert.deepEqual(at(after, 'spec', 'defaultCustomDomains'), [])
  assert.equal(meta(after)['uid'], meta(before)['uid'])
  assert.deepEqual([second.psk, second.token.token], [first.psk, first.token.token])
  assert.ok(api.takeChanged().has('brokers.submariner.io'))
})

function bareBroker() {
  const bare = new BareApi('broker')
  const { api } = bare
  const shared = { namespace: 'submariner-k8s-broker', url: 'https://broker.test', ca: '' }
  return {
    api,
    start: (components: readonly string[], customDomains: readonly string[]) =>
      setUpBroker(api, { ...shared, components, customDomains }),
    get: (path: string) => at(bare.call('GET', path).body, 'items', 0),
  }
}
