// Who may do what: four fixed roles, and one function that says so. The trust rule (broker/trust.ts) asks
// the same function whether somebody may update a Cluster.
//
//   admin      everything
//   member     on the broker: reads what members share, writes it, but updates the Cluster of its own id
//              alone; its own token and the PSK are the only Secrets that it may read, by their names
//   component  in a cluster: reads everything, writes all but namespaces, accounts and Secrets
//   reader     reads everything but Secrets

import { ensureValidName, memberTokenName, objectName } from '../kube/names.ts'
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

/** What members write; which of them whose, the trust rule says. */
const shared: readonly string[] = [
  'endpoints.submariner.io',
  'endpointslices.discovery.k8s.io',
  'serviceimports.multicluster.x-k8s.io',
]

function mayMember(user: User, { verb, resource, namespace, name }: Attributes): boolean {
  if (resource === 'namespaces') return verb === 'get' && name === user.namespace
  if (namespace !== user.namespace) return false
  if (shared.includes(resource)) return true
  switch (resource) {
    case 'clusters.submariner.io':
      // The name of a new object is not known yet where this is asked; the trust rule looks at it.
      return reads.includes(verb) || verb === 'create' || name === ensureValidName(user.clusterId)
    case 'brokers.submariner.io':
      return reads.includes(verb)
    case 'secrets':
      return (
        reads.includes(verb) &&
        (name === memberTokenName(user.clusterId) || name === objectName.pskSecret)
      )
    default:
      return false
  }
}
