// The host library against the kernel, each test in a network namespace of its own: what is wanted is
// there afterwards, asking again does nothing, and what others own is not touched.

import assert from 'node:assert/strict'
import { Host } from '../../../src/host/host.ts'
import type { Route } from '../../../src/host/routes.ts'
import { readSysctl, writeSysctl } from '../../../src/host/sysctls.ts'
import type { VxlanDevice } from '../../../src/host/vxlan.ts'
import { parseAddress, parsePrefix } from '../../../src/net/address.ts'
import { ip, namespaceTest } from '../../support/namespace-test.ts'

const host = new Host()
const table = { kind: 'table', table: 150 } as const

function prepare(): void {
  ip('link add eth0 type veth peer name far')
  ip('link set far up')
  ip('link set eth0 up')
  ip('address add 192.0.2.1/24 dev eth0')
  ip('address add 2001:db8::1/64 dev eth0 nodad')
}

function route(text: string, changes: Partial<Route> = {}): Route {
  return { kind: 'unicast', destination: parsePrefix(text), device: 'eth0', ...changes }
}

/** Lines without what differs from kernel to kernel. */
function shown(command: string): string[] {
  const lines = ip(command).split('\n')
  return lines
    .map(line => line.replace(/ (pref medium|metric 1024|dev lo)/g, '').trim())
    .filter(Boolean)
}

namespaceTest('routes of a table become what is wanted, by difference', async () => {
  prepare()
  const wanted: Route[] = [
    route('10.2.0.0/16', { source: parseAddress('192.0.2.1') }),
    route('10.3.0.0/16', { via: parseAddress('192.0.2.9') }),
    { kind: 'throw', destination: parsePrefix('10.2.0.9/32') },
    { kind: 'unreachable', destination: parsePrefix('10.4.0.0/16') },
    route('fd00:2::/48'),
    { kind: 'unreachable', destination: parsePrefix('fd00:4::/48') },
    { kind: 'throw', destination: parsePrefix('fd00:2::9/128') },
  ]
  assert.equal(await host.applyRoutes(table, wanted), 7)
  assert.deepEqual(shown('route show table 150'), [
    '10.2.0.0/16 dev eth0 proto static scope link src 192.0.2.1',
    'throw 10.2.0.9 proto static',
    '10.3.0.0/16 via 192.0.2.9 dev eth0 proto static',
    'unreachable 10.4.0.0/16 proto static',
  ])
  assert.deepEqual(shown('-6 route show table 150').sort(), [
    'fd00:2::/48 dev eth0 proto static',
    'throw fd00:2::9 proto static',
    'unreachable fd00:4::/48 proto static',
  ])
  assert.equal(await host.applyRoutes(table, wanted), 0)

  // Of each kind one changes, one goes; a route that somebody else added to the table goes too.
  ip('route add 10.9.0.0/16 dev eth0 table 150')
  ip('-6 route add fd00:9::/48 dev eth0 table 150 metric 7')
  const later: Route[] = [
    route('10.2.0.0/16', { via: parseAddress('192.0.2.9') }),
    { kind: 'unreachable', destination: parsePrefix('10.3.0.0/16') },
    route('10.4.0.0/16'),
    { kind: 'throw', destination: parsePrefix('fd00:2::/48') },
  ]
  assert.ok((await host.applyRoutes(table, later)) > 0)
  assert.equal(await host.applyRoutes(table, later), 0)
  assert.deepEqual(shown('route show table 150'), [
    '10.2.0.0/16 via 192.0.2.9 dev eth0 proto static',
    'unreachable 10.3.0.0/16 proto static',
    '10.4.0.0/16 dev eth0 proto static scope link',
  ])
  assert.deepEqual(shown('-6 route show table 150'), ['throw fd00:2::/48 proto static'])
  await host.applyRoutes(table, [])
  assert.equal(await host.applyRoutes(table, []), 0)
})

namespaceTest(
  'of a device in the main table only the routes of our protocol are ours',
  async () => {
    prepare()
    ip('route add 10.8.0.0/16 dev eth0')
    ip('route add 10.9.0.0/16 dev eth0 proto static')
    const place = { kind: 'device', device: 'eth0' } as const
    assert.equal(await host.applyRoutes(place, [route('10.2.0.0/16')]), 2)
    assert.deepEqual(shown('route show dev eth0'), [
      '10.2.0.0/16 proto static scope link',
      '10.8.0.0/16 scope link',
      '192.0.2.0/24 proto kernel scope link src 192.0.2.1',
    ])
    // A device that is not there has none.
    assert.equal(await host.applyRoutes({ kind: 'device', device: 'gone' }, []), 0)
  },
)

