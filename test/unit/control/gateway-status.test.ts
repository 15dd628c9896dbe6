// The behaviour of stock's cable engine syncer (our Gateway object, the merge with health checks, old
// Gateways), case by case.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planCables, tablesOf } from '../../../src/control/cables.ts'
import {
  clockProblems,
  describeGateway,
  hasNews,
  staleGateways,
} from '../../../src/control/gateway-status.ts'
import { describeSelf } from '../../../src/control/own-objects.ts'
import { findRemotes } from '../../../src/control/remotes.ts'
import type { LinkReport, PingReport, Problem } from '../../../src/control/world.ts'
import { type Gateway, gatewayType } from '../../../src/kube/resources/gateway.ts'
import { formatAddress } from '../../../src/net/address.ts'
import {
  clusterOf,
  endpointOf,
  gatewayOf,
  hostname,
  known,
  localNamespace,
  metaOn,
  nowMs,
  prefixes,
  statusOf,
  texts,
  unknown,
  type WorldChanges,
  worldWith,
} from '../../support/control-world.ts'

function gatewayWith(changes: WorldChanges, problems: readonly Problem[] = []): Gateway {
  const first = worldWith(changes)
  const cables = planCables(first, findRemotes(first).accepted)
  const datapath = statusOf(tablesOf(first, 4500, cables))
  const world = worldWith({ datapath, ...changes })
  return describeGateway(world, describeSelf(world).endpoint, cables, problems)
}

/** c2 with IPv4 alone. */
const only2: WorldChanges = {
  clusters: [clusterOf(2)],
  endpoints: [endpointOf(2, { subnets: prefixes('10.2.0.0/16') })],
}

const latency = { lastNs: 5, minNs: 1, averageNs: 3, maxNs: 9, stdDevNs: 2 }
const failure = 'Failed to successfully ping the remote endpoint IP "10.2.0.1"'

function link(state: LinkReport['state'], message = ''): LinkReport {
  return { state, message, traffic: undefined }
}

function ping(state: PingReport['state'], message = ''): PingReport {
  return { state, message, latency }
}

const merges: readonly (readonly [LinkReport, PingReport | undefined, string, string])[] = [
  [link('connected', 'Rx=1'), ping('ok'), 'connected', 'Rx=1'],
  [link('connected', 'Rx=1'), ping('failed', failure), 'error', failure],
  [link('connected', 'Rx=1'), ping('unknown', 'cannot ping'), 'connected', 'cannot ping'],
  [link('connected', 'Rx=1'), ping('unknown'), 'connected', 'Rx=1'],
  [link('connected', 'Rx=1'), undefined, 'connected', 'Rx=1'],
  [link('connecting', 'no'), ping('ok'), 'connecting', 'no'],
  [link('connecting', 'no'), ping('failed', failure), 'connecting', 'no'],
  [link('error', 'no handshake'), ping('ok'), 'connected', ''],
  [link('error', 'no handshake'), ping('failed', failure), 'error', 'no handshake'],
  [link('error', 'no handshake'), ping('unknown'), 'error', 'no handshake'],
  [link('error', 'no handshake'), undefined, 'error', 'no handshake'],
]

for (const [tunnel, pinged, state, message] of merges) {
  const name = `cable ${tunnel.state}, ping ${pinged?.state ?? 'none'} ${pinged?.message ?? ''}`
  test(name, () => {
    const pings = new Map(pinged === undefined ? [] : [['c2/4', pinged]])
    const { connections } = gatewayWith({ ...only2, links: new Map([['c2', tunnel]]), pings })
    assert.equal(connections.length, 1)
    const [connection] = connections
    assert.deepEqual([connection.state, connection.message], [state, message])
    assert.deepEqual(connection.latency, pinged?.latency)
    assert.equal(connection.usingIp && formatAddress(connection.usingIp), '172.18.0.2')
  })
}

test('the Gateway is made when there is none', () => {
  const gateway = gatewayWith({})
  assert.equal(gateway.meta.name, hostname)
  assert.equal(gateway.meta.namespace, localNamespace)
  assert.equal(gateway.haState, 'active')
  assert.equal(gateway.version, '0.3.0')
  assert.equal(gateway.localEndpoint.clusterId, 'c1')
  assert.equal(gateway.updatedAtMs, nowMs)
  assert.equal(gateway.failure, '')
})

test('its name is a good one, whatever that of the node', () => {
  assert.equal(
    gatewayWith({ settings: { hostname: 'Node_7.Example' } }).meta.name,
    'node-7.example',
  )
})

