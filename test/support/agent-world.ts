// A world for plans of the route agent: cluster c1 with the nodes gw1, w1 and w2, whose gateway is on
// gw1, as one of its nodes sees it, and remote clusters c2 and c3.

import type { Interfaces, NetworkInterface } from '../../src/host/interfaces.ts'
import type { Route } from '../../src/host/routes.ts'
import { emptyBackendConfig } from '../../src/kube/resources/backend-config.ts'
import type { Endpoint } from '../../src/kube/resources/endpoint.ts'
import { noAddresses } from '../../src/kube/resources/endpoint.ts'
import type { Node } from '../../src/kube/resources/node.ts'
import { newMeta } from '../../src/kube/resources/resource.ts'
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from '../../src/net/address.ts'
import type { NodePlan } from '../../src/route-agent/plan.ts'
import type { AgentWorld } from '../../src/route-agent/scene.ts'
import type { AgentSettings } from '../../src/route-agent/settings.ts'

const numbers = { gw1: 1, w1: 2, w2: 3 } as const

export type NodeName = keyof typeof numbers

export const settings: AgentSettings = {
  clusterId: 'c1',
  namespace: 'submariner-operator',
  nodeName: 'w1',
  hostname: 'w1',
  clusterCidrs: ['10.1.0.0/16', 'fd00:1::/48'].map(parsePrefix),
  serviceCidrs: ['10.101.0.0/16'].map(parsePrefix),
  globalCidrs: [],
  networkPlugin: 'generic',
  isHealthCheckEnabled: true,
  version: 'v1',
}

export function nodeOf(name: string, ...ips: readonly string[]): Node {
  const internalIps = ips.map(parseAddress)
  return { meta: newMeta(name, ''), internalIps, podCidrs: [], isReady: true }
}

export function endpointOf(
  clusterId: string,
  subnets: readonly string[],
  changes: Partial<Endpoint> = {},
): Endpoint {
  return {
    meta: newMeta(`${clusterId}-endpoint`, settings.namespace),
    clusterId,
    cableName: `submariner-cable-${clusterId}-gateway`,
    hostname: `gw-${clusterId}`,
    subnets: subnets.map(parsePrefix),
    privateIps: noAddresses,
    publicIps: noAddresses,
    healthCheckIps: noAddresses,
    isNatEnabled: false,
    backend: 'wireguard',
    backendConfig: emptyBackendConfig,
    ...changes,
  }
}

/** Of c1, on that node. */
export function localEndpoint(name: NodeName, changes: Partial<Endpoint> = {}): Endpoint {
  const number = numbers[name]
  return endpointOf('c1', ['10.101.0.0/16', '10.1.0.0/16', 'fd00:1::/48'], {
    hostname: name,
    privateIps: {
      ipv4: parseAddress(`172.31.1.${number}`),
      ipv6: parseAddress(`fd00:172::1:${number}`),
    },
    backendConfig: { ...emptyBackendConfig, interfaceName: 'submariner' },
    ...changes,
  })
}

export const c2 = endpointOf('c2', ['10.102.0.0/16', '10.2.0.0/16', 'fd00:2::/48'])
export const c3 = endpointOf('c3', ['10.103.0.0/16', '10.3.0.0/16'])

export function interfaceOf(
  name: string,
  addresses: readonly string[],
  changes: Partial<NetworkInterface> = {},
): NetworkInterface {
  return {
    name,
    mtuBytes: 1500,
    isUp: true,
    mac: '02:42:00:00:00:01',
    addresses: addresses.map(text => {
      const [address, bits] = text.split('/')
      return { address: parseAddress(address), bits: Number(bits) }
    }),
    vxlan: undefined,
    ...changes,
  }
}

export function interfacesOf(name: NodeName): Interfaces {
  const number = numbers[name]
  return {
    list: [
      interfaceOf('lo', ['127.0.0.1/8', '::1/128']),
      interfaceOf('eth0', [`172.31.1.${number}/16`, 'fe80::1/64', `fd00:172::1:${number}/64`]),
      interfaceOf('cni0', [`10.1.${number}.1/24`, `fd00:1:0:${number}::1/64`]),
      ...(name === 'gw1' ? [interfaceOf('submariner', [], { mtuBytes: 1420 })] : []),
    ],
    defaults: { 4: 'eth0', 6: 'eth0' },
  }
}

export function worldOf(name: NodeName, changes: Partial<AgentWorld> = {}): AgentWorld {
  return {
    settings: { ...settings, nodeName: name, hostname: name },
    endpoints: [localEndpoint('gw1'), c2, c3],
    nodes: Object.entries(numbers).map(([node, number]) =>
      nodeOf(node, `172.31.1.${number}`, `fd00:172::1:${number}`),
    ),
    interfaces: interfacesOf(name),
    ...changes,
  }
}

/** As one writes it for `ip route`. */
export function routeText({ kind, destination, device, via, source }: Route): string {
  return [
    kind === 'unicast' ? '' : kind,
    formatPrefix(destination),
    via === undefined ? '' : `via ${formatAddress(via)}`,
    device === undefined ? '' : `dev ${device}`,
    source === undefined ? '' : `src ${formatAddress(source)}`,
  ]
    .filter(part => part !== '')
    .join(' ')
}

/** The routes of a place: a device of the overlay, or table 150. */
export function routesAt(plan: NodePlan, where: string): string[] {
  return plan.routes
    .filter(({ place }) => (place.kind === 'table' ? String(place.table) : place.device) === where)
    .flatMap(({ routes }) => routes.map(routeText))
}
