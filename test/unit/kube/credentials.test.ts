import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { rootCertificates } from 'node:tls'
import { KubeClient } from '../../../src/kube/client.ts'
import {
  type BrokerSettings,
  brokerCredentials,
  inClusterCredentials,
  secretCredentials,
} from '../../../src/kube/credentials.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { createAuthority } from '../../support/certificates.ts'
import { type FakeApiserver, startFakeApiserver } from '../../support/fake-apiserver.ts'
import { fakeClient } from '../../support/fake-clients.ts'
import { configMaps, fakeKinds } from '../../support/kube-kinds.ts'
import { refused } from '../../support/refused.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

const serve = (context: TestContext) => startFakeApiserver(context, { kinds: fakeKinds })

/** A clock that stands still until it is told. */
function stillClock() {
  let nowMs = 1000
  return { monotonicMs: () => nowMs, wallMs: () => nowMs, advance: (ms: number) => (nowMs += ms) }
}

/** A volume as the kubelet makes it: the files are links through `..data`, which is swapped at once. */
function projectedVolume(context: TestContext, files: Readonly<Record<string, string>>) {
  const directory = temporaryDirectory(context)
  let generation = 0
  const write = (contents: Readonly<Record<string, string>>) => {
    const name = `..${++generation}`
    mkdirSync(join(directory, name))
    for (const [file, text] of Object.entries(contents)) {
      writeFileSync(join(directory, name, file), text)
    }
    symlinkSync(name, join(directory, '..new'))
    renameSync(join(directory, '..new'), join(directory, '..data'))
  }
  write(files)
  for (const file of Object.keys(files)) symlinkSync(join('..data', file), join(directory, file))
  return { directory, write }
}

async function inCluster(server: FakeApiserver, directory: string, clock = systemClock) {
  const { hostname, port } = new URL(server.url)
  const environment = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port }
  return inClusterCredentials({ clock, environment, directory })
}

test('the service account of a pod: server, namespace, token and CA', async context => {
  const server = await serve(context)
  const files = { token: 'token-1\n', namespace: 'hawser\n', 'ca.crt': server.authority.pem }
  const { directory } = projectedVolume(context, files)
  const credentials = await inCluster(server, directory)
  assert.deepEqual([credentials.server, credentials.namespace], [server.url, 'hawser'])
  const client = new KubeClient(credentials, 'test')
  assert.equal(client.namespace, 'hawser')
  assert.deepEqual((await client.list(configMaps)).items, [])
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }
  const v6 = await inClusterCredentials({ clock: systemClock, environment, directory })
  assert.equal(v6.server, 'https://[fd00::1]:443')
})

test('outside of a pod, and in one without an account, it says so', async context => {
  const outside = inClusterCredentials({ clock: systemClock, environment: {} })
  await refused(outside, 'NO_CREDENTIALS', 'this is no pod: KUBERNETES_SERVICE_HOST is not set')
  const server = await serve(context)
  const directory = temporaryDirectory(context)
  await refused(inCluster(server, directory), 'NO_CREDENTIALS', join(directory, 'namespace'))
  writeFileSync(join(directory, 'namespace'), 'ns')
  const client = new KubeClient(await inCluster(server, directory), 'test')
  await refused(client.list(configMaps), 'NO_CREDENTIALS', join(directory, 'token'))
  writeFileSync(join(directory, 'token'), '\n')
  await refused(client.list(configMaps), 'NO_CREDENTIALS', 'is empty')
  assert.equal(server.requests.length, 0)
})

test('a rotated token is used without a restart: at once when it is refused', async context => {
  const server = await serve(context)
  const files = { token: 'token-1', namespace: 'ns', 'ca.crt': server.authority.pem }
  const { directory, write } = projectedVolume(context, files)
  // The clock stands still: only the refusal makes it look.
  const client = new KubeClient(await inCluster(server, directory, stillClock()), 'test')
  await client.list(configMaps)
  server.tokens.clear()
  server.tokens.add('token-2')
  await refused(client.list(configMaps), 'UNAUTHORIZED', '401')
  assert.equal(server.requests.length, 2, 'the same token is not tried twice')
  write({ ...files, token: 'token-2' })
  await Promise.all([client.list(configMaps), client.list(configMaps), client.list(configMaps)])
})

test('a token that was changed is used within the time that files may be old', async context => {
  const server = await serve(context)
  const files = { token: 'token-1', namespace: 'ns', 'ca.crt': server.authority.pem }
  const { directory, write } = projectedVolume(context, files)
  const clock = stillClock()
  const client = new KubeClient(await inCluster(server, directory, clock), 'test')
  await client.list(configMaps)
  write({ ...files, token: 'token-2' })
  server.tokens.add('token-2')
  clock.advance(60_000)
  await client.list(configMaps)
  server.tokens.delete('token-1')
  const before = server.requests.length
  await client.list(configMaps)
  assert.equal(server.requests.length, before + 1, 'it was in use before the old one was refused')
})

