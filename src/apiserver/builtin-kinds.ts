// The built-in kinds that are served: names, columns, fields and patches as a kube-apiserver has them, as
// far as we or kubectl look at them.

import { listAt, recordAt, textAt } from './body.ts'
import {
  ageColumn,
  column,
  count,
  countAt,
  hasCondition,
  nameColumn,
  otherwise,
  textCell,
} from './columns.ts'
import { allVerbs, type Kind, readVerbs } from './kind.ts'
import {
  anything,
  fields,
  flag,
  integer,
  list,
  object,
  oneOf,
  open,
  openFields,
  text,
  texts,
} from './schema-terms.ts'

const core = { group: '', version: 'v1', namespaced: true } as const
const plain = {
  shortNames: [],
  verbs: allVerbs,
  hasStatus: false,
  isCustom: false,
  hasGeneration: false,
  fields: [],
} as const
/** Of every kind. */
const metaKeys = { 'metadata.ownerReferences': 'uid', 'metadata.finalizers': '' } as const

const reference = fields({
  ...{ apiVersion: text, kind: text, name: text, namespace: text, uid: text },
  ...{ resourceVersion: text, fieldPath: text },
})

export const namespaceKind: Kind = {
  ...{ ...core, ...plain, namespaced: false, plural: 'namespaces', kind: 'Namespace' },
  singular: 'namespace',
  shortNames: ['ns'],
  hasStatus: true,
  fields: ['status.phase'],
  schema: object({ spec: fields({ finalizers: list(text) }), status: open }),
  columns: [nameColumn, column('Status', textCell('status', 'phase')), ageColumn],
  mergeKeys: { ...metaKeys, 'status.conditions': 'type' },
}

export const configMapKind: Kind = {
  ...{ ...core, ...plain, plural: 'configmaps', kind: 'ConfigMap', singular: 'configmap' },
  shortNames: ['cm'],
  schema: object({ data: texts, binaryData: texts, immutable: flag }),
  columns: [nameColumn, count('Data', countAt('data')), ageColumn],
  mergeKeys: metaKeys,
}

export const secretKind: Kind = {
  ...{ ...core, ...plain, plural: 'secrets', kind: 'Secret', singular: 'secret' },
  fields: ['type'],
  schema: object({
    type: { type: 'string', default: 'Opaque' },
    ...{ data: { type: 'object', additionalProperties: { type: 'string', format: 'byte' } } },
    ...{ stringData: texts, immutable: flag },
  }),
  columns: [
    ...[nameColumn, column('Type', textCell('type')), count('Data', countAt('data'))],
    ageColumn,
  ],
  mergeKeys: metaKeys,
}

export const serviceAccountKind: Kind = {
  ...{ ...core, ...plain, plural: 'serviceaccounts', kind: 'ServiceAccount' },
  singular: 'serviceaccount',
  shortNames: ['sa'],
  schema: object({
    secrets: list(reference),
    imagePullSecrets: list(fields({ name: text })),
    automountServiceAccountToken: flag,
  }),
  columns: [nameColumn, count('Secrets', countAt('secrets')), ageColumn],
  mergeKeys: { ...metaKeys, secrets: 'name' },
}

export const eventKind: Kind = {
  ...{ ...core, ...plain, plural: 'events', kind: 'Event', singular: 'event', shortNames: ['ev'] },
  fields: [
    ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
      field => `involvedObject.${field}`,
    ),
    ...['reason', 'type', 'reportingComponent', 'source'],
  ],
  schema: object({
    involvedObject: reference,
    ...{ reason: text, message: text, type: text, action: text, count: integer },
    ...{ source: fields({ component: text, host: text }), series: open, related: reference },
    ...{ firstTimestamp: anything, lastTimestamp: anything, eventTime: anything },
    ...{ reportingComponent: text, reportingInstance: text },
  }),
  columns: [
    column('Type', textCell('type')),
    column('Reason', textCell('reason')),
    column(
      'Object',
      body =>
        `${textAt(body, 'involvedObject', 'kind').toLowerCase()}/${textAt(body, 'involvedObject', 'name')}`,
    ),
    column('Message', textCell('message')),
  ],
  mergeKeys: metaKeys,
}

