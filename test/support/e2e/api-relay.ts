// An API server of the test's process, reached from inside a space: a program there listens on loopback
// and hands each connection on over a unix socket of the space's /run. TLS goes end to end.

import { mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { collect } from '../../../src/lab/process.ts'
import { eventually } from '../eventually.ts'
import type { FakeApiserver } from '../fake-apiserver.ts'
import type { Spaces } from '../namespaces.ts'

const program = fileURLToPath(new URL('./relay.py', import.meta.url))
/** The space is its own machine: nobody else listens there. */
const port = 6443
const socket = '/run/api.sock'

/** Where the space finds its credentials: as a person, and as a pod. */
export const kubeconfigPath = '/run/kubeconfig'
const accountDirectory = '/run/secrets/kubernetes.io/serviceaccount'

/** The variables by which a pod finds its API server. */
export const podVariables = ['KUBERNETES_SERVICE_HOST=127.0.0.1', `KUBERNETES_SERVICE_PORT=${port}`]

export async function relayApi(
  context: TestContext,
  spaces: Spaces,
  space: string,
  server: FakeApiserver,
): Promise<void> {
  const relay = createServer(inside => {
    const outside = connect(Number(new URL(server.url).port), '127.0.0.1')
    for (const end of [inside, outside]) end.on('error', () => undefined)
    inside.on('close', () => outside.destroy())
    outside.on('close', () => inside.destroy())
    inside.pipe(outside).pipe(inside)
  })
  await new Promise<void>(resolve => relay.listen(spaces.path(space, socket), resolve))
  context.after(() => relay.close())
  const child = spaces.start(space, ['python3', program, String(port), socket])
  const output = collect(child)
  await eventually(
    () => output().stdout.includes('ready'),
    () => output().stderr.toString(),
  )
  writeFileSync(spaces.path(space, kubeconfigPath), kubeconfig(server), { mode: 0o600 })
  const account = spaces.path(space, accountDirectory)
  mkdirSync(account, { recursive: true })
  const [token] = server.tokens
  for (const [name, text] of Object.entries({
    namespace: 'submariner-operator',
    token,
    'ca.crt': server.authority.pem,
  })) {
    writeFileSync(`${account}/${name}`, text)
  }
}

function kubeconfig({ authority, tokens }: FakeApiserver): string {
  const [token] = tokens
  const ca = Buffer.from(authority.pem).toString('base64')
  const server = `https://127.0.0.1:${port}`
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority-data': ca } }],
    users: [{ name: 'u', user: { token } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  })
}
