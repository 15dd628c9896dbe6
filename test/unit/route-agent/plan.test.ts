// The behaviours of Submariner's kubeproxy handler (endpoint_test, gw_transition_test, sync_handler_test
// and dual_stack_test of 0.24.0), as plans of one world after another, and where ours is another on
// purpose. A plan knows no past, so each transition is the plan of the world behind it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { VxlanDevice } from '../../../src/host/vxlan.ts'
import { emptyBackendConfig } from '../../../src/kube/resources/backend-config.ts'
import { type Endpoint, endpointType } from '../../../src/kube/resources/endpoint.ts'
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from '../../../src/net/address.ts'
import { type NodePlan, planNode } from '../../../src/route-agent/plan.ts'
import {
  c2,
  c3,
  endpointOf,
  interfaceOf,
  interfacesOf,
  localEndpoint,
  nodeOf,
  routesAt,
  settings,
  worldOf,
} from '../../support/agent-world.ts'
import { mutated } from '../../support/json-mutation.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

const ipv4Only = { clusterCidrs: [parsePrefix('10.1.0.0/16')] }

function deviceText({ name, mac, mtuBytes, remote, local, address, entries }: VxlanDevice): string {
  const to = remote === undefined ? 'all' : formatAddress(remote)
  const from = local === undefined ? 'any' : formatAddress(local)
  const inside = `${formatAddress(address.address)}/${address.bits}`
  return `${name} ${mac} mtu ${mtuBytes} ${inside} ${from}>${to} entries ${entries.length}`
}

function codes({ problems }: NodePlan): string[] {
  return problems.map(({ code }) => code)
}

test('a worker: a device to the gateway, and routes by way of it', () => {
  const plan = planNode(worldOf('w1'))
  assert.equal(plan.role, 'worker')
  assert.deepEqual(plan.devices.map(deviceText), [
    'vx-submariner 02:00:ac:1f:01:02 mtu 1450 240.31.1.2/8 172.31.1.2>172.31.1.1 entries 0',
    `vx-submariner-6 ${plan.devices[1].mac} mtu 1430 fd00:100:100::1:2/96 fd00:172::1:2>fd00:172::1:1 entries 0`,
  ])
  assert.deepEqual(
    plan.devices.map(({ vni, port }) => `${vni} ${port}`),
    ['100 4800', '100 4800'],
  )
  assert.deepEqual(routesAt(plan, 'vx-submariner'), [
    '10.102.0.0/16 via 240.31.1.1 dev vx-submariner',
    '10.2.0.0/16 via 240.31.1.1 dev vx-submariner',
    '10.103.0.0/16 via 240.31.1.1 dev vx-submariner',
    '10.3.0.0/16 via 240.31.1.1 dev vx-submariner',
  ])
  assert.deepEqual(routesAt(plan, 'vx-submariner-6'), [
    'fd00:2::/48 via fd00:100:100::1:1 dev vx-submariner-6',
  ])
  assert.deepEqual(routesAt(plan, '150'), [])
  assert.deepEqual(plan.rules, [])
  assert.deepEqual(plan.problems, [])
})

test('a gateway: a device to all nodes, rule and table 150 into the cable', () => {
  const plan = planNode(worldOf('gw1'))
  assert.equal(plan.role, 'gateway')
  assert.deepEqual(plan.devices.map(deviceText), [
    'vx-submariner 02:00:ac:1f:01:01 mtu 1450 240.31.1.1/8 172.31.1.1>all entries 4',
    `vx-submariner-6 ${plan.devices[1].mac} mtu 1430 fd00:100:100::1:1/96 fd00:172::1:1>all entries 4`,
  ])
  assert.deepEqual(
    plan.devices[0].entries.map(({ mac, to }) => `${mac} ${formatAddress(to)}`),
    [
      '00:00:00:00:00:00 172.31.1.2',
      '02:00:ac:1f:01:02 172.31.1.2',
      '00:00:00:00:00:00 172.31.1.3',
      '02:00:ac:1f:01:03 172.31.1.3',
    ],
  )
  assert.deepEqual(routesAt(plan, 'vx-submariner'), [])
  assert.deepEqual(routesAt(plan, '150'), [
    '10.102.0.0/16 dev submariner src 10.1.1.1',
    '10.2.0.0/16 dev submariner src 10.1.1.1',
    '10.103.0.0/16 dev submariner src 10.1.1.1',
    '10.3.0.0/16 dev submariner src 10.1.1.1',
    'fd00:2::/48 dev submariner src fd00:1:0:1::1',
  ])
  assert.deepEqual(plan.rules, [
    { family: 4, priority: 150, table: 150 },
    { family: 6, priority: 150, table: 150 },
  ])
})

