import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CableIndices, planMtu, planSnapshot } from '../../../src/datapath/snapshot.ts'
import { parseAddress, parsePrefix, parseRemote } from '../../../src/net/address.ts'
import { emptyTables, type Tables, type WireguardCable } from '../../../src/tables/tables.ts'

function cable(name: string, ...prefixes: string[]): WireguardCable {
  return {
    driver: 'wireguard',
    name,
    publicKey: new Uint8Array(32).fill(name.charCodeAt(0)),
    keepaliveSeconds: 0,
    remoteSerial: 0,
    allowedIps: prefixes.map(parsePrefix),
  }
}

function tables(...cables: Tables['cables'][number][]): Tables {
  return { ...emptyTables, generation: 1, cables }
}

const none: CableIndices = new Map()

function plan(before: Tables, indices: CableIndices, next: Tables) {
  return planSnapshot(before, indices, 1420, next, 1420)
}

test('new cables get the lowest free indices', () => {
  const result = plan(emptyTables, none, tables(cable('a'), cable('b')))
  assert.deepEqual(
    [...result.indices],
    [
      ['a', 0],
      ['b', 1],
    ],
  )
  assert.deepEqual(
    result.changes.map(change => [change.kind, change.cable]),
    [
      ['set', 0],
      ['set', 1],
    ],
  )
})

test('the same snapshot changes nothing, also when it was decoded anew', () => {
  const before = tables(cable('a', '10.0.0.0/8'))
  const { indices } = plan(emptyTables, none, before)
  assert.deepEqual(plan(before, indices, before).changes, [])
  assert.equal(plan(before, indices, before).routes, undefined)
  assert.deepEqual(plan(before, indices, structuredClone(before)).changes, [])
})

test('the index of a cable that goes is not given away in the same snapshot', () => {
  const before = tables(cable('a'), cable('b'))
  const { indices } = plan(emptyTables, none, before)
  const result = plan(before, indices, tables(cable('b'), cable('c')))
  assert.equal(result.indices.get('c'), 2)
  assert.deepEqual(result.changes[0], { kind: 'remove', cable: 0 })
})

test('with another driver a cable gets another index: its row has another writer', () => {
  const flat = {
    driver: 'vxlan',
    name: 'b',
    remoteSerial: 0,
    tunnelAddress: parseAddress('241.0.0.1'),
    allowedIps: [],
  } as const
  const own = { vni: 1000, address: parseAddress('241.0.0.2'), mac: new Uint8Array(6) }
  const before = tables(cable('a'), cable('b'))
  const { indices } = plan(emptyTables, none, before)
  const next = tables(cable('a'), flat)
  const { changes } = plan(before, indices, { ...next, device: { ...next.device, vxlan: own } })
  assert.deepEqual(
    changes.map(change => [change.kind, change.cable]),
    [
      ['remove', 1],
      ['set', 2],
    ],
  )
})

test('another public key under the same name is another cable', () => {
  const before = tables(cable('a'))
  const { indices } = plan(emptyTables, none, before)
  const other = { ...cable('a'), publicKey: new Uint8Array(32).fill(99) }
  const { changes } = plan(before, indices, tables(other))
  assert.deepEqual(
    changes.map(change => change.kind),
    ['remove', 'set'],
  )
  assert.ok(changes[1].kind === 'set' && changes[1].isNew)
})

for (const [what, change] of Object.entries({
  remote: { remote: parseRemote('192.0.2.1:1'), remoteSerial: 1 },
  keepalive: { keepaliveSeconds: 25 },
  'preshared key': { presharedKey: new Uint8Array(32).fill(7) },
  mtu: { mtuBytes: 1300 },
})) {
  test(`a changed ${what} is one change of the same cable`, () => {
    const before = tables(cable('a'))
    const { indices } = plan(emptyTables, none, before)
    const { changes } = plan(before, indices, tables({ ...cable('a'), ...change }))
    assert.equal(changes.length, 1)
    assert.ok(changes[0].kind === 'set' && !changes[0].isNew)
  })
}

