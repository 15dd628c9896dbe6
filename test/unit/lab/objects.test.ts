import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseObject } from '../../../src/kube/objects.ts'
import type { Resource, ResourceType } from '../../../src/kube/resource-type.ts'
import { nodeType } from '../../../src/kube/resources/node.ts'
import { podType } from '../../../src/kube/resources/pod.ts'
import { clusterObjects, labObjectType } from '../../../src/lab/objects.ts'
import { planCluster } from '../../../src/lab/topology.ts'
import { formatAddress, formatPrefix } from '../../../src/net/address.ts'

const objects = clusterObjects(planCluster(2))
const ofKind = (kind: string) => objects.filter(({ place }) => place.kind === kind)

test('nodes are registered as kubelets do it: addresses, pod subnets, ready', () => {
  const nodes = ofKind('Node').map(({ body, status }) => parsed(nodeType, { ...body, status }))
  assert.deepEqual(
    nodes.map(({ meta, internalIps, podCidrs, isReady }) => [
      meta.name,
      internalIps.map(formatAddress),
      podCidrs.map(formatPrefix),
      isReady,
    ]),
    [
      [
        'west-gateway',
        ['172.31.2.1', 'fd00:172:2::101'],
        ['10.20.1.0/24', 'fd00:10:2:1::/64'],
        true,
      ],
      [
        'west-worker',
        ['172.31.2.2', 'fd00:172:2::102'],
        ['10.20.2.0/24', 'fd00:10:2:2::/64'],
        true,
      ],
    ],
  )
})

test('pods run on their nodes, and the Service selects both', () => {
  const pods = ofKind('Pod').map(({ body, status }) => parsed(podType, { ...body, status }))
  assert.deepEqual(
    pods.map(({ meta, nodeName, ips }) => [meta.name, nodeName, ips.map(formatAddress)]),
    [
      ['pod-a', 'west-gateway', ['10.20.1.10', 'fd00:10:2:1::10']],
      ['pod-b', 'west-worker', ['10.20.2.10', 'fd00:10:2:2::10']],
    ],
  )
  const [service] = ofKind('Service')
  const { selector } = service.body['spec'] as { selector: Record<string, string> }
  for (const { meta } of pods) {
    for (const [key, value] of Object.entries(selector)) assert.equal(meta.labels[key], value)
  }
})

test('an object is sent as it is, without what a status has', () => {
  for (const object of objects) {
    const sent = labObjectType(object.place).serialize(object)
    assert.deepEqual(sent, object.body)
    assert.equal('status' in sent, false)
  }
})

function parsed<T extends Resource>(type: ResourceType<T>, raw: unknown): T {
  const result = parseObject(type, raw)
  assert.ok(result.ok, JSON.stringify(result))
  return result.value
}
