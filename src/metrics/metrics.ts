// What a gateway shows to Prometheus. Names and labels that begin with `submariner_` are those of stock
// gateways, so their dashboards and alerts go on working; those that begin with `hawser_` are ours.
// Everything is read when somebody scrapes: nothing is counted twice, and what has gone is gone here.

import { Counter, Gauge, Registry } from 'prom-client'
import type { Problem } from '../control/world.ts'
import type { Connection } from '../kube/resources/connection.ts'
import type { EndpointSpec } from '../kube/resources/endpoint.ts'
import type { Gateway } from '../kube/resources/gateway.ts'
import { formatAddress } from '../net/address.ts'
import type { CableStatus, DatapathStatus } from '../tables/status.ts'

export interface MetricsView {
  readonly isActive: boolean
  /** Ours as of now; undefined until there is one. */
  readonly gateway: Gateway | undefined
  readonly datapath: DatapathStatus | undefined
  readonly problems: readonly Problem[]
  /** Of the Gateway object, since the start. */
  readonly syncIterations: number
  /** How late the control loop was at its latest turn. */
  readonly loopLagSeconds: number
  readonly loopTurns: number
}

type Labels = Readonly<Record<string, string>>

/** Counters of the data path that are of use by themselves; by name of status.ts. */
const queueDrops = ['queue-full', 'handshake-queue-full', 'tun-write-failed', 'no-slot'] as const

/** The text of one scrape, and its content type. */
export async function metricsText(view: MetricsView): Promise<{ text: string; type: string }> {
  const registry = new Registry()
  const gauges = new Gauges(registry)
  addConnections(gauges, view)
  addOwn(gauges, view)
  if (view.datapath !== undefined) addDatapath(gauges, view.datapath)
  return { text: await registry.metrics(), type: registry.contentType }
}

class Gauges {
  readonly #registry: Registry

  constructor(registry: Registry) {
    this.#registry = registry
  }