test('settings of interfaces: forwarding of ours and of the cable, loose filters where packets return', () => {
  const text = (plan: NodePlan) =>
    plan.sysctls.map(({ family, interfaceName, name, value }) => {
      return `${family} ${interfaceName} ${name} ${value}`
    })
  assert.deepEqual(text(planNode(worldOf('w1', { settings: { ...settings, ...ipv4Only } }))), [
    '4 vx-submariner forwarding 1',
    '4 vx-submariner rp_filter 2',
    '4 cni0 rp_filter 2',
    '4 eth0 rp_filter 2',
  ])
  assert.deepEqual(text(planNode(worldOf('gw1'))), [
    '4 vx-submariner forwarding 1',
    '4 submariner forwarding 1',
    '4 vx-submariner rp_filter 2',
    '4 cni0 rp_filter 2',
    '4 eth0 rp_filter 2',
    '6 vx-submariner-6 forwarding 1',
    '6 submariner forwarding 1',
  ])
})

test('no local Endpoint: nothing is there, whatever the remotes are', () => {
  for (const endpoints of [[], [c2, c3]]) {
    const plan = planNode(worldOf('w1', { endpoints }))
    assert.equal(plan.role, 'none')
    assert.deepEqual([plan.devices, plan.rules, plan.sysctls, plan.filter], [[], [], [], undefined])
    assert.deepEqual(routesAt(plan, '150'), [])
  }
})

test('the order in which Endpoints and Nodes are known makes no difference', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (const name of ['w1', 'gw1'] as const) {
    const world = worldOf(name)
    const expected = planNode(world)
    for (let round = 0; round < 50; round++) {
      const endpoints = shuffled(random, world.endpoints)
      const plan = planNode({ ...world, endpoints })
      assert.deepEqual(plan, expected, `HAWSER_SEED=${seed}`)
    }
  }
})

test('a remote that goes takes its routes along, and no others', () => {
  const endpoints = [localEndpoint('gw1'), c3]
  const worker = planNode(worldOf('w1', { endpoints }))
  assert.deepEqual(
    routesAt(worker, 'vx-submariner').map(text => text.split(' ')[0]),
    ['10.103.0.0/16', '10.3.0.0/16'],
  )
  assert.deepEqual(routesAt(worker, 'vx-submariner-6'), [])
  const gateway = planNode(worldOf('gw1', { endpoints }))
  assert.deepEqual(routesAt(gateway, '150'), [
    '10.103.0.0/16 dev submariner src 10.1.1.1',
    '10.3.0.0/16 dev submariner src 10.1.1.1',
  ])
})

test('a gateway that moves: the device leads to the new one, and the old one becomes a worker', () => {
  const endpoints = [localEndpoint('w1'), c2]
  const other = planNode(worldOf('w2', { endpoints }))
  assert.match(deviceText(other.devices[0]), /172\.31\.1\.3>172\.31\.1\.2 /)
  assert.ok(routesAt(other, 'vx-submariner').every(text => text.includes('via 240.31.1.2 ')))
  const old = planNode(worldOf('gw1', { endpoints }))
  assert.equal(old.role, 'worker')
  assert.deepEqual([old.rules, routesAt(old, '150')], [[], []])
  const interfaces = interfacesOf('w1')
  const list = [...interfaces.list, interfaceOf('submariner', [])]
  const now = planNode(worldOf('w1', { endpoints, interfaces: { ...interfaces, list } }))
  assert.equal(now.role, 'gateway')
  assert.deepEqual(routesAt(now, 'vx-submariner'), [])
  assert.equal(routesAt(now, '150')[0], '10.102.0.0/16 dev submariner src 10.1.2.1')
})

test('entries for Nodes are those of a gateway, in the family of the device', () => {
  const nodes = [nodeOf('gw1', '172.31.1.1'), nodeOf('w9', 'fd00:172::9', '172.31.9.9')]
  const gateway = planNode(worldOf('gw1', { nodes }))
  assert.deepEqual(
    gateway.devices.map(({ entries }) => entries.map(({ to }) => formatAddress(to))),
    [
      ['172.31.9.9', '172.31.9.9'],
      ['fd00:172::9', 'fd00:172::9'],
    ],
  )
  const worker = planNode(worldOf('w1', { nodes }))
  assert.deepEqual(
    worker.devices.map(({ entries }) => entries.length),
    [0, 0],
  )
})

test('only the families of the pods are routed', () => {
  const plan = planNode(worldOf('gw1', { settings: { ...settings, ...ipv4Only, nodeName: 'gw1' } }))
  assert.deepEqual(
    plan.devices.map(({ name }) => name),
    ['vx-submariner'],
  )
  assert.deepEqual(plan.rules, [{ family: 4, priority: 150, table: 150 }])
  assert.ok(routesAt(plan, '150').every(text => !text.includes(':')))
})

