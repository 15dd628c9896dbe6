// Joining the embedded API, which has fixed roles and no admission policies to install.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { evict, leave } from '../../../src/broker/leave.ts'
import type { BrokerInfo } from '../../../src/kube/broker-info.ts'
import { KubeClient } from '../../../src/kube/client.ts'
import { brokerCredentials, type Credentials } from '../../../src/kube/credentials.ts'
import { secretType } from '../../../src/kube/resources/secret.ts'
import { parsePrefix } from '../../../src/net/address.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { serviceImport } from '../../support/api-contract/check.ts'
import { type ServedApi, serveApi } from '../../support/embedded-api.ts'
import { node, serviceCidr, startFakeCluster } from '../../support/fake-cluster.ts'
import { joined, SeenProgress } from '../../support/membership.ts'
import { RawApi } from '../../support/raw-api.ts'
import { pathOf } from '../../support/trust/server-broker.ts'
import { brokerNamespace, clusterObject, endpointObject } from '../../support/trust/world.ts'

function credentialsOf({ url, ca }: ServedApi, token: string): Credentials {
  return brokerCredentials(systemClock, {
    ...{ server: url, namespace: brokerNamespace, token, ca },
    ...{ trustsSystemRoots: false, isInsecure: false },
  })
}

function clientOf(context: TestContext, served: ServedApi, token: string): KubeClient {
  const client = new KubeClient(credentialsOf(served, token), 'hawser-test')
  context.after(() => client.close())
  return client
}

function infoOf({ url, token, ca }: ServedApi): BrokerInfo {
  const bytes = (text: string) => new TextEncoder().encode(text)
  return {
    brokerUrl: url,
    token: {
      ...{ secretName: 'admin', namespace: brokerNamespace },
      ...{ token: bytes(token), ca: bytes(ca) },
    },
    psk: bytes('psk'),
    components: ['connectivity'],
    customDomains: [],
  }
}

test('a cluster joins it, is a member by its token alone, and leaves; another is evicted', async context => {
  const served = await serveApi(context, 'broker')
  const info = infoOf(served)
  const broker = clientOf(context, served, served.token)
  const raw = new RawApi(served)
  context.after(() => raw.close())
  for (const [id, index] of [
    ['east', 1],
    ['west', 2],
  ] as const) {
    const local = await startFakeCluster(context, [
      node('node-1', `10.${index}.0.0/24`),
      serviceCidr(`10.9${index}.0.0/16`),
    ])
    const clients = { local: local.client, broker }
    const { brokerTrust } = await joined(info, id, clients)
    assert.equal(brokerTrust, 'enforced')
    await joined(info, id, clients)
    const where = { name: 'submariner-broker-secret', namespace: 'submariner-operator' }
    const { data } = (await local.client.get(secretType, where)).value
    const token = new TextDecoder().decode(data['token'])
    await raw.ok('POST', pathOf('clusters'), clusterObject(id), { token })
    await raw.ok('POST', pathOf('endpoints'), endpointObject(id), { token })
    if (id === 'west') continue
    const settings = {
      ...{ operatorNamespace: 'submariner-operator', info: undefined, isWithoutBroker: false },
    }
    const open = (access: { readonly token: string }) => clientOf(context, served, access.token)
    await leave(local.client, settings, open, new SeenProgress())
    assert.deepEqual(local.names('secrets'), [])
    const answer = await raw.call('GET', pathOf('clusters'), undefined, { token })
    assert.equal(answer.status, 401)
    for (const gone of ['serviceaccounts/cluster-east', 'secrets/cluster-east-token']) {
      const { status } = await raw.call('GET', pathOf(...(gone.split('/') as [string, string])))
      assert.equal(status, 404, gone)
    }
  }
  await evict(broker, brokerNamespace, 'west', new SeenProgress())
  for (const resource of ['clusters', 'endpoints']) {
    const { items } = (await raw.ok('GET', pathOf(resource))) as { readonly items: unknown[] }
    assert.deepEqual(items, [])
  }
})

test('a cluster whose own API is the embedded one joins and leaves', async context => {
  const [served, lab] = [await serveApi(context, 'broker'), await serveApi(context, 'lab')]
  const raw = new RawApi(lab)
  context.after(() => raw.close())
  const before = await raw.ok('POST', '/api/v1/nodes', node('node-1', '10.1.0.0/24'))
  const info = infoOf(served)
  const local = clientOf(context, lab, lab.token)
  const clients = { local, broker: clientOf(context, served, served.token) }
  const more = { serviceCidrs: [parsePrefix('10.45.0.0/16')] }
  await joined(info, 'east', clients, more)
  const { gatewayNodes } = await joined(info, 'east', clients, more)
  assert.deepEqual(gatewayNodes, ['node-1'])
  const settings = {
    ...{ operatorNamespace: 'submariner-operator', info: undefined, isWithoutBroker: false },
  }
  const open = (access: { readonly token: string }) => clientOf(context, served, access.token)
  await leave(local, settings, open, new SeenProgress())
  const after = await raw.ok('GET', '/api/v1/nodes/node-1')
  const labels = ({ metadata }: Readonly<Record<string, unknown>>) =>
    (metadata as { readonly labels?: object }).labels ?? {}
  assert.deepEqual(labels(after), labels(before))
})

test('a service that another cluster exports meanwhile stays when one is evicted', async context => {
  const served = await serveApi(context, 'broker')
  const raw = new RawApi(served)
  context.after(() => raw.close())
  const path = pathOf('serviceimports')
  const listed = (...ids: string[]) => ({ status: { clusters: ids.map(cluster => ({ cluster })) } })
  await raw.ok('POST', pathOf('clusters'), clusterObject('west'))
  await raw.ok('POST', path, serviceImport('web'))
  await raw.ok('PATCH', `${path}/web/status`, listed('west'))
  class SlowClient extends KubeClient {
    override async delete(...args: Parameters<KubeClient['delete']>): Promise<void> {
      const [{ plural }] = args
      if (plural === 'serviceimports')
        await raw.ok('PATCH', `${path}/web/status`, listed('west', 'east'))
      return super.delete(...args)
    }
  }
  const broker = new SlowClient(credentialsOf(served, served.token), 'hawser-test')
  context.after(() => broker.close())
  await evict(broker, brokerNamespace, 'west', new SeenProgress())
  const { status } = await raw.ok('GET', `${path}/web`)
  assert.deepEqual({ status }, listed('east'))
})
