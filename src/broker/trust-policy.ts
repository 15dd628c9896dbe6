// The rules of trust.ts as ValidatingAdmissionPolicies (Kubernetes 1.30 and later), in CEL. Two of them,
// since their budgets are apart, and a binding of each for every namespace that is a broker's.
//
// An authorization check costs 350 000 of the 1 000 000 that an expression may cost: two at most in each.
// So where trust.ts asks for every cluster that a write touches, the policy lets a write touch one cluster,
// or wants somebody who may update them all; and where trust.ts looks for one of many, the policy asks for
// the cluster that the account's name and the write itself suggest: hints where to look, never a right.
//
// Whoever may delete the namespace may delete what is in it: the namespace controller does, and may update
// nothing. Variables are evaluated when they are first used.

import { annotation, exportTimestampPrefix, label } from '../kube/names.ts'
import type { Manifest } from '../kube/resources/raw.ts'

/** From this minor version of Kubernetes 1 on. */
export const policyMinor = 30

const ownedPolicy = 'hawser-broker-owned'
const importsPolicy = 'hawser-broker-imports'

const isDelete = "request.operation == 'DELETE'"
const isCreate = "request.operation == 'CREATE'"

/** Whether the user may update the Cluster of this name; '' is none, and for whoever has them all. */
function mayUpdate(id: string): string {
  return `authorizer.group('submariner.io').resource('clusters').namespace(request.namespace).name(${id}).check('update').allowed()`
}

const mayUpdateAll =
  "authorizer.group('submariner.io').resource('clusters').namespace(request.namespace).check('update').allowed()"

const mayDeleteNamespace =
  "authorizer.group('').resource('namespaces').namespace(request.namespace).name(request.namespace).check('delete').allowed()"

/** As ensureValidName, for what a label may hold. */
const named = (id: string) => `${id}.lowerAscii().replace('_', '-')`

const labelOf = (object: string) => `${object}.metadata.?labels[?'${label.clusterId}'].orValue('')`

/** What an object says itself of whose it is. */
const saidBy = (object: string) =>
  `(request.resource.resource == 'endpointslices' ? ${object}.metadata.?labels[?'${label.sourceCluster}'].orValue('') : ${object}.?spec.?cluster_id.orValue(''))`

interface Variable {
  readonly name: string
  readonly expression: string
}

interface Validation {
  readonly expression: string
  /** CEL, for a string. */
  readonly message: string
}

const ownedVariables: readonly Variable[] = [
  { name: 'id', expression: `${isDelete} ? '' : ${labelOf('object')}` },
  { name: 'said', expression: `${isDelete} ? '' : ${saidBy('object')}` },
  {
    name: 'owner',
    expression: `${isCreate} ? '' : (${labelOf('oldObject')} != '' ? ${labelOf('oldObject')} : ${saidBy('oldObject')})`,
  },
  { name: 'own', expression: named('variables.id') },
  { name: 'start', expression: "variables.own + '-submariner-cable-' + variables.own + '-'" },
]

const ownedValidations: readonly Validation[] = [
  {
    expression: `${isCreate} || ${mayUpdate(named('variables.owner'))} || (${isDelete} && ${mayDeleteNamespace})`,
    message: `'it is of the cluster "' + variables.owner + '": that is for whoever may update the Cluster'`,
  },
  {
    expression: `${isDelete} || variables.id != ''`,
    message: `'the label ${label.clusterId} is missing'`,
  },
  {
    expression: `${isDelete} || variables.id == '' || variables.said == variables.id || (request.resource.resource == 'endpointslices' && variables.said == '')`,
    message: `'it says that it is of the cluster "' + variables.said + '", its label says "' + variables.id + '"'`,
  },
  {
    expression: `${isDelete} || variables.id == '' || ${mayUpdate('variables.own')}`,
    message: `'it would be of the cluster "' + variables.id + '": that is for whoever may update the Cluster'`,
  },
  {
    expression: `${isDelete} || request.resource.resource != 'clusters' || object.metadata.name == variables.own`,
    message: `'the name of the cluster "' + variables.id + '" is ' + variables.own`,
  },
  {
    expression: `${isDelete} || request.resource.resource != 'endpoints' || object.metadata.name.startsWith(variables.start)`,
    message: `'the names of the cluster "' + variables.id + '" begin with ' + variables.start`,
  },
]

/** The variables of one side of a change: before it or after it. */
function sideVariables(side: string, object: string, absent: string): readonly Variable[] {
  const annotations = `${object}.metadata.?annotations.orValue({})`
  const isStamp = `k.startsWith('${exportTimestampPrefix}')`
  const of = (key: string) => `${annotations}[?'${key}'].orValue('')`
  const orNothing = (nothing: string, value: string) => `${absent} ? ${nothing} : ${value}`
  return [
    {
      name: `entries${side}`,
      expression: orNothing('[]', `${object}.?status.?clusters.orValue([])`),
    },
    { name: `notes${side}`, expression: orNothing('{}', annotations) },
    { name: `stamps${side}`, expression: `variables.notes${side}.filter(k, ${isStamp})` },
    {
      name: `ids${side}`,
      expression: `variables.entries${side}.map(e, e.cluster) + variables.stamps${side}.map(k, k.substring(${exportTimestampPrefix.length}))`,
    },
    {
      name: `ips${side}`,
      expression: orNothing('[]', `${object}.?spec.?ips.orValue([])`),
    },
    {
      name: `allocator${side}`,
      expression: orNothing("''", of(annotation.clustersetIpAllocatedBy)),
    },
    {
      name: `of${side}`,
      expression: orNothing("''", `${of(label.serviceName)} + '/' + ${of(label.sourceNamespace)}`),
    },
  ]
}

