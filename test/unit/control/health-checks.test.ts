// Whom to ping, among it the cases of stock's health checker.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planCables } from '../../../src/control/cables.ts'
import { planHealthChecks } from '../../../src/control/health-checks.ts'
import { describeSelf } from '../../../src/control/own-objects.ts'
import { findRemotes } from '../../../src/control/remotes.ts'
import { type Endpoint, noAddresses } from '../../../src/kube/resources/endpoint.ts'
import { formatAddress, parseAddress } from '../../../src/net/address.ts'
import {
  clusterOf,
  endpointOf,
  prefixes,
  type WorldChanges,
  worldWith,
} from '../../support/control-world.ts'

const both = ['c2/4 10.1.0.1 10.2.0.1', 'c2/6 fd00:1::1 fd00:2::1']

interface Case {
  readonly name: string
  readonly endpoint?: Partial<Endpoint>
  readonly world?: WorldChanges
  readonly pings: readonly string[]
}

const v4 = (text: string) => ({ ipv4: parseAddress(text), ipv6: undefined })

const cases: readonly Case[] = [
  { name: 'each family that both ends have', pings: both },
  {
    name: 'switched off',
    world: { settings: { healthCheck: { isEnabled: false, packetLossMost: 5 } } },
    pings: [],
  },
  { name: 'a passive gateway pings nobody', world: { isActive: false }, pings: [] },
  { name: 'the remote names no address', endpoint: { healthCheckIps: noAddresses }, pings: [] },
  {
    name: 'we have no address to ping from',
    world: { self: { healthCheckIps: v4('10.1.0.1') } },
    pings: [both[0]],
  },
  {
    name: 'another address is another target',
    endpoint: { healthCheckIps: v4('10.2.0.9') },
    pings: ['c2/4 10.1.0.1 10.2.0.9'],
  },
  {
    name: 'the remote has one family',
    endpoint: { subnets: prefixes('10.2.0.0/16') },
    pings: [both[0]],
  },
  {
    name: 'an address behind another cable, or none, is not pinged',
    endpoint: { healthCheckIps: v4('10.3.0.1') },
    pings: [],
  },
  {
    name: 'without a cable there is nothing to ping through',
    endpoint: { privateIps: noAddresses },
    pings: [],
  },
  {
    name: 'with Globalnet the ping leaves from the node’s own address',
    world: { settings: { globalCidrs: prefixes('242.1.0.0/16') } },
    pings: both,
  },
]

for (const { name, endpoint, world: changes, pings } of cases) {
  test(name, () => {
    const world = worldWith({
      clusters: [clusterOf(2)],
      endpoints: [endpointOf(2, endpoint)],
      ...changes,
    })
    const own = describeSelf(world).endpoint
    const found = planHealthChecks(world, own, planCables(world, findRemotes(world).accepted))
    assert.deepEqual(
      found.map(({ key, from, to }) => `${key} ${formatAddress(from)} ${formatAddress(to)}`),
      pings,
    )
  })
}
