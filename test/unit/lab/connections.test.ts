import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyBackendConfig } from '../../../src/kube/resources/backend-config.ts'
import type { ConnectionState } from '../../../src/kube/resources/connection.ts'
import type { EndpointSpec } from '../../../src/kube/resources/endpoint.ts'
import { noAddresses } from '../../../src/kube/resources/endpoint.ts'
import type { Gateway } from '../../../src/kube/resources/gateway.ts'
import { newMeta } from '../../../src/kube/resources/resource.ts'
import type { RouteAgent } from '../../../src/kube/resources/route-agent.ts'
import { brokenAmong, missingOn } from '../../../src/lab/connections.ts'
import { parseAddress } from '../../../src/net/address.ts'

const others = ['west', 'north']

test('a cluster is connected when its active gateway says so of each other one', () => {
  const passive = gateway('passive', [])
  const rows: [readonly Gateway[], readonly string[]][] = [
    [[passive, gateway('active', [to('west'), to('north')])], []],
    [[], ['east has no active gateway']],
    [[passive], ['east has no active gateway']],
    [[gateway('active', [to('west')])], ['east has no connection to north']],
    [[gateway('active', [to('north')], 'no key')], ['east has no connection to west: no key']],
    [
      [gateway('active', [to('west'), to('north', 'connecting', 'no handshake yet')])],
      ['east to north by 192.0.2.9: connecting, no handshake yet'],
    ],
    // One of each family: both have to be there.
    [
      [gateway('active', [to('west'), to('west', 'error'), to('north')])],
      ['east to west by 192.0.2.9: error'],
    ],
    // A cluster that is none of the lab's is nobody's business here.
    [[gateway('active', [to('west'), to('north'), to('moon', 'error')])], []],
  ]
  for (const [gateways, expected] of rows) {
    assert.deepEqual(brokenAmong('east', gateways, others), expected)
  }
})

test('a node has routes when its route agent says so of each other cluster', () => {
  const rows: [readonly RouteAgent[], readonly string[]][] = [
    [[agent('east-worker', others)], []],
    [[agent('east-gateway', others)], ['no route agent speaks for east-worker']],
    [[agent('east-worker', ['west'])], ['east-worker has no routes to north']],
    [[agent('east-worker', others, 'no ip')], ['east-worker has no routes to west, north: no ip']],
  ]
  for (const [agents, expected] of rows)
    assert.deepEqual(missingOn('east-worker', agents, others), expected)
})

function agent(node: string, remotes: readonly string[], failure = ''): RouteAgent {
  return {
    meta: newMeta(node, 'submariner-operator'),
    version: '',
    failure,
    remotes: remotes.map(name => ({
      ...{ state: 'none', message: '', latency: undefined },
      endpoint: endpoint(name),
    })),
  }
}

function gateway(haState: Gateway['haState'], connections: Gateway['connections'], failure = '') {
  const meta = newMeta(`east-${haState}`, 'submariner-operator')
  const localEndpoint = endpoint('east')
  const rest = { version: '', updatedAtMs: 0, globalIp: undefined }
  return { meta, haState, localEndpoint, failure, connections, ...rest }
}

function to(clusterId: string, state: ConnectionState = 'connected', message = '') {
  const usingIp = parseAddress('192.0.2.9')
  const rest = { isUsingNat: false, latency: undefined }
  return { state, message, endpoint: endpoint(clusterId), usingIp, ...rest }
}

function endpoint(clusterId: string): EndpointSpec {
  return {
    clusterId,
    cableName: `submariner-cable-${clusterId}-gateway`,
    hostname: `${clusterId}-gateway`,
    subnets: [],
    privateIps: noAddresses,
    publicIps: noAddresses,
    healthCheckIps: noAddresses,
    isNatEnabled: false,
    backend: 'wireguard',
    backendConfig: emptyBackendConfig,
  }
}
