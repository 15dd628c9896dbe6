// Rows of patches; what a server makes of them, as its documentation and its own tests say.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Body } from '../../../src/apiserver/body.ts'
import { configMapKind, podKind, serviceKind } from '../../../src/apiserver/builtin-kinds.ts'
import { patched } from '../../../src/apiserver/patch.ts'
import { strategicMerge } from '../../../src/apiserver/strategic-merge.ts'

const merge = 'application/merge-patch+json'
const json = 'application/json-patch+json'

/** RFC 7386, appendix A, as far as both are objects; and keys that JavaScript has plans for. */
const mergeRows: readonly (readonly [object: string, patch: string, result: string])[] = [
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', '{}'],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
  ['{"a":1}', '{"constructor":{"x":1},"b":2}', '{"a":1,"constructor":{"x":1},"b":2}'],
  ['{"a":1}', '{"__proto__":{"x":1},"b":2}', '{"a":1,"b":2}'],
]

test('merge patches', () => {
  for (const [object, patch, result] of mergeRows) {
    const body = JSON.parse(object) as Body
    const given = patched(configMapKind, body, JSON.parse(patch), merge)
    assert.equal(JSON.stringify(given), result, `${object} ${patch}`)
    assert.equal(JSON.stringify(body), object, 'the object itself is as it was')
  }
  assert.equal(({} as Body)['x'], undefined)
  for (const wrong of [null, [], 'text', 1]) {
    assert.throws(() => patched(configMapKind, {}, wrong, merge), { code: 400 })
  }
})

test('JSON patches', () => {
  const body = { a: [1, 2], b: { c: 'd' } }
  const rows: readonly (readonly [patch: unknown, result: unknown])[] = [
    [[{ op: 'add', path: '/a/-', value: 3 }], { ...body, a: [1, 2, 3] }],
    [[{ op: 'move', from: '/b/c', path: '/c' }], { a: [1, 2], b: {}, c: 'd' }],
    [[{ op: 'test', path: '/b', value: { c: 'd' } }], body],
    [[{ op: 'test', path: '/b/c', value: 'x' }], 422],
    [[{ op: 'remove', path: '/x' }], 422],
    [
      [
        { op: 'add', path: '/b/e', value: 1 },
        { op: 'remove', path: '/x' },
      ],
      422,
    ],
    [[{ op: 'other', path: '/x' }], 422],
    [[{ op: 'replace', path: '/a/0', value: 7 }], { ...body, a: [7, 2] }],
    [[{ op: 'replace', path: '', value: { x: 1 } }], { x: 1 }],
    [[{ op: 'remove', path: '/a/1' }], { ...body, a: [1] }],
    [[{ op: 'add', path: '/a/3', value: 1 }], 422],
    [[{ op: 'add', path: '/a/01', value: 1 }], 422],
    [[{ op: 'add', path: '/a' }], 422],
    [[{ op: 'copy', from: '/b', path: '/b/e' }], { ...body, b: { c: 'd', e: { c: 'd' } } }],
    [[{ op: 'move', from: '/b', path: '/b/e' }], 422],
    [[{ op: 'add', path: '/b/~1~01', value: 1 }], { ...body, b: { c: 'd', '/~1': 1 } }],
    [[{ op: 'add', path: '/constructor', value: 1 }], { ...body, constructor: 1 }],
    [[{ op: 'add', path: 'x', value: 1 }], 400],
    [[{ path: '/x' }], 400],
    [{ op: 'add' }, 400],
  ]
  for (const [patch, result] of rows) {
    const what = JSON.stringify(patch)
    if (typeof result === 'number') {
      assert.throws(() => patched(configMapKind, body, patch, json), { code: result }, what)
    } else assert.deepEqual(patched(configMapKind, body, patch, json), result, what)
  }
  const many = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/a', value: [1, 2] }))
  assert.throws(() => patched(configMapKind, body, many, json), { code: 413 })
})

test('a JSON patch reaches nothing but the object', () => {
  const body = { list: [1], text: 'x' }
  const inherited = ['/toString/x', '/list/push/x', '/constructor/prototype/x', '/text/length/x']
  for (const path of [...inherited, '/__proto__/x', '/__proto__']) {
    const patch = [{ op: 'add', path, value: 1 }]
    assert.throws(() => patched(configMapKind, body, patch, json), { code: 422 }, path)
  }
  const functions = [Object.prototype.toString, Array.prototype.push, Object.prototype]
  assert.ok(functions.every(each => !('x' in each)))
})