test('of several Endpoints of a cluster the newest counts', () => {
  const at = (createdAtMs: number, name: string, subnets: readonly string[]) =>
    endpointOf('c2', subnets, { meta: { ...c2.meta, name, createdAtMs } })
  const older = at(1000, 'z', ['10.200.0.0/16'])
  const newer = at(2000, 'a', ['10.201.0.0/16'])
  const alike = at(2000, 'b', ['10.202.0.0/16'])
  const rows: readonly [Endpoint[], string][] = [
    [[older, newer], '10.201.0.0/16'],
    [[newer, older], '10.201.0.0/16'],
    [[newer, alike], '10.202.0.0/16'],
    [[alike, newer], '10.202.0.0/16'],
  ]
  for (const [remotes, expected] of rows) {
    const plan = planNode(worldOf('w1', { endpoints: [localEndpoint('gw1'), ...remotes] }))
    assert.deepEqual(
      routesAt(plan, 'vx-submariner').map(text => text.split(' ')[0]),
      [expected],
    )
  }
})

test('a subnet that would take something of ours is left out and named, and nothing else', () => {
  const rows = [
    ['10.1.7.0/24', "this cluster's pods"],
    ['10.0.0.0/8', "this cluster's pods"],
    ['10.101.4.0/24', "this cluster's services"],
    ['172.31.0.0/16', 'node gw1'],
    ['172.31.1.3/32', 'node w2'],
    ['240.31.0.0/16', 'between nodes'],
    ['0.0.0.0/0', 'everything'],
    ['::/0', 'everything'],
    ['127.0.0.0/8', 'no unicast network'],
    ['239.0.0.0/8', 'no unicast network'],
    ['fe80::/64', 'no unicast network'],
  ]
  const expected = planNode(worldOf('w1'))
  for (const [subnet, words] of rows) {
    const bad = endpointOf('c2', [subnet, ...c2.subnets.map(formatPrefix)])
    const plan = planNode(worldOf('w1', { endpoints: [localEndpoint('gw1'), bad, c3] }))
    assert.deepEqual(plan.routes, expected.routes, subnet)
    assert.deepEqual(codes(plan), ['subnet-refused'], subnet)
    assert.ok(plan.problems[0].message.includes(words), plan.problems[0].message)
    assert.ok(plan.problems[0].message.includes('cluster c2'), plan.problems[0].message)
  }
})

test('a subnet that two clusters list is routed once', () => {
  const copy = endpointOf('c4', ['10.2.0.0/16'])
  const plan = planNode(worldOf('w1', { endpoints: [localEndpoint('gw1'), copy, c2] }))
  const routes = routesAt(plan, 'vx-submariner').map(text => text.split(' ')[0])
  assert.deepEqual(routes, ['10.102.0.0/16', '10.2.0.0/16'])
})

test('a cable device that is missing or down makes its routes unreachable, without one the default is taken', () => {
  const interfaces = interfacesOf('gw1')
  const without = {
    ...interfaces,
    list: interfaces.list.filter(({ name }) => name !== 'submariner'),
  }
  const down = {
    ...without,
    list: [...without.list, interfaceOf('submariner', [], { isUp: false })],
  }
  for (const missing of [without, down]) {
    const plan = planNode(
      worldOf('gw1', { interfaces: missing, endpoints: [localEndpoint('gw1'), c3] }),
    )
    assert.deepEqual(routesAt(plan, '150'), [
      'unreachable 10.103.0.0/16',
      'unreachable 10.3.0.0/16',
    ])
    assert.deepEqual(codes(plan), ['no-cable-device'])
  }
  const unnamed = localEndpoint('gw1', { backendConfig: emptyBackendConfig })
  const plan = planNode(worldOf('gw1', { endpoints: [unnamed, c3] }))
  assert.equal(routesAt(plan, '150')[0], '10.103.0.0/16 dev eth0 src 10.1.1.1')
})

test('a remote gateway within its own subnets is reached outside of the cable', () => {
  const address = (text: string) => ({ ipv4: parseAddress(text), ipv6: undefined })
  const inside = endpointOf('c2', ['10.2.0.0/16'], {
    privateIps: address('10.2.0.9'),
    publicIps: address('203.0.113.9'),
  })
  const plan = planNode(worldOf('gw1', { endpoints: [localEndpoint('gw1'), inside] }))
  assert.deepEqual(routesAt(plan, '150'), [
    'throw 10.2.0.9/32',
    '10.2.0.0/16 dev submariner src 10.1.1.1',
  ])
})