export const endpointSliceKind: Kind = {
  ...{ ...plain, group: 'discovery.k8s.io', version: 'v1', namespaced: true },
  ...{ plural: 'endpointslices', kind: 'EndpointSlice', singular: 'endpointslice' },
  hasGeneration: true,
  schema: object(
    {
      addressType: oneOf('IPv4', 'IPv6', 'FQDN'),
      endpoints: {
        type: 'array',
        items: fields(
          {
            addresses: { type: 'array', maxItems: 100, items: text },
            conditions: fields({ ready: flag, serving: flag, terminating: flag }),
            ...{ hostname: text, nodeName: text, zone: text, targetRef: reference },
            ...{ deprecatedTopology: texts, hints: open },
          },
          'addresses',
        ),
        maxItems: 1000,
      },
      ports: {
        type: 'array',
        items: fields({ name: text, protocol: text, port: integer, appProtocol: text }),
        maxItems: 20_000,
      },
    },
    'addressType',
  ),
  columns: [
    ...[nameColumn, column('AddressType', textCell('addressType'))],
    column('Ports', body => shown(listAt(body, 'ports').map(port => textOf(port, 'port')))),
    column('Endpoints', body =>
      shown(listAt(body, 'endpoints').flatMap(endpoint => listAt(endpoint, 'addresses'))),
    ),
    ageColumn,
  ],
  mergeKeys: metaKeys,
}

export const leaseKind: Kind = {
  ...{ ...plain, group: 'coordination.k8s.io', version: 'v1', namespaced: true },
  ...{ plural: 'leases', kind: 'Lease', singular: 'lease' },
  schema: object({
    spec: fields({
      ...{ holderIdentity: text, leaseDurationSeconds: integer, leaseTransitions: integer },
      ...{ acquireTime: text, renewTime: text, strategy: text, preferredHolder: text },
    }),
  }),
  columns: [nameColumn, column('Holder', textCell('spec', 'holderIdentity')), ageColumn],
  mergeKeys: metaKeys,
}

export const nodeKind: Kind = {
  ...{ ...core, ...plain, namespaced: false, plural: 'nodes', kind: 'Node', singular: 'node' },
  shortNames: ['no'],
  hasStatus: true,
  fields: ['spec.unschedulable'],
  schema: object({
    spec: openFields({ podCIDR: text, podCIDRs: list(text), unschedulable: flag }),
    status: open,
  }),
  columns: [
    nameColumn,
    column('Status', body => (hasCondition(body, 'Ready') ? 'Ready' : 'NotReady')),
    column('Roles', body => {
      const prefix = 'node-role.kubernetes.io/'
      const labels = Object.keys(recordAt(body, 'metadata', 'labels'))
      const roles = labels.filter(label => label.startsWith(prefix))
      return shown(roles.map(label => label.slice(prefix.length)))
    }),
    ageColumn,
    column('Version', textCell('status', 'nodeInfo', 'kubeletVersion')),
    column(
      'Internal-IP',
      body =>
        listAt(body, 'status', 'addresses')
          .filter(address => textAt(address, 'type') === 'InternalIP')
          .map(address => textAt(address, 'address'))[0] ?? '<none>',
      1,
    ),
  ],
  mergeKeys: {
    ...metaKeys,
    'spec.podCIDRs': '',
    'status.addresses': 'type',
    'status.conditions': 'type',
  },
}

export const podKind: Kind = {
  ...{ ...core, ...plain, plural: 'pods', kind: 'Pod', singular: 'pod', shortNames: ['po'] },
  hasStatus: true,
  fields: [
    ...['spec.nodeName', 'spec.restartPolicy', 'spec.schedulerName', 'spec.serviceAccountName'],
    ...['spec.hostNetwork', 'status.phase', 'status.podIP', 'status.nominatedNodeName'],
  ],
  schema: object({
    spec: openFields({
      containers: list(openFields({ name: text, image: text })),
      ...{ nodeName: text, hostNetwork: flag },
    }),
    status: openFields({ phase: text, podIP: text, podIPs: list(fields({ ip: text })) }),
  }),
  columns: [
    nameColumn,
    column('Ready', body => {
      const all = listAt(body, 'spec', 'containers').length
      return `${hasCondition(body, 'Ready') ? all : 0}/${all}`
    }),
    column('Status', body => otherwise(textAt(body, 'status', 'phase'), 'Unknown')),
    column('Restarts', () => '0'),
    ageColumn,
    column('IP', body => otherwise(textAt(body, 'status', 'podIP'), '<none>'), 1),
    column('Node', body => otherwise(textAt(body, 'spec', 'nodeName'), '<none>'), 1),
  ],
  mergeKeys: {
    ...metaKeys,
    ...containerKeys('spec.containers', 'spec.initContainers', 'spec.ephemeralContainers'),
    'spec.volumes': 'name',
    'spec.imagePullSecrets': 'name',
    'spec.hostAliases': 'ip',
    'spec.topologySpreadConstraints': 'topologyKey',
    'spec.resourceClaims': 'name',
    'status.conditions': 'type',
    'spec.schedulingGates': 'name',
    'status.podIPs': 'ip',
    'status.hostIPs': 'ip',
  },
}

