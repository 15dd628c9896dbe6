// Our custom resource definitions on a real server: it takes them, it takes every object of the golden
// files with nothing pruned, and kubectl shows them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRecord } from '../../src/kube/errors.ts'
import type { Resource, ResourcePlace } from '../../src/kube/resource-type.ts'
import {
  coreObject,
  goldenObject,
  goldenObjects,
  parsed,
  type RawObject,
  typeOf,
} from '../support/golden-objects.ts'
import type { ApiServer } from '../support/kubernetes/api-server.ts'
import { sharedServers } from '../support/kubernetes/servers.ts'
import { resourceTypes } from '../support/resource-types.ts'
import { root } from '../support/tree.ts'

interface Definition {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly names: { readonly plural: string }
    readonly versions: readonly {
      readonly subresources?: { readonly status?: object }
      readonly additionalPrinterColumns?: readonly { readonly name: string }[]
    }[]
  }
  readonly status: {
    readonly conditions: readonly { readonly type: string; readonly status: string }[]
  }
}

let server: ApiServer
sharedServers(['crds'], async servers => {
  server = servers.get('crds')
  await server.kubectl(['create', '-f', `${root}/deploy/crds`])
  await server.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s'])
})

async function definitions(): Promise<readonly Definition[]> {
  const list = await server.kubectl(['get', 'crd', '-o', 'json'])
  return (JSON.parse(list) as { items: Definition[] }).items
}

