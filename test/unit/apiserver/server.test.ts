// What HTTP adds: limits, watches that are cut, an end in order, certificates that stay.

import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { serverCertificate } from '../../../src/apiserver/certificate.ts'
import { ensureAccount } from '../../../src/apiserver/running.ts'
import { cluster, configMap, meta, refusedWith } from '../../support/api-contract/check.ts'
import { type ServedApi, serveApi } from '../../support/embedded-api.ts'
import { eventually } from '../../support/eventually.ts'
import { RawApi } from '../../support/raw-api.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

const ns = 'submariner-k8s-broker'
const maps = `/api/v1/namespaces/${ns}/configmaps`

function rawOf({ url, ca, token }: ServedApi, other?: string): RawApi {
  return new RawApi({ url, ca, token: other ?? token })
}

test('a watcher that does not read is cut, and holds nobody back', async context => {
  const served = await serveApi(context, 'broker')
  const raw = rawOf(served)
  context.after(() => raw.close())
  const socket = connect({ port: served.port, host: '127.0.0.1', ca: served.ca })
  await once(socket, 'secureConnect')
  // Its answer is never read.
  socket.pause()
  const head = `GET ${maps}?watch=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${served.token}\r\n\r\n`
  socket.write(head)
  await eventually(() => served.server.watchesOpen === 1)
  const quick = await raw.watch(`${maps}?watch=true&fieldSelector=metadata.name%3Dlast`)
  const text = 'x'.repeat(500_000)
  await raw.ok('POST', maps, configMap('large', { text }))
  let writes = 0
  while (served.server.watchesOpen === 2) {
    await raw.ok('PATCH', `${maps}/large`, { data: { number: String(writes) } })
    assert.ok(++writes < 500, 'it is never cut')
  }
  assert.equal(served.server.watchesOpen, 1)
  await raw.ok('POST', maps, configMap('last'))
  assert.equal(meta((await quick.next())?.object)['name'], 'last')
  quick.close()
  socket.destroy()
})

test('a watch ends with the token that it was opened with', async context => {
  const served = await serveApi(context, 'broker')
  const admin = rawOf(served)
  const member = rawOf(served, ensureAccount(served.api, ns, 'cluster-east'))
  context.after(() => admin.close())
  context.after(() => member.close())
  const path = `/apis/submariner.io/v1/namespaces/${ns}/clusters`
  const watch = await member.watch(`${path}?watch=true`)
  await member.ok('POST', path, cluster('east'))
  assert.equal((await watch.next())?.type, 'ADDED')
  await admin.ok('DELETE', `/api/v1/namespaces/${ns}/serviceaccounts/cluster-east`)
  assert.equal(await watch.next().catch(() => undefined), undefined)
  refusedWith(await member.call('GET', path), 401, 'Unauthorized')
})

test('who follows from before the history lists anew', async context => {
  const served = await serveApi(context, 'broker')
  const raw = rawOf(served)
  context.after(() => raw.close())
  await raw.ok('POST', maps, configMap('old'))
  const { resourceVersion } = meta(await raw.ok('GET', `${maps}/old`))
  await raw.ok('PATCH', `${maps}/old`, { data: { a: '1' } })
  await served.close()
  const { directory } = served
  const again = await serveApi(context, 'broker', { directory })
  const second = rawOf(again)
  context.after(() => second.close())
  const watch = await second.watch(`${maps}?watch=true&resourceVersion=${resourceVersion}`)
  const frame = await watch.next()
  assert.equal(watch.status, 200)
  assert.deepEqual(
    [frame?.type, frame?.object['code'], frame?.object['reason']],
    ['ERROR', 410, 'Expired'],
  )
  assert.equal(await watch.next(), undefined)
  const token = Buffer.from(JSON.stringify({ version: Number(resourceVersion), after: '' }))
  const page = await second.call('GET', `${maps}?limit=1&continue=${token.toString('base64url')}`)
  refusedWith(page, 410, 'Expired')
  const later = Buffer.from(JSON.stringify({ version: 999_999, after: '' })).toString('base64url')
  refusedWith(await second.call('GET', `${maps}?continue=${later}`), 410, 'Expired')
  const future = await second.watch(`${maps}?watch=true&resourceVersion=999999`)
  assert.equal((await future.next())?.object['code'], 410)
})

test('the end of the server ends watches and requests in order', async context => {
  const served = await serveApi(context, 'broker')
  const raw = rawOf(served)
  context.after(() => raw.close())
  const watch = await raw.watch(`${maps}?watch=true&resourceVersion=${served.api.store.version}`)
  await served.close()
  assert.equal(await watch.next(), undefined)
  await assert.rejects(raw.call('GET', maps), { code: /^ECONN(?:REFUSED|RESET)$/ })
})

