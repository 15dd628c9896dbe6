// The Lease object (coordination.k8s.io/v1) as an election sees it, and how it is written. Times in it are
// for people to read and for others to see that they changed; nothing is computed with them. What somebody
// has edited by hand is read as far as it makes sense.

import { isRecord } from './errors.ts'
import { identityOf } from './objects.ts'
import type { Resource, ResourceMeta, ResourceType } from './resource-type.ts'

export interface LeaseTimes {
  /** How long a standby waits for a sign of the holder. Whole seconds: the object has no smaller ones. */
  readonly durationMs: number
  readonly renewDeadlineMs: number
  readonly retryPeriodMs: number
}

/** As stock gateways have it (LEADERSHIP_…). */
export const leaseTimes: LeaseTimes = {
  durationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2000,
}

/** A Lease as it was read. */
export interface LeaseRecord {
  /** Empty: released. */
  readonly holder: string
  /** leaseTransitions: how often it got another holder. */
  readonly epoch: number
  readonly durationMs: number
  /** Changes with every renewal. */
  readonly stamp: string
  readonly annotations: Readonly<Record<string, string>>
}

/** What is to stand in the Lease. */
export interface LeaseWrite {
  readonly holder: string
  readonly epoch: number
  readonly durationMs: number
  readonly isNewHolder: boolean
  readonly annotations: Readonly<Record<string, string>>
}

export interface Lease extends Resource {
  readonly holder: string
  readonly epoch: number
  readonly durationMs: number
  /** RFC 3339 with microseconds; empty when it is not there. */
  readonly acquireTime: string
  readonly renewTime: string
}

export const leaseType: ResourceType<Lease> = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,

  parse(raw) {
    const spec = isRecord(raw) && isRecord(raw['spec']) ? raw['spec'] : {}
    const { holderIdentity, leaseTransitions, leaseDurationSeconds, acquireTime, renewTime } = spec
    // Whatever somebody has made of it, it is a Lease that can be taken in time.
    const value: Lease = {
      meta: metaOf(raw),
      holder: textOf(holderIdentity),
      epoch: numberOf(leaseTransitions, 0),
      durationMs: numberOf(leaseDurationSeconds, leaseTimes.durationMs / 1000) * 1000,
      acquireTime: textOf(acquireTime),
      renewTime: textOf(renewTime),
    }
    return { ok: true, value }
  },

  serialize({ meta, holder, epoch, durationMs, acquireTime, renewTime }, base) {
    const { metadata, spec } = isRecord(base) ? base : {}
    const { name, namespace, annotations } = meta
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { ...(isRecord(metadata) ? metadata : {}), name, namespace, annotations },
      spec: {
        ...(isRecord(spec) ? spec : {}),
        holderIdentity: holder,
        leaseTransitions: epoch,
        leaseDurationSeconds: Math.max(1, Math.round(durationMs / 1000)),
        acquireTime,
        renewTime,
      },
    }
  },
}

export function recordOf(lease: Lease): LeaseRecord {
  const { holder, epoch, durationMs, acquireTime, renewTime, meta } = lease
  const { annotations } = meta
  return { holder, epoch, durationMs, stamp: `${acquireTime} ${renewTime}`, annotations }
}

/** The Lease that a write makes of `before`. */
export function leaseOf(
  write: LeaseWrite,
  place: { readonly name: string; readonly namespace: string },
  before: Lease | undefined,
  wallMs: number,
): Lease {
  const { holder, epoch, durationMs, isNewHolder, annotations } = write
  const renewTime = microTime(wallMs, before?.renewTime ?? '')
  const meta = before?.meta ?? metaOf({ metadata: place })
  return {
    meta: { ...meta, annotations },
    holder,
    epoch,
    durationMs,
    acquireTime: isNewHolder || before === undefined ? renewTime : before.acquireTime,
    renewTime,
  }
}

/** Another time than the last one, even where the wall clock stands still or was set back. */
function microTime(wallMs: number, last: string): string {
  const time = new Date(wallMs).toISOString()
  const first = time.replace('Z', '000Z')
  return first === last ? time.replace('Z', '001Z') : first
}

function metaOf(raw: unknown): ResourceMeta {
  const metadata = isRecord(raw) && isRecord(raw['metadata']) ? raw['metadata'] : {}
  const { creationTimestamp, deletionTimestamp, finalizers, labels, annotations } = metadata
  return {
    ...identityOf(raw),
    createdAtMs: Date.parse(textOf(creationTimestamp)) || 0,
    isDeleting: deletionTimestamp !== undefined,
    labels: textsOf(labels),
    annotations: textsOf(annotations),
    finalizers: Array.isArray(finalizers) ? finalizers.map(String) : [],
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function textsOf(value: unknown): Record<string, string> {
  const entries = isRecord(value) ? Object.entries(value) : []
  return Object.fromEntries(entries.map(([key, text]) => [key, textOf(text)]))
}

function numberOf(value: unknown, other: number): number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : other
}
