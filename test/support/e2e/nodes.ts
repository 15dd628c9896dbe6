// Clusters of several nodes, in spaces of a sandbox that ends with its test:
//
//   c1:  gw1 ─┐             ┌─ gw2  :c2        nodes   172.31.C.N, fd00:172::C:N, on one segment
//        w1  ─┼── segment ──┤                  pods    10.C.N.10, fd00:C:0:N::10, one a node, behind cni0
//        w2  ─┘             └─ w3                      services 10.10C.0.0/16
//
// C is the cluster, N the node (gateway 1, workers 2 and 3). Each node stands for one of Kubernetes: a
// network plugin that routes natively and masquerades what leaves the pods' network, kube-proxy for one
// service of c2, and strict reverse path filters. The pods' packets may leave by the default route as
// far as anybody can see, so what arrives elsewhere has come by a cable.

import type { TestContext } from 'node:test'
import { parsePrefix, parseRemote } from '../../../src/net/address.ts'
import type { WireguardCable } from '../../../src/tables/tables.ts'
import { makeSpaces, type Spaces } from '../namespaces.ts'
import { type KeyPair, newKeyPair } from '../sim/pair.ts'
import { Gateway } from './gateway.ts'

export interface ClusterNode {
  readonly space: string
  readonly cluster: Cluster
  readonly number: number
  readonly address: string
  readonly address6: string
  /** The space of its pod. */
  readonly pod: string
  readonly podAddress: string
  readonly podAddress6: string
  /** Its own address among the pods, on cni0. */
  readonly cniAddress: string
  readonly cniAddress6: string
}

export interface Cluster {
  readonly id: string
  readonly number: number
  readonly nodes: readonly ClusterNode[]
  readonly podCidrs: readonly [string, string]
  readonly serviceCidr: string
  readonly keys: KeyPair
}

const bridge = 'segment'
/** The device of the cables, as stock calls it. */
export const cableDevice = 'submariner'
export const cablePort = 4500

function cluster(number: number, spaces: readonly string[]): Cluster {
  const nodes: ClusterNode[] = []
  const made: Cluster = {
    id: `c${number}`,
    number,
    nodes,
    podCidrs: [`10.${number}.0.0/16`, `fd00:${number}::/48`],
    serviceCidr: `10.10${number}.0.0/16`,
    keys: newKeyPair(),
  }
  for (const [index, space] of spaces.entries()) {
    const n = index + 1
    nodes.push({
      space,
      cluster: made,
      number: n,
      address: `172.31.${number}.${n}`,
      address6: `fd00:172::${number}:${n}`,
      pod: `${space}-pod`,
      podAddress: `10.${number}.${n}.10`,
      podAddress6: `fd00:${number}:0:${n}::10`,
      cniAddress: `10.${number}.${n}.1`,
      cniAddress6: `fd00:${number}:0:${n}::1`,
    })
  }
  return made
}

export const c1 = cluster(1, ['gw1', 'w1', 'w2'])
export const c2 = cluster(2, ['gw2', 'w3'])
export const [gw1, w1, w2] = c1.nodes
export const [gw2, w3] = c2.nodes

/** A service of c2 whose only pod is that of w3. */
export const service = { address: '10.102.0.10', port: 80, podPort: 7001 }

export async function makeNodes(context: TestContext): Promise<Spaces> {
  const nodes = [...c1.nodes, ...c2.nodes]
  const names = [bridge, ...nodes.flatMap(({ space, pod }) => [space, pod])]
  const spaces = await makeSpaces(context, names)
  await spaces.configure(bridge, [
    'link add bridge type bridge mcast_snooping 0',
    'link set bridge up',
    ...nodes.flatMap(({ space }) => [
      `link add ${space} type veth peer name eth0 netns ${space}`,
      `link set ${space} master bridge up`,
    ]),
  ])
  for (const node of nodes) await makeNode(spaces, node)
  return spaces
}

