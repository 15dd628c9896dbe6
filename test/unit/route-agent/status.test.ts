// What the RouteAgent object says of each remote.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { routeAgentType } from '../../../src/kube/resources/route-agent.ts'
import { parseAddress } from '../../../src/net/address.ts'
import { planNode } from '../../../src/route-agent/plan.ts'
import { routeAgentOf } from '../../../src/route-agent/status.ts'
import { c3, endpointOf, localEndpoint, settings, worldOf } from '../../support/agent-world.ts'

const pingable = endpointOf('c2', ['10.2.0.0/16'], {
  healthCheckIps: { ipv4: parseAddress('10.2.1.1'), ipv6: undefined },
})
const endpoints = [localEndpoint('gw1'), pingable, c3]

test('states by role, setting and what pings say', () => {
  const worker = planNode(worldOf('w1', { endpoints }))
  const gateway = planNode(worldOf('gw1', { endpoints }))
  const latency = { lastNs: 1, minNs: 1, averageNs: 1, maxNs: 1, stdDevNs: 0 }
  const connected = () => ({ state: 'connected', message: '', latency }) as const
  const off = { ...settings, isHealthCheckEnabled: false }
  const rows = [
    [settings, gateway, connected, 'none Health check is not performed on gateway nodes'],
    [settings, worker, connected, 'connected '],
    [settings, worker, () => undefined, 'none Nobody pings the remote from this node'],
    [off, worker, connected, 'none Health checks are switched off'],
  ] as const
  for (const [own, plan, healthOf, expected] of rows) {
    const [remote] = routeAgentOf(own, plan, '', healthOf).remotes
    assert.equal(`${remote.state} ${remote.message}`, expected)
  }
  const [, without] = routeAgentOf(settings, worker, '', connected).remotes
  assert.equal(without.message, 'The Endpoint has no health check IP')
})

test('the object is one that its own parser reads', () => {
  const plan = planNode(worldOf('w1', { endpoints }))
  const agent = routeAgentOf(settings, plan, 'it is broken', () => undefined)
  const read = routeAgentType.parse(JSON.parse(JSON.stringify(routeAgentType.serialize(agent))))
  assert.ok(read.ok)
  assert.equal(read.value.failure, 'it is broken')
  assert.deepEqual(
    read.value.remotes.map(({ endpoint }) => endpoint.clusterId),
    ['c2', 'c3'],
  )
})
