// The lab's proofs: real programs in real pods, one check after the other. Each says what it saw in
// figures, or why it did not hold and what to look at next.

import type { Lab } from './lab.ts'
import { proveReach } from './proof-reach.ts'
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
  return [...proveReach(lab), proveThroughput(lab), proveCable(lab), proveWire(lab)]
}