test('copies within a JSON patch are limited: thirty of them are a thousand million', () => {
  const doubling = Array.from({ length: 30 }, (_, i) => ({ op: 'copy', from: '', path: `/${i}` }))
  assert.throws(() => patched(configMapKind, { a: 'b' }, doubling, json), { code: 413 })
})

const ports = (...list: readonly (readonly [string, number])[]) =>
  list.map(([name, port]) => ({ name, port }))

test('strategic merge patches', () => {
  const { mergeKeys } = serviceKind
  const service = {
    spec: { ports: ports(['a', 1], ['b', 2]), externalIPs: ['x'], selector: { s: '1', t: '2' } },
  }
  const rows: readonly (readonly [string, Body, Body])[] = [
    [
      'an item is merged by its key',
      { ports: [{ port: 2, protocol: 'UDP' }] },
      { ports: [ports(['a', 1])[0], { name: 'b', port: 2, protocol: 'UDP' }] },
    ],
    [
      'a new item is added',
      { ports: ports(['c', 3]) },
      { ports: ports(['c', 3], ['a', 1], ['b', 2]) },
    ],
    ['an item is deleted', { ports: [{ port: 1, $patch: 'delete' }] }, { ports: ports(['b', 2]) }],
    [
      'a list is replaced',
      { ports: [{ $patch: 'replace' }, ...ports(['z', 9])] },
      { ports: ports(['z', 9]) },
    ],
    ['a list without a key is replaced', { externalIPs: ['y'] }, { externalIPs: ['y'] }],
    [
      'an order is kept',
      { '$setElementOrder/ports': [{ port: 2 }, { port: 1 }] },
      { ports: ports(['b', 2], ['a', 1]) },
    ],
    [
      'an object is replaced',
      { selector: { $patch: 'replace', u: '3' } },
      { selector: { u: '3' } },
    ],
    [
      'fields are retained',
      { selector: { $retainKeys: ['t', 'u'], u: '3' } },
      { selector: { t: '2', u: '3' } },
    ],
    ['null takes a field out', { selector: { s: null } }, { selector: { t: '2' } }],
  ]
  for (const [what, patch, result] of rows) {
    const given = strategicMerge(service, { spec: patch }, mergeKeys)
    assert.deepEqual(given, { spec: { ...service.spec, ...result } }, what)
  }
  const keyless = { spec: { ports: [{ name: 'x' }] } }
  assert.throws(() => strategicMerge(service, keyless, mergeKeys), { code: 400 })
})

test('long lists take no longer than their length', () => {
  const names = (from: number) => Array.from({ length: 100_000 }, (_, i) => `x/${from + i}`)
  const owners = (from: number) => names(from).map(uid => ({ uid, name: uid }))
  const keys = configMapKind.mergeKeys
  const body = { metadata: { finalizers: names(0), ownerReferences: owners(0) } }
  const patch = {
    metadata: {
      ...{ finalizers: names(50_000), ownerReferences: owners(50_000) },
      '$deleteFromPrimitiveList/finalizers': names(100_000),
    },
  }
  // Items looked up one by one would take minutes.
  const { metadata } = strategicMerge(body, patch, keys) as typeof body
  assert.equal(new Set(metadata.finalizers).size, 100_000)
  assert.equal(metadata.ownerReferences.length, 150_000)
  assert.deepEqual(metadata.ownerReferences.slice(0, 100_000), owners(0))
})

test('what is within a container is merged by keys of its own', () => {
  const env = (...names: readonly string[]) => names.map(name => ({ name, value: name }))
  const pod = { spec: { containers: [{ name: 'one', env: env('a', 'b') }, { name: 'two' }] } }
  const patch = { spec: { containers: [{ name: 'one', env: [{ name: 'b', value: 'x' }] }] } }
  assert.deepEqual(strategicMerge(pod, patch, podKind.mergeKeys), {
    spec: {
      containers: [{ name: 'one', env: [env('a')[0], { name: 'b', value: 'x' }] }, { name: 'two' }],
    },
  })
})

test('no other type of patch is taken', () => {
  for (const type of ['application/apply-patch+yaml', 'application/json', '']) {
    assert.throws(() => patched(configMapKind, {}, {}, type), { code: 415 })
  }
})