async function makeNode(spaces: Spaces, node: ClusterNode): Promise<void> {
  const { space, pod, cluster: own } = node
  const others = own.nodes.filter(other => other !== node)
  await spaces.configure(space, [
    'link set eth0 up',
    `address add ${node.address}/16 dev eth0`,
    `address add ${node.address6}/64 dev eth0 nodad`,
    'route add default via 172.31.255.254',
    'route add default via fd00:172::ffff:ffff',
    `link add cni0 type veth peer name eth0 netns ${pod}`,
    'link set cni0 up',
    `address add ${node.cniAddress}/24 dev cni0`,
    `address add ${node.cniAddress6}/64 dev cni0 nodad`,
    ...others.flatMap(other => [
      `route add 10.${own.number}.${other.number}.0/24 via ${other.address}`,
      `route add fd00:${own.number}:0:${other.number}::/64 via ${other.address6}`,
    ]),
  ])
  await spaces.configure(pod, [
    'link set eth0 up',
    `address add ${node.podAddress}/24 dev eth0`,
    `address add ${node.podAddress6}/64 dev eth0 nodad`,
    `route add default via ${node.cniAddress}`,
    `route add default via ${node.cniAddress6}`,
  ])
  const settings = [
    'cd /proc/sys/net',
    'echo 1 >ipv4/conf/eth0/forwarding; echo 1 >ipv4/conf/cni0/forwarding',
    'echo 1 >ipv6/conf/all/forwarding',
    'echo 1 >ipv4/conf/all/rp_filter',
  ]
  await spaces.mustRun(space, ['sh', '-ec', settings.join('\n')])
  await spaces.mustRun(space, ['nft', '-f', '-'], { input: pluginRules(own) })
}

/** What flannel and kindnet do, and kube-proxy for traffic from outside. */
function pluginRules({ number, podCidrs }: Cluster): string {
  const proxy =
    number === 2
      ? `
      chain services {
        type nat hook prerouting priority dstnat;
        ip saddr != ${podCidrs[0]} ip daddr ${service.address} tcp dport ${service.port} meta mark set 0x4000
        ip daddr ${service.address} tcp dport ${service.port} dnat to ${w3.podAddress}:${service.podPort}
      }`
      : ''
  return `
    table ip plugin {
      chain post {
        type nat hook postrouting priority srcnat;
        meta mark 0x4000 masquerade
        ip saddr ${podCidrs[0]} ip daddr != ${podCidrs[0]} masquerade
      }${proxy}
    }
    table ip6 plugin {
      chain post {
        type nat hook postrouting priority srcnat;
        ip6 saddr ${podCidrs[1]} ip6 daddr != ${podCidrs[1]} masquerade
      }
    }
  `
}

/** Starts a gateway of the cluster on a node, joined to another one's. */
export async function startCable(
  spaces: Spaces,
  node: ClusterNode,
  remote: ClusterNode,
): Promise<Gateway> {
  const gateway = await Gateway.start(spaces, node.space, cableDevice, '--mtu', '1420')
  await joinTo(gateway, node, remote)
  await spaces.configure(node.space, [`link set ${cableDevice} up`])
  return gateway
}

export async function joinTo(
  gateway: Gateway,
  node: ClusterNode,
  remote: ClusterNode,
): Promise<void> {
  const { privateKey } = node.cluster.keys
  const cable: WireguardCable = {
    name: remote.cluster.id,
    driver: 'wireguard',
    publicKey: remote.cluster.keys.publicKey,
    remote: parseRemote(`${remote.address}:${cablePort}`),
    remoteSerial: remote.number,
    allowedIps: subnetsOf(remote.cluster).map(parsePrefix),
    keepaliveSeconds: 0,
  }
  await gateway.apply({ privateKey, listenPort: cablePort, fwmark: 0 }, [cable])
}

/** As an Endpoint lists them. */
export function subnetsOf({ serviceCidr, podCidrs }: Cluster): string[] {
  return [serviceCidr, ...podCidrs]
}
