import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyBackendConfig } from '../../../src/kube/resources/backend-config.ts'
import type { ConnectionState } from '../../../src/kube/resources/connection.ts'
import { type EndpointSpec, noAddresses } from '../../../src/kube/resources/endpoint.ts'
import type { Gateway } from '../../../src/kube/resources/gateway.ts'
import { newMeta } from '../../../src/kube/resources/resource.ts'
import { type MetricsView, metricsText } from '../../../src/metrics/metrics.ts'
import { parseAddress } from '../../../src/net/address.ts'
import type { CableStatus, DatapathStatus } from '../../../src/tables/status.ts'

function endpoint(clusterId: string, ip: string): EndpointSpec {
  return {
    ...{ clusterId, cableName: `cable-${clusterId}`, hostname: `${clusterId}-node`, subnets: [] },
    privateIps: { ipv4: parseAddress(ip), ipv6: undefined },
    ...{ publicIps: noAddresses, healthCheckIps: noAddresses, isNatEnabled: false },
    ...{ backend: 'wireguard', backendConfig: emptyBackendConfig },
  }
}

function connection(clusterId: string, ip: string, state: ConnectionState, lastNs?: number) {
  const latency = { minNs: 1, averageNs: 1, maxNs: 1, stdDevNs: 0 }
  return {
    ...{ state, message: '', endpoint: endpoint(clusterId, ip) },
    ...{ usingIp: undefined, isUsingNat: false },
    latency: lastNs === undefined ? undefined : { ...latency, lastNs },
  }
}

const gateway: Gateway = {
  ...{ meta: newMeta('node', 'ns'), updatedAtMs: 0, globalIp: undefined },
  ...{ version: '1', haState: 'active', failure: '', localEndpoint: endpoint('east', '192.0.2.1') },
  connections: [
    connection('west', '192.0.2.2', 'connected', 1_500_000),
    connection('north', '192.0.2.3', 'error'),
    connection('south', '192.0.2.4', 'connected', 2_000_000),
  ],
}

function cable(name: string, more: Partial<CableStatus> = {}): CableStatus {
  return {
    ...{ name, driver: 'wireguard', lastHandshakeMs: 0, rxBytes: 0, txBytes: 0 },
    ...{ counters: {}, drops: {} },
    ...more,
  }
}

const datapath: DatapathStatus = {
  ...{ interfaceName: 'hawser0', up: true, mtuBytes: 1420, generation: 4, listenPort: 4500 },
  ...{ fwmark: 0, pid: 1, pairs: 2, startedAtMs: 0, receiveBufferBytes: 0, sendBufferBytes: 0 },
  offloads: { tunTso: true, tunUso: false, udpSegmentation: true, udpGro: true, reasons: {} },
  aead: { speeds: [], forms: [] },
  cables: [
    cable('west', {
      ...{ lastHandshakeMs: 1_700_000_000_000, rxBytes: 111, txBytes: 222 },
      counters: { handshakes: 3, 'rx-packets': 9 },
      drops: { replayed: 2, 'queue-full': 1 },
    }),
    cable('south', { driver: 'vxlan' }),
  ],
  counters: { trains: 7 },
  drops: { 'no-route': 5, 'handshake-queue-full': 4 },
}

const view: MetricsView = {
  ...{ isActive: true, gateway, datapath, syncIterations: 12, loopLagSeconds: 0.25, loopTurns: 9 },
  problems: [
    { code: 'foreign-subnet', clusterId: 'c', object: '', message: '' },
    { code: 'foreign-subnet', clusterId: 'd', object: '', message: '' },
  ],
}

const local = 'local_cluster="east",local_hostname="east-node",local_endpoint_ip="192.0.2.1"'
const west = 'remote_cluster="west",remote_hostname="west-node",remote_endpoint_ip="192.0.2.2"'

test('a scrape has the names and labels of stock gateways, and ours', async () => {
  const { text, type } = await metricsText(view)
  assert.match(type, /^text\/plain/)
  const lines = text.split('\n')
  const wanted = [
    '# TYPE submariner_gateway_rx_bytes gauge',
    `submariner_gateway_rx_bytes{cable_driver="wireguard",${local},${west}} 111`,
    `submariner_gateway_tx_bytes{cable_driver="wireguard",${local},${west}} 222`,
    `submariner_connections{cable_driver="wireguard",${local},${west},status="connected"} 1`,
    'submariner_connections_short{cable_driver="wireguard",status="connected"} 1',
    'submariner_connections_short{cable_driver="vxlan",status="connected"} 1',
    'submariner_connections_short{cable_driver="wireguard",status="error"} 1',
    `submariner_connection_established_timestamp{cable_driver="wireguard",${local},${west}} 1700000000`,
    `submariner_connection_latency_seconds{cable_driver="wireguard",${local},${west}} 0.0015`,
    'submariner_gateway_sync_iterations 12',
    '# TYPE hawser_drops_total counter',
    'hawser_drops_total{cable="west",reason="replayed"} 2',
    'hawser_drops_total{cable="",reason="no-route"} 5',
    'hawser_handshakes_total{cable="west"} 3',
    'hawser_handshakes_total{cable="south"} 0',
    'hawser_queue_overflows_total{reason="queue-full"} 1',
    'hawser_queue_overflows_total{reason="handshake-queue-full"} 4',
    'hawser_offload_enabled{mode="tunTso"} 1',
    'hawser_offload_enabled{mode="tunUso"} 0',
    'hawser_problems{code="foreign-subnet"} 2',
    'hawser_control_loop_lag_seconds 0.25',
    'hawser_active 1',
    'hawser_datapath_up 1',
  ]
  for (const line of wanted) assert.ok(lines.includes(line), `${line}\nnot in\n${text}`)
})

test('what has gone is gone at the next scrape', async () => {
  await metricsText(view)
  const passive = { ...gateway, connections: [] }
  const { text } = await metricsText({ ...view, gateway: passive, datapath: undefined })
  assert.doesNotMatch(text, /remote_cluster|hawser_drops_total/)
  assert.match(text, /^hawser_datapath_up 0$/m)
  // No row of 0 that is about nobody.
  assert.doesNotMatch(text, /^submariner_connection/m)
  const nothing = { gateway: undefined, datapath: undefined, problems: [] }
  assert.match((await metricsText({ ...view, ...nothing })).text, /^hawser_active 1$/m)
})