test('without an interface among the pods there is no source, and packets of pods still pass', () => {
  const interfaces = interfacesOf('gw1')
  const list = interfaces.list.filter(({ name }) => name !== 'cni0')
  const plan = planNode(
    worldOf('gw1', { interfaces: { ...interfaces, list }, endpoints: [localEndpoint('gw1'), c3] }),
  )
  assert.deepEqual(routesAt(plan, '150'), [
    '10.103.0.0/16 dev submariner',
    '10.3.0.0/16 dev submariner',
  ])
  assert.deepEqual(plan.filter?.nodeAddresses, [])
})

test('the node address: of the Node, else of the default interface; on a gateway of its Endpoint', () => {
  const interfaces = interfacesOf('w1')
  const second = interfaceOf('eth1', ['192.0.2.7/24'], { mtuBytes: 9000 })
  const both = { ...interfaces, list: [...interfaces.list, second] }
  const world = worldOf('w1', { interfaces: both })
  const first = (plan: NodePlan) => deviceText(plan.devices[0])
  const named = planNode({ ...world, nodes: [nodeOf('w1', '192.0.2.7')] })
  assert.match(first(named), /mtu 8950 240\.0\.2\.7\/8 192\.0\.2\.7>/)
  const foreign = planNode({ ...world, nodes: [nodeOf('w1', '203.0.113.7')] })
  assert.match(first(foreign), /mtu 1450 240\.31\.1\.2\/8 172\.31\.1\.2>/)
  const published = localEndpoint('w1', {
    privateIps: { ipv4: parseAddress('192.0.2.7'), ipv6: undefined },
  })
  const gateway = planNode({ ...world, endpoints: [published, c2] })
  assert.match(first(gateway), /240\.0\.2\.7\/8 192\.0\.2\.7>all/)
})

test('what keeps a family from working is named, and the other one works', () => {
  const only4 = localEndpoint('gw1', {
    privateIps: { ipv4: parseAddress('172.31.1.1'), ipv6: undefined },
  })
  const noGateway = planNode(worldOf('w1', { endpoints: [only4, c2] }))
  assert.deepEqual(codes(noGateway), ['no-gateway-address'])
  assert.deepEqual(
    noGateway.devices.map(({ name }) => name),
    ['vx-submariner'],
  )
  const lone = { list: [interfaceOf('lo', [])], defaults: { 4: undefined, 6: undefined } }
  assert.deepEqual(codes(planNode(worldOf('w1', { interfaces: lone }))), [
    'no-node-address',
    'no-node-address',
  ])
  const renamed = { ...settings, nodeName: 'other', hostname: 'other' }
  const mistaken = planNode(worldOf('gw1', { settings: renamed }))
  assert.deepEqual(codes(mistaken), ['hostname-mismatch', 'hostname-mismatch'])
  assert.deepEqual(mistaken.devices, [])
})

test('nodes that would be the same between nodes are named', () => {
  const nodes = [nodeOf('gw1', '172.31.1.1'), nodeOf('x', '10.99.1.9'), nodeOf('y', '11.99.1.9')]
  const plan = planNode(
    worldOf('gw1', { nodes, settings: { ...settings, ...ipv4Only, nodeName: 'gw1' } }),
  )
  assert.deepEqual(codes(plan), ['same-overlay-address'])
  assert.match(plan.problems[0].message, /x and y .*240\.99\.1\.9/)
})

test('OVN-Kubernetes: nothing is done, and that is said', () => {
  const plan = planNode(
    worldOf('w1', { settings: { ...settings, networkPlugin: 'OVNKubernetes' } }),
  )
  assert.deepEqual([plan.devices, plan.rules, codes(plan)], [[], [], ['network-plugin']])
})

test('whatever stands in an object of one cluster, the routes of the others stay', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const isOfC3 = (text: string) => /10\.(103|3)\.0\.0\/16/.test(text)
  for (const [name, where] of [
    ['w1', 'vx-submariner'],
    ['gw1', '150'],
  ] as const) {
    const expected = routesAt(planNode(worldOf(name)), where).filter(isOfC3)
    let parsed = 0
    for (let round = 0; round < 500; round++) {
      const raw = mutated(endpointType.serialize(c2), random)
      const read = endpointType.parse(raw)
      const isOther = read.ok && ['c1', 'c3'].includes(read.value.clusterId)
      if (!read.ok || isOther) continue
      parsed++
      const plan = planNode(worldOf(name, { endpoints: [localEndpoint('gw1'), read.value, c3] }))
      assert.deepEqual(
        routesAt(plan, where).filter(isOfC3),
        expected,
        `HAWSER_SEED=${seed}: ${JSON.stringify(raw)}`,
      )
    }
    assert.ok(parsed > 50, `${parsed} parsed`)
  }
})

function shuffled<T>(random: () => number, list: readonly T[]): T[] {
  const all = [...list]
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[all[i], all[j]] = [all[j], all[i]]
  }
  return all
}
