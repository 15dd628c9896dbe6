// What a lab looks like: a pure plan from three options, the same whenever it is asked for, so that
// a lab that runs can be described by its name, driver and number of clusters.
//
//   pod-a ── gateway ── worker ── pod-b        cluster i of 1..20: east, west, north, south, c5 …
//              │ wire0
//        ══════╧══════ wire ══════ broker      192.0.2.i, 2001:db8::i; broker .254 and ::254
//
//   pods      10.(10 i).0.0/16 and fd00:10:i::/48 with one subnet a node: 1 of the gateway with pod-a,
//             2 of the worker with pod-b; pods are .10 and ::10 in it, nodes .1 and ::1
//   services  10.(10 i + 1).0.0/16 and fd00:11:i::/112
//   nodes     172.31.i.1 (gateway, where the API is) and .2 (worker), fd00:172:i::101 and ::102: route
//             agents make addresses of the last 32 bits, which must not be those of a wire address
//   cables    each gateway to each other one, UDP port 4500, from wire address to wire address
// i is written in decimal digits in IPv6 groups too, so that people find it again.

import { GatewayError } from '../net/errors.ts'
import type { CipherChoice } from '../tables/cipher.ts'

export type Driver = 'wireguard' | 'vxlan'

export interface LabOptions {
  readonly name: string
  readonly driver: Driver
  readonly clusters: number
  /** Ciphers that gateways enable, by preference; absent: as without a word, all of them. */
  readonly cipher?: CipherChoice
}

export interface PodPlan {
  readonly name: 'pod-a' | 'pod-b'
  readonly node: 'gateway' | 'worker'
  /** Name of its space: network namespace, mount namespace and /run. */
  readonly space: string
  readonly address: string
  readonly address6: string
}

export interface NodePlan {
  readonly name: 'gateway' | 'worker'
  /** Of its Node, and what its daemons are told that they run on. */
  readonly hostname: string
  readonly space: string
  /** Address towards the other node of the cluster. */
  readonly address: string
  readonly address6: string
  /** Its end of its pods' links. */
  readonly podRouter: string
  readonly podRouter6: string
  /** Its part of the cluster's pod CIDRs. */
  readonly podCidr: string
  readonly podCidr6: string
}

export interface ClusterPlan {
  readonly name: string
  /** 1 for the first. */
  readonly index: number
  readonly podCidr: string
  readonly podCidr6: string
  readonly serviceCidr: string
  readonly serviceCidr6: string
  readonly wireAddress: string
  readonly wireAddress6: string
  readonly gateway: NodePlan
  readonly worker: NodePlan
  readonly podA: PodPlan
  readonly podB: PodPlan
}

export interface LabPlan extends LabOptions {
  readonly interfaceName: string
  readonly cablePort: number
  readonly cableMtuBytes: number
  readonly clusterPlans: readonly ClusterPlan[]
}

export const clustersMost = 20

/** The space between the gateways: a bridge and nothing else. */
export const wireSpace = 'wire'

/** Where the broker runs, on the wire with every gateway. */
export const brokerSpace = 'broker'

export const brokerAddress = '192.0.2.254'
export const brokerAddress6 = '2001:db8::254'

export function planLab(options: LabOptions): LabPlan {
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(options.name))
    throw new GatewayError('BAD_NAME', `${JSON.stringify(options.name)} is no name for a lab`, {
      hint: 'use 1 to 32 of a-z, 0-9 and - (not first or last)',
      exit: 2,
    })
  const { clusters } = options
  if (!Number.isInteger(clusters) || clusters < 2 || clusters > clustersMost)
    throw new GatewayError('BAD_FLAG', `a lab has 2 to ${clustersMost} clusters`, { exit: 2 })
  if (options.cipher !== undefined && options.driver !== 'wireguard')
    throw new GatewayError('BAD_FLAG', `a cable of the driver ${options.driver} has no cipher`, {
      hint: '--cable wireguard',
      exit: 2,
    })
  return {
    ...options,
    interfaceName: 'hawser0',
    cablePort: 4500,
    // Wire 1500, less the headers in front of an inner packet with an IPv6 outer header: 40 + 8 +
    // 32 for WireGuard (the usual 1420), IPv4 20 + 8 + 8 + 14 for VXLAN as the stock driver has it.
    cableMtuBytes: options.driver === 'wireguard' ? 1420 : 1450,
    clusterPlans: Array.from({ length: clusters }, (_, i) => planCluster(i + 1)),
  }
}

