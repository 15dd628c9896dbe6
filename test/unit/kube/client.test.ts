import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { type KubeCode, KubeError } from '../../../src/kube/errors.ts'
import { createAuthority } from '../../support/certificates.ts'
import { eventually } from '../../support/eventually.ts'
import { type Fault, type SeenRequest, startFakeApiserver } from '../../support/fake-apiserver.ts'
import { fakeClient } from '../../support/fake-clients.ts'
import { configMaps, fakeKinds, newNote, notes } from '../../support/kube-kinds.ts'
import { refused } from '../../support/refused.ts'

const serve = (context: TestContext) => startFakeApiserver(context, { kinds: fakeKinds })
const where = { name: 'x', namespace: 'ns' }

/** Rejects with it, and hands it back. */
async function errorOf(work: Promise<unknown>): Promise<KubeError> {
  const error = await work.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof KubeError, String(error))
  return error
}

const once = (fault: Fault) => {
  let isDone = false
  return (): Fault | undefined => {
    if (isDone) return undefined
    isDone = true
    return fault
  }
}

test('what a server may say is a code, with verb, object, server and the next step', async context => {
  const server = await serve(context)
  const client = fakeClient(server)
  const rows: readonly [number, KubeCode, string | undefined][] = [
    [302, 'BAD_ANSWER', 'curl -k https://'],
    [400, 'INVALID', 'kubectl explain configmaps'],
    [401, 'UNAUTHORIZED', 'join the cluster to the broker again'],
    [403, 'FORBIDDEN', 'kubectl auth can-i get configmaps -n ns'],
    [405, 'INVALID', 'kubectl explain'],
    [409, 'CONFLICT', 'kubectl get configmaps x -n ns -o yaml'],
    [410, 'GONE', undefined],
    [422, 'INVALID', 'kubectl explain'],
    [429, 'UNAVAILABLE', 'curl -k https://'],
    [500, 'UNAVAILABLE', 'curl -k https://'],
    [503, 'UNAVAILABLE', 'curl -k https://'],
  ]
  for (const [status, code, hint] of rows) {
    server.fault = () => ({ kind: 'status', status, retryAfterSeconds: 7 })
    const error = await errorOf(client.get(configMaps, where))
    const place = `cannot get configmaps ns/x at ${server.url}: ${status} Fault: a fault`
    assert.deepEqual([error.code, error.status, error.message], [code, status, place])
    assert.equal(error.retryAfterMs, 7000)
    assert.ok((error.hint ?? '').startsWith(hint ?? ''), `${status}: ${error.hint}`)
    assert.equal(error.hint === undefined, hint === undefined, `${status}: ${error.hint}`)
  }
})

test('what happens on the way is a code too, and does not last longer than the limit', async context => {
  const server = await serve(context)
  const client = fakeClient(server)
  const rows: readonly [Fault, KubeCode, RegExp][] = [
    [{ kind: 'cut' }, 'UNAVAILABLE', /the connection was cut/],
    [{ kind: 'half' }, 'UNAVAILABLE', /the connection was cut/],
    [{ kind: 'stall' }, 'UNAVAILABLE', /no answer within 0.2 s/],
    [{ kind: 'slow', delayMs: 60_000 }, 'UNAVAILABLE', /no answer within 0.2 s/],
    [{ kind: 'garbage', text: '<html>Log in</html>' }, 'BAD_ANSWER', /but "<html>Log in/],
    [{ kind: 'garbage', text: '{"items":{}}' }, 'BAD_ANSWER', /the answer is no list/],
    [{ kind: 'garbage', text: '{"metadata":{"resourceVersion":""}}' }, 'BAD_ANSWER', /no list/],
  ]
  for (const [fault, code, message] of rows) {
    server.fault = () => fault
    const limitMs = fault.kind === 'stall' || fault.kind === 'slow' ? 200 : 20_000
    const error = await errorOf(client.listPage(configMaps, { namespace: 'ns' }, { limitMs }))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, message)
  }
})

test('nobody there, and somebody who speaks no TLS', async context => {
  const server = await serve(context)
  const client = fakeClient(server)
  await server.close()
  const error = await errorOf(client.get(configMaps, where))
  assert.deepEqual([error.code, error.exit], ['UNAVAILABLE', 3])
  assert.match(error.message, /ECONNREFUSED/)

  const plain = createServer((_, response) => response.end('hello'))
  await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
  context.after(() => plain.close())
  const { port } = plain.address() as AddressInfo
  const other = fakeClient(server, { server: `127.0.0.1:${port}` })
  assert.equal((await errorOf(other.get(configMaps, where))).code, 'UNAVAILABLE')
})

