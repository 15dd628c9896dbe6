// `hawser route-agent`: the route agent of a node as a process, put together from its parts. Three modes,
// as stock's image has them: until a signal; `--uninstall`, which needs no API and leaves the node as it
// was before; `--wait-for-node`, which ends when the Node is ready.
//
// A signal leaves the routes where they are: a new version of the agent costs no packet.

import { setTimeout as delay } from 'node:timers/promises'
import { Host } from '../host/host.ts'
import { monitorHost } from '../host/monitor.ts'
import type { KubeClient } from '../kube/client.ts'
import { kubeCodeOf } from '../kube/errors.ts'
import { objectName } from '../kube/names.ts'
import { endpointType } from '../kube/resources/endpoint.ts'
import { nodeType } from '../kube/resources/node.ts'
import { type RouteAgent, routeAgentType } from '../kube/resources/route-agent.ts'
import { submarinerType } from '../kube/resources/submariner.ts'
import { Signal } from '../kube/signal.ts'
import { Watch } from '../kube/watch.ts'
import { systemClock } from '../net/clock.ts'
import { type ExitCode, exitCode } from '../net/errors.ts'
import { Agent } from '../route-agent/agent.ts'
import { NodeNetwork } from '../route-agent/network.ts'
import {
  type AgentFlags,
  type AgentSettings,
  agentSettings,
  type Environment,
  type Machine,
  namespaceOf,
  nodeNameOf,
} from '../route-agent/settings.ts'
import { exitOnUncaught } from './fatal.ts'
import { localClient } from './gateway-access.ts'
import type { Log } from './log.ts'
import { onFirstSignal } from './signals.ts'
import { waitWith } from './wait-node.ts'

export interface RouteAgentDaemonOptions {
  readonly flags: AgentFlags
  readonly environment: Environment
  readonly machine: Machine
  readonly kubeconfig?: string
  readonly context?: string
  readonly log: Log
}

const settingsRetryMs = 5000

/** Runs until SIGTERM or SIGINT. Throws GatewayError when it cannot start. */
export async function runRouteAgent(options: RouteAgentDaemonOptions): Promise<ExitCode> {
  const { log } = options
  const client = await clientOf(options)
  const ending = new AbortController()
  const forgetSignals = onFirstSignal(name => {
    log.info(`ends: ${name}; the routes stay`)
    ending.abort()
  })
  const letFail = exitOnUncaught(
    async () => undefined,
    message => log.error(message),
  )
  try {
    const settings = await findSettings(options, client, ending.signal)
    if (settings !== undefined) await serve(settings, client, log, ending.signal)
    return exitCode.ok
  } finally {
    client.close()
    letFail()
    forgetSignals()
  }
}

/** Takes away what any route agent has made on this node. */
export async function uninstallRouteAgent(log: Log): Promise<ExitCode> {
  await new NodeNetwork(new Host()).removeAll()
  log.info('nothing of the route agent is left on this node')
  return exitCode.ok
}

/** Resolves when the Node is ready, whatever the API does until then. */
export async function waitForNode(options: RouteAgentDaemonOptions): Promise<ExitCode> {
  const { flags, environment, machine, log } = options
  const nodeName = nodeNameOf(flags, environment, machine)
  return waitWith({ client: await clientOf(options), nodeName, limitMs: undefined, log })
}

async function serve(
  settings: AgentSettings,
  client: KubeClient,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const changed = new Signal()
  const parts = { client, changed, clock: systemClock }
  const { namespace } = settings
  const endpoints = new Watch({ ...parts, type: endpointType, scope: { namespace } })
  const nodes = new Watch({ ...parts, type: nodeType, scope: {} })
  const monitor = monitorHost(() => changed.raise())
  const agent = new Agent({
    settings,
    network: new NodeNetwork(new Host()),
    endpoints,
    nodes,
    changed,
    clock: systemClock,
    log,
    saveStatus: resource => saveStatus(client, resource, signal),
    healthOf: () => undefined,
  })
  log.info(`serves node ${settings.nodeName} of cluster ${settings.clusterId} by ${client.server}`)
  const stop = () => agent.stop()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  await agent.run()
  monitor.stop()
  await Promise.all([endpoints.stop(), nodes.stop()])
}

/** Ends with the agent: nobody waits for an API at the end. */
async function saveStatus(
  client: KubeClient,
  resource: RouteAgent,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace } = resource.meta
  try {
    const renewed = (read: RouteAgent) => ({ ...resource, meta: read.meta })
    await client.change(routeAgentType, { name, namespace }, renewed, { signal })
  } catch (error) {
    if (kubeCodeOf(error) !== 'NOT_FOUND') throw error
    await client.create(routeAgentType, resource, { signal })
  }
}

/** What the environment leaves out is read from the Submariner resource, as soon as that can be read. */
async function findSettings(
  { flags, environment, machine, log }: RouteAgentDaemonOptions,
  client: KubeClient,
  signal: AbortSignal,
): Promise<AgentSettings | undefined> {
  const found = agentSettings(flags, environment, machine)
  if (found !== undefined) return found
  const namespace = namespaceOf(flags, environment)
  let said = ''
  while (!signal.aborted) {
    try {
      const name = objectName.submariner
      const { value } = await client.get(submarinerType, { name, namespace }, { signal })
      return agentSettings(flags, environment, machine, value)
    } catch (error) {
      if (signal.aborted) break
      if (kubeCodeOf(error) === undefined) throw error
      const { message } = error as Error
      if (message !== said) log.error(`cluster id and CIDRs are not known yet: ${message}`)
      said = message
    }
    await delay(settingsRetryMs, undefined, { signal }).catch(() => undefined)
  }
  return undefined
}

function clientOf({
  environment,
  flags,
  kubeconfig,
  context,
  machine,
}: RouteAgentDaemonOptions): Promise<KubeClient> {
  const access = {
    ...{ clock: systemClock, environment },
    userAgent: `hawser-route-agent/${machine.version}`,
  }
  const namespace = namespaceOf(flags, environment)
  const local = { namespace, apiServer: undefined, apiSecret: undefined }
  return localClient(access, local, kubeconfig, context)
}
