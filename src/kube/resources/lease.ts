// coordination.k8s.io/v1 Lease: who leads, and until when.

import type { Resource, ResourceType } from '../resource-type.ts'
import { formatMicroTime } from '../time.ts'
import { readCount, readObjectOr, readText } from './fields.ts'
import { overlay, parseResource, partOf, readTime, textOrNone, writeResource } from './resource.ts'

export interface Lease extends Resource {
  /** Empty: nobody. */
  readonly holder: string
  /** 0 when nobody has said. */
  readonly durationSeconds: number
  /** Milliseconds since 1970 by the holder's clock; 0: never. */
  readonly acquiredAtMs: number
  readonly renewedAtMs: number
  /** How often the holder changed. */
  readonly transitions: number
}

const place = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
} as const

export const leaseType: ResourceType<Lease> = {
  ...place,
  parse: raw =>
    parseResource(place, raw, (root, meta) => {
      const spec = readObjectOr(root, 'spec')
      return {
        meta,
        holder: readText(spec, 'holderIdentity', ''),
        durationSeconds: readCount(spec, 'leaseDurationSeconds', 0),
        acquiredAtMs: readTime(spec, 'acquireTime'),
        renewedAtMs: readTime(spec, 'renewTime'),
        transitions: readCount(spec, 'leaseTransitions', 0),
      }
    }),
  serialize: (lease, base) => {
    const spec = overlay(partOf(base, 'spec'), {
      holderIdentity: textOrNone(lease.holder),
      // The server takes no 0 here.
      leaseDurationSeconds: lease.durationSeconds || undefined,
      acquireTime: microTimeOrNone(lease.acquiredAtMs),
      renewTime: microTimeOrNone(lease.renewedAtMs),
      leaseTransitions: lease.transitions,
    })
    return writeResource(place, lease.meta, { spec }, base)
  },
}

function microTimeOrNone(ms: number): string | undefined {
  return ms === 0 ? undefined : formatMicroTime(ms)
}
