// What two ends have in common, as a table; among it the cases of stock's cable engine and its VXLAN
// driver that say which address, and when a cable is set anew.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CablePlan, planCables, tablesOf } from '../../../src/control/cables.ts'
import { findRemotes } from '../../../src/control/remotes.ts'
import type { CableDriverName, ControlSettings, PlannedTables } from '../../../src/control/world.ts'
import type { BackendConfig } from '../../../src/kube/resources/backend-config.ts'
import { type Endpoint, noAddresses } from '../../../src/kube/resources/endpoint.ts'
import { formatAddress, formatRemote, parseAddress } from '../../../src/net/address.ts'
import {
  clusterOf,
  endpointOf,
  keyOf,
  keys,
  texts,
  type WorldChanges,
  worldWith,
} from '../../support/control-world.ts'

function plansOf(changes: WorldChanges): readonly CablePlan[] {
  const world = worldWith(changes)
  return planCables(world, findRemotes(world).accepted)
}

function tablesWith(changes: WorldChanges): PlannedTables {
  const world = worldWith(changes)
  return tablesOf(world, world.settings.udpPort, planCables(world, findRemotes(world).accepted))
}

/** c2 alone, with another Endpoint. */
function remote2(over: Partial<Endpoint>, config: Partial<BackendConfig> = {}): WorldChanges {
  const backendConfig = { ...endpointOf(2).backendConfig, ...config }
  return { clusters: [clusterOf(2)], endpoints: [endpointOf(2, { backendConfig, ...over })] }
}

const v4 = (text: string) => ({ ipv4: parseAddress(text), ipv6: undefined })
const v6 = (text: string) => ({ ipv4: undefined, ipv6: parseAddress(text) })

test('a cable has what its Endpoint says', () => {
  const { device, cables } = tablesWith(remote2({}))
  assert.deepEqual(device, { privateKey: keys.privateKey, listenPort: 4500, fwmark: 0 })
  assert.equal(cables.length, 1)
  const [{ remote, allowedIps, ...rest }] = cables
  assert.equal(remote && formatRemote(remote), '172.18.0.2:4500')
  const subnets = ['10.102.0.0/16', 'fd00:102::/112', '10.2.0.0/16', 'fd00:2::/48']
  assert.deepEqual(texts(allowedIps), subnets)
  assert.deepEqual(rest, {
    name: 'c2',
    remoteSerial: 1,
    driver: 'wireguard',
    publicKey: keyOf(2),
    presharedKey: keys.presharedKey,
    keepaliveSeconds: 10,
    ciphers: { enabled: 'auto', remote: ['chacha20-poly1305', 'aes-256-gcm'] },
  })
})

interface DriverCase {
  readonly name: string
  readonly ourId?: string
  readonly ours: readonly [CableDriverName, ...CableDriverName[]]
  readonly theirs: readonly string[] | undefined
  readonly backend?: string
  readonly driver: string
}

const driverCases: readonly DriverCase[] = [
  {
    name: 'the same order at both ends',
    ...{ ours: ['wireguard', 'vxlan'], theirs: ['wireguard', 'vxlan'] },
    driver: 'wireguard',
  },
  {
    name: 'the order of the lower id decides: ours',
    ...{ ours: ['vxlan', 'wireguard'], theirs: ['wireguard', 'vxlan'] },
    driver: 'vxlan',
  },
  {
    name: 'the order of the lower id decides: theirs',
    ourId: 'z1',
    ...{ ours: ['vxlan', 'wireguard'], theirs: ['wireguard', 'vxlan'] },
    driver: 'wireguard',
  },
  {
    name: 'the first that we know of theirs',
    ourId: 'z1',
    ...{ ours: ['vxlan', 'wireguard'], theirs: ['ipsec', 'vxlan', 'wireguard'] },
    driver: 'vxlan',
  },
  {
    name: 'stock has its backend alone',
    ...{ ours: ['wireguard', 'vxlan'], theirs: undefined, backend: 'vxlan' },
    driver: 'vxlan',
  },
  {
    name: 'nothing in common',
    ...{ ours: ['wireguard'], theirs: undefined, backend: 'libreswan' },
    driver: 'no cable driver in common: it has libreswan, we have wireguard',
  },
  {
    name: 'the list holds, and not the backend',
    ...{ ours: ['wireguard'], theirs: ['vxlan'], backend: 'wireguard' },
    driver: 'no cable driver in common: it has vxlan, we have wireguard',
  },
]