export const serviceKind: Kind = {
  ...{ ...core, ...plain, plural: 'services', kind: 'Service', singular: 'service' },
  shortNames: ['svc'],
  hasStatus: true,
  fields: ['spec.clusterIP', 'spec.type'],
  schema: object({
    spec: openFields({
      type: {
        ...oneOf('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'),
        default: 'ClusterIP',
      },
      sessionAffinity: { ...oneOf('None', 'ClientIP'), default: 'None' },
      ...{ clusterIP: text, clusterIPs: list(text), ipFamilies: list(oneOf('IPv4', 'IPv6')) },
      ipFamilyPolicy: oneOf('SingleStack', 'PreferDualStack', 'RequireDualStack'),
      selector: texts,
      ports: list({
        ...openFields({
          name: text,
          protocol: { ...oneOf('TCP', 'UDP', 'SCTP'), default: 'TCP' },
          port: { type: 'integer', minimum: 1, maximum: 65_535 },
        }),
        required: ['port'],
      }),
      publishNotReadyAddresses: flag,
    }),
    status: open,
  }),
  columns: [
    ...[nameColumn, column('Type', textCell('spec', 'type'))],
    column('Cluster-IP', body => otherwise(textAt(body, 'spec', 'clusterIP'), '<none>')),
    column('External-IP', body => shown(listAt(body, 'spec', 'externalIPs'))),
    column('Port(s)', body =>
      shown(
        listAt(body, 'spec', 'ports').map(
          port => `${textOf(port, 'port')}/${otherwise(textAt(port, 'protocol'), 'TCP')}`,
        ),
      ),
    ),
    ageColumn,
  ],
  mergeKeys: { ...metaKeys, 'spec.ports': 'port', 'status.conditions': 'type' },
}

export const serviceCidrKind: Kind = {
  ...{ ...plain, group: 'networking.k8s.io', version: 'v1', namespaced: false },
  ...{ plural: 'servicecidrs', kind: 'ServiceCIDR', singular: 'servicecidr' },
  verbs: readVerbs,
  schema: object({ spec: fields({ cidrs: list(text) }), status: open }),
  columns: [nameColumn, column('CIDRs', body => shown(listAt(body, 'spec', 'cidrs'))), ageColumn],
  mergeKeys: { ...metaKeys, 'status.conditions': 'type' },
}

export const definitionKind: Kind = {
  ...{ ...plain, group: 'apiextensions.k8s.io', version: 'v1', namespaced: false },
  ...{ plural: 'customresourcedefinitions', kind: 'CustomResourceDefinition' },
  singular: 'customresourcedefinition',
  shortNames: ['crd', 'crds'],
  verbs: readVerbs,
  schema: object({ spec: open, status: open }),
  columns: [nameColumn, column('Created At', textCell('metadata', 'creationTimestamp'))],
  mergeKeys: metaKeys,
}

function containerKeys(...paths: readonly string[]): Record<string, string> {
  const inner = {
    '': 'name',
    '.env': 'name',
    '.ports': 'containerPort',
    '.volumeMounts': 'mountPath',
  }
  const all = { ...inner, '.volumeDevices': 'devicePath' }
  return Object.fromEntries(
    paths.flatMap(path => Object.entries(all).map(([end, key]) => [`${path}${end}`, key])),
  )
}

function textOf(body: unknown, name: string): string {
  return String(recordAt(body)[name] ?? '')
}

/** Three of them, and how many more. */
function shown(values: readonly unknown[]): string {
  if (values.length === 0) return '<none>'
  const first = values.slice(0, 3).map(String).join(',')
  return values.length > 3 ? `${first} + ${values.length - 3} more...` : first
}
