// kubectl with the embedded API: the same checks as with a real API server.

import { join } from 'node:path'
import { test } from 'node:test'
import { writeKubeconfig } from '../../src/apiserver/running.ts'
import { serveApi } from '../support/embedded-api.ts'
import { kubectlContract } from '../support/kubectl-contract.ts'
import { binariesFolder } from '../support/kubernetes/binaries.ts'

const kubectl = join(binariesFolder(), 'kubectl')

for (const mode of ['broker', 'lab'] as const) {
  test(`kubectl, with the embedded API of a ${mode}`, async context => {
    const served = await serveApi(context, mode)
    const namespace = mode === 'lab' ? 'default' : 'submariner-k8s-broker'
    const kubeconfig = join(served.directory, 'kubeconfig')
    const { url, ca, token } = served
    writeKubeconfig(kubeconfig, { server: url, ca, token, namespace })
    for (const { name, needs, run } of kubectlContract) {
      if (needs !== 'broker' && needs !== mode) continue
      await context.test(name, () => run({ path: kubectl, kubeconfig, namespace }))
    }
  })
}