test('a rotated CA is believed without a restart', async context => {
  const server = await serve(context)
  const files = { token: 'token-1', namespace: 'ns', 'ca.crt': server.authority.pem }
  const { directory, write } = projectedVolume(context, files)
  const client = new KubeClient(await inCluster(server, directory, stillClock()), 'test')
  await client.list(configMaps)
  const next = createAuthority('next-ca')
  server.useCertificate(next.issue(['127.0.0.1']))
  server.cutAll()
  await refused(client.list(configMaps), 'CERTIFICATE', 'a CA that is not trusted here')
  write({ ...files, 'ca.crt': `${server.authority.pem}${next.pem}` })
  await client.list(configMaps)
})

test('files that are away for a moment leave what was read before', async context => {
  const server = await serve(context)
  const files = { token: 'token-1', namespace: 'ns', 'ca.crt': server.authority.pem }
  const { directory, write } = projectedVolume(context, files)
  const clock = stillClock()
  const client = new KubeClient(await inCluster(server, directory, clock), 'test')
  await client.list(configMaps)
  rmSync(join(directory, '..data'))
  clock.advance(60_000)
  await client.list(configMaps)
  write(files)
  chmodSync(join(directory, 'token'), 0o600)
  clock.advance(60_000)
  await client.list(configMaps)
})

test('broker settings: with or without a scheme, CA as PEM, base64, file or Secret', async context => {
  const server = await serve(context)
  const { pem } = server.authority
  const { host } = new URL(server.url)
  const secret = temporaryDirectory(context)
  writeFileSync(join(secret, 'token'), 'token-1\n')
  writeFileSync(join(secret, 'ca.crt'), pem)
  const bare = temporaryDirectory(context)
  writeFileSync(join(bare, 'token'), 'token-1')
  const rows: readonly Partial<BrokerSettings>[] = [
    { server: host },
    { server: `https://${host}/` },
    { ca: Buffer.from(pem).toString('base64') },
    { ca: '', caFile: join(secret, 'ca.crt') },
    { ca: '', token: '', secretDirectory: secret },
    // Like stock: the Secret is tried first, what stands in the settings second.
    { token: 'token-1', secretDirectory: join(secret, 'missing') },
    { secretDirectory: bare },
    { ca: 'not looked at', isInsecure: true },
    { trustsSystemRoots: true },
  ]
  for (const row of rows) {
    const client = fakeClient(server, row)
    assert.deepEqual((await client.list(configMaps)).items, [], JSON.stringify(row))
    assert.equal(client.server, server.url)
  }
})

test('a Secret that an API server is asked for: read again when its token is refused', async context => {
  const server = await serve(context)
  const secret = { token: 'old', ca: server.authority.pem }
  let reads = 0
  const credentials = secretCredentials(systemClock, {
    ...{ server: new URL(server.url).host, namespace: 'ns', isInsecure: false },
    read: async () => {
      reads++
      if (reads > 1) secret.token = 'token-1'
      return secret
    },
  })
  const client = new KubeClient(credentials, 'test')
  assert.deepEqual((await client.list(configMaps)).items, [])
  assert.equal(reads, 2)
  assert.throws(
    () =>
      secretCredentials(systemClock, {
        ...{ server: 'http://broker', namespace: 'ns', isInsecure: false },
        read: async () => secret,
      }),
    /"http:\/\/broker" is no https address/,
  )
})

test('broker settings that cannot work say why', async context => {
  const server = await serve(context)
  const settings = (more: Partial<BrokerSettings>): BrokerSettings => ({
    server: server.url,
    namespace: 'ns',
    token: 'token-1',
    ca: server.authority.pem,
    trustsSystemRoots: false,
    isInsecure: false,
    ...more,
  })
  const rows: readonly [Partial<BrokerSettings>, string][] = [
    [{ server: 'http://user:pass@broker:8080' }, '"http://broker:8080" is no https address'],
    [{ server: '' }, 'is no https address'],
    [{ server: 'a b' }, 'is no https address'],
    [{ token: '' }, `there is no token for the broker ${server.url}`],
    [{ ca: 'bm90aGluZw==' }, 'neither a PEM certificate nor base64 of one'],
    [{ ca: '', caFile: '/nowhere/ca.crt' }, 'cannot read /nowhere/ca.crt'],
    [{ token: '', secretDirectory: '/nowhere' }, 'cannot read /nowhere/token'],
    [{ ca: '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----' }, 'cannot be used'],
  ]
  for (const [row, message] of rows) {
    const list = async () => {
      const credentials = brokerCredentials(systemClock, settings(row))
      return new KubeClient(credentials, 'test').list(configMaps)
    }
    await refused(list(), 'NO_CREDENTIALS', message)
  }
  // Without any CA it is the roots of the system that are asked.
  await refused(fakeClient(server, { ca: '' }).list(configMaps), 'CERTIFICATE', 'not trusted here')
})

test('the roots of the system are trusted beside the CA only when that is said', async () => {
  const pem = createAuthority('ca').pem
  const sizes = [true, false].map(async trustsSystemRoots => {
    const credentials = brokerCredentials(systemClock, {
      ...{ server: 'broker', namespace: 'ns', token: 't', ca: pem, isInsecure: false },
      trustsSystemRoots,
    })
    return (await credentials.access()).tls.ca?.length
  })
  assert.deepEqual(await Promise.all(sizes), [rootCertificates.length + 1, 1])
})
