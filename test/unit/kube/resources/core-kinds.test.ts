// Kubernetes' own kinds, as far as they are read, and what a write of them changes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { namespaceType, serviceAccountType } from '../../../../src/kube/resources/bare.ts'
import {
  type GatewayOverrides,
  gatewayOverrides,
  isGatewayCandidate,
  nodeType,
} from '../../../../src/kube/resources/node.ts'
import { podType } from '../../../../src/kube/resources/pod.ts'
import { newMeta } from '../../../../src/kube/resources/resource.ts'
import { secretType } from '../../../../src/kube/resources/secret.ts'
import { serviceCidrType } from '../../../../src/kube/resources/service-cidr.ts'
import { parseAddress, parsePrefix } from '../../../../src/net/address.ts'
import { coreObject, parsed, problemWith, withValue } from '../../../support/golden-objects.ts'

test('metadata of the server', () => {
  const { meta } = parsed(namespaceType, coreObject('Namespace'))
  assert.deepEqual(meta, {
    name: 'submariner-operator',
    namespace: '',
    uid: '1b4f0e98-51a1-4e1c-9d20-000000000001',
    resourceVersion: '101',
    createdAtMs: Date.UTC(2026, 10, 28, 7),
    isDeleting: false,
    labels: { 'kubernetes.io/metadata.name': 'submariner-operator' },
    annotations: {},
    finalizers: [],
  })
  const going = withValue(
    coreObject('Namespace'),
    'metadata.deletionTimestamp',
    '2026-11-28T08:00:00Z',
  )
  assert.equal(parsed(namespaceType, going).meta.isDeleting, true)
  const placed = withValue(going, 'metadata.namespace', 'x')
  assert.match(problemWith(namespaceType, placed), /: metadata.namespace: expected none$/)
  assert.equal(parsed(serviceAccountType, coreObject('ServiceAccount')).meta.name, 'cluster-c1')
})

test('a Node: addresses, pod subnets, readiness', () => {
  const raw = coreObject('Node')
  const node = parsed(nodeType, raw)
  assert.deepEqual(node.internalIps, ['172.18.0.5', 'fc00:f853:ccd:e793::5'].map(parseAddress))
  assert.deepEqual(node.podCidrs, ['10.129.1.0/24', 'fd00:10:129:1::/64'].map(parsePrefix))
  assert.equal(node.isReady, true)
  assert.ok(isGatewayCandidate(node))
  const single = parsed(nodeType, withValue(raw, 'spec.podCIDRs', undefined))
  assert.deepEqual(single.podCidrs, [parsePrefix('10.129.1.0/24')])
  const fresh = parsed(nodeType, withValue(withValue(raw, 'status', undefined), 'spec', {}))
  assert.deepEqual([fresh.internalIps, fresh.podCidrs, fresh.isReady], [[], [], false])
  const plain = parsed(nodeType, withValue(raw, 'metadata.labels', {}))
  assert.ok(!isGatewayCandidate(plain))
})

test('what a Node says of a gateway on it: annotations win, unknown keys are a problem', () => {
  const raw = coreObject('Node')
  const overrides = (annotations: Record<string, string>) =>
    gatewayOverrides(parsed(nodeType, withValue(raw, 'metadata.annotations', annotations)))
  const nothing: GatewayOverrides = {
    udpPort: 4501,
    nattDiscoveryPort: undefined,
    publicIp: undefined,
    isPreferredServer: undefined,
  }
  assert.deepEqual(gatewayOverrides(parsed(nodeType, raw)), {
    ok: true,
    value: { ...nothing, udpPort: 4502, publicIp: 'ipv4:203.0.113.10' },
  })
  assert.deepEqual(overrides({ 'example.com/udp-port': '9' }), { ok: true, value: nothing })
  const set = {
    'gateway.submariner.io/natt-discovery-port': '0',
    'gateway.submariner.io/preferred-server': 'true',
  }
  assert.deepEqual(overrides(set), {
    ok: true,
    value: { ...nothing, nattDiscoveryPort: 0, isPreferredServer: true },
  })
  assert.deepEqual(overrides({ 'gateway.submariner.io/udp-prot': '1' }), {
    ok: false,
    name: 'cluster1-worker',
    problem:
      'Node cluster1-worker: label or annotation gateway.submariner.io/udp-prot: nobody knows it; ' +
      'known are udp-port, natt-discovery-port, public-ip, preferred-server',
  })
  const wrong = overrides({ 'gateway.submariner.io/udp-port': '99999' })
  assert.match(
    wrong.ok ? '' : wrong.problem,
    /gateway.submariner.io\/udp-port: "99999" is not a port from 1 to 65535$/,
  )
})

test('a Pod: its node and addresses; a write changes labels alone', () => {
  const raw = coreObject('Pod')
  const pod = parsed(podType, raw)
  assert.equal(pod.nodeName, 'cluster1-worker')
  assert.deepEqual(pod.ips, ['10.129.1.7', 'fd00:10:129:1::7'].map(parseAddress))
  assert.deepEqual(pod.meta.labels, { app: 'web' })
  const single = parsed(podType, withValue(raw, 'status.podIPs', undefined))
  assert.deepEqual(single.ips, [parseAddress('10.129.1.7')])
  const pending = parsed(podType, withValue(withValue(raw, 'status', {}), 'spec', {}))
  assert.deepEqual([pending.nodeName, pending.ips], ['', []])
  const labels = { 'gateway.submariner.io/status': 'active' }
  const labelled = podType.serialize({ ...pod, ips: [], meta: { ...pod.meta, labels } }, raw)
  assert.deepEqual(labelled, withValue(raw, 'metadata.labels', { app: 'web', ...labels }))
})

test('a Secret holds bytes, and no problem quotes them', () => {
  const raw = coreObject('Secret')
  const secret = parsed(secretType, raw)
  assert.equal(secret.type, 'kubernetes.io/service-account-token')
  assert.deepEqual(Object.keys(secret.data), ['ca.crt', 'namespace', 'token'])
  assert.deepEqual(secret.data['token'], new TextEncoder().encode('token'))
  assert.deepEqual(secretType.serialize(secret, raw), raw)
  for (const value of ['dG9rZW4', 'dG9r ZW4=', 'dG9rZ=4=', 5]) {
    const problem = problemWith(secretType, withValue(raw, 'data.token', value))
    assert.match(problem, /cluster-c1-token: data.token: expected (?:base64|a string)$/)
  }
  const empty = secretType.serialize({ meta: newMeta('s', 'n'), type: 'Opaque', data: {} })
  assert.ok(!('data' in empty))
  assert.deepEqual(parsed(secretType, empty).data, {})
})

test('a ServiceCIDR, both ways', () => {
  const raw = coreObject('ServiceCIDR')
  const serviceCidr = parsed(serviceCidrType, raw)
  assert.deepEqual(serviceCidr.cidrs, ['100.65.0.0/16', 'fd00:100:65::/112'].map(parsePrefix))
  assert.deepEqual(serviceCidrType.serialize(serviceCidr, raw), raw)
})
