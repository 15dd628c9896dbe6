// What join installs in the cluster that joins, besides definitions, Secrets and settings: accounts of the
// gateways and route agents with the rights that stock's have, and those that ours need beside them.
//
// The private key of the cables, the token for the broker and the PSK are for gateways alone: their names
// stand in a Role that no route agent has.

import { objectName } from '../kube/names.ts'
import type { Manifest } from '../kube/resources/raw.ts'
import { managedBy } from './ensure.ts'
import { accountManifest, bindingManifest, rbac, roleManifest } from './manifests.ts'
import type { PolicyRule } from './roles.ts'

const read = ['get', 'list', 'watch'] as const
const keep = [...read, 'create', 'update', 'delete'] as const

const gatewayRules: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['pods'], verbs: ['get', 'update', 'patch'] },
  { apiGroups: ['submariner.io'], resources: ['clusters', 'endpoints', 'gateways'], verbs: keep },
  { apiGroups: ['submariner.io'], resources: ['submariners'], verbs: read },
  { apiGroups: ['submariner.io'], resources: ['submariners/status'], verbs: ['get', 'update'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: keep },
  {
    apiGroups: [''],
    resources: ['secrets'],
    verbs: read,
    resourceNames: [objectName.brokerSecret, objectName.pskSecret, objectName.wireguardSecret],
  },
]

const gatewayClusterRules: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get'] },
  { apiGroups: [''], resources: ['pods', 'services', 'nodes'], verbs: read },
  { apiGroups: ['networking.k8s.io'], resources: ['servicecidrs'], verbs: read },
]

const routeAgentRules: readonly PolicyRule[] = [
  {
    apiGroups: ['submariner.io'],
    resources: ['clusters', 'endpoints', 'gateways', 'submariners'],
    verbs: read,
  },
  { apiGroups: ['submariner.io'], resources: ['routeagents'], verbs: keep },
]

const routeAgentClusterRules: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['pods', 'services', 'configmaps'], verbs: ['get', 'list'] },
  { apiGroups: [''], resources: ['nodes'], verbs: read },
]

interface Component {
  readonly account: string
  /** Of its ClusterRole: one of stock's may have its account's name. */
  readonly clusterRole: string
  readonly rules: readonly PolicyRule[]
  readonly clusterRules: readonly PolicyRule[]
}

const components: readonly Component[] = [
  {
    account: objectName.gatewayAccount,
    clusterRole: 'hawser-gateway',
    rules: gatewayRules,
    clusterRules: gatewayClusterRules,
  },
  {
    account: objectName.routeAgentAccount,
    clusterRole: 'hawser-route-agent',
    rules: routeAgentRules,
    clusterRules: routeAgentClusterRules,
  },
]

/** `hasRoles`: whether the server has Roles at all. */
export function componentManifests(namespace: string, hasRoles: boolean): readonly Manifest[] {
  const accounts = components.map(({ account }) => accountManifest(namespace, account))
  return hasRoles ? [...accounts, ...componentRoles(namespace)] : accounts
}

function componentRoles(namespace: string): readonly Manifest[] {
  return components.flatMap(({ account, clusterRole, rules, clusterRules }) => [
    roleManifest(namespace, account, rules),
    bindingManifest(namespace, account, account, account),
    {
      apiVersion: rbac,
      kind: 'ClusterRole',
      metadata: { name: clusterRole, labels: managedBy },
      rules: clusterRules,
    },
    {
      apiVersion: rbac,
      kind: 'ClusterRoleBinding',
      metadata: { name: clusterRole, labels: managedBy },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: clusterRole },
      subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
    },
  ])
}