export function nodesOf(cluster: ClusterPlan): readonly NodePlan[] {
  return [cluster.gateway, cluster.worker]
}

export function podsOf(cluster: ClusterPlan): readonly PodPlan[] {
  return [cluster.podA, cluster.podB]
}

/** All addresses of a node, the ones that other nodes use first. */
export function addressesOf(cluster: ClusterPlan, node: NodePlan): readonly string[] {
  const wire = node.name === 'gateway' ? [cluster.wireAddress, cluster.wireAddress6] : []
  return [...wire, node.address, node.address6, node.podRouter, node.podRouter6]
}

export function spacesOf(plan: LabPlan): readonly string[] {
  const spaces = plan.clusterPlans.map(c => [...nodesOf(c), ...podsOf(c)].map(part => part.space))
  return [wireSpace, brokerSpace, ...spaces.flat()]
}

/** Finds the space of `east/gateway`, `east/pod-a`, `broker` or `wire`. Throws GatewayError. */
export function findSpace(plan: LabPlan, where: string): string {
  if (where === wireSpace || where === brokerSpace) return where
  const [clusterName, part, ...rest] = where.split('/')
  const cluster = plan.clusterPlans.find(({ name }) => name === clusterName)
  const parts = cluster === undefined ? [] : [...nodesOf(cluster), ...podsOf(cluster)]
  const found = rest.length === 0 ? parts.find(({ name }) => name === part) : undefined
  if (found !== undefined) return found.space
  const clusters = plan.clusterPlans.map(({ name }) => name).join(', ')
  throw new GatewayError('ENOENT', `lab ${plan.name} has no ${JSON.stringify(where)}`, {
    hint: `broker, or CLUSTER/gateway, /worker, /pod-a or /pod-b with CLUSTER one of ${clusters}`,
    exit: 2,
  })
}

export function planCluster(index: number): ClusterPlan {
  const name = ['east', 'west', 'north', 'south'][index - 1] ?? `c${index}`
  return {
    name,
    index,
    podCidr: `10.${index * 10}.0.0/16`,
    podCidr6: `fd00:10:${index}::/48`,
    serviceCidr: `10.${index * 10 + 1}.0.0/16`,
    serviceCidr6: `fd00:11:${index}::/112`,
    wireAddress: `192.0.2.${index}`,
    wireAddress6: `2001:db8::${index}`,
    gateway: planNode(name, index, 'gateway', 1),
    worker: planNode(name, index, 'worker', 2),
    podA: planPod(name, index, 'pod-a', 'gateway', 1),
    podB: planPod(name, index, 'pod-b', 'worker', 2),
  }
}

function planNode(
  cluster: string,
  index: number,
  name: NodePlan['name'],
  subnet: number,
): NodePlan {
  return {
    name,
    hostname: `${cluster}-${name}`,
    space: `${cluster}-${name}`,
    address: `172.31.${index}.${subnet}`,
    address6: `fd00:172:${index}::10${subnet}`,
    podRouter: `10.${index * 10}.${subnet}.1`,
    podRouter6: `fd00:10:${index}:${subnet}::1`,
    podCidr: `10.${index * 10}.${subnet}.0/24`,
    podCidr6: `fd00:10:${index}:${subnet}::/64`,
  }
}

function planPod(
  cluster: string,
  index: number,
  name: PodPlan['name'],
  node: PodPlan['node'],
  subnet: number,
): PodPlan {
  return {
    name,
    node,
    space: `${cluster}-${name}`,
    address: `10.${index * 10}.${subnet}.10`,
    address6: `fd00:10:${index}:${subnet}::10`,
  }
}
