// What the embedded API promises, asked of a real API server, with HTTP and with kubectl.

import { join } from 'node:path'
import { test } from 'node:test'
import { apiContract } from '../support/api-contract.ts'
import { kubectlContract } from '../support/kubectl-contract.ts'
import { binariesFolder } from '../support/kubernetes/binaries.ts'
import { sharedServers } from '../support/kubernetes/servers.ts'
import { RawApi } from '../support/raw-api.ts'
import { root } from '../support/tree.ts'

const servers = sharedServers(['api'])

let isPrepared = false

/** The server with the definitions, and a namespace on it. */
async function prepared() {
  const server = servers.get('api')
  if (!isPrepared) {
    await server.kubectl(['create', '-f', `${root}/deploy/crds`])
    await server.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s'])
    isPrepared = true
  }
  return { server, namespace: await server.newNamespace() }
}

test('a real API server keeps the contract of the embedded API', async context => {
  const { server, namespace } = await prepared()
  const raw = new RawApi({ url: server.url, ca: server.ca, token: server.adminToken })
  context.after(() => raw.close())
  for (const { name, run } of apiContract) await context.test(name, () => run({ raw, namespace }))
})

test('kubectl, with a real API server', async context => {
  const { server, namespace } = await prepared()
  const of = { path: join(binariesFolder(), 'kubectl'), kubeconfig: server.kubeconfig, namespace }
  for (const { name, run } of kubectlContract) await context.test(name, () => run(of))
})
