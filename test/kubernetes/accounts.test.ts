// What kube-controller-manager does for the members of a clusterset: it fills the Secret of a long-lived
// token, which is what a gateway holds, takes a namespace away with all that is in it, and what is owned
// with its owner, and makes the slices of a Service.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kubeCodeOf } from '../../src/kube/errors.ts'
import { namespaceType, serviceAccountType } from '../../src/kube/resources/bare.ts'
import { newMeta } from '../../src/kube/resources/resource.ts'
import { eventually } from '../support/eventually.ts'
import { configMaps, newNote } from '../support/kube-kinds.ts'
import { longLivedToken } from '../support/kubernetes/accounts.ts'
import type { ApiServer } from '../support/kubernetes/api-server.ts'
import { sharedServers } from '../support/kubernetes/servers.ts'
import { refused } from '../support/refused.ts'

const servers = sharedServers(['broker', 'east'])

/** Creates what the path's collection holds. */
async function create(server: ApiServer, path: string, body: object): Promise<void> {
  const { status, text } = await server.raw('POST', path, { body })
  assert.equal(status, 201, text)
}

async function isGone(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => false,
    (error: unknown) => {
      if (kubeCodeOf(error) !== 'NOT_FOUND') throw error
      return true
    },
  )
}

test('a long-lived token is made, may do what its account is bound to, and is for one cluster alone', async () => {
  const server = servers.get('broker')
  const namespace = await server.newNamespace()
  const { token, ca } = await longLivedToken(server, namespace, 'cluster-east')
  assert.equal(ca, server.ca)
  const member = server.client({ token, namespace })
  const list = () => member.list(configMaps, { namespace })
  await refused(list(), 'FORBIDDEN', 'cannot list configmaps')
  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`
  await create(server, `${rbac}/roles`, {
    metadata: { name: 'reader' },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch'] }],
  })
  await create(server, `${rbac}/rolebindings`, {
    metadata: { name: 'reader' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
    subjects: [{ kind: 'ServiceAccount', name: 'cluster-east', namespace }],
  })
  // The server learns of the binding by a watch of its own.
  await eventually(() =>
    list().then(
      () => true,
      error => {
        if (kubeCodeOf(error) !== 'FORBIDDEN') throw error
        return false
      },
    ),
  )
  const written = member.create(configMaps, newNote(namespace, 'note', 'x'))
  await refused(written, 'FORBIDDEN', 'cannot create configmaps')

  const elsewhere = servers.get('east')
  const stranger = elsewhere.client({ token, namespace })
  await refused(stranger.list(configMaps, { namespace }), 'UNAUTHORIZED', elsewhere.url)
  const mistaken = elsewhere.client({ ca: server.ca })
  await refused(mistaken.list(configMaps, { namespace }), 'CERTIFICATE', elsewhere.url)
})

test('a token is refused soon after its Secret is deleted', async () => {
  const server = servers.get('broker')
  const namespace = await server.newNamespace()
  const { token } = await longLivedToken(server, namespace, 'cluster-west')
  const member = server.client({ token, namespace })
  await refused(member.list(configMaps, { namespace }), 'FORBIDDEN', 'list configmaps')
  const path = `/api/v1/namespaces/${namespace}/secrets/cluster-west-token`
  assert.equal((await server.raw('DELETE', path)).status, 200)
  // The server remembers for ten seconds who was good.
  await eventually(() =>
    member.list(configMaps, { namespace }).then(
      () => false,
      error => kubeCodeOf(error) === 'UNAUTHORIZED',
    ),
  )
})

test('a namespace goes with all that is in it', async () => {
  const server = servers.get('east')
  const client = server.client()
  const namespace = await server.newNamespace()
  await client.create(configMaps, newNote(namespace, 'note', 'x'))
  await client.create(serviceAccountType, { meta: newMeta('member', namespace) })
  await client.delete(namespaceType, { name: namespace })
  await eventually(() => isGone(client.get(namespaceType, { name: namespace })))
  assert.ok(await isGone(client.get(configMaps, { namespace, name: 'note' })))
  assert.ok(await isGone(client.get(serviceAccountType, { namespace, name: 'member' })))
})

test('what is owned goes with its owner', async () => {
  const server = servers.get('east')
  const client = server.client()
  const namespace = await server.newNamespace()
  const owner = await client.create(configMaps, newNote(namespace, 'owner', 'x'))
  const { name, uid } = owner.value.meta
  await create(server, `/api/v1/namespaces/${namespace}/configmaps`, {
    metadata: {
      name: 'owned',
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name, uid }],
    },
    data: { text: 'x' },
  })
  await client.delete(configMaps, { namespace, name }, { propagation: 'Background' })
  await eventually(() => isGone(client.get(configMaps, { namespace, name: 'owned' })))
})

test('a Service with a selector gets an address of its cluster, and a slice', async () => {
  const server = servers.get('east')
  const namespace = await server.newNamespace()
  const services = `/api/v1/namespaces/${namespace}/services`
  const spec = { selector: { app: 'web' }, ports: [{ port: 80 }] }
  await create(server, services, { metadata: { name: 'web' }, spec })
  const { text } = await server.raw('GET', `${services}/web`)
  const { clusterIP } = (JSON.parse(text) as { spec: { clusterIP: string } }).spec
  assert.equal(clusterIP.split('.', 2).join('.'), server.serviceCidr.split('.', 2).join('.'))
  const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`
  await eventually(async () => {
    const { items } = JSON.parse((await server.raw('GET', slices)).text) as { items: unknown[] }
    return items.length === 1
  })
})
