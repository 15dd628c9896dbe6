// Turns a plan into the devices, addresses and routes of its spaces, as one shell script of
// `ip -batch` blocks: a lab of twenty clusters is built by about a hundred short processes.
//
// The TUN devices are made by the data paths; `cableRoutes` comes after those are ready.

import {
  type ClusterPlan,
  type LabPlan,
  type NodePlan,
  nodesOf,
  type PodPlan,
  podsOf,
  wireSpace,
} from './topology.ts'

/** Everything but the cables: wire, links between nodes, links of pods, routes, forwarding. */
export function linkScript(plan: LabPlan): string {
  const wire = [
    'link add wire type bridge mcast_snooping 0',
    'link set wire up',
    ...plan.clusterPlans.flatMap(cluster => [
      `link add ${cluster.name} type veth peer name wire0 netns ${cluster.gateway.space}`,
      `link set ${cluster.name} master wire up`,
    ]),
  ]
  return [batch(wireSpace, wire), ...plan.clusterPlans.map(clusterScript)].join('')
}

/** Brings a gateway's TUN device up and routes the pods of all other clusters to it. */
export function cableRoutes(plan: LabPlan, cluster: ClusterPlan): string {
  const { interfaceName: device, cableMtuBytes } = plan
  const { podRouter, podRouter6 } = cluster.gateway
  const others = plan.clusterPlans.filter(other => other !== cluster)
  return batch(cluster.gateway.space, [
    `link set ${device} mtu ${cableMtuBytes} up`,
    // The source is an address of the pod network: the far side drops any other.
    ...others.flatMap(other => [
      `route replace ${other.podCidr} dev ${device} src ${podRouter}`,
      `route replace ${other.podCidr6} dev ${device} src ${podRouter6}`,
    ]),
  ])
}

function clusterScript(cluster: ClusterPlan): string {
  const { gateway, worker, podA, podB } = cluster
  const nodes = nodesOf(cluster).map(node => forwarding(node.space))
  return [
    ...nodes,
    batch(gateway.space, [
      `link add worker0 type veth peer name gateway0 netns ${worker.space}`,
      ...device('worker0', `${gateway.address}/24`, `${gateway.address6}/64`),
      ...device('wire0', `${cluster.wireAddress}/24`, `${cluster.wireAddress6}/64`),
      ...podLink(gateway, podA),
      `route add ${network(podB)} via ${worker.address}`,
      `route add ${network6(podB)} via ${worker.address6}`,
    ]),
    batch(worker.space, [
      ...device('gateway0', `${worker.address}/24`, `${worker.address6}/64`),
      ...podLink(worker, podB),
      `route add default via ${gateway.address}`,
      `route add default via ${gateway.address6}`,
    ]),
    ...podsOf(cluster).map(pod => podScript(pod, pod === podA ? gateway : worker)),
  ].join('')
}

function podLink(node: NodePlan, pod: PodPlan): string[] {
  return [
    `link add pod0 type veth peer name eth0 netns ${pod.space}`,
    ...device('pod0', `${node.podRouter}/24`, `${node.podRouter6}/64`),
  ]
}

function podScript(pod: PodPlan, node: NodePlan): string {
  return batch(pod.space, [
    ...device('eth0', `${pod.address}/24`, `${pod.address6}/64`),
    `route add default via ${node.podRouter}`,
    `route add default via ${node.podRouter6}`,
  ])
}

function device(name: string, address: string, address6: string): string[] {
  return [
    `link set ${name} up`,
    `address add ${address} dev ${name}`,
    `address add ${address6} dev ${name} nodad`,
  ]
}

function network(pod: PodPlan): string {
  return pod.address.replace(/\d+$/, '0/24')
}

function network6(pod: PodPlan): string {
  return pod.address6.replace(/10$/, '/64')
}

function batch(space: string, lines: readonly string[]): string {
  return `ip -n ${space} -batch - <<'END'\n${lines.join('\n')}\nEND\n`
}

// /proc/sys/net shows the network namespace of whoever reads it.
function forwarding(space: string): string {
  const values = 'echo 1 >ipv4/conf/all/forwarding; echo 1 >ipv6/conf/all/forwarding'
  return `nsenter --net=/run/netns/${space} sh -ec 'cd /proc/sys/net; ${values}'\n`
}
