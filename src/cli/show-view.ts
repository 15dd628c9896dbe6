// Gateways as tables and as documents: one view for each command of `hawser show`. The columns are those of
// subctl, with one unit in each and nothing cut off; `wide` has more of them.

import { stringify } from 'yaml'
import type { ObjectProblem } from '../kube/objects.ts'
import type { Connection } from '../kube/resources/connection.ts'
import type { EndpointSpec, FamilyAddresses } from '../kube/resources/endpoint.ts'
import type { Gateway } from '../kube/resources/gateway.ts'
import { formatAddress, formatPrefix } from '../net/address.ts'
import type { GatewayError } from '../net/errors.ts'
import { jsonText } from './datapath.ts'
import { type Column, formatTable } from './table.ts'

export type OutputFormat = 'table' | 'wide' | 'json' | 'yaml'

/** One cluster that answered. */
export interface Shown {
  readonly kind: 'shown'
  readonly context: string
  readonly cluster: string
  readonly gateways: readonly Gateway[]
  readonly problems: readonly ObjectProblem[]
}

/** One that did not. */
export interface Failed {
  readonly kind: 'failed'
  readonly context: string
  readonly error: GatewayError
}

/** A row: what a document holds, and what the columns show of it. */
interface Item {
  readonly fields: Readonly<Record<string, unknown>>
  readonly cells: readonly string[]
  readonly wide: readonly string[]
}

export interface View {
  readonly name: string
  readonly summary: string
  /** Of the document. */
  readonly kind: string
  readonly columns: readonly Column[]
  readonly wideColumns: readonly Column[]
  readonly none: string
  items(gateways: readonly Gateway[]): readonly Item[]
  isHealthy(gateways: readonly Gateway[]): boolean
}

const titles = (...names: readonly string[]): readonly Column[] => names.map(title => ({ title }))

const connections: View = {
  name: 'connections',
  summary: 'the connections of the gateways; exit code 1 when one is not connected',
  kind: 'ConnectionList',
  columns: [
    ...titles('GATEWAY', 'CLUSTER', 'REMOTE IP', 'NAT', 'CABLE DRIVER', 'SUBNETS', 'STATUS'),
    { title: 'RTT avg.', align: 'right' },
  ],
  wideColumns: [
    { title: 'RTT min', align: 'right' },
    { title: 'RTT max', align: 'right' },
    ...titles('LOCAL GATEWAY', 'MESSAGE'),
  ],
  none: 'no connections',
  items: gateways =>
    gateways.flatMap(gateway => gateway.connections.map(each => connectionItem(gateway, each))),
  isHealthy: gateways => gateways.every(isConnected),
}

const endpoints: View = {
  name: 'endpoints',
  summary: 'the ends of the cables: of this cluster and of the others',
  kind: 'EndpointList',
  columns: titles('CLUSTER', 'ENDPOINT IP', 'PUBLIC IP', 'CABLE DRIVER', 'TYPE'),
  wideColumns: titles('HOSTNAME', 'CABLE', 'SUBNETS', 'HEALTH CHECK IP'),
  none: 'no endpoints',
  items: gateways =>
    gateways
      .filter(({ haState }) => haState === 'active')
      .flatMap(({ localEndpoint, connections: others }) => [
        endpointItem(localEndpoint, 'local'),
        ...endOfEachCable(others).map(endpoint => endpointItem(endpoint, 'remote')),
      ]),
  isHealthy: () => true,
}

const gatewayList: View = {
  name: 'gateways',
  summary: 'the gateways of a cluster; exit code 1 when one has failed or is not connected',
  kind: 'GatewayList',
  columns: titles('NODE', 'HA STATUS', 'SUMMARY'),
  wideColumns: titles('CLUSTER', 'VERSION', 'FAILURE'),
  none: 'no gateways',
  items: gateways => gateways.map(gatewayItem),
  isHealthy: gateways => gateways.every(each => each.failure === '' && isConnected(each)),
}

export const views: readonly View[] = [connections, endpoints, gatewayList]

/** A cable has a connection for each address family, with the subnets and the pings of that family. */
function endOfEachCable(others: readonly Connection[]): readonly Connection['endpoint'][] {
  const found = new Map<string, Connection['endpoint']>()
  for (const { endpoint } of others) {
    const before = found.get(endpoint.cableName)
    found.set(endpoint.cableName, {
      ...endpoint,
      subnets: [...(before?.subnets ?? []), ...endpoint.subnets],
      healthCheckIps: {
        ipv4: endpoint.healthCheckIps.ipv4 ?? before?.healthCheckIps.ipv4,
        ipv6: endpoint.healthCheckIps.ipv6 ?? before?.healthCheckIps.ipv6,
      },
    })
  }
  return [...found.values()]
}

function isConnected(gateway: Gateway): boolean {
  return gateway.connections.every(({ state }) => state === 'connected')
}

