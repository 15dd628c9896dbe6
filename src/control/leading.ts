// Who leads, from what the election says: pure, so that the loop and its simulation decide alike.
//
//   nobody knows ─► active when the lease is ours, or may be led without; passive once it is another's
//   active ─► passive as soon as the right is over, whoever comes next

import type { Leadership } from '../kube/lease-state.ts'

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
