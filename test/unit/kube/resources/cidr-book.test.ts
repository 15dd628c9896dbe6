import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CidrBook,
  type CidrBookKind,
  cidrBooks,
  readCidrBook,
  writeCidrBook,
} from '../../../../src/kube/resources/cidr-book.ts'
import { type ConfigMap, configMapType } from '../../../../src/kube/resources/config-map.ts'
import { parsePrefix } from '../../../../src/net/address.ts'
import { goldenObject, parsed } from '../../../support/golden-objects.ts'

const globalnet = parsed(configMapType, goldenObject('globalnet-info'))
const clustersetIp = parsed(configMapType, goldenObject('clustersetip-info'))

function read(kind: CidrBookKind, configMap: ConfigMap): CidrBook {
  const book = readCidrBook(kind, configMap)
  assert.ok(book.ok, book.ok ? '' : book.problem)
  return book.value
}

function withData(data: Record<string, string>): ConfigMap {
  return { ...globalnet, data: { ...globalnet.data, ...data } }
}

test('the books of stock are read', () => {
  assert.deepEqual(read('globalnet', globalnet), {
    isEnabled: true,
    range: parsePrefix('242.0.0.0/8'),
    clusterSize: 65_536,
    entries: [
      { clusterId: 'c1', cidrs: [parsePrefix('242.0.0.0/16')] },
      { clusterId: 'c2', cidrs: [parsePrefix('242.1.0.0/16')] },
    ],
  })
  assert.deepEqual(read('clustersetIp', clustersetIp), {
    isEnabled: true,
    range: parsePrefix('243.0.0.0/8'),
    clusterSize: 0,
    entries: [],
  })
  assert.equal(globalnet.meta.name, cidrBooks.globalnet.name)
  assert.equal(clustersetIp.meta.name, cidrBooks.clustersetIp.name)
})

test('they are written as stock writes them, and what else is there stays', () => {
  const book = read('globalnet', globalnet)
  assert.deepEqual(writeCidrBook('globalnet', book, { ...globalnet, data: {} }), globalnet)
  assert.deepEqual(configMapType.serialize(globalnet), goldenObject('globalnet-info'))
  const set = read('clustersetIp', clustersetIp)
  assert.deepEqual(writeCidrBook('clustersetIp', set, { ...clustersetIp, data: {} }), clustersetIp)
  assert.equal(writeCidrBook('globalnet', book, withData({ note: 'x' })).data['note'], 'x')
})

test('a book that is switched off says no more than that', () => {
  const off = { ...globalnet, data: { globalnetEnabled: 'false' } }
  const book = read('globalnet', off)
  assert.deepEqual(book, { isEnabled: false, range: undefined, clusterSize: 0, entries: [] })
  assert.deepEqual(writeCidrBook('globalnet', book, { ...off, data: {} }), off)
})

test('forms of other writers', () => {
  assert.deepEqual(
    read('globalnet', withData({ globalnetCidrRange: '242.0.0.0/8' })).range,
    parsePrefix('242.0.0.0/8'),
  )
  for (const empty of ['', '[]', 'null', ' [\n]\n']) {
    assert.deepEqual(read('globalnet', withData({ clusterinfo: empty })).entries, [])
  }
})

const wrong: readonly (readonly [data: Record<string, string>, says: string])[] = [
  [{ globalnetCidrRange: '"x"' }, 'data.globalnetCidrRange: "x" is not a prefix'],
  [{ globalnetCidrRange: '"x' }, 'data.globalnetCidrRange: not JSON'],
  [{ globalnetClusterSize: '-1' }, 'data.globalnetClusterSize: "-1" is not a number of addresses'],
  [{ clusterinfo: '[' }, 'data.clusterinfo: not JSON'],
  [{ clusterinfo: '{}' }, 'data.clusterinfo: expected a list'],
  [{ clusterinfo: '[1]' }, 'data.clusterinfo[0]: expected an object'],
  [{ clusterinfo: '[{"cluster_id":""}]' }, 'data.clusterinfo[0].cluster_id: expected a name'],
  [
    { clusterinfo: '[{"cluster_id":"c1","global_cidr":["242.0.0.0/40"]}]' },
    'data.clusterinfo[0].global_cidr[0]: "242.0.0.0/40" is not a prefix',
  ],
]

test('a problem names the ConfigMap and the place', () => {
  for (const [data, says] of wrong) {
    assert.deepEqual(readCidrBook('globalnet', withData(data)), {
      ok: false,
      name: 'submariner-globalnet-info',
      problem: `ConfigMap submariner-k8s-broker/submariner-globalnet-info: ${says}`,
    })
  }
})
