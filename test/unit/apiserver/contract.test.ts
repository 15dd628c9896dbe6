// The embedded API keeps its contract: as a broker, and as the API of a lab's cluster. The same list runs
// against a real API server elsewhere.

import { test } from 'node:test'
import { KubeClient } from '../../../src/kube/client.ts'
import { brokerCredentials } from '../../../src/kube/credentials.ts'
import { objectName } from '../../../src/kube/names.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { apiContract } from '../../support/api-contract.ts'
import { type ServedApi, serveApi } from '../../support/embedded-api.ts'
import { kubeContract } from '../../support/kube-contract.ts'
import { RawApi } from '../../support/raw-api.ts'

const namespaces = { broker: objectName.brokerNamespace, lab: 'contract' } as const

function rawApi({ url, ca, token }: ServedApi): RawApi {
  return new RawApi({ url, ca, token })
}

for (const mode of ['broker', 'lab'] as const) {
  test(`the API of a ${mode}`, async context => {
    const served = await serveApi(context, mode, { bookmarkMs: 200 })
    const raw = rawApi(served)
    context.after(() => raw.close())
    const namespace = namespaces[mode]
    if (mode === 'lab') {
      const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }
      await raw.ok('POST', '/api/v1/namespaces', body)
    }
    for (const { name, needs, run } of apiContract) {
      if (needs !== 'broker' && needs !== mode) continue
      await context.test(name, () => run({ raw, namespace }))
    }
  })
}

test('our own client finds in it what it relies on', async context => {
  const served = await serveApi(context, 'lab', { bookmarkMs: 200 })
  const client = new KubeClient(
    brokerCredentials(systemClock, {
      ...{ server: served.url, namespace: 'default', token: served.token, ca: served.ca },
      ...{ trustsSystemRoots: false, isInsecure: false },
    }),
    'hawser-test',
  )
  context.after(() => client.close())
  for (const { name, run } of kubeContract) {
    await context.test(name, () => run({ client, namespace: 'default' }))
  }
})