namespaceTest('a rule is there once, and goes however often it is there', async () => {
  const rules = [{ family: 4, priority: 150, table: 150 }] as const
  assert.equal(await host.applyRules(rules), 1)
  assert.equal(await host.applyRules(rules), 0)
  ip('-6 rule add priority 150 table 150')
  ip('rule add from 192.0.2.0/24 priority 150 table 150')
  assert.equal(await host.applyRules(rules), 1)
  assert.deepEqual(
    shown('rule show')
      .filter(line => line.startsWith('150'))
      .sort(),
    ['150:\tfrom 192.0.2.0/24 lookup 150', '150:\tfrom all lookup 150'],
  )
  await host.removeAll({ tables: [150], rules: [{ priority: 150, table: 150 }], devices: ['gone'] })
  assert.deepEqual(
    shown('rule show').filter(line => line.startsWith('150')),
    ['150:\tfrom 192.0.2.0/24 lookup 150'],
  )
})

namespaceTest('a VXLAN device is made, changed in place, and made anew', async () => {
  prepare()
  const device: VxlanDevice = {
    name: 'vx0',
    vni: 100,
    port: 4800,
    mac: '02:00:c0:00:02:01',
    mtuBytes: 1450,
    remote: parseAddress('192.0.2.9'),
    local: parseAddress('192.0.2.1'),
    address: { address: parseAddress('240.0.2.1'), bits: 8 },
    entries: [],
  }
  const apply = async (wanted: VxlanDevice) => host.applyVxlan(wanted, await host.interfaces())
  assert.ok((await apply(device)) > 0)
  assert.equal(await apply(device), 0)
  const index = () => /^\d+/.exec(ip('link show vx0'))?.[0]
  const first = index()
  const changed = { ...device, mtuBytes: 1400, remote: parseAddress('192.0.2.8') }
  assert.ok((await apply(changed)) > 0)
  assert.equal(await apply(changed), 0)
  assert.match(ip('-d link show vx0'), /mtu 1400 .* remote 192\.0\.2\.8 /s)
  assert.equal(index(), first, 'a remote that changes costs no device')

  const { remote: _, ...toAll } = device
  const to = parseAddress('192.0.2.7')
  const mac = '02:00:c0:00:02:07'
  const entries = [
    { mac: '00:00:00:00:00:00', to },
    { mac, to },
  ]
  assert.ok((await apply({ ...toAll, entries })) > 0)
  assert.notEqual(index(), first)
  assert.equal(await apply({ ...toAll, entries }), 0)
  assert.equal(await apply({ ...toAll, entries: entries.slice(1) }), 1)
  assert.equal(await apply({ ...toAll, entries: [] }), 1)
  await host.deleteDevice('vx0')
  await host.deleteDevice('vx0')
})

namespaceTest('interfaces are read as they are', async () => {
  prepare()
  ip('route add default via 192.0.2.254')
  ip('route add default via 192.0.2.253 dev eth0 metric 50')
  ip('-6 route add default via 2001:db8::99 dev eth0')
  const { list, defaults } = await host.interfaces()
  assert.deepEqual(defaults, { 4: 'eth0', 6: 'eth0' })
  const eth0 = list.find(({ name }) => name === 'eth0')
  assert.equal(eth0?.isUp, true)
  assert.equal(eth0?.mtuBytes, 1500)
  assert.deepEqual(eth0?.addresses[0], { address: parseAddress('192.0.2.1'), bits: 24 })
  assert.equal(eth0?.vxlan, undefined)
})

namespaceTest(
  'a table of nftables is written once, and again when somebody changed it',
  async () => {
    const filter = host.packetFilter('hawser-test')
    const body =
      '  set remembered { typeof iifname; elements = { "eth0" comment "4/rp_filter=1" } }\n'
    assert.equal(await filter.apply(body), true)
    assert.equal(await filter.apply(body), false)
    assert.deepEqual([...(await filter.elementComments('remembered'))], [['eth0', '4/rp_filter=1']])
    const other = host.packetFilter('hawser-test')
    await other.remove()
    assert.equal((await filter.elementComments('remembered')).size, 0)
    assert.equal(await filter.apply(body), true)
    await filter.remove()
    await filter.remove()
  },
)

namespaceTest('a setting of an interface, or of none', () => {
  prepare()
  const sysctl = { family: 4, interfaceName: 'eth0', name: 'forwarding' } as const
  for (const value of [1, 0]) {
    writeSysctl({ ...sysctl, value })
    assert.equal(readSysctl(sysctl), value)
  }
  assert.equal(readSysctl({ ...sysctl, interfaceName: 'gone' }), undefined)
  writeSysctl({ ...sysctl, interfaceName: 'gone', value: 1 })
})

namespaceTest('what the kernel refuses is said in its own words', async () => {
  await assert.rejects(host.applyRoutes(table, [route('10.2.0.0/16')]), /Cannot find device "eth0"/)
})