for (const { name, ourId, ours, theirs, backend, driver } of driverCases) {
  test(`driver: ${name}`, () => {
    const settings: Partial<ControlSettings> = { drivers: ours, clusterId: ourId ?? 'c1' }
    const remote = remote2({ backend: backend ?? 'wireguard' }, { cables: theirs })
    const [{ outcome }] = plansOf({ ...remote, settings })
    assert.equal(outcome.ok ? outcome.cable.driver : outcome.reason, driver)
  })
}

test('both ends choose the same driver, whatever their orders', () => {
  const lists: readonly (readonly CableDriverName[])[] = [
    ['wireguard'],
    ['vxlan'],
    ['wireguard', 'vxlan'],
    ['vxlan', 'wireguard'],
  ]
  const chosen = (
    id: string,
    ours: readonly CableDriverName[],
    number: number,
    theirs: readonly string[],
  ) => {
    const backendConfig = { ...endpointOf(number).backendConfig, cables: theirs }
    const [{ outcome }] = plansOf({
      settings: { clusterId: id, drivers: ours, clusterCidrs: [], serviceCidrs: [] },
      keys: { ...keys, publicKey: keyOf(99) },
      self: { privateIps: v4('172.18.9.9') },
      clusters: [clusterOf(number)],
      endpoints: [endpointOf(number, { backendConfig })],
    })
    return outcome.ok ? outcome.cable.driver : outcome.code
  }
  for (const a of lists) {
    for (const b of lists) assert.equal(chosen('c2', a, 3, b), chosen('c3', b, 2, a))
  }
})

interface AddressCase {
  readonly name: string
  readonly world: WorldChanges
  /** `address`, with `nat` behind a public one; or the reason. */
  readonly using: string
}

const publicIps = v4('203.0.113.2')
const addressCases: readonly AddressCase[] = [
  { name: 'the private address without NAT', world: remote2({ publicIps }), using: '172.18.0.2' },
  {
    name: 'the public one when it says that it is behind NAT',
    world: remote2({ publicIps, isNatEnabled: true }),
    using: '203.0.113.2 nat',
  },
  {
    name: 'the public one of a load balancer',
    world: remote2({ publicIps }, { isUsingLoadBalancer: true }),
    using: '203.0.113.2 nat',
  },
  {
    name: 'behind NAT and without a public address: the private one',
    world: remote2({ isNatEnabled: true }),
    using: '172.18.0.2',
  },
  {
    name: 'IPv6 when the remote has no other',
    world: remote2({ privateIps: v6('fc00:18::2') }),
    using: 'fc00:18::2',
  },
  {
    name: 'IPv6 when we have no other',
    world: { ...remote2({}), self: { privateIps: v6('fc00:18::1') } },
    using: 'fc00:18::2',
  },
  {
    name: 'no family that both have',
    world: { ...remote2({ privateIps: v6('fc00:18::2') }), self: { privateIps: v4('172.18.0.1') } },
    using: 'no address of a family that both ends have',
  },
  {
    name: 'no address at all',
    world: remote2({ privateIps: noAddresses }),
    using: 'no address of a family that both ends have',
  },
  {
    name: 'an address that nothing can be sent to',
    world: remote2({ privateIps: v4('224.0.0.1') }),
    using: '224.0.0.1 is no address that a gateway can have',
  },
  {
    name: 'one that is good on its own link alone',
    world: remote2({ privateIps: v6('fe80::1') }),
    using: 'fe80::1 is no address that a gateway can have',
  },
]

for (const { name, world, using } of addressCases) {
  test(`address: ${name}`, () => {
    const [{ outcome }] = plansOf(world)
    const shown = outcome.ok
      ? `${formatAddress(outcome.usingIp)}${outcome.isUsingNat ? ' nat' : ''}`
      : outcome.reason
    assert.equal(shown, using)
  })
}

test('the port is the Endpoint’s, or the default', () => {
  const remoteOf = (udpPort: number | undefined) =>
    tablesWith(remote2({}, { udpPort })).cables[0].remote
  assert.equal(remoteOf(4501)?.port, 4501)
  assert.equal(remoteOf(undefined)?.port, 4500)
})

