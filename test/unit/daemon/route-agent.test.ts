// What of the route agent's process can be tried without touching this machine's network: waiting for a
// Node. The rest is in test/e2e/route-agent.test.ts.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { waitForNode } from '../../../src/daemon/route-agent.ts'
import { eventually } from '../../support/eventually.ts'
import { startFakeApiserver } from '../../support/fake-apiserver.ts'
import type { FakeKind } from '../../support/fake-objects.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

const node: FakeKind = {
  group: '',
  version: 'v1',
  plural: 'nodes',
  kind: 'Node',
  namespaced: false,
}

function withReady(name: string, status: string) {
  return { metadata: { name }, status: { conditions: [{ type: 'Ready', status }] } }
}

test('it ends when its own Node is ready, and not before', async context => {
  const server = await startFakeApiserver(context, { kinds: [node] })
  server.objects.create(node, undefined, withReady('n1', 'False'))
  server.objects.create(node, undefined, withReady('n2', 'True'))
  const kubeconfig = join(temporaryDirectory(context), 'config')
  writeFileSync(kubeconfig, kubeconfigOf(server.url, server.authority.pem))
  const lines: string[] = []
  const log = { error: () => {}, debug: () => {}, info: (line: string) => lines.push(line) }
  let code: number | undefined
  const waiting = waitForNode({
    flags: { nodeName: 'n1' },
    environment: {},
    machine: { hostname: 'machine', version: 'v1' },
    kubeconfig,
    log,
  }).then(ended => {
    code = ended
  })
  await eventually(() => lines.length === 1 && server.watchesOpen === 1)
  assert.deepEqual(lines, ['waiting: Node n1 is not ready'])
  assert.equal(code, undefined)
  server.objects.update(node, undefined, 'n1', withReady('n1', 'True'), 'main')
  server.deliver()
  await waiting
  assert.equal(code, 0)
})

function kubeconfigOf(server: string, ca: string): string {
  const data = Buffer.from(ca).toString('base64')
  return JSON.stringify({
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority-data': data } }],
    users: [{ name: 'u', user: { token: 'token-1' } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  })
}
