import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseObject } from '../../../src/kube/objects.ts'
import type { Resource, ResourceType } from '../../../src/kube/resource-type.ts'
import { serviceType, sliceType } from '../../../src/lab/service-kinds.ts'
import { isBalanced, serviceRules } from '../../../src/lab/service-rules.ts'

const page = service('page', ['10.11.0.7', 'fd00:11:1::7'], [{ name: 'http', port: 80 }])

test('each family goes to the ready endpoints of that family, by chance', () => {
  const slices = [
    slice('page-4', 'page', 'http', 8080, [
      { addresses: ['10.10.1.10'], conditions: { ready: true } },
      { addresses: ['10.10.2.10'] },
      { addresses: ['10.10.2.11'], conditions: { ready: false } },
    ]),
    slice('page-6', 'page', 'http', 8080, [{ addresses: ['fd00:10:1:1::10'] }]),
  ]
  assert.deepEqual(rulesIn(serviceRules([page], slices)), [
    'ip daddr 10.11.0.7 tcp dport 80 dnat ip to numgen random mod 2 ' +
      'map { 0 : 10.10.1.10 . 8080, 1 : 10.10.2.10 . 8080 }',
    'ip6 daddr fd00:11:1::7 tcp dport 80 dnat ip6 to numgen random mod 1 ' +
      'map { 0 : fd00:10:1:1::10 . 8080 }',
  ])
  assert.equal(isBalanced(page, slices), true)
})

test('what is not known to go anywhere has no rule', () => {
  const ready = [{ addresses: ['10.10.1.10'] }]
  const rows = [
    [],
    [slice('a', 'other', 'http', 80, ready)],
    [slice('a', 'page', 'metrics', 80, ready)],
    [slice('a', 'page', 'http', 80, [])],
    [slice('a', 'page', 'http', 80, ready, 'elsewhere')],
  ]
  for (const slices of rows) {
    assert.deepEqual(rulesIn(serviceRules([page], slices)), [])
    assert.equal(isBalanced(page, slices), false)
  }
  const half = [slice('a', 'page', 'http', 80, ready)]
  assert.equal(isBalanced(page, half), false)
})

test('headless Services and protocols that nft does not translate are left alone', () => {
  const slices = [slice('a', 'page', '', 80, [{ addresses: ['10.10.1.10'] }])]
  for (const of of [
    service('page', ['None'], [{ port: 80 }]),
    service('page', ['10.11.0.7'], [{ port: 80, protocol: 'SCTP' }]),
  ])
    assert.deepEqual(rulesIn(serviceRules([of], slices)), [])
})

test('the same endpoint in two slices counts once, and the order of slices does not matter', () => {
  const a = slice('a', 'page', 'http', 80, [{ addresses: ['10.10.2.10', '10.10.1.10'] }])
  const b = slice('b', 'page', 'http', 80, [{ addresses: ['10.10.1.10'] }])
  assert.equal(serviceRules([page], [a, b]), serviceRules([page], [b, a]))
  assert.match(serviceRules([page], [a, b]), /mod 2 map/)
})

test('an address that is none never gets into the rules', () => {
  const raw = { metadata: { name: 'x', namespace: 'default' }, spec: { clusterIPs: ['1 accept'] } }
  const parsed = parseObject(serviceType, raw)
  assert.equal(parsed.ok, false)
})

function rulesIn(text: string): string[] {
  const [, inside] = /chain services \{\n([^}]*(?:\{[^}]*\}[^}]*)*?) {2}\}/.exec(text) ?? []
  assert.ok(inside !== undefined, text)
  return inside
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
}

function service(name: string, clusterIPs: readonly string[], ports: readonly object[]) {
  return parsedAs(serviceType, {
    metadata: { name, namespace: 'default' },
    spec: { clusterIPs, ports },
  })
}

function slice(
  name: string,
  of: string,
  portName: string,
  port: number,
  endpoints: readonly object[],
  namespace = 'default',
) {
  return parsedAs(sliceType, {
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': of } },
    ports: [{ name: portName, port }],
    endpoints,
  })
}

function parsedAs<T extends Resource>(type: ResourceType<T>, raw: unknown): T {
  const parsed = parseObject(type, raw)
  assert.ok(parsed.ok, JSON.stringify(parsed))
  return parsed.value
}