test('annotations of others stay, and the time is written anew', () => {
  const before = gatewayOf(hostname)
  const annotations = { 'update-timestamp': '1', 'submariner.io/globalIp': '242.1.0.9', note: 'x' }
  const kept = { ...before, meta: { ...before.meta, annotations } }
  const local = { ...worldWith().local, gateways: known([kept]) }
  const written = gatewayType.serialize(gatewayWith({ local }))
  const metadata = written['metadata'] as Record<string, unknown>
  assert.deepEqual(metadata['annotations'], {
    ...annotations,
    'update-timestamp': String(nowMs / 1000),
  })
  assert.equal(metadata['uid'], before.meta.uid)
})

test('a passive gateway lists no connections', () => {
  const gateway = gatewayWith({ isActive: false })
  assert.equal(gateway.haState, 'passive')
  assert.deepEqual(gateway.connections, [])
})

test('one connection for each family that both have, each with its subnets and its pings', () => {
  const links = new Map([['c2', link('connected')]])
  const pings = new Map([
    ['c2/4', ping('ok')],
    ['c2/6', ping('failed', 'no answer')],
  ])
  const { connections } = gatewayWith({
    ...{ clusters: [clusterOf(2)], endpoints: [endpointOf(2)] },
    ...{ links, pings },
  })
  assert.deepEqual(
    connections.map(({ state, endpoint }) => [state, texts(endpoint.subnets)]),
    [
      ['connected', ['10.102.0.0/16', '10.2.0.0/16']],
      ['error', ['fd00:102::/112', 'fd00:2::/48']],
    ],
  )
})

test('a cable that cannot be had says why', () => {
  const backendConfig = { ...endpointOf(2).backendConfig, cables: undefined }
  const endpoint = endpointOf(2, { backend: 'libreswan', backendConfig })
  const { connections } = gatewayWith({ clusters: [clusterOf(2)], endpoints: [endpoint] })
  for (const { state, message, usingIp } of connections) {
    assert.equal(state, 'error')
    assert.match(message, /no cable driver in common: it has libreswan/)
    assert.equal(usingIp, undefined)
  }
  assert.equal(connections.length, 2)
})

test('a remote without any subnet of ours is one connection', () => {
  const endpoint = endpointOf(2, { subnets: [] })
  const { connections } = gatewayWith({ clusters: [clusterOf(2)], endpoints: [endpoint] })
  assert.deepEqual(
    connections.map(({ state, message }) => [state, message]),
    [['error', 'none of its subnets is accepted']],
  )
})

test('counters stand in the connection’s Endpoint, as stock’s driver has them', () => {
  const traffic = { checkedAtMs: 1234.5, txBytes: 56, rxBytes: 78 }
  const links = new Map([['c2', { ...link('connected'), traffic }]])
  const [{ endpoint }] = gatewayWith({ ...only2, links }).connections
  assert.deepEqual(endpoint.backendConfig.others, {
    ...{ LastChecked: '1234', TransmitBytes: '56', ReceiveBytes: '78' },
  })
})

test('without a data path no cable works; one that it does not have yet is connecting', () => {
  const states = (changes: WorldChanges) =>
    gatewayWith({ ...only2, ...changes }).connections.map(({ state, message }) => [state, message])
  assert.deepEqual(states({ datapath: undefined }), [['error', 'the data path does not answer']])
  assert.deepEqual(states({}), [['connecting', 'the data path does not have this cable yet']])
})

test('what is wrong stands in statusFailure, ours first, and not without end', () => {
  const problems: readonly Problem[] = Array.from({ length: 20 }, (_, index) => ({
    code: 'x',
    clusterId: index === 19 ? '' : 'c2',
    object: `endpoints/${index}`,
    message: 'm'.repeat(400),
  }))
  const { failure: text } = gatewayWith({}, problems)
  assert.match(text, /^endpoints\/19: m/)
  assert.match(text, /; and 12 more$/)
  assert.ok(text.length < 1100)
})

interface Stale {
  readonly name: string
  readonly gateway: Gateway
  readonly isDeleted: boolean
}

const deleting = gatewayOf('other', { updatedAtMs: undefined })
const stale: readonly Stale[] = [
  { name: 'a fresh one', gateway: gatewayOf('other'), isDeleted: false },
  {
    name: 'one of 15 s',
    gateway: gatewayOf('other', { updatedAtMs: nowMs - 15_000 }),
    isDeleted: false,
  },
  {
    name: 'an older one',
    gateway: gatewayOf('other', { updatedAtMs: nowMs - 15_001 }),
    isDeleted: true,
  },
  { name: 'one without a time, or a wrong one', gateway: deleting, isDeleted: true },
  { name: 'our own', gateway: gatewayOf(hostname, { updatedAtMs: undefined }), isDeleted: false },
  {
    name: 'one that goes already',
    gateway: { ...deleting, meta: { ...deleting.meta, isDeleting: true } },
    isDeleted: false,
  },
]

