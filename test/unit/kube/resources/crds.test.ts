// deploy/crds: each file is a CustomResourceDefinition that a server would take, says what stock's says,
// and its schema holds for the golden objects and for what is written.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as schemas from 'typebox/schema'
import { parse } from 'yaml'
import type { ResourcePlace } from '../../../../src/kube/resource-type.ts'
import {
  goldenObject,
  goldenObjects,
  parsed,
  type RawObject,
  typeOf,
  withValue,
} from '../../../support/golden-objects.ts'
import { resourceTypes } from '../../../support/resource-types.ts'
import { filesOf, textOf } from '../../../support/tree.ts'

interface Schema {
  readonly type: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly pattern?: string
  readonly [keyword: string]: unknown
}

interface Column {
  readonly name: string
  readonly jsonPath: string
  readonly type: string
}

interface Version {
  readonly name: string
  readonly served: boolean
  readonly storage: boolean
  readonly schema: { readonly openAPIV3Schema: Schema }
  readonly subresources?: { readonly status?: object }
  readonly additionalPrinterColumns?: readonly Column[]
}

interface Crd {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly group: string
    readonly names: {
      readonly kind: string
      readonly listKind: string
      readonly plural: string
      readonly singular: string
      readonly shortNames?: readonly string[]
    }
    readonly scope: string
    readonly versions: readonly Version[]
  }
}

const files = filesOf('.yaml').filter(file => file.startsWith('deploy/crds/'))
const crds = new Map(files.map(file => [file, parse(textOf(file)) as Crd]))

function crdOf(kind: string): Crd {
  const found = [...crds.values()].find(({ spec }) => spec.names.kind === kind)
  assert.ok(found, `no CRD for ${kind}`)
  return found
}

function schemaOf(kind: string): Schema {
  return crdOf(kind).spec.versions[0].schema.openAPIV3Schema
}

/** Kind: version, scope, short name, whether there is a status subresource, columns. */
const expected: Readonly<Record<string, readonly [string, string, string, boolean, string]>> = {
  Broker: ['v1alpha1', 'Namespaced', '', true, ''],
  Cluster: ['v1', 'Namespaced', '', false, ''],
  ClusterGlobalEgressIP: ['v1', 'Cluster', 'cgeip', true, ''],
  Endpoint: ['v1', 'Namespaced', '', false, ''],
  Gateway: ['v1', 'Namespaced', '', false, 'HA Status .status.haStatus'],
  GatewayRoute: ['v1', 'Namespaced', 'gwrt', false, ''],
  GlobalEgressIP: ['v1', 'Namespaced', 'geip', true, ''],
  GlobalIngressIP: ['v1', 'Namespaced', 'giip', true, 'IP .status.allocatedIP'],
  NonGatewayRoute: ['v1', 'Namespaced', 'ngwrt', false, ''],
  RouteAgent: ['v1', 'Namespaced', '', false, ''],
  ServiceExport: ['v1alpha1', 'Namespaced', 'svcex', true, 'Age .metadata.creationTimestamp'],
  ServiceImport: [
    ...(['v1alpha1', 'Namespaced', 'svcim', true] as const),
    'Type .spec.type,IP .spec.ips,Age .metadata.creationTimestamp',
  ],
  Submariner: ['v1alpha1', 'Namespaced', '', true, ''],
}

test('each kind has the scope, short name, subresource and columns that stock gives it', () => {
  const seen = [...crds.values()].map(({ spec }) => {
    const [version] = spec.versions
    const columns = (version.additionalPrinterColumns ?? []).map(
      column => `${column.name} ${column.jsonPath}`,
    )
    const short = spec.names.shortNames?.join() ?? ''
    const hasStatus = version.subresources?.status !== undefined
    return [spec.names.kind, [version.name, spec.scope, short, hasStatus, columns.join()]]
  })
  assert.deepEqual(Object.fromEntries(seen), expected)
})

test('each file is a CustomResourceDefinition', () => {
  for (const [file, { apiVersion, kind, metadata, spec }] of crds) {
    assert.equal(apiVersion, 'apiextensions.k8s.io/v1', file)
    assert.equal(kind, 'CustomResourceDefinition', file)
    assert.ok(['submariner.io', 'multicluster.x-k8s.io'].includes(spec.group), file)
    assert.equal(metadata.name, `${spec.names.plural}.${spec.group}`, file)
    assert.equal(file, `deploy/crds/${spec.group}_${spec.names.plural}.yaml`)
    assert.equal(spec.names.listKind, `${spec.names.kind}List`, file)
    assert.equal(spec.names.singular, spec.names.kind.toLowerCase(), file)
    assert.equal(spec.names.plural, `${spec.names.singular}s`, file)
    assert.equal(spec.versions.length, 1, file)
    assert.ok(spec.versions[0].served && spec.versions[0].storage, file)
    checkColumns(file, spec.versions[0])
    checkStructural(spec.versions[0].schema.openAPIV3Schema, file)
  }
})