const difference = (one: string, other: string) =>
  `variables.entries${one}.filter(e, !(e in variables.entries${other})).map(e, e.cluster)`

const stampDifference = (one: string, other: string) =>
  `variables.stamps${one}.filter(k, !(k in variables.notes${other}) || variables.notes${other}[k] != variables.notes${one}[k]).map(k, k.substring(${exportTimestampPrefix.length}))`

const accountStart = 'cluster-'

const importVariables: readonly Variable[] = [
  ...sideVariables('Before', 'oldObject', isCreate),
  ...sideVariables('After', 'object', isDelete),
  {
    name: 'touched',
    expression: `(${difference('Before', 'After')} + ${difference('After', 'Before')} + ${stampDifference('Before', 'After')} + ${stampDifference('After', 'Before')}).map(id, ${named('id')})`,
  },
  {
    name: 'listed',
    expression: `(variables.idsBefore + variables.idsAfter).map(id, ${named('id')})`,
  },
  {
    // Where to look first for the cluster that the user acts for.
    name: 'hint',
    expression: `size(variables.touched) > 0 ? variables.touched[0] : (request.userInfo.username.contains(':${accountStart}') ? request.userInfo.username.substring(request.userInfo.username.lastIndexOf(':${accountStart}') + ${accountStart.length + 1}) : '')`,
  },
  {
    name: 'isListed',
    expression: `(variables.hint in variables.listed && ${mayUpdate('variables.hint')}) || (size(variables.listed) > 0 && ${mayUpdate('variables.listed[0]')})`,
  },
]

const claim = (side: string) =>
  `(size(variables.ips${side}) == 0 && variables.allocator${side} == '') || ${mayUpdate(named(`variables.allocator${side}`))}`

const sameAllocation =
  'variables.ipsBefore == variables.ipsAfter && variables.allocatorBefore == variables.allocatorAfter'

const importValidations: readonly Validation[] = [
  {
    expression: `${isDelete} || ${labelOf('object')} == ''`,
    message: `'the label ${label.clusterId} has no place on a ServiceImport: it is of all exporters'`,
  },
  {
    expression: `${isCreate} || ${labelOf('oldObject')} == '' || ${mayUpdate(named(labelOf('oldObject')))} || (${isDelete} && ${mayDeleteNamespace})`,
    message: `'it is of the cluster "' + ${labelOf('oldObject')} + '"'`,
  },
  {
    expression: `size(variables.touched) == 0 || (variables.touched.all(id, id == variables.touched[0]) ? ${mayUpdate('variables.touched[0]')} : ${mayUpdateAll}) || (${isDelete} && ${mayDeleteNamespace})`,
    message: `'entries and time stamps of the clusters ' + variables.touched.join(', ') + ' would change: that is for whoever may update the Cluster'`,
  },
  {
    expression: `request.operation != 'UPDATE' || variables.isListed || ${mayUpdateAll}`,
    message: "'only a cluster that is listed in it may write it'",
  },
  {
    expression:
      "request.operation != 'UPDATE' || variables.ofBefore == '/' || variables.ofBefore == variables.ofAfter",
    message: "'the service and namespace that it stands for cannot be changed'",
  },
  {
    expression: `${isDelete} || (${sameAllocation}) || (${claim('Before')})`,
    message: `'its IPs are allocated by the cluster "' + variables.allocatorBefore + '"'`,
  },
  {
    expression: `${isDelete} || (${sameAllocation}) || (${claim('After')})`,
    message: `'its IPs would be allocated by the cluster "' + variables.allocatorAfter + '"'`,
  },
]

interface ResourceRule {
  readonly apiGroups: readonly string[]
  readonly apiVersions: readonly string[]
  readonly resources: readonly string[]
}

function policy(
  name: string,
  rules: readonly ResourceRule[],
  variables: readonly Variable[],
  validations: readonly Validation[],
): Manifest {
  const operations = ['CREATE', 'UPDATE', 'DELETE']
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: { resourceRules: rules.map(rule => ({ ...rule, operations })) },
      variables,
      validations: validations.map(({ expression, message }) => ({
        expression,
        messageExpression: message,
        reason: 'Forbidden',
      })),
    },
  }
}

/** The same for every broker of this server. */
export const trustPolicies: readonly Manifest[] = [
  policy(
    ownedPolicy,
    [
      {
        apiGroups: ['submariner.io'],
        apiVersions: ['v1'],
        resources: ['clusters', 'clusters/*', 'endpoints', 'endpoints/*'],
      },
      { apiGroups: ['discovery.k8s.io'], apiVersions: ['*'], resources: ['endpointslices'] },
    ],
    ownedVariables,
    ownedValidations,
  ),
  policy(
    importsPolicy,
    [
      {
        apiGroups: ['multicluster.x-k8s.io'],
        apiVersions: ['*'],
        resources: ['serviceimports', 'serviceimports/*'],
      },
    ],
    importVariables,
    importValidations,
  ),
]

/** They hold in one namespace. The server itself sets the label that they select it by. */
export function trustBindings(namespace: string): readonly Manifest[] {
  return [ownedPolicy, importsPolicy].map(policyName => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: `${policyName}-${namespace}` },
    spec: {
      policyName,
      validationActions: ['Deny'],
      matchResources: {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
      },
    },
  }))
}