test('a user has no more watches than the limit, and gets others for those that end', async context => {
  const served = await serveApi(context, 'broker', { watchesMost: 3 })
  const raw = rawOf(served)
  context.after(() => raw.close())
  const path = `${maps}?watch=true&fieldSelector=metadata.name%3Dnone`
  const watches = await Promise.all([1, 2, 3].map(() => raw.watch(path)))
  const refused = await raw.call('GET', path)
  refusedWith(refused, 429, 'TooManyRequests')
  assert.equal(refused.headers['retry-after'], '1')
  watches[0].close()
  await eventually(() => served.server.watchesOpen === 2)
  watches.push(await raw.watch(path))
  assert.equal(watches[3].status, 200)
  for (const watch of watches) watch.close()
  await eventually(() => served.server.watchesOpen === 0)
})

test('who does not read answers gets no more of them, and the others do', async context => {
  const served = await serveApi(context, 'broker', { heldBytesMost: 1_000_000 })
  const member = ensureAccount(served.api, ns, 'cluster-east')
  const raw = rawOf(served)
  context.after(() => raw.close())
  const path = `/apis/submariner.io/v1/namespaces/${ns}/clusters`
  // Together more than the kernel keeps for a connection; one is less than the limit.
  for (let number = 0; number < 12; number++) {
    const many = Array.from({ length: 50_000 }, (_, i) => `10.${number}.${i >> 8}.0/24`)
    const large = cluster(`large-${number}`)
    const spec = { ...(large['spec'] as object), cluster_cidr: many }
    await raw.ok('POST', path, { ...large, spec })
  }
  const socket = connect({ port: served.port, host: '127.0.0.1', ca: served.ca })
  await once(socket, 'secureConnect')
  socket.pause()
  const head = `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${member}\r\n\r\n`
  socket.write(head.repeat(2))
  const own = () => raw.call('GET', `${path}?limit=1`, undefined, { token: member })
  await eventually(async () => (await own()).status === 429)
  assert.equal((await raw.call('GET', path)).status, 200)
  socket.destroy()
  await eventually(async () => (await own()).status === 200)
})

test('a body that is too long is answered, though it is not read', async context => {
  const served = await serveApi(context, 'broker')
  const raw = rawOf(served)
  context.after(() => raw.close())
  const text = 'x'.repeat(4 * 1024 * 1024)
  const socket = connect({ port: served.port, host: '127.0.0.1', ca: served.ca })
  context.after(() => socket.destroy())
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  socket.write(
    `POST ${maps} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${served.token}\r\n` +
      `Transfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}`,
  )
  const [answer] = (await once(socket, 'data')) as [Buffer]
  assert.match(answer.toString(), /^HTTP\/1\.1 413 /)
})

test('a certificate stays until a name is asked for that it does not have', async context => {
  const directory = join(temporaryDirectory(context), 'tls')
  const now = Date.now()
  const first = await serverCertificate(directory, ['127.0.0.1', 'localhost'], now)
  assert.deepEqual(await serverCertificate(directory, ['localhost'], now), first)
  const second = await serverCertificate(directory, ['localhost', '::1', 'broker.example'], now)
  assert.equal(second.ca, first.ca)
  assert.notEqual(second.certificate, first.certificate)
  const certificate = new X509Certificate(second.certificate)
  const authority = new X509Certificate(second.ca)
  assert.ok(certificate.verify(authority.publicKey) && certificate.checkIssued(authority))
  assert.equal(certificate.checkHost('broker.example'), 'broker.example')
  assert.equal(certificate.checkIP('::1'), '::1')
  assert.equal(certificate.checkIP('127.0.0.1'), undefined)
  // What another CA or key has made is no certificate of ours.
  for (const name of ['ca.crt', 'server.key']) {
    const before = await serverCertificate(directory, ['localhost'], now)
    if (name === 'ca.crt') rmSync(join(directory, name))
    else writeFileSync(join(directory, name), readFileSync(join(directory, 'ca.key')))
    const after = await serverCertificate(directory, ['localhost'], now)
    assert.notEqual(after.certificate, before.certificate, name)
    const made = new X509Certificate(after.certificate)
    assert.ok(made.verify(new X509Certificate(after.ca).publicKey), name)
    assert.ok(made.checkPrivateKey(createPrivateKey(after.key)), name)
  }
  const old = now + 4.5 * 365 * 24 * 3600 * 1000
  const third = await serverCertificate(directory, ['localhost'], old)
  assert.notEqual(third.certificate, second.certificate)
  const modes = ['ca.key', 'server.key', 'ca.crt'].map(
    name => statSync(join(directory, name)).mode & 0o777,
  )
  assert.deepEqual(modes, [0o600, 0o600, 0o600])
})