/** A column shows a field that is there; a list is shown as text. */
function checkColumns(file: string, version: Version): void {
  for (const { jsonPath, type } of version.additionalPrinterColumns ?? []) {
    if (jsonPath.startsWith('.metadata.')) continue
    let schema: Schema | undefined = version.schema.openAPIV3Schema
    for (const step of jsonPath.split('.').slice(1)) schema = schema?.properties?.[step]
    const shown = schema?.type === 'array' ? 'string' : schema?.type
    assert.equal(shown, type, `${file}: ${jsonPath}`)
  }
}

const types = ['object', 'array', 'string', 'integer', 'boolean']
const keywords = [
  ...['type', 'description', 'properties', 'additionalProperties', 'items', 'required', 'default'],
  ...['enum', 'format', 'pattern', 'minLength', 'maxLength', 'minimum', 'maximum', 'maxItems'],
  ...['x-kubernetes-list-type', 'x-kubernetes-list-map-keys', 'x-kubernetes-map-type'],
]

/** The rules of a structural schema that a server refuses a definition by. */
function checkStructural(schema: Schema, path: string): void {
  assert.ok(types.includes(schema.type), `${path} has a type`)
  for (const keyword of Object.keys(schema)) {
    assert.ok(keywords.includes(keyword), `${path}: ${keyword}`)
  }
  const { properties, additionalProperties, items } = schema
  assert.ok(properties === undefined || additionalProperties === undefined, path)
  if (properties || additionalProperties) assert.equal(schema.type, 'object', path)
  assert.equal(items !== undefined, schema.type === 'array', `${path} has items`)
  for (const name of schema.required ?? []) assert.ok(properties?.[name], `${path}: ${name}`)
  for (const [name, inner] of Object.entries(properties ?? {})) {
    checkStructural(inner, `${path}.${name}`)
  }
  if (additionalProperties) checkStructural(additionalProperties, `${path}.*`)
  if (items) checkStructural(items, `${path}[]`)
  if (schema.pattern !== undefined) new RegExp(schema.pattern, 'u')
}

test('a kind that we parse lies where its definition puts it', () => {
  const ours = resourceTypes.filter(({ group }) => group === 'submariner.io')
  for (const type of ours) {
    const { spec } = crdOf(type.kind)
    const place: ResourcePlace = {
      group: spec.group,
      version: spec.versions[0].name,
      plural: spec.names.plural,
      kind: spec.names.kind,
      namespaced: spec.scope === 'Namespaced',
    }
    const { group, version, plural, kind, namespaced } = type
    assert.deepEqual({ group, version, plural, kind, namespaced }, place)
  }
  assert.equal(ours.length, 6)
})

/** What a schema says against an object, besides fields that it does not know. */
function objections(schema: Schema, object: unknown): string[] {
  const [, errors] = schemas.Compile(schema as schemas.XSchema).Errors(object)
  return [
    ...errors.map(({ instancePath, message }) => `${instancePath}: ${message}`),
    ...unknownFields(schema, object, ''),
  ]
}

/** Fields that a server would drop. */
function unknownFields(schema: Schema, value: unknown, path: string): string[] {
  if (Array.isArray(value)) {
    const { items } = schema
    return items ? value.flatMap((item, at) => unknownFields(items, item, `${path}/${at}`)) : []
  }
  if (schema.properties === undefined || typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => {
    const known = schema.properties?.[name]
    return known
      ? unknownFields(known, inner, `${path}/${name}`)
      : [`${path}/${name}: a server would drop it`]
  })
}

/** Without the frame, which every schema leaves open. */
const withoutMetadata = (raw: unknown) => withValue(raw, 'metadata', {})

test('the golden objects, and what is made of them, satisfy their schemas', () => {
  const custom = goldenObjects().filter(({ raw }) => raw.apiVersion.startsWith('submariner.io/'))
  for (const { name, raw } of custom) {
    const schema = schemaOf(raw.kind)
    assert.deepEqual(objections(schema, withoutMetadata(raw)), [], name)
    const type = typeOf(raw)
    const written = type.serialize(parsed(type, raw))
    assert.deepEqual(objections(schema, withoutMetadata(written)), [], name)
  }
  assert.ok(custom.length >= 9, `saw ${custom.length} objects`)
})

