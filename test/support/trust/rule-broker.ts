// A broker made of the roles and the rule alone: RBAC as Kubernetes evaluates it, then refusalOf.

import {
  adminRules,
  memberRules,
  type PolicyRule,
  stockMemberRules,
} from '../../../src/broker/roles.ts'
import { refusalOf } from '../../../src/broker/trust.ts'
import type { Manifest } from '../../../src/kube/resources/raw.ts'
import { type Attempt, changed, type Verb } from './attempts.ts'
import { stockMemberId, type TrustUser, worldObjects } from './world.ts'

const kinds: Readonly<Record<string, readonly [string, string]>> = {
  clusters: ['submariner.io', 'Cluster'],
  endpoints: ['submariner.io', 'Endpoint'],
  brokers: ['submariner.io', 'Broker'],
  endpointslices: ['discovery.k8s.io', 'EndpointSlice'],
  serviceimports: ['multicluster.x-k8s.io', 'ServiceImport'],
  secrets: ['', 'Secret'],
  serviceaccounts: ['', 'ServiceAccount'],
  configmaps: ['', 'ConfigMap'],
  roles: ['rbac.authorization.k8s.io', 'Role'],
  rolebindings: ['rbac.authorization.k8s.io', 'RoleBinding'],
}

/** Why it is refused, or undefined. */
export function refusalByRule(attempt: Attempt): string | undefined {
  const { as, verb, resource, fieldSelector } = attempt
  const [group, kind] = kinds[resource]
  const isStatus = verb === 'updateStatus' || verb === 'patchStatus'
  // A list by name counts as one of that name.
  const name = attempt.name ?? fieldSelector?.replace('metadata.name=', '') ?? ''
  const may = mayOf(as)
  const role = { group, resource: isStatus ? `${resource}/status` : resource, name }
  // A create has no name yet, for a role.
  if (!may(rbacVerb(verb), verb === 'create' ? { ...role, name: '' } : role))
    return 'no role allows it'
  const { write, object, oldObject } = writeOf(attempt, kind)
  if (write === undefined) return undefined
  const mayUpdateCluster = (id: string) =>
    may('update', { group: 'submariner.io', resource: 'clusters', name: id })
  return refusalOf({ verb: write, kind, object, oldObject, mayUpdateCluster, user: as })
}

function rbacVerb(verb: Verb): string {
  if (verb === 'updateStatus') return 'update'
  return verb === 'patchStatus' ? 'patch' : verb
}

function writeOf({ verb, name, object, change }: Attempt, kind: string) {
  const oldObject = worldObjects.find(each => each.kind === kind && each.metadata.name === name)
  switch (verb) {
    case 'create':
      return { write: 'create', object, oldObject: undefined } as const
    case 'delete':
      return { write: 'delete', object: undefined, oldObject } as const
    case 'update':
    case 'patch':
    case 'updateStatus':
    case 'patchStatus':
      return { write: 'update', object: applied(oldObject, change), oldObject } as const
    default:
      return { write: undefined, object: undefined, oldObject: undefined } as const
  }
}

function applied(object: Manifest | undefined, change: Attempt['change']): Manifest | undefined {
  return object === undefined || change === undefined ? object : change(changed(object, {}))
}

interface Target {
  readonly group: string
  readonly resource: string
  readonly name: string
}

function mayOf(user: TrustUser): (verb: string, target: Target) => boolean {
  const rules = rulesOf(user)
  return (verb, { group, resource, name }) =>
    rules.some(
      rule =>
        rule.apiGroups.includes(group) &&
        rule.resources.includes(resource) &&
        rule.verbs.includes(verb) &&
        (rule.resourceNames?.includes(name) ?? true),
    )
}

function rulesOf(user: TrustUser): readonly PolicyRule[] {
  if (user === 'admin') return adminRules
  if (user === 'nobody') return []
  return user === stockMemberId ? stockMemberRules : memberRules(user)
}
