import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  annotation,
  clusterIdProblem,
  endpointName,
  ensureValidName,
  exportTimestampAnnotation,
  finalizer,
  isLabelValue,
  label,
  leaseIdentity,
  legacyKey,
  lighthouseAgent,
  memberAccountName,
  memberRoleBindingName,
  memberTokenName,
  objectName,
  ownCableName,
  serviceImportName,
  stockCableName,
} from '../../../src/kube/names.ts'
import { parseAddress } from '../../../src/net/address.ts'

const validNames: readonly (readonly [text: string, name: string])[] = [
  ['c1', 'c1'],
  ['East_1', 'east-1'],
  ['node.example.com', 'node.example.com'],
  ['-a-', 'a'],
  ['__a/b:c__', 'a-b-c'],
  ['ip 10.0.0.1', 'ip-10.0.0.1'],
  ['\u00dcber', 'ber'],
  ['a\u{1f600}b', 'a-b'],
  ['---', ''],
]

test('names are made valid as admiral makes them', () => {
  for (const [text, name] of validNames) assert.equal(ensureValidName(text), name, text)
})

test('a cluster id is a DNS-1123 label', () => {
  for (const id of ['a', '1', 'c1', 'east-1', 'a'.repeat(63)]) {
    assert.equal(clusterIdProblem(id), undefined, id)
  }
  for (const id of [
    '',
    '-',
    '-a',
    'a-',
    'A',
    'a.b',
    'a_b',
    'a b',
    'a\n',
    '\u00e4',
    'a'.repeat(64),
  ]) {
    const problem = clusterIdProblem(id) ?? ''
    assert.match(problem, /is no cluster id: it has 1 to 63 lower-case letters/, id)
    assert.ok(problem.length < 250, problem)
  }
})

test('an id on the broker is at least the value of a label', () => {
  for (const id of ['a', 'East_1', 'a.b', 'A'.repeat(63)]) assert.ok(isLabelValue(id), id)
  for (const id of ['', '.a', 'a-', 'a/b', 'a b', 'a'.repeat(64)]) assert.ok(!isLabelValue(id), id)
})

test('names of cables and of the objects of a member', () => {
  const cable = stockCableName('c1', parseAddress('172.18.0.5'))
  assert.equal(cable, 'submariner-cable-c1-172-18-0-5')
  assert.equal(endpointName('c1', cable), 'c1-submariner-cable-c1-172-18-0-5')
  assert.equal(stockCableName('c1', parseAddress('fd00::5')), 'submariner-cable-c1-fd00--5')
  assert.equal(ownCableName('c3'), 'submariner-cable-c3-gateway')
  assert.equal(endpointName('C_3', ownCableName('C_3')), 'c-3-submariner-cable-c-3-gateway')
  assert.equal(serviceImportName('nginx', 'default'), 'nginx-default')
  assert.equal(memberAccountName('c1'), 'cluster-c1')
  assert.equal(memberTokenName('c1'), 'cluster-c1-token')
  assert.equal(memberRoleBindingName('c1'), 'cluster-c1-submariner-k8s-broker-cluster')
  assert.equal(leaseIdentity('worker'), 'worker-submariner-gateway')
  assert.equal(exportTimestampAnnotation('c1'), 'timestamp.submariner.io/c1')
  assert.equal(
    exportTimestampAnnotation(`A${'b'.repeat(80)}`),
    `timestamp.submariner.io/a${'b'.repeat(62)}`,
  )
})

test('no key means two things, and each is a valid key of metadata', () => {
  const keys = [label, annotation, legacyKey, finalizer].flatMap(group => Object.values(group))
  assert.equal(new Set(keys).size, keys.length)
  const key = /^(?:[a-z0-9]+(?:[.-][a-z0-9]+)*\/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/
  for (const text of keys) assert.match(text, key)
  for (const name of Object.values(objectName)) assert.equal(ensureValidName(name), name)
  assert.ok(isLabelValue(lighthouseAgent))
  assert.ok(keys.length > 30, `saw ${keys.length} keys`)
})
