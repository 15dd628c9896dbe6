// Where settings come from: flags before variables before the resource.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { submarinerType } from '../../../src/kube/resources/submariner.ts'
import { formatPrefix, parsePrefix } from '../../../src/net/address.ts'
import { agentSettings, isTrue, nodeNameOf } from '../../../src/route-agent/settings.ts'
import { goldenObjects, parsed } from '../../support/golden-objects.ts'

const machine = { hostname: 'machine', version: 'v1' }
const stock = {
  SUBMARINER_NAMESPACE: 'submariner-operator',
  SUBMARINER_CLUSTERID: 'c1',
  SUBMARINER_CLUSTERCIDR: '10.1.0.0/16, fd00:1::/48',
  SUBMARINER_SERVICECIDR: '10.101.0.0/16',
  SUBMARINER_GLOBALCIDR: '',
  SUBMARINER_NETWORKPLUGIN: 'flannel',
  SUBMARINER_HEALTHCHECKENABLED: 'false',
  NODE_NAME: 'node-1',
}
const golden = goldenObjects().find(({ raw }) => raw.kind === 'Submariner')

test('the environment of a stock pod is enough', () => {
  const settings = agentSettings({}, stock, machine)
  assert.deepEqual(
    { ...settings, clusterCidrs: settings?.clusterCidrs.map(formatPrefix) },
    {
      clusterId: 'c1',
      namespace: 'submariner-operator',
      nodeName: 'node-1',
      hostname: 'machine',
      clusterCidrs: ['10.1.0.0/16', 'fd00:1::/48'],
      serviceCidrs: settings?.serviceCidrs,
      globalCidrs: [],
      networkPlugin: 'flannel',
      isHealthCheckEnabled: false,
      version: 'v1',
    },
  )
})

test('flags stand before the environment, and that before the resource', () => {
  assert.ok(golden !== undefined)
  const resource = parsed(submarinerType, golden.raw)
  const fromResource = agentSettings({}, {}, machine, resource)
  assert.equal(fromResource?.clusterId, resource.clusterId)
  assert.deepEqual(fromResource?.clusterCidrs, resource.clusterCidrs)
  const status = resource.status && {
    ...resource.status,
    clusterCidrs: [parsePrefix('10.9.0.0/16')],
  }
  assert.ok(status !== undefined)
  const open = agentSettings({}, {}, machine, { ...resource, clusterCidrs: [], status })
  assert.deepEqual(open?.clusterCidrs.map(formatPrefix), ['10.9.0.0/16'])
  assert.equal(agentSettings({}, stock, machine, resource)?.clusterId, 'c1')
  const flags = { clusterId: 'c7', clusterCidr: '10.7.0.0/16', nodeName: 'n7', hostname: 'h7' }
  const settings = agentSettings(flags, stock, machine, resource)
  assert.deepEqual(
    [settings?.clusterId, settings?.clusterCidrs.map(formatPrefix), settings?.nodeName],
    ['c7', ['10.7.0.0/16'], 'n7'],
  )
  assert.equal(settings?.hostname, 'h7')
})

test('what is missing is asked of the resource, what is wrong is said with its names', () => {
  assert.equal(agentSettings({}, {}, machine), undefined)
  assert.equal(agentSettings({ clusterId: 'c1' }, {}, machine), undefined)
  const wrong = [
    [{ ...stock, SUBMARINER_CLUSTERID: 'No Good' }, /--cluster-id \(SUBMARINER_CLUSTERID\)/],
    [
      { ...stock, SUBMARINER_CLUSTERCIDR: '10.1.0.0/33' },
      /SUBMARINER_CLUSTERCIDR.*10\.1\.0\.0\/33/,
    ],
    [{ ...stock, SUBMARINER_SERVICECIDR: 'x' }, /--service-cidr/],
  ] as const
  for (const [environment, message] of wrong) {
    assert.throws(() => agentSettings({}, environment, machine), message)
  }
})

test('words for true are those of Go', () => {
  assert.deepEqual(['1', 't', 'True', 'TRUE', 'true'].map(isTrue), Array(5).fill(true))
  assert.deepEqual(['', '0', 'no', undefined].map(isTrue), Array(4).fill(false))
  assert.equal(nodeNameOf({}, {}, machine), 'machine')
})
