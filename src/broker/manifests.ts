// What is installed on the server of a broker, as objects: by deploy-broker for the broker itself, by join
// for each member. The names are stock's, so that its tools find their way.
//
// A member's Role, RoleBinding and token belong to its ServiceAccount: they go with it.

import {
  annotation,
  memberAccountName,
  memberRoleBindingName,
  memberTokenName,
  objectName,
} from '../kube/names.ts'
import type { Manifest, Raw } from '../kube/resources/raw.ts'
import { managedBy } from './ensure.ts'
import { adminRules, memberRules, type PolicyRule, stockMemberRules } from './roles.ts'
import { trustBindings, trustPolicies } from './trust-policy.ts'

export const rbac = 'rbac.authorization.k8s.io/v1'
const tokenType = 'kubernetes.io/service-account-token'

export function namespaceManifest(name: string): Manifest {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: managedBy } }
}

/** Account, role, binding and token of whoever joins. */
export function adminManifests(namespace: string): readonly Manifest[] {
  const name = objectName.brokerAdminAccount
  return [
    accountManifest(namespace, name),
    roleManifest(namespace, name, adminRules),
    bindingManifest(namespace, name, name, name),
    tokenManifest(namespace, adminTokenName, name),
  ]
}

export const adminTokenName = `${objectName.brokerAdminAccount}-token`

/** Holds for the whole namespace, whoever writes. */
export function trustManifests(namespace: string): readonly Manifest[] {
  return [...trustPolicies, ...trustBindings(namespace)].map(managed)
}

/** Upstream's role, bound to the accounts of these clusters. */
export function stockMemberManifests(
  namespace: string,
  clusterIds: readonly string[],
): readonly Manifest[] {
  const role = objectName.brokerClusterRole
  return [
    roleManifest(namespace, role, stockMemberRules),
    ...clusterIds.map(id =>
      bindingManifest(namespace, memberRoleBindingName(id), role, memberAccountName(id)),
    ),
  ]
}

export function memberAccountManifest(
  namespace: string,
  clusterId: string,
  annotations: Readonly<Record<string, string>>,
): Manifest {
  const manifest = accountManifest(namespace, memberAccountName(clusterId))
  return { ...manifest, metadata: { ...manifest.metadata, annotations } }
}

/** Roles of our own; none, since the server has none as objects; or upstream's, which is there. */
export type RoleUse = 'own' | 'none' | 'stock'

/** What goes with the account of a member. */
export function memberManifests(
  namespace: string,
  clusterId: string,
  account: Raw,
  use: RoleUse,
): readonly Manifest[] {
  const name = memberAccountName(clusterId)
  const { uid } = account.meta
  const owned = ({ metadata, ...manifest }: Manifest): Manifest => ({
    ...manifest,
    metadata: {
      ...metadata,
      ...{ ownerReferences: [{ apiVersion: 'v1', kind: 'ServiceAccount', name, uid }] },
    },
  })
  const binding = memberRoleBindingName(clusterId)
  const roles = {
    own: [
      roleManifest(namespace, name, memberRules(clusterId)),
      bindingManifest(namespace, binding, name, name),
    ],
    stock: [bindingManifest(namespace, binding, objectName.brokerClusterRole, name)],
    none: [],
  }
  const token = tokenManifest(namespace, memberTokenName(clusterId), name)
  return [...roles[use], token].map(owned)
}

function managed({ metadata, ...manifest }: Manifest): Manifest {
  return { ...manifest, metadata: { ...metadata, labels: managedBy } }
}

export function accountManifest(namespace: string, name: string): Manifest {
  const metadata = { name, namespace, labels: managedBy }
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata }
}

export function roleManifest(
  namespace: string,
  name: string,
  rules: readonly PolicyRule[],
): Manifest {
  return {
    apiVersion: rbac,
    kind: 'Role',
    metadata: { name, namespace, labels: managedBy },
    rules,
  }
}

export function bindingManifest(
  namespace: string,
  name: string,
  role: string,
  account: string,
): Manifest {
  return {
    apiVersion: rbac,
    kind: 'RoleBinding',
    metadata: { name, namespace, labels: managedBy },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: role },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
  }
}

/** The server fills it with a token of the account. */
function tokenManifest(namespace: string, name: string, account: string): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace,
      labels: managedBy,
      annotations: { [annotation.serviceAccountName]: account },
    },
    type: tokenType,
  }
}
