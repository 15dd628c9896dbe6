// The lab's front door: up, down and the way into it. A lab is a sandbox (see sandbox.ts) with a
// file that names it (state.ts), built from a plan (topology.ts).
//
// Order of `raiseLab`: sandbox, state, spaces, links, daemons, routes, tables. Until `keep` is
// called on the result the lab ends with this process, whatever ends it.

import { setTimeout as delay } from 'node:timers/promises'
import type { DatapathStatus } from '../tables/status.ts'
import type { Tables } from '../tables/tables.ts'
import { DatapathClient } from '../wire/client.ts'
import { labTables } from './cables.ts'
import { datapathSocket, startGateway, startPageServer } from './daemon.ts'
import { cableRoutes, linkScript } from './links.ts'
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

/** Waits until every WireGuard cable has had a handshake; names those that had none in time. */
export async function waitForCables(lab: Lab, timeoutMs: number): Promise<readonly string[]> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const silent: string[] = []
    for (const cluster of lab.plan.clusterPlans) {
      const { cables } = await gatewayStatus(lab, cluster)
      for (const cable of cables)
        if (cable.driver === 'wireguard' && cable.lastHandshakeMs === 0)
          silent.push(`${cluster.name} to ${cable.name}`)
    }
    if (silent.length === 0 || performance.now() > deadline) return silent
    await delay(50)
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
  const spaces = spacesOf(plan)
  const as = sandbox.rootless ? ' as a plain user' : ''
  note(`making ${spaces.length} network namespaces${as}`)
  await addSpaces(sandbox, spaces)
  await mustRunIn(sandbox, undefined, ['sh', '-es'], { input: linkScript(plan) })
  note(`starting ${plan.clusterPlans.length} gateways`)
  await forEachOf(plan.clusterPlans, startsAtOnce, cluster => startGateway(sandbox, plan, cluster))
  const routes = plan.clusterPlans.map(cluster => cableRoutes(plan, cluster)).join('')
  await mustRunIn(sandbox, undefined, ['sh', '-es'], { input: routes })
  await postTables(lab)
  note('starting a page server in each pod')
  const pods = plan.clusterPlans.flatMap(cluster => podsOf(cluster).map(pod => ({ cluster, pod })))
  await forEachOf(pods, startsAtOnce, ({ cluster, pod }) => startPageServer(sandbox, cluster, pod))
}

// One after the other: the gateway that gets its tables last finds all others listening, so each
// pair has one side whose first handshake message is not lost.
async function postTables(lab: Lab): Promise<void> {
  const tables = labTables(lab.plan)
  for (const [i, cluster] of lab.plan.clusterPlans.entries()) await postTo(lab, cluster, tables[i])
}

async function postTo(lab: Lab, cluster: ClusterPlan, tables: Tables): Promise<void> {
  const client = await attach(lab, cluster)
  try {
    await client.apply(tables)
  } finally {
    client.close()
  }
}

function attach(lab: Lab, cluster: ClusterPlan): Promise<DatapathClient> {
  const { plan, sandbox } = lab
  if (!isAlive(sandbox)) mustFindLab(plan.name)
  return DatapathClient.connect(outsidePath(sandbox, cluster.gateway.space, datapathSocket(plan)))
}