function connectionItem(gateway: Gateway, connection: Connection): Item {
  const { endpoint, usingIp, latency, state, message, isUsingNat } = connection
  const remote = usingIp === undefined ? '' : formatAddress(usingIp)
  const subnets = endpoint.subnets.map(formatPrefix)
  return {
    fields: {
      gateway: endpoint.hostname,
      cluster: endpoint.clusterId,
      remoteIp: remote,
      nat: isUsingNat,
      cableDriver: endpoint.backend,
      subnets,
      status: state,
      message,
      localGateway: gateway.meta.name,
      ...(latency === undefined
        ? {}
        : {
            rttMs: {
              avg: msOf(latency.averageNs),
              min: msOf(latency.minNs),
              max: msOf(latency.maxNs),
            },
          }),
    },
    cells: [
      endpoint.hostname,
      endpoint.clusterId,
      remote || '-',
      isUsingNat ? 'yes' : 'no',
      endpoint.backend,
      subnets.join(', ') || '-',
      state,
      msText(latency?.averageNs),
    ],
    wide: [msText(latency?.minNs), msText(latency?.maxNs), gateway.meta.name, message || '-'],
  }
}

function endpointItem(endpoint: EndpointSpec, type: 'local' | 'remote'): Item {
  const [privateIps, publicIps, healthCheckIps] = [
    endpoint.privateIps,
    endpoint.publicIps,
    endpoint.healthCheckIps,
  ].map(addresses)
  const subnets = endpoint.subnets.map(formatPrefix)
  return {
    fields: {
      cluster: endpoint.clusterId,
      endpointIps: privateIps,
      publicIps,
      cableDriver: endpoint.backend,
      type,
      hostname: endpoint.hostname,
      cable: endpoint.cableName,
      subnets,
      healthCheckIps,
    },
    cells: [
      endpoint.clusterId,
      privateIps.join(', ') || '-',
      publicIps.join(', ') || '-',
      endpoint.backend,
      type,
    ],
    wide: [
      endpoint.hostname,
      endpoint.cableName,
      subnets.join(', ') || '-',
      healthCheckIps.join(', ') || '-',
    ],
  }
}

function gatewayItem(gateway: Gateway): Item {
  const { haState, version, failure, localEndpoint } = gateway
  const established = gateway.connections.filter(({ state }) => state === 'connected').length
  const total = gateway.connections.length
  return {
    fields: {
      node: gateway.meta.name,
      haStatus: haState,
      cluster: localEndpoint.clusterId,
      version,
      failure,
      connections: { established, total },
    },
    cells: [gateway.meta.name, haState, summaryOf(established, total)],
    wide: [localEndpoint.clusterId, version || '-', failure || '-'],
  }
}

/** In the words of subctl. */
function summaryOf(established: number, total: number): string {
  if (total === 0) return 'There are no connections'
  if (established === total) return `All connections (${total}) are established`
  return `${established} connections out of ${total} are established`
}

function addresses({ ipv4, ipv6 }: FamilyAddresses): readonly string[] {
  return [ipv4, ipv6].flatMap(address => (address === undefined ? [] : [formatAddress(address)]))
}

function msOf(ns: number): number {
  return Number((ns / 1e6).toFixed(3))
}

function msText(ns: number | undefined): string {
  return ns === undefined ? '-' : `${(ns / 1e6).toFixed(2)} ms`
}

export interface TableOptions {
  readonly isWide: boolean
  /** Then there is no heading. */
  readonly isOne: boolean
  readonly widthMax: number | undefined
}

export function tableText(view: View, shown: readonly Shown[], options: TableOptions): string {
  const { isWide, isOne, widthMax } = options
  const columns = isWide ? [...view.columns, ...view.wideColumns] : view.columns
  const parts = shown.map(({ cluster, context, gateways, problems }) => {
    const rows = view
      .items(gateways)
      .map(({ cells, wide }) => (isWide ? [...cells, ...wide] : cells))
    const table = rows.length === 0 ? `${view.none}\n` : formatTable(columns, rows, widthMax)
    const heading = isOne ? '' : `Cluster "${cluster || context}"\n`
    return `${heading}${table}${problems.map(({ problem }) => `! ${problem}\n`).join('')}`
  })
  return parts.join('\n')
}

export function documentText(
  view: View,
  shown: readonly Shown[],
  failed: readonly Failed[],
  format: 'json' | 'yaml',
): string {
  const items = shown.flatMap(({ context, gateways }) =>
    view.items(gateways).map(({ fields }) => ({ context, ...fields })),
  )
  const problems = shown.flatMap(({ context, problems: found }) =>
    found.map(({ name, problem }) => ({ context, object: name, problem })),
  )
  const errors = failed.map(({ context, error }) => ({ context, message: error.message }))
  const text = jsonText(view.kind, { items, problems, errors }, false)
  return format === 'json' ? text : stringify(JSON.parse(text))
}
