import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { KubeClient } from '../../../src/kube/client.ts'
import { type KubeconfigOptions, kubeconfigCredentials } from '../../../src/kube/kubeconfig.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { createAuthority } from '../../support/certificates.ts'
import { type FakeApiserver, startFakeApiserver } from '../../support/fake-apiserver.ts'
import { configMaps, fakeKinds } from '../../support/kube-kinds.ts'
import { refused } from '../../support/refused.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

/** JSON is YAML. One context for each user, of the same name. */
function kubeconfig(
  server: FakeApiserver,
  users: Readonly<Record<string, object>>,
  cluster: object = {},
): string {
  const ca = { 'certificate-authority-data': base64(server.authority.pem) }
  const names = Object.keys(users)
  return JSON.stringify({
    clusters: [{ name: 'c', cluster: { server: server.url, ...ca, ...cluster } }],
    users: names.map(name => ({ name, user: users[name] })),
    contexts: names.map(name => ({ name, context: { cluster: 'c', user: name, namespace: 'ns' } })),
    'current-context': names[0],
  })
}

async function setUp(context: TestContext) {
  const clientAuthority = createAuthority('client-ca')
  const server = await startFakeApiserver(context, { kinds: fakeKinds, clientAuthority })
  const directory = temporaryDirectory(context)
  const write = (name: string, text: string) => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }
  const list = async (options: Partial<KubeconfigOptions>) => {
    const all = { clock: systemClock, environment: {}, ...options }
    const credentials = await kubeconfigCredentials(all)
    const client = new KubeClient(credentials, 'test')
    assert.deepEqual((await client.list(configMaps)).items, [])
    return client
  }
  return { server, clientAuthority, directory, write, list }
}

test('each way in which a kubeconfig can say who one is', async context => {
  const { server, clientAuthority, write, list } = await setUp(context)
  const { pem, keyPem } = clientAuthority.issue(['somebody'])
  server.tokens.add('me:secret')
  write('relative.token', 'token-1\n')
  const plugin = write(
    'plugin',
    `#!/bin/sh\nprintf '{"kind":"ExecCredential","status":{"token":"%s"}}' "$TOKEN"\n`,
  )
  chmodSync(plugin, 0o700)
  const users = {
    token: { token: 'token-1' },
    tokenFile: { tokenFile: 'relative.token' },
    basic: { username: 'me', password: 'secret' },
    certificate: {
      'client-certificate-data': base64(pem),
      'client-key-data': base64(keyPem),
    },
    certificateFiles: {
      'client-certificate': write('client.crt', pem),
      'client-key': write('client.key', keyPem),
    },
    exec: {
      exec: {
        apiVersion: 'client.authentication.k8s.io/v1',
        command: plugin,
        env: [{ name: 'TOKEN', value: 'token-1' }],
      },
    },
  }
  const path = write('config', kubeconfig(server, users))
  for (const name of Object.keys(users)) {
    const client = await list({ path, context: name })
    assert.deepEqual([client.server, client.namespace], [server.url, 'ns'], name)
  }
  await list({ path })
  await list({ environment: { KUBECONFIG: path } })
  const without = write('without', kubeconfig(server, { nobody: { token: 'wrong' } }))
  await refused(list({ path: without }), 'UNAUTHORIZED', '401')
})

test('several files are one: the first of a name holds, and missing files do not matter', async context => {
  const { server, directory, write, list } = await setUp(context)
  const first = write('first', kubeconfig(server, { a: { token: 'token-1' } }))
  const second = write(
    'second',
    kubeconfig(server, { a: { token: 'wrong' }, b: { token: 'token-1' } }),
  )
  const KUBECONFIG = `${join(directory, 'missing')}:${first}:${second}`
  await list({ environment: { KUBECONFIG } })
  await list({ environment: { KUBECONFIG }, context: 'b' })
  await refused(list({ path: second }), 'UNAUTHORIZED', '401')
})