/** The answer as an object; any other status is an error. */
async function ask(method: string, path: string, status: number, body?: unknown) {
  const answer = await server.raw(method, path, body === undefined ? {} : { body })
  assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`)
  return JSON.parse(answer.text) as RawObject
}

function pathOf({ group, version, plural }: ResourcePlace, namespace: string | undefined): string {
  const prefix = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  return `${prefix}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}`
}

/** Without what the server alone writes, in a namespace of its own. */
function fresh(raw: RawObject, namespace: string): RawObject {
  const { uid: _, resourceVersion: __, creationTimestamp: ___, ...metadata } = raw.metadata
  const place = 'namespace' in metadata ? { namespace } : {}
  // Every server has one of this name.
  const name = raw.kind === 'ServiceCIDR' ? { name: 'second' } : {}
  return { ...raw, metadata: { ...metadata, ...place, ...name } }
}

test('the definitions are accepted as structural and established, and applying them changes nothing', async () => {
  const found = await definitions()
  assert.ok(found.length >= 11, `${found.length}`)
  for (const { metadata, status } of found) {
    const conditions = status.conditions.map(one => `${one.type} ${one.status}`).sort()
    assert.deepEqual(conditions, ['Established True', 'NamesAccepted True'], metadata.name)
  }
  const diff = await server.kubectl(['diff', '-f', `${root}/deploy/crds`])
  assert.equal(diff, '')
})

for (const { name, raw } of goldenObjects()) {
  test(`${name} is accepted, and comes back whole`, async () => {
    const type = typeOf(raw)
    const namespace = await server.newNamespace()
    const object = fresh(raw, namespace)
    if (raw.kind === 'Secret') {
      // Without its account the controllers would delete it.
      const account = fresh(coreObject('ServiceAccount'), namespace)
      await ask('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, 201, account)
    }
    const collection = pathOf(type, type.namespaced ? namespace : undefined)
    const created = await ask('POST', `${collection}?fieldValidation=Strict`, 201, object)
    const path = `${collection}/${created.metadata['name']}`
    if ('status' in object && !('status' in created && isIn(object['status'], created['status']))) {
      const { metadata } = created
      await ask('PUT', `${path}/status?fieldValidation=Strict`, 200, { ...object, metadata })
    }
    const read = await ask('GET', path, 200)
    const isOurs = type.group.endsWith('submariner.io')
    if (isOurs) assert.deepEqual({ ...read, metadata: object.metadata }, object)
    for (const [field, value] of Object.entries(object)) {
      // The controllers write the token of the account there.
      if (raw.kind === 'Secret' && field === 'data') continue
      assert.ok(isIn(value, read[field]), `${field}: ${JSON.stringify(read[field])}`)
    }
    const { meta: _, ...values } = parsed(type, read)
    const { meta: __, ...expected } = parsed(type, object)
    if (raw.kind !== 'Secret') assert.deepEqual(values, expected)
  })
}

/** Whether everything of `part` is in `whole`, which may have more fields: defaults, and what others own. */
function isIn(part: unknown, whole: unknown): boolean {
  if (Array.isArray(part)) {
    return Array.isArray(whole) && part.every((item, index) => isIn(item, whole[index]))
  }
  if (!isRecord(part)) return part === whole
  return isRecord(whole) && Object.keys(part).every(key => isIn(part[key], whole[key]))
}

for (const type of resourceTypes.filter(({ group }) => group.endsWith('submariner.io'))) {
  test(`what we write of ${type.kind} is stored as we wrote it`, async () => {
    const client = server.client()
    const goldens = goldenObjects().filter(({ raw }) => raw.kind === type.kind)
    assert.ok(goldens.length > 0)
    for (const { raw } of goldens) {
      const namespace = await server.newNamespace()
      const value: Resource = parsed(type, fresh(raw, namespace))
      const created = await client.create(type, value)
      const hasStatus = 'status' in raw && !('status' in (created.raw as object))
      const stored = hasStatus
        ? await client.update(type, created, value, { status: true })
        : created
      const { meta } = stored.value
      assert.deepEqual(stored.value, { ...value, meta })
      assert.deepEqual(meta.labels, value.meta.labels)
      assert.deepEqual(meta.annotations, value.meta.annotations)
    }
  })
}

test('a field that no schema has is refused when that is asked for, and pruned when not', async () => {
  const namespace = await server.newNamespace()
  const object = fresh(goldenObject('cluster'), namespace)
  const wrong = { ...object, spec: { ...(object['spec'] as object), colour: 'blue' } }
  const path = `/apis/submariner.io/v1/namespaces/${namespace}/clusters`
  const strict = await ask('POST', `${path}?fieldValidation=Strict`, 400, wrong)
  assert.match(String(strict['message']), /unknown field "spec.colour"/)
  const stored = await ask('POST', path, 201, wrong)
  assert.deepEqual(stored['spec'], object['spec'])
})

test('kubectl shows the columns of the definitions, and describes the objects', async () => {
  const namespace = await server.newNamespace()
  const kubectl = (...args: string[]) => server.kubectl(['-n', namespace, ...args])
  const ingress = {
    apiVersion: 'submariner.io/v1',
    kind: 'GlobalIngressIP',
    metadata: { name: 'web' },
    spec: { target: 'ClusterIPService', serviceRef: { name: 'web' } },
  }
  for (const object of [fresh(goldenObject('gateway-0.24'), namespace), ingress]) {
    await server.kubectl(['-n', namespace, 'create', '-f', '-'], JSON.stringify(object))
  }
  const status = { status: { allocatedIP: '242.0.0.7' } }
  await kubectl(
    ...['patch', 'globalingressips', 'web', '--subresource=status', '--type=merge'],
    ...['-p', JSON.stringify(status)],
  )
  const rows = async (plural: string) =>
    (await kubectl('get', plural))
      .trimEnd()
      .split('\n')
      .map(line => line.split(/ {2,}/))
  assert.deepEqual(await rows('gateways'), [
    ['NAME', 'HA STATUS'],
    ['cluster1-worker', 'active'],
  ])
  assert.deepEqual(await rows('globalingressips'), [
    ['NAME', 'IP'],
    ['web', '242.0.0.7'],
  ])
  const described = await kubectl('describe', 'gateways', 'cluster1-worker')
  for (const text of [/Ha Status: +active/, /Status Message: +no handshake for 131.4 seconds/]) {
    assert.match(described, text)
  }
})
