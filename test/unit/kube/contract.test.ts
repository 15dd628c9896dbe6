import { test } from 'node:test'
import { startFakeApiserver } from '../../support/fake-apiserver.ts'
import { fakeClient } from '../../support/fake-clients.ts'
import { kubeContract } from '../../support/kube-contract.ts'
import { fakeKinds } from '../../support/kube-kinds.ts'

for (const { name, run } of kubeContract) {
  test(`the fake API server: ${name}`, async context => {
    const server = await startFakeApiserver(context, { kinds: fakeKinds })
    await run({ client: fakeClient(server), namespace: 'ns' })
  })
}
