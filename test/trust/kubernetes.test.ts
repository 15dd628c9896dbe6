// The trust suite on a real kube-apiserver, with what deploy-broker and join install and nothing else; and
// what only such a server does: deletes a collection object by object, and a whole namespace.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { waitForToken } from '../../src/broker/deploy.ts'
import { ensure } from '../../src/broker/ensure.ts'
import { memberAccountManifest } from '../../src/broker/manifests.ts'
import { ensureMember } from '../../src/broker/membership.ts'
import type { KubeClient } from '../../src/kube/client.ts'
import { memberAccountName, memberTokenName } from '../../src/kube/names.ts'
import { parsePrefix } from '../../src/net/address.ts'
import { eventually } from '../support/eventually.ts'
import { longLivedToken } from '../support/kubernetes/accounts.ts'
import type { ApiServer } from '../support/kubernetes/api-server.ts'
import { sharedServers } from '../support/kubernetes/servers.ts'
import { deployed } from '../support/membership.ts'
import { attempts, roleAttempts, titleOf } from '../support/trust/attempts.ts'
import { pathOf, ServerBroker } from '../support/trust/server-broker.ts'
import {
  brokerNamespace,
  clusterObject,
  endpointObject,
  memberIds,
  stockMemberId,
  type TrustUser,
} from '../support/trust/world.ts'

const servers = sharedServers(['broker'])

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

async function memberToken(client: KubeClient, id: string): Promise<string> {
  const claim = { clusterId: id, memberUid: `uid-${id}`, isJoined: false }
  const secret = await ensureMember(client, brokerNamespace, claim, [parsePrefix('10.0.0.0/24')])
  return text(secret.data['token'])
}

/** As subctl makes one; the role is bound by --stock-members. */
async function stockToken(client: KubeClient, id: string): Promise<string> {
  await ensure(client, memberAccountManifest(brokerNamespace, id, {}))
  await ensure(client, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: memberTokenName(id),
      namespace: brokerNamespace,
      annotations: { 'kubernetes.io/service-account.name': memberAccountName(id) },
    },
    type: 'kubernetes.io/service-account-token',
  })
  const secret = await waitForToken(client, brokerNamespace, memberTokenName(id))
  return text(secret.data['token'])
}

async function startBroker(server: ApiServer): Promise<ServerBroker> {
  const client = server.client()
  const info = await deployed(client, { stockMembers: [stockMemberId] })
  const tokens = new Map<TrustUser, string>([['admin', text(info.token.token)]])
  for (const id of memberIds) tokens.set(id, await memberToken(client, id))
  tokens.set(stockMemberId, await stockToken(client, stockMemberId))
  tokens.set('nobody', (await longLivedToken(server, 'default', 'somebody')).token)
  const { url, ca, adminToken } = server
  const broker = new ServerBroker({ url, ca, token: adminToken }, tokens)
  await broker.fill()
  await enforced(broker)
  return broker
}

/** The server learns of policies and roles by watches of its own. */
async function enforced(broker: ServerBroker): Promise<void> {
  const isRight = async (title: RegExp) => {
    const attempt = [...attempts, ...roleAttempts].find(each => title.test(titleOf(each)))
    assert.ok(attempt, String(title))
    return broker.check(attempt).then(
      () => true,
      () => false,
    )
  }
  const looks = [
    /^refused: c1 create endpoints .*another's under/,
    /^refused: c2 updateStatus serviceimports .*without another's/,
    /^allowed: c3 create clusters/,
    /^allowed: s1 list secrets/,
    /^allowed: admin delete clusters/,
  ]
  for (const look of looks)
    await eventually(
      () => isRight(look),
      () => String(look),
    )
}

let starting: Promise<ServerBroker> | undefined

/** Made by the first test that asks. */
function started(): Promise<ServerBroker> {
  starting ??= startBroker(servers.get('broker'))
  return starting
}

after(async () => (await starting?.catch(() => undefined))?.close())

for (const attempt of [...attempts, ...roleAttempts]) {
  test(titleOf(attempt), async () => (await started()).check(attempt))
}

interface PolicyStatus {
  readonly status?: { readonly typeChecking?: { readonly expressionWarnings?: unknown[] } }
}

test('the API server finds nothing to warn of in the policies', async () => {
  const broker = await started()
  const path = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies'
  for (const name of ['hawser-broker-owned', 'hawser-broker-imports']) {
    const look = async () => {
      const { status } = (await broker.admin.ok('GET', `${path}/${name}`)) as PolicyStatus
      return status?.typeChecking
    }
    await eventually(async () => (await look()) !== undefined)
    assert.deepEqual((await look())?.expressionWarnings ?? [], [])
  }
})

test('a collection is deleted object by object, each by its own rule', async () => {
  const [server, broker] = [servers.get('broker'), await started()]
  const { token } = await longLivedToken(server, brokerNamespace, 'sweeper')
  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${brokerNamespace}`
  await broker.admin.ok('POST', `${rbac}/roles`, {
    metadata: { name: 'sweeper' },
    rules: [
      {
        apiGroups: ['submariner.io', 'multicluster.x-k8s.io', 'discovery.k8s.io'],
        resources: ['clusters', 'endpoints', 'serviceimports', 'endpointslices'],
        verbs: ['list', 'deletecollection'],
      },
    ],
  })
  await broker.admin.ok('POST', `${rbac}/rolebindings`, {
    metadata: { name: 'sweeper' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'sweeper' },
    subjects: [{ kind: 'ServiceAccount', name: 'sweeper', namespace: brokerNamespace }],
  })
  await eventually(
    async () =>
      (await broker.admin.call('GET', pathOf('clusters'), undefined, { token })).status === 200,
  )
  for (const resource of ['clusters', 'endpoints', 'serviceimports', 'endpointslices']) {
    const answer = await broker.admin.call('DELETE', pathOf(resource), undefined, { token })
    assert.equal(answer.status, 403, answer.text)
    assert.match(answer.text, /ValidatingAdmissionPolicy/)
  }
})

test('outside of the broker nobody is asked for a label', async () => {
  const [server, broker] = [servers.get('broker'), await started()]
  const namespace = await server.newNamespace()
  const object = clusterObject('c9')
  const made = { ...object, metadata: { name: 'anything', namespace } }
  const path = `/apis/submariner.io/v1/namespaces/${namespace}/clusters`
  await broker.admin.ok('POST', path, made)
})

test('the namespace of a broker can be deleted with all that is in it', async () => {
  const [server, broker] = [servers.get('broker'), await started()]
  const client = server.client()
  const namespace = 'another-broker'
  await deployed(client, { namespace })
  for (const object of [clusterObject('c1'), endpointObject('c1')]) {
    const path = pathOf(object.kind === 'Cluster' ? 'clusters' : 'endpoints')
    const metadata = { ...object.metadata, namespace }
    const where = path.replace(brokerNamespace, namespace)
    await broker.admin.ok('POST', where, { ...object, metadata })
  }
  // Enforced here too.
  const unlabelled = { ...clusterObject('c2'), metadata: { name: 'c2', namespace } }
  const where = pathOf('clusters').replace(brokerNamespace, namespace)
  await eventually(
    async () => (await broker.admin.call('POST', `${where}?dryRun=All`, unlabelled)).status === 403,
  )
  await broker.admin.ok('DELETE', `/api/v1/namespaces/${namespace}`)
  await eventually(
    async () => (await broker.admin.call('GET', `/api/v1/namespaces/${namespace}`)).status === 404,
    () => namespace,
    120_000,
  )
})
