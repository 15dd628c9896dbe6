// The programs that a lab runs, as command lines: the same ones that people run, with the options that a
// lab has to give. What each of them does it finds out by itself: from its cluster's API, and that from
// the join file.
//
//   broker space   hawser broker serve
//   gateway space  the cluster's API, hawser datapath, hawser gateway, hawser route-agent, and the
//                  stand-in for kubelets and kube-proxies (node-agent.ts)
//   worker space   hawser route-agent
//   pod spaces     a page server

import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { accessFiles } from './access.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { inSandbox, type Sandbox } from './sandbox.ts'
import {
  brokerAddress,
  brokerSpace,
  type ClusterPlan,
  type LabPlan,
  type NodePlan,
  type PodPlan,
} from './topology.ts'

export const hawser = fileURLToPath(new URL('../../bin/hawser', import.meta.url))

/** What a cluster joins with: written by the broker, copied to each gateway. */
export const joinFile = '/run/hawser/broker-info.subm'
export const brokerDaemonName = 'broker'
export const brokerPort = 6443
const apiPort = 6443

const readyFd = ['--ready-fd', '3'] as const

/** Where a data path serves in its gateway's own /run: where `hawser status` looks by itself. */
export function datapathSocket(plan: LabPlan): string {
  return `/run/hawser/${plan.interfaceName}.sock`
}

export function startBroker(sandbox: Sandbox): Promise<void> {
  return startDaemon(sandbox, {
    space: brokerSpace,
    name: brokerDaemonName,
    command: [
      ...[hawser, 'broker', 'serve', '--data', '/run/hawser/broker'],
      ...['--listen', `${brokerAddress}:${brokerPort}`, '--join-file', joinFile, ...readyFd],
    ],
  })
}

export function startApi(sandbox: Sandbox, cluster: ClusterPlan): Promise<void> {
  const { space, address } = cluster.gateway
  return startDaemon(sandbox, {
    space,
    name: 'api',
    command: [
      ...[hawser, 'lab', 'api', '--data', '/run/hawser/api'],
      ...['--listen', `${address}:${apiPort}`, '--kubeconfig', accessFiles.kubeconfig],
      ...['--service-cidr', `${cluster.serviceCidr},${cluster.serviceCidr6}`, ...readyFd],
    ],
  })
}

export async function startNodeAgent(sandbox: Sandbox, cluster: ClusterPlan): Promise<void> {
  const program = fileURLToPath(new URL('./node-agent.ts', import.meta.url))
  const inherited = openSync(inSandbox(sandbox, `/run/netns/${cluster.worker.space}`), 'r')
  try {
    await startDaemon(sandbox, {
      space: cluster.gateway.space,
      name: 'node-agent',
      command: [process.execPath, program, String(cluster.index)],
      inherited,
    })
  } finally {
    closeSync(inherited)
  }
}

export function startDatapath(
  sandbox: Sandbox,
  plan: LabPlan,
  cluster: ClusterPlan,
): Promise<void> {
  const mtu = ['--mtu', String(plan.cableMtuBytes)]
  return startDaemon(sandbox, {
    space: cluster.gateway.space,
    name: 'datapath',
    command: [
      ...[hawser, 'datapath', '--interface', plan.interfaceName, ...mtu],
      ...['--socket', datapathSocket(plan), ...readyFd],
    ],
  })
}

export function startGateway(sandbox: Sandbox, plan: LabPlan, cluster: ClusterPlan) {
  return startDaemon(sandbox, {
    ...onNode(cluster.gateway, 'gateway'),
    environment: {
      ...nodeEnvironment(cluster.gateway),
      HAWSER_STATE_DIR: '/run/hawser/state',
      HAWSER_CIPHERS: plan.cipher === undefined || plan.cipher === 'auto' ? '' : plan.cipher.join(),
    },
  })
}

export function startRouteAgent(sandbox: Sandbox, node: NodePlan): Promise<void> {
  return startDaemon(sandbox, {
    ...onNode(node, 'route-agent'),
    environment: nodeEnvironment(node),
  })
}

export function startPageServer(
  sandbox: Sandbox,
  cluster: ClusterPlan,
  pod: PodPlan,
): Promise<void> {
  const program = fileURLToPath(new URL('./page-server.ts', import.meta.url))
  return startDaemon(sandbox, {
    space: pod.space,
    name: 'page-server',
    command: [process.execPath, program, `${cluster.name}/${pod.name}`],
  })
}

function onNode({ space }: NodePlan, name: string): Daemon {
  return { space, name, command: [hawser, name, ...readyFd] }
}

/** What a DaemonSet would tell its pods. */
function nodeEnvironment({ hostname }: NodePlan): Record<string, string> {
  return { NODE_NAME: hostname, HAWSER_HOSTNAME: hostname, KUBECONFIG: accessFiles.kubeconfig }
}