test('what is wrong with a kubeconfig is said, and no secret in it', async context => {
  const { server, write, list, directory } = await setUp(context)
  const secret = 'token-of-great-value'
  const plugin = write('plugin', `#!/bin/sh\necho '${secret}' >&2\necho '${secret}'\nexit $CODE\n`)
  chmodSync(plugin, 0o700)
  const exec = (command: string, code: string) => ({
    exec: { command, args: [secret], env: [{ name: 'CODE', value: code }] },
  })
  const users = {
    fails: exec(plugin, '3'),
    printsNoJson: exec(plugin, '0'),
    missing: exec(join(directory, 'none'), '0'),
    file: { 'client-certificate': '/nowhere/client.crt', token: secret },
  }
  const path = write('config', kubeconfig(server, users))
  const http = kubeconfig(server, { a: { token: secret } }, { server: 'http://127.0.0.1:1' })
  const rows: readonly [Partial<KubeconfigOptions>, string][] = [
    [{ path: '/nowhere/config' }, 'cannot read /nowhere/config: ENOENT'],
    [{ environment: { HOME: '/nowhere' } }, 'cannot read /nowhere/.kube/config'],
    [{ path, context: 'other' }, `${path} has no context "other"`],
    [{ path: write('yaml', `users:\n- token: ${secret}\n  :x: [`) }, 'is no kubeconfig (line '],
    [{ path: write('text', secret) }, 'is no kubeconfig'],
    [{ path: write('http', http) }, '"http://127.0.0.1:1" is no https address'],
    [{ path, context: 'fails' }, `the credentials of fails (${path}) by running ${plugin}`],
    [{ path, context: 'printsNoJson' }, `by running ${plugin}`],
    [{ path, context: 'missing' }, 'ENOENT'],
    [{ path, context: 'file' }, "open '/nowhere/client.crt'"],
  ]
  for (const [options, message] of rows) {
    const work = list(options)
    await refused(work, 'NO_CREDENTIALS', message)
    const error = await work.catch((reason: unknown) => reason)
    const shown = inspect(error, { depth: 9, showHidden: true })
    assert.equal(shown.includes(secret), false, shown)
    assert.ok(error instanceof Error && 'hint' in error && typeof error.hint === 'string', shown)
  }
})

test('a file that was changed and a plugin that gives another token are followed', async context => {
  const { server, directory, write } = await setUp(context)
  const plugin = write(
    'plugin',
    `#!/bin/sh\nprintf '{"status":{"token":"%s"}}' "$(cat ${directory}/current)"\n`,
  )
  chmodSync(plugin, 0o700)
  write('current', 'token-1')
  const users = { plain: { token: 'token-1' }, exec: { exec: { command: plugin } } }
  const path = write('config', kubeconfig(server, users))
  const clients = await Promise.all(
    Object.keys(users).map(async name => {
      const options = { clock: systemClock, environment: {}, path, context: name }
      return new KubeClient(await kubeconfigCredentials(options), 'test')
    }),
  )
  for (const client of clients) await client.list(configMaps)
  server.tokens.clear()
  server.tokens.add('token-2')
  for (const client of clients) await refused(client.list(configMaps), 'UNAUTHORIZED', '401')
  const [plain, exec] = clients
  write('current', 'token-2')
  await exec.list(configMaps)
  await refused(plain.list(configMaps), 'UNAUTHORIZED', '401')
  write('config', kubeconfig(server, { ...users, plain: { token: 'token-2' } }))
  await plain.list(configMaps)
  // Another CA in the file: the connections of the old one are of no use.
  const next = createAuthority('next-ca')
  server.useCertificate(next.issue(['127.0.0.1']))
  server.cutAll()
  for (const client of clients) await refused(client.list(configMaps), 'CERTIFICATE', 'a CA')
  const data = { 'certificate-authority-data': base64(next.pem) }
  write('config', kubeconfig(server, { ...users, plain: { token: 'token-2' } }, data))
  for (const client of clients) await client.list(configMaps)
})

test('a proxy of the kubeconfig is gone through, and a name that the certificate has is asked for', async context => {
  const { server, write, list } = await setUp(context)
  const asked: string[] = []
  const proxy = createServer()
  proxy.on('connect', (request, socket) => {
    asked.push(String(request.url))
    const [host, port] = String(request.url).split(':')
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      onward.pipe(socket).pipe(onward)
    })
    for (const end of [onward, socket])
      end.on('error', () => [onward, socket].map(one => one.destroy()))
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  context.after(() => proxy.close())
  const { port } = proxy.address() as AddressInfo
  const users = { a: { token: 'token-1' } }
  const through = { 'proxy-url': `http://127.0.0.1:${port}` }
  await list({ path: write('proxied', kubeconfig(server, users, through)) })
  assert.deepEqual(asked, [new URL(server.url).host])

  server.useCertificate(server.authority.issue(['api.example']))
  server.cutAll()
  const named = { 'tls-server-name': 'api.example' }
  await list({ path: write('named', kubeconfig(server, users, named)) })
  await refused(
    list({ path: write('other', kubeconfig(server, users)) }),
    'CERTIFICATE',
    'another name',
  )
  const insecure = { 'insecure-skip-tls-verify': true, 'certificate-authority-data': undefined }
  await list({ path: write('insecure', kubeconfig(server, users, insecure)) })
})