test('a peer that accepts and says nothing costs the limit and no more', async context => {
  const silent = createTcpServer(() => undefined)
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
  context.after(() => silent.close())
  const { port } = silent.address() as AddressInfo
  const server = await serve(context)
  const client = fakeClient(server, { server: `https://127.0.0.1:${port}` })
  const error = await errorOf(client.get(configMaps, where, { limitMs: 100 }))
  assert.match(error.message, /no answer within 0.1 s/)
  silent.close()
})

test('certificates that are not trusted are named as that, with the reason', async context => {
  const server = await serve(context)
  const { authority } = server
  const other = createAuthority('other-ca')
  const rows = [
    {
      use: authority.issue(['127.0.0.1'], { isExpired: true }),
      reason: /has expired, by the clock here/,
      hint: /^date -u, here and there: is a clock wrong\? Else openssl s_client/,
    },
    {
      use: authority.issue(['127.0.0.1'], { isEarly: true }),
      reason: /is not valid yet, by the clock here/,
      hint: /^date -u, here and there: is a clock wrong\? /,
    },
    { use: authority.issue(['elsewhere.example']), reason: /is for another name/ },
    { use: other.issue(['127.0.0.1']), reason: /a CA that is not trusted here/ },
  ]
  const look = /^openssl s_client -showcerts -connect 127.0.0.1:/
  for (const { use, reason, hint = look } of rows) {
    server.useCertificate(use)
    const error = await errorOf(fakeClient(server).get(configMaps, where))
    assert.deepEqual([error.code, error.exit], ['CERTIFICATE', 3])
    assert.match(error.message, reason)
    assert.match(error.hint ?? '', hint)
  }
  const insecure = fakeClient(server, { isInsecure: true })
  await refused(insecure.get(configMaps, where), 'NOT_FOUND', 'ns/x')
})

test('a call is called off by its signal, whatever it waits for', async context => {
  const server = await serve(context)
  server.fault = () => ({ kind: 'stall' })
  const client = fakeClient(server)
  const abort = new AbortController()
  const waiting = errorOf(client.get(configMaps, where, { signal: abort.signal }))
  await eventually(() => server.requests.length === 1)
  abort.abort()
  assert.equal((await waiting).code, 'ABORTED')
  const late = client.get(configMaps, where, { signal: abort.signal })
  assert.equal((await errorOf(late)).code, 'ABORTED')
  assert.equal(server.requests.length, 1)
})

test('a kept connection that the server has closed costs no failure', async context => {
  const server = await serve(context)
  const client = fakeClient(server)
  await client.create(configMaps, newNote('ns', 'x', 'one'))
  // The server closes it in the moment in which it is used again.
  server.fault = once({ kind: 'cut' })
  const { value } = await client.get(configMaps, where)
  assert.equal(value.text, 'one')
  // A create is not made twice: the first one may have worked.
  server.fault = once({ kind: 'cut' })
  const create = client.create(configMaps, newNote('ns', 'y', 'one'))
  await refused(create, 'UNAVAILABLE', 'create configmaps ns/y')
})

test('the status is written apart, and the rest of the object stays', async context => {
  const server = await serve(context)
  const client = fakeClient(server)
  const created = await client.create(notes, newNote('ns', 'x', 'one'))
  assert.equal(created.value.status, '')
  const change = { ...created.value, text: 'lost', status: 'fine' }
  const updated = await client.update(notes, created, change, { status: true })
  assert.deepEqual([updated.value.text, updated.value.status], ['one', 'fine'])
  await client.patch(notes, where, { status: { text: 'better' } }, { status: true })
  const two = await client.change(notes, where, note => ({ ...note, text: 'two', status: 'no' }))
  assert.deepEqual([two.value.text, two.value.status], ['two', 'better'])
  const paths = server.requests.map(({ method, path }) => `${method} ${path}`)
  assert.equal(paths[1], 'PUT /apis/test.hawser.io/v1/namespaces/ns/notes/x/status')
})

test('what others own in an object stays in it, and a write names what it read', async context => {
  const server = await serve(context)
  const client = fakeClient(server)
  const created = await client.create(configMaps, newNote('ns', 'x', 'one'))
  await client.patch(configMaps, where, { data: { theirs: 1 }, metadata: { labels: { a: 'b' } } })
  const changed = await client.change(configMaps, where, note => ({ ...note, text: 'two' }))
  assert.deepEqual((changed.raw as { data: unknown }).data, { text: 'two', theirs: 1 })
  assert.deepEqual(changed.value.meta.labels, { a: 'b' })
  // Deleted and made again under the same name: that is another object.
  await client.delete(configMaps, where)
  await client.create(configMaps, newNote('ns', 'x', 'again'))
  await refused(client.update(configMaps, created, created.value), 'CONFLICT', 'ns/x')
})

