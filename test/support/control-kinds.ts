// The kinds that a gateway's control daemon touches, for fake API servers.

import { leaseType } from '../../src/kube/lease-record.ts'
import type { FakeKind } from './fake-objects.ts'
import { resourceTypes } from './resource-types.ts'

const withStatus = ['submariners']

export const controlKinds: readonly FakeKind[] = [...resourceTypes, leaseType].map(type => {
  const { group, version, plural, kind, namespaced } = type
  return { group, version, plural, kind, namespaced, hasStatus: withStatus.includes(plural) }
})
