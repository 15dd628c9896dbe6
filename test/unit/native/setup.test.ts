import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { type ContextMemory, loadNative } from '../../../src/native.ts'
import { method } from '../../../src/tables/shared.ts'
import { createTestContext } from '../../support/native-context.ts'

const native = loadNative()
const { memory } = createTestContext()

test('each context has a number of its own', () => {
  const first = native.createContext(memory)
  assert.equal(native.createContext(memory), first + 1)
})

test('a thread counts its own contexts, and they end with it', async () => {
  const support = new URL('../../support/native-context.ts', import.meta.url).href
  const source = `
    import { parentPort } from 'node:worker_threads'
    const { createTestContext } = await import(${JSON.stringify(support)})
    const { native, context } = createTestContext()
    parentPort.postMessage([context, native.poll(context, 0, 0, 0)])`
  native.createContext(memory)
  for (let round = 0; round < 3; round++) {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`))
    const said = new Promise(resolve => worker.once('message', resolve))
    const exited = new Promise(resolve => worker.once('exit', resolve))
    assert.deepEqual(await said, [0, 0])
    assert.equal(await exited, 0)
  }
})

test('a context with a wrong array is refused', () => {
  const { shared } = memory
  const wrong: readonly [string, unknown][] = [
    ['slab', { ...memory, slab: new Int8Array(64) }],
    ['slab', { ...memory, slab: undefined }],
    ['slab', { ...memory, slab: new Uint8Array(64).subarray(4) }],
    ['rows', { ...memory, rows: new Uint32Array(16) }],
    ['state', { ...memory, state: new Float64Array(15) }],
    ['counters', { ...memory, counters: new Float64Array(64) }],
    ['shared', { ...memory, shared: undefined }],
    ['slots', { ...memory, shared: { ...shared, slots: new Uint8Array(256) } }],
    ['replay', { ...memory, shared: { ...shared, replay: shared.replay.subarray(1032) } }],
    ['remotes', { ...memory, shared: { ...shared, remotes: [] } }],
    ['indices', { ...memory, shared: { ...shared, indices: new Int32Array(2) } }],
  ]
  for (const [name, bad] of wrong) {
    assert.throws(() => native.createContext(bad as ContextMemory), { message: RegExp(name) }, name)
  }
})

test('failures of set-up carry the name and the number of the error', () => {
  assert.throws(() => native.wake(1_000_000), {
    code: 'EBADF',
    errno: 9,
    message: 'wake descriptor 1000000: Bad file descriptor',
  })
  assert.throws(() => native.peerCredentials(1_000_000), { code: 'EBADF' })
  assert.equal(native.setTunOffload(1_000_000, 0), -9)
})

test('the credentials at the other end of a unix socket', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hawser-peer-'))
  const server = createServer()
  const path = join(directory, 'socket')
  await new Promise<void>(resolve => server.listen(path, resolve))
  const accepted = new Promise<Socket>(resolve => server.once('connection', resolve))
  const client = connect(path)
  const socket = await accepted
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
  assert.deepEqual(native.peerCredentials(fd), {
    uid: process.getuid?.(),
    gid: process.getgid?.(),
    pid: process.pid,
  })
  client.destroy()
  socket.destroy()
  server.close()
  rmSync(directory, { recursive: true })
})

/** Runs statements with `native` in a process of its own and returns what `report` was given. */
function inChild(statements: string, uid?: number): Record<string, string> {
  const module = new URL('../../../src/native.ts', import.meta.url).href
  const source = `
    import { readFileSync, statSync } from 'node:fs'
    const { loadNative } = await import(${JSON.stringify(module)})
    const native = loadNative()
    const status = name => readFileSync('/proc/thread-self/status', 'utf8')
      .match(new RegExp(name + ':\\\\s*(.*)'))[1]
    const report = values => console.log(JSON.stringify(values))
    ${statements}`
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    timeout: 60_000,
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  assert.equal(child.status, 0, child.stderr)
  return JSON.parse(child.stdout)
}

test('secureProcess keeps the named capabilities only', () => {
  const kept = inChild(`native.secureProcess([12, 13])
    report({ effective: status('CapEff'), permitted: status('CapPrm'), bounding: status('CapBnd') })`)
  const mask = (2n ** 12n + 2n ** 13n).toString(16).padStart(16, '0')
  assert.deepEqual(kept, { effective: mask, permitted: mask, bounding: mask })
})

test('secureProcess with an empty list keeps all, and forbids core dumps', () => {
  const kept = inChild(`const before = status('CapEff')
    native.secureProcess([])
    const core = readFileSync('/proc/self/limits', 'utf8').match(/core file size +(\\d+) +(\\d+)/)
    report({ same: before === status('CapEff'), core: core.slice(1).join() })`)
  assert.deepEqual(kept, { same: true, core: '0,0' })
})

test('secureProcess hides the memory from other processes of the user', () => {
  // The files of a process that is not dumpable belong to root (proc(5)).
  const owners = inChild(
    `const before = statSync('/proc/self/maps').uid
    native.secureProcess([])
    report({ before, after: statSync('/proc/self/maps').uid })`,
    65_534,
  )
  assert.deepEqual(owners, { before: 65_534, after: 0 })
})

test('secureProcess refuses what is no capability', () => {
  assert.throws(() => native.secureProcess([64]), { name: 'RangeError' })
  assert.throws(() => native.secureProcess([-1]), { name: 'RangeError' })
  assert.throws(() => native.secureProcess('12' as unknown as number[]), { name: 'TypeError' })
})

test('handshakeAead checks its lengths', () => {
  const bytes = (length: number) => new Uint8Array(length)
  const key = bytes(32)
  const seal = (code: number, from: Uint8Array, to: Uint8Array, secret = key) =>
    native.handshakeAead(true, code, secret, bytes(0), from, to)
  const open = (from: Uint8Array, to: Uint8Array) =>
    native.handshakeAead(false, method.chacha20Poly1305, key, bytes(0), from, to)
  const text = Uint8Array.from({ length: 32 }, (_, i) => i)
  const sealed = bytes(48)
  assert.equal(seal(method.chacha20Poly1305, text, sealed), 0)
  const opened = bytes(32)
  assert.equal(open(sealed, opened), 0)
  assert.deepEqual(opened, text)
  sealed[40] ^= 1
  assert.equal(open(sealed, opened), -74) // EBADMSG

  const refused = { name: 'RangeError' }
  assert.throws(() => seal(method.vxlan, text, sealed), refused)
  assert.throws(() => seal(method.chacha20Poly1305, text, bytes(47)), refused)
  assert.throws(() => seal(method.chacha20Poly1305, text, sealed, bytes(31)), refused)
  assert.throws(() => open(bytes(15), bytes(0)), refused)
  assert.throws(() => open(sealed, bytes(33)), refused)
})
