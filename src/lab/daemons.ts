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
const apiDirectory = '/run/hawser/api'
const brokerDirectory = '/run/hawser/broker'

/** What they write for those who may. */
export const apiKubeconfigs = {
  admin: `${apiDirectory}/admin.kubeconfig`,
  component: `${apiDirectory}/component.kubeconfig`,
} as const
export const brokerKubeconfig = `${brokerDirectory}/admin.kubeconfig`

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
      ...[hawser, 'broker', 'serve', '--data', brokerDirectory],
      ...['--listen', `${brokerAddress}:${brokerPort}`, '--write-info', joinFile, ...readyFd],
    ],
    tellsReadiness: true,
  })
}

export function startApi(sandbox: Sandbox, cluster: ClusterPlan): Promise<void> {
  const { space, address } = cluster.gateway
  return startDaemon(sandbox, {
    space,
    name: 'api',
    command: [
      ...[hawser, 'api', 'serve', '--data', apiDirectory, '--memory', '--sandboxed'],
      ...['--listen', `${address}:${apiPort}`, ...readyFd],
      ...['--service-cidr', cluster.serviceCidr, '--service-cidr', cluster.serviceCidr6],
    ],
    tellsReadiness: true,
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
      tellsReadiness: true,
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
    tellsReadiness: true,
  })
}

export function startGateway(sandbox: Sandbox, plan: LabPlan, cluster: ClusterPlan): Promise<void> {
  const { cipher } = plan
  return startDaemon(sandbox, {
    ...onNode(cluster, cluster.gateway, 'gateway', {
      HAWSER_STATE_DIR: '/run/hawser/state',
      // None named is all of them, of which a cable takes the fastest.
      HAWSER_CIPHERS: cipher === undefined || cipher === 'auto' ? '' : cipher.join(),
    }),
  })
}

export function startRouteAgent(
  sandbox: Sandbox,
  cluster: ClusterPlan,
  node: NodePlan,
): Promise<void> {
  return startDaemon(sandbox, onNode(cluster, node, 'route-agent', {}))
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
    tellsReadiness: true,
  })
}

/** As a DaemonSet's pod: its account is where the kubelet mounts it, the rest is in the environment. */
function onNode(
  { gateway }: ClusterPlan,
  { space, hostname }: NodePlan,
  name: string,
  environment: Readonly<Record<string, string>>,
): Daemon {
  return {
    space,
    name,
    command: [hawser, name],
    environment: {
      KUBERNETES_SERVICE_HOST: gateway.address,
      KUBERNETES_SERVICE_PORT: String(apiPort),
      NODE_NAME: hostname,
      HAWSER_HOSTNAME: hostname,
      ...environment,
    },
    tellsReadiness: false,
  }
}