for (const { name, gateway, isDeleted } of stale) {
  test(`old Gateways: ${name} is ${isDeleted ? '' : 'not '}deleted`, () => {
    const local = { ...worldWith().local, gateways: known([gateway]) }
    assert.equal(staleGateways(worldWith({ local })).length, isDeleted ? 1 : 0)
    assert.deepEqual(staleGateways(worldWith({ local, isActive: false })), [])
  })
}

test('nothing is deleted before all are known', () => {
  const gateways = { ...known([deleting]), synced: false }
  assert.deepEqual(staleGateways(worldWith({ local: { ...worldWith().local, gateways } })), [])
  assert.deepEqual(
    staleGateways(worldWith({ local: { ...worldWith().local, gateways: unknown } })),
    [],
  )
})

test('a Gateway from the future is a clock that is wrong', () => {
  const codes = (aheadMs: number) => {
    const gateways = known([gatewayOf('other', { updatedAtMs: nowMs + aheadMs })])
    const world = worldWith({ local: { ...worldWith().local, gateways } })
    return clockProblems(world).map(({ message }) => message)
  }
  assert.deepEqual(codes(15_000), [])
  assert.match(codes(3_600_000)[0], /written 3600 s ahead of this node's clock/)
})

test('news are states and Endpoints, not counters and round trips', () => {
  const at = (state: LinkReport['state'], changes: WorldChanges = {}, txBytes = 1) =>
    gatewayWith({
      ...only2,
      links: new Map([
        ['c2', { ...link(state), traffic: { checkedAtMs: 1, txBytes, rxBytes: 0 } }],
      ]),
      ...changes,
    })
  assert.ok(hasNews(undefined, at('connected')))
  assert.ok(!hasNews(at('connected'), at('connected', { nowMs: nowMs + 4000 }, 2)))
  const pings = new Map([['c2/4', ping('ok')]])
  assert.ok(!hasNews(at('connected'), at('connected', { pings })))
  assert.ok(hasNews(at('connected'), at('error')))
  assert.ok(hasNews(at('connected'), at('connected', { isActive: false })))
})

test('what others write does not make it larger than a server takes', () => {
  const huge = 'x'.repeat(1_000_000)
  const backendConfig = {
    ...endpointOf(2).backendConfig,
    interfaceName: huge,
    cables: ['wireguard', ...Array.from({ length: 5000 }, () => huge.slice(0, 500))],
    others: { [huge]: huge },
  }
  const endpoint = endpointOf(2, { hostname: huge, cableName: huge, backend: huge, backendConfig })
  const gateway = gatewayWith({ clusters: [clusterOf(2)], endpoints: [endpoint] })
  assert.equal(gateway.connections.length, 2)
  assert.ok(JSON.stringify(gatewayType.serialize(gateway)).length < 25_000)
})

test('connections that there is no room for are counted, the oldest clusters’ are shown', () => {
  const numbers = Array.from({ length: 2000 }, (_, index) => index)
  const clusters = numbers.map(number => {
    const clusterId = `k${number}`
    const meta = { ...metaOn('b', clusterId, clusterId, number), createdAtMs: number }
    const bytes = Uint8Array.of(20, number >> 8, number, 0)
    const clusterCidrs = [{ family: 4 as const, bytes, bits: 24 }]
    return clusterOf(2, { clusterId, meta, clusterCidrs, serviceCidrs: [] })
  })
  const endpoints = clusters.map(({ clusterId, meta, clusterCidrs }) => {
    const backendConfig = { ...endpointOf(2).backendConfig, publicKey: undefined }
    return endpointOf(2, { clusterId, meta, subnets: clusterCidrs, backendConfig })
  })
  const gateway = gatewayWith({ clusters, endpoints })
  const shown = gateway.connections.length
  assert.ok(shown > 800 && shown < 1500, `${shown} are shown`)
  assert.equal(gateway.connections[0].endpoint.clusterId, 'k0')
  assert.match(gateway.failure, new RegExp(`^${2000 - shown} connections more than`))
  assert.ok(JSON.stringify(gatewayType.serialize(gateway)).length < 1_100_000)
})

test('the object can be read by whoever reads Gateways', () => {
  const links = new Map([['c2', link('connected')]])
  const gateway = gatewayWith({ links, pings: new Map([['c2/4', ping('ok')]]) })
  const meta = metaOn(localNamespace, hostname, undefined, 1)
  const parsed = gatewayType.parse(
    JSON.parse(JSON.stringify(gatewayType.serialize({ ...gateway, meta }))),
  )
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.problem)
  assert.equal(parsed.value.connections.length, gateway.connections.length)
})