test('ciphers: what both are known to have; a remote that says nothing has WireGuard’s own', () => {
  const ciphersOf = (ciphers: readonly string[] | undefined, ours?: ControlSettings['ciphers']) => {
    const settings = ours === undefined ? {} : { ciphers: ours }
    const [cable] = tablesWith({ ...remote2({}, { ciphers }), settings }).cables
    assert.ok(cable.driver === 'wireguard')
    return cable.ciphers
  }
  assert.deepEqual(ciphersOf(undefined), { enabled: 'auto' })
  assert.deepEqual(ciphersOf(['none-of-ours']), { enabled: 'auto' })
  assert.deepEqual(ciphersOf(['rot13', 'aes-256-gcm', 'aes-256-gcm'], ['chacha20-poly1305']), {
    enabled: ['chacha20-poly1305'],
    remote: ['aes-256-gcm'],
  })
  const order = ['chacha20-poly1305', 'aes-256-gcm'] as const
  assert.deepEqual(ciphersOf(undefined, order), { enabled: order })
})

test('a cable keeps the ciphers that somebody has set by hand', () => {
  const handCiphers = new Map([['c2', ['aes-256-gcm'] as const]])
  const world = { ...worldWith(remote2({})), handCiphers }
  const [{ outcome }] = planCables(world, findRemotes(world).accepted)
  assert.ok(outcome.ok && outcome.cable.driver === 'wireguard')
  assert.deepEqual(outcome.cable.ciphers?.enabled, ['aes-256-gcm'])
})

test('a WireGuard remote without a key has no cable', () => {
  const [{ outcome }] = plansOf(remote2({}, { publicKey: undefined, cables: ['wireguard'] }))
  assert.deepEqual(outcome, {
    ok: false,
    code: 'no-key',
    reason: 'it publishes no publicKey for WireGuard',
  })
})

const vxlan = { settings: { drivers: ['vxlan'] } } as const

test('a vxlan cable: 241 and three octets at both ends, a MAC of our own, VNI 1000', () => {
  const { device, cables } = tablesWith({ ...remote2({}), ...vxlan })
  assert.deepEqual(device, {
    listenPort: 4500,
    fwmark: 0,
    vxlan: {
      vni: 1000,
      address: parseAddress('241.18.0.1'),
      mac: Uint8Array.of(0x02, 0xf1, 172, 18, 0, 1),
    },
  })
  const [cable] = cables
  assert.ok(cable.driver === 'vxlan')
  assert.equal(formatAddress(cable.tunnelAddress), '241.18.0.2')
})

test('of two remotes with one address, outside or inside vxlan cables, the older has its cable', () => {
  const codes = (over: Partial<Endpoint>) =>
    plansOf({ ...vxlan, endpoints: [endpointOf(2), endpointOf(3, over)] }).map(({ outcome }) =>
      outcome.ok ? 'ok' : outcome.code,
    )
  assert.deepEqual(codes({}), ['ok', 'ok'])
  assert.deepEqual(codes({ privateIps: v4('10.18.0.2') }), ['ok', 'address-taken'])
  const nat = { isNatEnabled: true, publicIps: v4('172.18.0.2') }
  assert.deepEqual(codes(nat), ['ok', 'address-taken'])
  const [{ outcome }] = plansOf({ ...vxlan, ...remote2({ privateIps: v4('10.18.0.1') }) })
  assert.match(outcome.ok ? '' : outcome.reason, /241\.18\.0\.1 is cluster c1's$/)
})

test('a vxlan cable needs IPv4 at both ends', () => {
  const theirs = plansOf({ ...vxlan, ...remote2({ privateIps: v6('fc00:18::2') }) })[0].outcome
  assert.match(theirs.ok ? '' : theirs.reason, /it has none$/)
  const self = { privateIps: v6('fc00:18::1') }
  const ours = plansOf({ ...vxlan, ...remote2({}), self })[0].outcome
  assert.match(ours.ok ? '' : ours.reason, /this gateway has none$/)
})

test('the serial counts when the remote is another one, and stays when anything else is', () => {
  const first = tablesWith(remote2({}))
  const serial = (posted: PlannedTables, over: Partial<Endpoint>) =>
    tablesWith({ ...remote2(over), posted }).cables[0].remoteSerial
  assert.equal(serial(first, {}), 1)
  assert.equal(serial(first, { hostname: 'other', subnets: endpointOf(2).subnets.slice(1) }), 1)
  const moved = tablesWith({ ...remote2({ privateIps: v4('172.18.0.22') }), posted: first })
  assert.equal(moved.cables[0].remoteSerial, 2)
  assert.equal(serial(moved, { privateIps: v4('172.18.0.22') }), 2)
  assert.equal(serial(moved, {}), 3)
})

test('a passive gateway has no cables', () => {
  assert.deepEqual(tablesWith({ ...remote2({}), isActive: false }).cables, [])
})
