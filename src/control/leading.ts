// Who leads, from what the election says: pure, so that the loop and its simulation decide alike.
//
//   nobody knows ─► active when the lease is ours, or may be led without; passive once it is another's
//   active ─► passive as soon as the right is over, whoever comes next
//
// Whoever leads without its API may still reach the broker, and its successor, who has the API, does
// too. Then the two would write the cluster's Endpoint in turns, and every other cluster would follow
// each of them. So the Endpoint tells, too: once it has named us and then names another node of ours, we
// have a successor. Before it has named us it may be that of our predecessor.

import type { Known } from '../broker/writes.ts'
import type { Leadership } from '../kube/lease-state.ts'
import type { Endpoint } from '../kube/resources/endpoint.ts'

export interface Leading {
  /** Undefined: nobody knows yet. */
  readonly isActive: boolean | undefined
  /** What is to be kept on disk of the epoch in which we held the lease. */
  readonly keeps:
    | { readonly what: 'as-it-is' }
    | { readonly what: 'epoch'; readonly epoch: number }
    | { readonly what: 'nothing' }
}

/** Known once somebody has the lease, or once we may lead without it. */
export function whoLeads(
  before: boolean | undefined,
  leadership: Leadership,
  identity: string,
): Leading {
  if (leadership.state !== 'standby') {
    return { isActive: true, keeps: { what: 'epoch', epoch: leadership.epoch } }
  }
  const { holder } = leadership
  const isOthers = holder !== undefined && holder !== '' && holder !== identity
  // A right that was ours is over, whoever comes next.
  const isActive = isOthers || before === true ? false : before
  return { isActive, keeps: { what: isOthers ? 'nothing' : 'as-it-is' } }
}

/** The node that our Endpoint on the broker names. */
export function publishedHost(
  { items }: Known<Endpoint>,
  clusterId: string,
  hostname: string,
): string | undefined {
  const ours = items.filter(endpoint => endpoint.clusterId === clusterId)
  const named = ours.find(endpoint => endpoint.hostname === hostname) ?? ours[0]
  return named?.hostname
}

/** `wasNamed`: whether the Endpoint has named us since we lead. */
export function hasSuccessor(
  leadership: Leadership,
  named: string | undefined,
  hostname: string,
  wasNamed: boolean,
): boolean {
  if (leadership.state !== 'leader-without-api' || !wasNamed) return false
  return named !== undefined && named !== hostname
}
