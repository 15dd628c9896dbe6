// Roles in the namespace of a broker, as rules of RBAC. They say which kinds and verbs; whose objects is
// said by trust.ts. The embedded API evaluates the same rules.
//
//   admin     whoever joins, leaves and evicts: its token stands in the join file
//   member    the gateways and agents of one cluster: their own Cluster by name, the two Secrets by name
//   stock     upstream's role for members, of one name for all: it reads every Secret, and no name limits it

import { memberAccountName, memberTokenName, objectName } from '../kube/names.ts'

export interface PolicyRule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  readonly resourceNames?: readonly string[]
}

const read = ['get', 'list', 'watch'] as const
const write = ['create', 'update', 'patch', 'delete'] as const
const all = [...read, ...write]

const services: readonly PolicyRule[] = [
  {
    apiGroups: ['multicluster.x-k8s.io'],
    resources: ['serviceimports', 'serviceimports/status'],
    verbs: all,
  },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: all },
]

const brokers: PolicyRule = {
  apiGroups: ['submariner.io'],
  resources: ['brokers'],
  verbs: ['get', 'list'],
}

export function memberRules(clusterId: string): readonly PolicyRule[] {
  return [
    // A name cannot limit a create: there the admission policy does.
    { apiGroups: ['submariner.io'], resources: ['clusters'], verbs: [...read, 'create'] },
    {
      apiGroups: ['submariner.io'],
      resources: ['clusters'],
      verbs: ['update', 'patch', 'delete'],
      resourceNames: [clusterId],
    },
    { apiGroups: ['submariner.io'], resources: ['endpoints'], verbs: all },
    brokers,
    ...services,
    {
      apiGroups: [''],
      resources: ['secrets'],
      verbs: read,
      resourceNames: [memberTokenName(clusterId), objectName.pskSecret],
    },
    // To leave: its Role, binding and token belong to its account, and go with it.
    {
      apiGroups: [''],
      resources: ['serviceaccounts'],
      verbs: ['get', 'delete'],
      resourceNames: [memberAccountName(clusterId)],
    },
    {
      apiGroups: [''],
      resources: ['configmaps'],
      verbs: read,
      resourceNames: [objectName.globalnetInfo, objectName.clustersetIpInfo],
    },
  ]
}

/** Of upstream's `submariner-k8s-broker-cluster`. */
export const stockMemberRules: readonly PolicyRule[] = [
  { apiGroups: ['submariner.io'], resources: ['clusters', 'endpoints'], verbs: all },
  brokers,
  ...services,
  {
    apiGroups: ['discovery.k8s.io'],
    resources: ['endpointslices/restricted'],
    verbs: ['create', 'update'],
  },
  { apiGroups: [''], resources: ['secrets'], verbs: read },
  { apiGroups: [''], resources: ['serviceaccounts'], verbs: ['get', 'list'] },
]

/**
 * What joining needs of a broker. It makes a Role for each member, and nobody can give what they do not
 * have: so it has all that a member has.
 */
export const adminRules: readonly PolicyRule[] = [
  { apiGroups: ['submariner.io'], resources: ['clusters', 'endpoints'], verbs: all },
  { ...brokers, verbs: read },
  ...services,
  {
    apiGroups: [''],
    resources: ['serviceaccounts', 'secrets', 'configmaps'],
    verbs: all,
  },
  {
    apiGroups: ['rbac.authorization.k8s.io'],
    resources: ['roles', 'rolebindings'],
    verbs: all,
  },
]

/** What binding upstream's role to members opens, in words for whoever asks for it. */
export const stockMembersOpen: readonly string[] = [
  'they read every Secret of the broker: the tokens of all members and of the admin, and so may act as any of them',
  'they may update every Cluster: by the rule for that they may write the objects of every member',
]
