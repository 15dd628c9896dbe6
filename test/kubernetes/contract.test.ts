import { test } from 'node:test'
import { kubeContract } from '../support/kube-contract.ts'
import { sharedServers } from '../support/kubernetes/servers.ts'

const servers = sharedServers(['contract'])

for (const { name, run } of kubeContract) {
  test(`a real API server: ${name}`, async () => {
    const server = servers.get('contract')
    await run({ client: server.client(), namespace: await server.newNamespace() })
  })
}
