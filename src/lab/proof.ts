// The lab's proofs: real programs in real pods, one check after the other. Each says what it saw in
// figures, or why it did not hold and what to look at next.

import { GatewayError } from '../net/errors.ts'
import { labCommandLine } from './hints.ts'
import type { Lab } from './lab.ts'
import { proveBroker } from './proof-broker.ts'
import { proveObjects } from './proof-objects.ts'
import { proveReach } from './proof-reach.ts'
import { proveService } from './proof-service.ts'
import { proveThroughput } from './proof-throughput.ts'
import { proveCable, proveWire } from './proof-wire.ts'

export type Outcome =
  | {
      readonly holds: true
      /** One line of figures. */
      readonly figures: string
      /** Shown below, as it is. */
      readonly view?: string
    }
  | { readonly holds: false; readonly reason: string; readonly hint: string }

export interface Proof {
  readonly title: string
  readonly prove: () => Promise<Outcome>
}

export function proofsOf(lab: Lab): readonly Proof[] {
  const proofs = [
    ...proveObjects(lab),
    ...proveReach(lab),
    proveService(lab),
    proveThroughput(lab),
    proveCable(lab),
    proveWire(lab),
    // Last: the others must not see what it leaves when it does not hold.
    proveBroker(lab),
  ]
  return proofs.map(({ title, prove }) => ({ title, prove: () => guarded(lab, prove) }))
}

/** A proof that could not be made does not hold. */
async function guarded(lab: Lab, prove: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await prove()
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    const { message, hint } = error
    return { holds: false, reason: message, hint: hint ?? labCommandLine(lab.plan, 'status') }
  }
}
