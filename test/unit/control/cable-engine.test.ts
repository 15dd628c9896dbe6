// The behaviour of stock's cable engine, case by case: what is there, what the broker has next, and which
// cables there are then. Ours is not told what changed; it looks.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reconcile } from '../../../src/control/reconcile.ts'
import type { Cluster } from '../../../src/kube/resources/cluster.ts'
import type { Endpoint } from '../../../src/kube/resources/endpoint.ts'
import { formatRemote, parseAddress } from '../../../src/net/address.ts'
import {
  brokerNamespace,
  clusterOf,
  endpointOf,
  keyOf,
  metaOn,
  prefixes,
  worldWith,
} from '../../support/control-world.ts'

interface Objects {
  readonly clusters?: readonly Cluster[]
  readonly endpoints: readonly Endpoint[]
}

interface Case {
  readonly name: string
  readonly before: Objects
  readonly after: Objects
  /** `name driver remote #serial key` of each cable. */
  readonly cables: readonly string[]
}

const at = (text: string) => ({ privateIps: { ipv4: parseAddress(text), ipv6: undefined } })
const { backendConfig } = endpointOf(2)

/** An Endpoint of c2 with another name, created in that second. */
function named(name: string, second: number, over: Partial<Endpoint> = {}): Endpoint {
  const meta = metaOn(brokerNamespace, name, 'c2', second)
  return endpointOf(2, { cableName: name, meta, ...over })
}

const one: Objects = { endpoints: [endpointOf(2)] }
const same = 'c2 wireguard 172.18.0.2:4500 #1 key 2'

const cases: readonly Case[] = [
  {
    name: 'an Endpoint of another cluster is connected to',
    before: { endpoints: [] },
    after: one,
    cables: [same],
  },
  { name: 'the same again changes nothing', before: one, after: one, cables: [same] },
  {
    name: 'our own is not connected to',
    before: { endpoints: [] },
    after: { endpoints: [endpointOf(1)] },
    cables: [],
  },
  {
    name: 'one that is removed is disconnected',
    before: one,
    after: { endpoints: [] },
    cables: [],
  },
  {
    name: 'removed before it was ever seen: nothing happens',
    before: { endpoints: [] },
    after: { endpoints: [] },
    cables: [],
  },
  {
    name: 'the same cable, another address: the remote is set anew',
    before: one,
    after: { endpoints: [endpointOf(2, at('172.18.0.22'))] },
    cables: ['c2 wireguard 172.18.0.22:4500 #2 key 2'],
  },
  {
    name: 'the same cable, now behind NAT: the remote is set anew',
    before: one,
    after: {
      endpoints: [
        endpointOf(2, {
          isNatEnabled: true,
          publicIps: { ipv4: parseAddress('203.0.113.2'), ipv6: undefined },
        }),
      ],
    },
    cables: ['c2 wireguard 203.0.113.2:4500 #2 key 2'],
  },
  {
    name: 'the same cable, another port: the remote is set anew',
    before: one,
    after: { endpoints: [endpointOf(2, { backendConfig: { ...backendConfig, udpPort: 4501 } })] },
    cables: ['c2 wireguard 172.18.0.2:4501 #2 key 2'],
  },
  {
    name: 'the same cable, another key: another peer at the same address',
    before: one,
    after: {
      endpoints: [endpointOf(2, { backendConfig: { ...backendConfig, publicKey: keyOf(55) } })],
    },
    cables: ['c2 wireguard 172.18.0.2:4500 #1 key 55'],
  },
  {
    name: 'the same cable, another driver',
    before: one,
    after: {
      endpoints: [endpointOf(2, { backendConfig: { ...backendConfig, cables: ['vxlan'] } })],
    },
    cables: ['c2 vxlan 172.18.0.2:4500 #1 '],
  },
  {
    name: 'the same cable, something else in it: the session goes on',
    before: one,
    after: {
      endpoints: [endpointOf(2, { hostname: 'another', subnets: prefixes('10.2.0.0/16') })],
    },
    cables: [same],
  },
  {
    name: 'another cable of the cluster that is newer takes the place of the one that is there',
    before: { endpoints: [named('a', 10, at('172.18.0.10'))] },
    after: { endpoints: [named('a', 10, at('172.18.0.10')), named('b', 11, at('172.18.0.11'))] },
    cables: ['c2 wireguard 172.18.0.11:4500 #2 key 2'],
  },
  {
    name: 'another cable of the cluster that is older does not',
    before: { endpoints: [named('a', 10, at('172.18.0.10'))] },
    after: { endpoints: [named('a', 10, at('172.18.0.10')), named('b', 9, at('172.18.0.11'))] },
    cables: ['c2 wireguard 172.18.0.10:4500 #1 key 2'],
  },
  {
    name: 'removing the old one of two leaves the new one',
    before: { endpoints: [named('a', 10, at('172.18.0.10')), named('b', 11, at('172.18.0.11'))] },
    after: { endpoints: [named('b', 11, at('172.18.0.11'))] },
    cables: ['c2 wireguard 172.18.0.11:4500 #1 key 2'],
  },
  {
    name: 'removing the new one of two brings the old one back',
    before: { endpoints: [named('a', 10, at('172.18.0.10')), named('b', 11, at('172.18.0.11'))] },
    after: { endpoints: [named('a', 10, at('172.18.0.10'))] },
    cables: ['c2 wireguard 172.18.0.10:4500 #2 key 2'],
  },
  {
    name: 'two clusters have nothing to do with one another',
    before: { endpoints: [endpointOf(2), endpointOf(3)] },
    after: { endpoints: [endpointOf(2, at('172.18.0.22')), endpointOf(3)] },
    cables: ['c2 wireguard 172.18.0.22:4500 #2 key 2', 'c3 wireguard 172.18.0.3:4500 #1 key 3'],
  },
  {
    name: 'a Cluster that is removed takes the cable along',
    before: one,
    after: { clusters: [], endpoints: one.endpoints },
    cables: [],
  },
]

for (const { name, before, after, cables } of cases) {
  test(name, () => {
    const planOf = (objects: Objects, posted?: ReturnType<typeof reconcile>['tables']) =>
      reconcile(worldWith({ clusters: [clusterOf(2), clusterOf(3)], ...objects, posted }))
    const { tables } = planOf(after, planOf(before).tables)
    const shown = tables.cables.map(cable => {
      const key = cable.driver === 'wireguard' ? `key ${cable.publicKey[0]}` : ''
      const remote = cable.remote === undefined ? 'nowhere' : formatRemote(cable.remote)
      return `${cable.name} ${cable.driver} ${remote} #${cable.remoteSerial} ${key}`
    })
    assert.deepEqual(shown, cables)
  })
}
