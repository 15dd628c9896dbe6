// The lab's front door: up, down and the way into it. A lab is a sandbox (see sandbox.ts) with a
// file that names it (state.ts), built from a plan (topology.ts).
//
// Order of `raiseLab`: sandbox, state, spaces, links, then what a machine room with clusters would have
// (a broker, an API per cluster, nodes and pods in it), then Hawser (a data path, the join, a gateway, a
// route agent on each node). Nobody is told about another cluster: gateways find each other through the
// broker. Until `keep` is called on the result the lab ends with this process, whatever ends it.

import type { DatapathStatus } from '../tables/status.ts'
import { DatapathClient } from '../wire/client.ts'
import { shareAccess } from './access.ts'
import {
  apiKubeconfigs,
  brokerKubeconfig,
  datapathSocket,
  startApi,
  startBroker,
  startDatapath,
  startGateway,
  startNodeAgent,
  startPageServer,
  startRouteAgent,
} from './daemons.ts'
import { joinCluster } from './join.ts'
import { linkScript } from './links.ts'
import {
  addSpaces,
  endSandbox,
  isAlive,
  mustRunIn,
  type OpenSandbox,
  outsidePath,
  type Sandbox,
  startSandbox,
} from './sandbox.ts'
import { alreadyUp, claimLab, findLab, forgetLab, mustFindLab } from './state.ts'
import {
  type ClusterPlan,
  type LabOptions,
  type LabPlan,
  nodesOf,
  planLab,
  podsOf,
  spacesOf,
} from './topology.ts'

export interface Lab {
  readonly plan: LabPlan
  readonly sandbox: Sandbox
}

export interface RaisedLab extends Lab {
  readonly sandbox: OpenSandbox
}

export interface RaiseOptions {
  /** Told what is being done, before it is done. */
  readonly note: (text: string) => void
  /** Aborting ends the lab at once, before or after it is up. */
  readonly signal: AbortSignal
}

/** Daemons that start at the same time: more would only wait for each other. */
const startsAtOnce = 4

/** Builds a lab. Throws GatewayError, and then nothing of it is left. */
export async function raiseLab(options: LabOptions, raise: RaiseOptions): Promise<RaisedLab> {
  const plan = planLab(options)
  if (findLab(plan.name) !== undefined) throw alreadyUp(plan.name)
  const sandbox = await startSandbox(`hawser-lab-${plan.name}`)
  // Whatever is running inside dies with the sandbox, so that the build ends by its own errors.
  raise.signal.addEventListener('abort', () => void endSandbox(sandbox))
  let claimed = false
  try {
    claimLab(options, sandbox)
    claimed = true
    await build({ plan, sandbox }, raise.note)
    raise.signal.throwIfAborted()
    return { plan, sandbox }
  } catch (error) {
    await endSandbox(sandbox)
    if (claimed) forgetLab(plan.name)
    throw error
  }
}

/** Opens a lab that is up. Throws GatewayError with exit code 3 when it is not. */
export function openLab(name: string): Lab {
  const state = mustFindLab(name)
  return { plan: planLab(state), sandbox: state }
}

/** Ends a lab with everything in it. False when there was none. */
export async function dropLab(name: string): Promise<boolean> {
  const state = findLab(name)
  if (state === undefined) return false
  await endSandbox(state)
  forgetLab(name)
  return true
}

/** What a gateway's data path says of itself. Throws GatewayError when it does not answer. */
export async function gatewayStatus(lab: Lab, cluster: ClusterPlan): Promise<DatapathStatus> {
  const client = await attach(lab, cluster)
  try {
    return await client.status()
  } finally {
    client.close()
  }
}

/** Calls `work` for each item, a few at a time; results in the order of the items. */
export async function forEachOf<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const lane = async () => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index])
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  return results
}

async function build(lab: Lab, note: (text: string) => void): Promise<void> {
  const { plan, sandbox } = lab
  const { clusterPlans } = plan
  const spaces = spacesOf(plan)
  const as = sandbox.rootless ? ' as a plain user' : ''
  note(`making ${spaces.length} network namespaces${as}`)
  await addSpaces(sandbox, spaces)
  await mustRunIn(sandbox, undefined, ['sh', '-es'], { input: linkScript(plan) })
  note(`starting a broker and ${clusterPlans.length} API servers`)
  await atOnce([() => startBroker(sandbox), ...each(clusterPlans, c => startApi(sandbox, c))])
  shareAccess(sandbox, plan, apiKubeconfigs, brokerKubeconfig)
  note('registering nodes and pods')
  await atOnce([
    ...each(clusterPlans, cluster => startNodeAgent(sandbox, cluster)),
    ...each(clusterPlans, cluster => startDatapath(sandbox, plan, cluster)),
  ])
  note(`joining ${clusterPlans.length} clusters with the broker's file`)
  await atOnce(each(clusterPlans, cluster => joinCluster(lab, cluster)))
  note(`starting ${clusterPlans.length} gateways and a route agent on each node`)
  const nodes = clusterPlans.flatMap(cluster => nodesOf(cluster).map(node => ({ cluster, node })))
  await atOnce([
    ...each(clusterPlans, cluster => startGateway(sandbox, plan, cluster)),
    ...each(nodes, ({ cluster, node }) => startRouteAgent(sandbox, cluster, node)),
  ])
  note('starting a page server in each pod')
  const pods = clusterPlans.flatMap(cluster => podsOf(cluster).map(pod => ({ cluster, pod })))
  await atOnce(each(pods, ({ cluster, pod }) => startPageServer(sandbox, cluster, pod)))
}

/** Does the work, a few at a time. */
async function atOnce(work: readonly (() => Promise<void>)[]): Promise<void> {
  await forEachOf(work, startsAtOnce, start => start())
}

function each<T>(items: readonly T[], work: (item: T) => Promise<void>): (() => Promise<void>)[] {
  return items.map(item => () => work(item))
}

function attach(lab: Lab, cluster: ClusterPlan): Promise<DatapathClient> {
  const { plan, sandbox } = lab
  if (!isAlive(sandbox)) mustFindLab(plan.name)
  return DatapathClient.connect(outsidePath(sandbox, cluster.gateway.space, datapathSocket(plan)))
}
