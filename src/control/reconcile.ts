// From the world as it is to what should be: pure, and the same for the same world. Whatever others
// wrote ends as a problem, never as an exception, and leaves the other clusters as they are.
//
//   ourselves -> remote clusters that are believed -> cables -> objects to write -> our Gateway

import { isVxlan, planCables, tablesOf } from './cables.ts'
import { shownSpec } from './endpoint-spec.ts'
import { clockProblems, describeGateway, staleGateways } from './gateway-status.ts'
import { planHealthChecks } from './health-checks.ts'
import { describeSelf } from './own-objects.ts'
import { bounded, malformed, problem } from './problems.ts'
import { publish } from './publish.ts'
import { remember } from './remember.ts'
import { findRemotes } from './remotes.ts'
import { planSubmarinerStatus } from './submariner-status.ts'
import type { Plan, World } from './world.ts'

export function reconcile(world: World): Plan {
  const own = describeSelf(world)
  const { accepted, problems: lies } = findRemotes(world)
  const cables = planCables(world, accepted)
  const tables = tablesOf(world, own.udpPort, cables)
  const publication = publish(world, own, accepted)
  const { clusters, endpoints, gateways } = world.local
  const problems = bounded([
    ...own.problems,
    ...publication.problems,
    ...lies,
    ...cables.flatMap(({ clusterId, endpoint, outcome }) =>
      outcome.ok
        ? []
        : [problem(outcome.code, clusterId, `endpoints/${endpoint.meta.name}`, outcome.reason)],
    ),
    ...clockProblems(world),
    ...[clusters, endpoints, gateways].flatMap(known => known.problems.map(malformed)),
  ])
  return {
    tables,
    writes: [...publication.writes, ...staleGateways(world), ...planSubmarinerStatus(world)],
    pings: planHealthChecks(world, own.endpoint, cables),
    problems,
    remotes: cables.map(({ clusterId, endpoint }) => ({
      clusterId,
      endpoint: shownSpec(endpoint),
      createdAtMs: endpoint.meta.createdAtMs,
    })),
    gateway: describeGateway(world, own.endpoint, cables, problems),
    remember: remember(world, own),
    podStatus: world.isActive ? 'active' : 'passive',
    wantsNewKey: publication.wantsNewKey,
    vxlanSubnets: tables.cables.filter(isVxlan).flatMap(({ allowedIps }) => allowedIps),
  }
}