test('what ours writes satisfies the schema before 0.21 too', () => {
  const root = schemaOf('Endpoint')
  const required = [...(root.properties?.['spec'].required ?? []), 'private_ip', 'public_ip']
  const schema = withValue(root, 'properties.spec.required', required) as unknown as Schema
  const raw = goldenObject('endpoint-hawser')
  assert.deepEqual(objections(schema, withoutMetadata(raw)), [])
  const newer = withValue(raw, 'spec.public_ip', undefined)
  assert.deepEqual(objections(schemaOf('Endpoint'), withoutMetadata(newer)), [])
  assert.equal(objections(schema, withoutMetadata(newer)).length, 1)
})

const refused: readonly (readonly [golden: string, path: string, value: unknown])[] = [
  ['cluster', 'spec', undefined],
  ['cluster', 'spec.global_cidr', undefined],
  ['cluster', 'spec.cluster_id', ''],
  ['cluster', 'spec.cluster_id', 'a'.repeat(64)],
  ['endpoint-0.24', 'spec.subnets', undefined],
  ['endpoint-0.24', 'spec.nat_enabled', 'true'],
  ['endpoint-0.24', 'spec.privateIPs', ['1', '2', '3']],
  ['endpoint-0.24', 'spec.backend_config.udp-port', 4500],
  ['endpoint-0.24', 'spec.private_IP', '172.18.0.6'],
  ['gateway-0.24', 'status.connections', undefined],
  ['gateway-0.24', 'status.connections.0.endpoint', undefined],
  ['gateway-0.24', 'status.localEndpoint.backend', undefined],
  ['gateway-0.24', 'status.connections.0.latencyRTT.last', 401_200],
  ['route-agent', 'status.remoteEndpoints.0.statusMessage', undefined],
  ['submariner', 'spec.broker', undefined],
  ['submariner', 'spec.ceIPSecNATTPort', '4500'],
  ['submariner', 'status.gatewayDaemonSetStatus.mismatchedContainerImages', undefined],
  ['broker', 'spec.defaultGlobalnetClusterSize', 1.5],
]

test('an object that a server would refuse is refused', () => {
  for (const [golden, path, value] of refused) {
    const raw = withValue(goldenObject(golden), path, value)
    const found = objections(schemaOf(raw.kind), withoutMetadata(raw))
    assert.ok(found.length > 0, `${golden} with ${path} ${value}`)
  }
})

/** Objects of kinds that nobody here parses yet. */
const others: readonly RawObject[] = [
  {
    apiVersion: 'submariner.io/v1',
    kind: 'ClusterGlobalEgressIP',
    metadata: {},
    spec: { numGlobalIPs: 8 },
    status: { allocatedIPs: ['242.0.0.1'], conditions: [allocated('Success')] },
  },
  {
    apiVersion: 'submariner.io/v1',
    kind: 'GlobalEgressIP',
    metadata: {},
    spec: {
      numberOfIPs: 1,
      podSelector: {
        matchLabels: { app: 'web' },
        matchExpressions: [{ key: 'tier', operator: 'In', values: ['a'] }],
      },
    },
    status: { allocatedIPs: ['242.0.0.9'] },
  },
  {
    apiVersion: 'submariner.io/v1',
    kind: 'GlobalIngressIP',
    metadata: {},
    spec: { target: 'HeadlessServicePod', serviceRef: { name: 'web' }, podRef: { name: 'web-0' } },
    status: { allocatedIP: '242.0.0.10', conditions: [allocated('Success')] },
  },
  ...['GatewayRoute', 'NonGatewayRoute'].map(kind => ({
    apiVersion: 'submariner.io/v1',
    kind,
    metadata: {},
    spec: { nextHops: ['172.18.0.6'], remoteCIDRs: ['10.130.0.0/16'] },
  })),
]

function allocated(reason: string): Record<string, unknown> {
  return {
    type: 'Allocated',
    status: 'True',
    reason,
    message: '',
    lastTransitionTime: '2026-11-28T07:00:00Z',
  }
}

test('the kinds for Globalnet and OVN take what stock writes of them', () => {
  for (const raw of others) assert.deepEqual(objections(schemaOf(raw.kind), raw), [], raw.kind)
  const wrong = withValue(others[0], 'spec.numGlobalIPs', 21)
  assert.equal(objections(schemaOf('ClusterGlobalEgressIP'), wrong).length, 1)
  const unnamed = withValue(others[2], 'status.conditions.0.reason', '')
  assert.ok(objections(schemaOf('GlobalIngressIP'), unnamed).length > 0)
})
