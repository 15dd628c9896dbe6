// Turns a plan into the devices, addresses and routes of its spaces, as one shell script of
// `ip -batch` blocks: a lab of twenty clusters is built by about a hundred short processes.
//
// That is what a network plugin and a machine room would have made: pods reach the nodes and pods of
// their own cluster, gateways reach each other on the wire. Routes between clusters are the business
// of Hawser's route agents and are none of the plan's.

import {
  brokerAddress,
  brokerAddress6,
  brokerSpace,
  type ClusterPlan,
  type LabPlan,
  type NodePlan,
  nodesOf,
  type PodPlan,
  podsOf,
  wireSpace,
} from './topology.ts'

/** Wire, broker, links between nodes, links of pods, routes within a cluster, forwarding. */
export function linkScript(plan: LabPlan): string {
  const wire = [
    'link add wire type bridge mcast_snooping 0',
    'link set wire up',
    `link add broker type veth peer name wire0 netns ${brokerSpace}`,
    'link set broker master wire up',
    ...plan.clusterPlans.flatMap(cluster => [
      `link add ${cluster.name} type veth peer name wire0 netns ${cluster.gateway.space}`,
      `link set ${cluster.name} master wire up`,
    ]),
  ]
  const broker = device('wire0', `${brokerAddress}/24`, `${brokerAddress6}/64`)
  return [
    batch(wireSpace, wire),
    batch(brokerSpace, broker),
    ...plan.clusterPlans.map(clusterScript),
  ].join('')
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
      `route add ${worker.podCidr} via ${worker.address}`,
      `route add ${worker.podCidr6} via ${worker.address6}`,
      // A gateway takes its private address to be the one that it would reach the Internet from.
      `route add default via ${brokerAddress}`,
      `route add default via ${brokerAddress6}`,
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

function batch(space: string, lines: readonly string[]): string {
  return `ip -n ${space} -batch - <<'END'\n${lines.join('\n')}\nEND\n`
}

// /proc/sys/net shows the network namespace of whoever reads it.
function forwarding(space: string): string {
  const values = 'echo 1 >ipv4/conf/all/forwarding; echo 1 >ipv6/conf/all/forwarding'
  return `nsenter --net=/run/netns/${space} sh -ec 'cd /proc/sys/net; ${values}'\n`
}
