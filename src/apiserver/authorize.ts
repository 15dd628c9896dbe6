// Who may do what: four fixed roles, and one function that says so. The trust rule (broker/trust.ts) asks
// the same function whether somebody may update a Cluster.
//
//   admin      everything
//   member     on the broker: broker/roles.ts says what; its own token and the PSK are the only Secrets that
//              it may read, by their names
//   component  in a cluster: reads everything, writes all but namespaces, accounts and Secrets
//   reader     reads everything but Secrets

import { memberRules, type PolicyRule } from '../broker/roles.ts'
import type { Verb } from './kind.ts'

export type Role = 'admin' | 'member' | 'component' | 'reader'

export const roles: readonly Role[] = ['admin', 'member', 'component', 'reader']

export interface User {
  /** `system:serviceaccount:NAMESPACE:NAME`. */
  readonly name: string
  readonly role: Role | undefined
  /** Of a member. */
  readonly clusterId: string
  /** Of a member: the namespace of the broker, and the only one. */
  readonly namespace: string
}

export interface Attributes {
  readonly verb: Verb
  /** `clusters.submariner.io`. */
  readonly resource: string
  readonly subresource: string
  /** '' for all of them, and for kinds without. */
  readonly namespace: string
  /** '' for a collection that no field selector narrows to one. */
  readonly name: string
}

const reads: readonly Verb[] = ['get', 'list', 'watch']

export function isAllowed(user: User, attributes: Attributes): boolean {
  const { verb, resource } = attributes
  switch (user.role) {
    case 'admin':
      return true
    case 'member':
      return mayMember(user, attributes)
    case 'component':
      return reads.includes(verb) || !adminResources.includes(resource)
    case 'reader':
      return reads.includes(verb) && resource !== 'secrets'
    case undefined:
      return false
    default:
      return user.role satisfies never
  }
}

const adminResources: readonly string[] = ['namespaces', 'serviceaccounts', 'secrets']

/** A member's rules are those that it has on a real server, within the namespace of the broker. */
function mayMember(user: User, attributes: Attributes): boolean {
  const { verb, resource, namespace, name } = attributes
  if (resource === 'namespaces') return verb === 'get' && name === user.namespace
  const isThere = namespace === user.namespace
  return isThere && memberRules(user.clusterId).some(rule => covers(rule, attributes))
}

function covers(rule: PolicyRule, { verb, resource, subresource, name }: Attributes): boolean {
  const [plural, ...group] = resource.split('.')
  const wanted = subresource === '' ? plural : `${plural}/${subresource}`
  return (
    rule.apiGroups.includes(group.join('.')) &&
    rule.resources.includes(wanted) &&
    rule.verbs.includes(verb) &&
    (rule.resourceNames === undefined || rule.resourceNames.includes(name))
  )
}