test('a change that always loses is given up after five times', async context => {
  const server = await serve(context)
  const client = fakeClient(server)
  await client.create(configMaps, newNote('ns', 'x', 'one'))
  server.fault = ({ method }) => (method === 'PUT' ? { kind: 'status', status: 409 } : undefined)
  const change = client.change(configMaps, where, note => ({ ...note, text: 'two' }))
  await refused(change, 'CONFLICT', 'cannot update configmaps ns/x')
  const methods = server.requests.slice(1).map(({ method }) => method)
  assert.deepEqual(methods, Array(5).fill(['GET', 'PUT']).flat())
})

test('a list that the server forgets half-way is read in one piece', async context => {
  const server = await serve(context)
  const client = fakeClient(server)
  const kind = server.objects.find('', 'v1', 'configmaps')
  for (let index = 0; index < 501; index++) {
    server.objects.create(kind, 'ns', { metadata: { name: `n${index}` }, data: { text: 'x' } })
  }
  server.fault = ({ query }: SeenRequest) => {
    if (query.has('continue')) server.objects.compact()
    return undefined
  }
  const { items } = await client.list(configMaps, { namespace: 'ns' })
  assert.equal(items.length, 501)
  assert.equal(server.requests.length, 3)
  assert.equal(server.requests[2].query.has('limit'), false)
})

test('an object that does not parse is an error of its own, in a list a problem', async context => {
  const server = await serve(context)
  const client = fakeClient(server)
  const kind = server.objects.find('', 'v1', 'configmaps')
  server.objects.create(kind, 'ns', { metadata: { name: 'x' }, data: { text: 'bad' } })
  server.objects.create(kind, 'ns', { metadata: { name: 'y' }, data: { text: 'good' } })
  const error = await errorOf(client.get(configMaps, where))
  assert.deepEqual([error.code, error.exit], ['BAD_OBJECT', 1])
  const { items, problems } = await client.list(configMaps)
  assert.deepEqual(
    items.map(({ meta }) => meta.name),
    ['y'],
  )
  assert.deepEqual(problems, [
    { kind: 'ConfigMap', namespace: 'ns', name: 'x', problem: 'the text is bad' },
  ])
  const throwing = { ...configMaps, parse: () => assert.fail('a bug') }
  const { problems: both } = await client.list(throwing)
  assert.deepEqual(
    both.map(({ problem }) => problem),
    Array(2).fill('it cannot be read: a bug'),
  )
})

test('an empty name or namespace never names a whole collection', async context => {
  const server = await serve(context)
  const client = fakeClient(server)
  const rows = [
    { name: '', namespace: 'ns' },
    { name: 'x', namespace: '' },
    { name: '..', namespace: 'ns' },
    { name: 'a/b', namespace: 'ns' },
  ]
  for (const row of rows) {
    await assert.rejects(client.delete(configMaps, row), { name: 'AssertionError' })
  }
  assert.equal(server.requests.length, 0)
})

test('no secret is in an error, however it is looked at, nor in the client', async context => {
  const secret = 'token-of-great-value'
  const server = await serve(context)
  server.tokens.add(secret)
  const echo = `{"kind":"Status","message":"no ${secret} here","code":401,"reason":"x"}`
  const faults: readonly Fault[] = [
    { kind: 'garbage', text: `what is ${secret}` },
    { kind: 'status', status: 401 },
    { kind: 'status', status: 403 },
    { kind: 'cut' },
    { kind: 'stall' },
  ]
  const client = fakeClient(server, { token: secret })
  const texts: string[] = [inspect(client, { depth: 9, showHidden: true }), JSON.stringify(client)]
  for (const fault of faults) {
    server.fault = () => fault
    const error = await errorOf(client.get(configMaps, where, { limitMs: 300 }))
    texts.push(inspect(error, { depth: 9, showHidden: true }), error.message, error.hint ?? '')
  }
  server.fault = () => undefined
  server.rejects = () => echo
  const rejected = await errorOf(client.create(configMaps, newNote('ns', 'x', 'one')))
  assert.match(rejected.message, /no \(secret\) here/)
  texts.push(inspect(rejected, { depth: 9 }))
  for (const text of texts) assert.equal(text.includes(secret), false, text)
})

test('a server that says a lot fills no log', async context => {
  const server = await serve(context)
  server.rejects = () => `line\n${'x'.repeat(100_000)}`
  const error = await errorOf(fakeClient(server).create(configMaps, newNote('ns', 'x', 'one')))
  assert.ok(error.message.length < 500, `${error.message.length} characters`)
  assert.equal(error.message.includes('\n'), false)
})