  /** Nothing to say is no row: without labels there would be one, of 0. */
  add(name: string, help: string, values: readonly (readonly [Labels, number])[]): void {
    if (values.length === 0) return
    const labelNames = [...new Set(values.flatMap(([labels]) => Object.keys(labels)))]
    const gauge = new Gauge({ name, help, labelNames, registers: [this.#registry] })
    for (const [labels, value] of values) gauge.set(labels, value)
  }

  /** What the data path has counted: it begins at 0 when that one is started again. */
  addCounter(name: string, help: string, values: readonly (readonly [Labels, number])[]): void {
    if (values.length === 0) return
    const labelNames = [...new Set(values.flatMap(([labels]) => Object.keys(labels)))]
    const counter = new Counter({ name, help, labelNames, registers: [this.#registry] })
    for (const [labels, value] of values) counter.inc(labels, value)
  }
}

function addConnections(gauges: Gauges, view: MetricsView): void {
  const { gateway, datapath } = view
  const connections = gateway?.connections ?? []
  const cables = new Map(datapath?.cables.map(cable => [cable.name, cable]))
  const labelled = connections.map(connection => {
    const cable = cables.get(connection.endpoint.clusterId)
    return { connection, cable, labels: labelsOf(gateway?.localEndpoint, connection, cable) }
  })
  const bytes = (read: (cable: CableStatus) => number) =>
    labelled.map(({ labels, cable }) => [labels, cable === undefined ? 0 : read(cable)] as const)
  gauges.add(
    'submariner_gateway_rx_bytes',
    'Count of bytes received (by cable driver and cable)',
    bytes(({ rxBytes }) => rxBytes),
  )
  gauges.add(
    'submariner_gateway_tx_bytes',
    'Count of bytes transmitted (by cable driver and cable)',
    bytes(({ txBytes }) => txBytes),
  )
  gauges.add(
    'submariner_connections',
    'Number of connections and corresponding status (by cable driver and cable)',
    labelled.map(({ labels, connection }) => [{ ...labels, status: connection.state }, 1]),
  )
  gauges.add(
    'submariner_connections_short',
    'Number of connections by cable driver and status',
    countsOf(
      labelled.map(({ labels, connection }) => [labels['cable_driver'], connection.state] as const),
    ).map(([[driver, status], count]) => [{ cable_driver: driver, status }, count]),
  )
  gauges.add(
    'submariner_connection_established_timestamp',
    'Timestamp of last successful connection established (by cable driver and cable)',
    labelled.flatMap(({ labels, cable }) =>
      cable === undefined || cable.lastHandshakeMs === 0
        ? []
        : [[labels, cable.lastHandshakeMs / 1000] as const],
    ),
  )
  gauges.add(
    'submariner_connection_latency_seconds',
    'Connection latency in seconds (last round trip, by cable driver and cable)',
    labelled.flatMap(({ labels, connection }) =>
      connection.latency === undefined ? [] : [[labels, connection.latency.lastNs / 1e9] as const],
    ),
  )
}

function labelsOf(
  local: EndpointSpec | undefined,
  { endpoint }: Connection,
  cable: CableStatus | undefined,
): Labels {
  return {
    cable_driver: cable?.driver ?? endpoint.backend,
    local_cluster: local?.clusterId ?? '',
    local_hostname: local?.hostname ?? '',
    local_endpoint_ip: local === undefined ? '' : privateIpOf(local),
    remote_cluster: endpoint.clusterId,
    remote_hostname: endpoint.hostname,
    remote_endpoint_ip: privateIpOf(endpoint),
  }
}

function privateIpOf({ privateIps }: EndpointSpec): string {
  const address = privateIps.ipv4 ?? privateIps.ipv6
  return address === undefined ? '' : formatAddress(address)
}

function addOwn(gauges: Gauges, view: MetricsView): void {
  gauges.add('submariner_gateway_sync_iterations', 'Writes of the Gateway object', [
    [{}, view.syncIterations],
  ])
  gauges.add('hawser_active', 'Whether this gateway is the active one', [
    [{}, view.isActive ? 1 : 0],
  ])
  gauges.add('hawser_control_loop_lag_seconds', 'How late the control loop was last', [
    [{}, view.loopLagSeconds],
  ])
  gauges.add('hawser_control_loop_turns', 'Turns of the control loop', [[{}, view.loopTurns]])
  const codes = countsOf(view.problems.map(({ code }) => [code] as const))
  gauges.add(
    'hawser_problems',
    'Problems by code',
    codes.map(([[code], count]) => [{ code }, count]),
  )
  gauges.add('hawser_datapath_up', 'Whether the data path is attached and its device is up', [
    [{}, view.datapath?.up === true ? 1 : 0],
  ])
}

function addDatapath(gauges: Gauges, status: DatapathStatus): void {
  const rows = [...status.cables, { name: '', counters: status.counters, drops: status.drops }]
  gauges.addCounter(
    'hawser_drops_total',
    'Packets and datagrams that went no further, by cable and reason',
    rows.flatMap(({ name, drops }) =>
      Object.entries(drops).map(([reason, count]) => [{ cable: name, reason }, count] as const),
    ),
  )
  gauges.addCounter(
    'hawser_packets_total',
    'Counters of the data path by cable and name',
    rows.flatMap(({ name, counters }) =>
      Object.entries(counters).map(
        ([counter, count]) => [{ cable: name, counter }, count] as const,
      ),
    ),
  )
  gauges.addCounter(
    'hawser_handshakes_total',
    'Handshakes that were completed, by cable',
    status.cables.map(({ name, counters }) => [{ cable: name }, counters['handshakes'] ?? 0]),
  )
  gauges.addCounter(
    'hawser_queue_overflows_total',
    'What a full queue or table cost, by its drop reason',
    queueDrops.map(reason => [
      { reason },
      rows.reduce((sum, { drops }) => sum + (drops[reason] ?? 0), 0),
    ]),
  )
  const { tunTso, tunUso, udpSegmentation, udpGro } = status.offloads
  gauges.add(
    'hawser_offload_enabled',
    'Whether an offload of the kernel is in use',
    Object.entries({ tunTso, tunUso, udpSegmentation, udpGro }).map(([mode, isOn]) => [
      { mode },
      isOn ? 1 : 0,
    ]),
  )
  gauges.add('hawser_tables_generation', 'Of the tables that are in force', [
    [{}, status.generation],
  ])
  gauges.add('hawser_datapath_pairs', 'Pairs of workers', [[{}, status.pairs]])
}

/** How often each row of words occurs. */
function countsOf<T extends readonly string[]>(rows: readonly T[]): (readonly [T, number])[] {
  const counts = new Map<string, { row: T; count: number }>()
  for (const row of rows) {
    const key = row.join('\0')
    counts.set(key, { row, count: (counts.get(key)?.count ?? 0) + 1 })
  }
  return [...counts.values()].map(({ row, count }) => [row, count])
}
