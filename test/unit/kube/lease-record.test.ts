import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type LeaseWrite,
  leaseOf,
  leaseTimes,
  leaseType,
  recordOf,
} from '../../../src/kube/lease-record.ts'

const place = { name: 'lock', namespace: 'ns' }
const write: LeaseWrite = {
  holder: 'a',
  epoch: 3,
  durationMs: 15_000,
  isNewHolder: false,
  annotations: { stamp: '1' },
}

test('a new Lease, as client-go writes it', () => {
  const lease = leaseOf(write, place, undefined, Date.UTC(2026, 1, 3, 4, 5, 6, 7))
  const time = '2026-02-03T04:05:06.007000Z'
  assert.deepEqual(leaseType.serialize(lease), {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { ...place, annotations: { stamp: '1' } },
    spec: {
      holderIdentity: 'a',
      leaseTransitions: 3,
      leaseDurationSeconds: 15,
      acquireTime: time,
      renewTime: time,
    },
  })
})

test('a renewal is seen as one, whatever the wall clock does', () => {
  let lease = leaseOf(write, place, undefined, 1000)
  for (const wallMs of [1000, 1000, 1000, 0, 1000]) {
    const next = leaseOf(write, place, lease, wallMs)
    assert.notEqual(recordOf(next).stamp, recordOf(lease).stamp)
    assert.equal(next.acquireTime, lease.acquireTime)
    lease = next
  }
  const taken = leaseOf({ ...write, isNewHolder: true }, place, lease, 5000)
  assert.equal(taken.acquireTime, taken.renewTime)
})

test('whatever stands in a Lease, it can be read', () => {
  const rows: readonly unknown[] = [
    undefined,
    {},
    { metadata: {}, spec: {} },
    { spec: { holderIdentity: 7, leaseTransitions: 'x', leaseDurationSeconds: -1, renewTime: {} } },
    { metadata: { annotations: { a: 1 } }, spec: { leaseTransitions: Number.NaN } },
  ]
  for (const row of rows) {
    const parsed = leaseType.parse(row)
    assert.ok(parsed.ok)
    const { holder, epoch, durationMs } = recordOf(parsed.value)
    assert.deepEqual([holder, epoch, durationMs], ['', 0, leaseTimes.durationMs])
  }
})