test('routes are built anew when a prefix moves', () => {
  const before = tables(cable('a', '10.0.0.0/8'), cable('b'))
  const { indices } = plan(emptyTables, none, before)
  const result = plan(before, indices, tables(cable('a'), cable('b', '10.0.0.0/8')))
  assert.ok(result.routes)
})

test('prefixes that stay are those in force, others are those that were posted', () => {
  const before = tables(cable('a', '10.0.0.0/8', 'fd00::/8'), cable('b', '192.0.2.0/24'))
  const { indices } = plan(emptyTables, none, before)
  const same = plan(before, indices, structuredClone(before))
  assert.deepEqual(same.tables, before)
  assert.equal(same.routes, undefined)
  for (const [i, { allowedIps }] of same.tables.cables.entries())
    assert.equal(allowedIps, before.cables[i].allowedIps)
  for (const other of [['10.0.0.0/9', 'fd00::/8'], ['10.0.0.0/8'], ['fd00::/8', '10.0.0.0/8']]) {
    const posted = tables(cable('a', ...other), structuredClone(before.cables[1]))
    const { tables: next, routes } = plan(before, indices, posted)
    assert.equal(next.cables[0].allowedIps, posted.cables[0].allowedIps)
    assert.equal(next.cables[1].allowedIps, before.cables[1].allowedIps)
    assert.ok(routes)
  }
})

test('a prefix that is in force already is refused to another cable', () => {
  const before = tables(cable('a', '10.0.0.0/8'), cable('b'))
  const { indices } = plan(emptyTables, none, before)
  const next = tables(structuredClone(before.cables[0]), cable('b', '10.0.0.0/8'))
  assert.throws(() => plan(before, indices, next), { code: 'EEXIST' })
})

test('a new MTU of the device concerns the cables without their own', () => {
  const before = tables(cable('a'), { ...cable('b'), mtuBytes: 1280 })
  const { indices } = plan(emptyTables, none, before)
  const changes = planMtu(before, indices, 1380)
  assert.deepEqual(
    changes.map(change => [change.cable, change.kind === 'set' && change.mtuBytes]),
    [[0, 1380]],
  )
})

const refused: readonly [name: string, next: Tables, code: string][] = [
  ['two cables of one name', tables(cable('a'), cable('a')), 'EEXIST'],
  [
    'a prefix with two owners',
    tables(cable('a', '10.0.0.0/8'), cable('b', '10.0.0.0/8')),
    'EEXIST',
  ],
  [
    'a VXLAN cable without an address of our own',
    tables({
      driver: 'vxlan',
      name: 'v',
      tunnelAddress: parseAddress('241.0.0.2'),
      remoteSerial: 0,
      allowedIps: [],
    }),
    'EINVAL',
  ],
]

for (const [name, next, code] of refused) {
  test(`refused: ${name}`, () => assert.throws(() => plan(emptyTables, none, next), { code }))
}

test('changed ciphers are a change of the cable, which keeps its session', () => {
  const before = tables(cable('a', '10.0.0.0/8'))
  const { indices } = plan(emptyTables, none, before)
  const withCiphers = (ciphers: NonNullable<WireguardCable['ciphers']>) =>
    tables({ ...cable('a'), allowedIps: before.cables[0].allowedIps, ciphers })
  const auto = withCiphers({ enabled: 'auto', remote: ['aes-256-gcm'] })
  for (const [from, to, changes] of [
    [before, auto, 1],
    [auto, structuredClone(auto), 0],
    [auto, withCiphers({ enabled: 'auto' }), 1],
    [auto, before, 1],
  ] as const) {
    const result = plan(from, indices, to)
    assert.equal(result.changes.length, changes)
    for (const change of result.changes) assert.ok(change.kind === 'set' && !change.isNew)
  }
})
