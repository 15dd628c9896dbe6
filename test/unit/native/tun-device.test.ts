// Life and death of a TUN device: persistence, removal, a move to another namespace, adoption.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { loadNative, type OpenTunOptions } from '../../../src/native.ts'
import { POLL, STATE } from '../../../src/packet/batch.ts'
import { ip, namespaceTest } from '../../support/namespace-test.ts'
import { createTestContext, setRow, waitFor } from '../../support/native-context.ts'

const EBADFD = 77

const native = loadNative()

function open(name: string, options: Partial<OpenTunOptions> = {}): number {
  return native.openTun({ name, multiQueue: false, persistent: false, ...options }).fd
}

const indexOf = (name: string): number => JSON.parse(ip(`-j link show ${name}`))[0].ifindex

namespaceTest('a persistent device outlives its descriptor and is attached to again', () => {
  const first = open('keep', { persistent: true })
  ip('link set keep up mtu 1400')
  const index = indexOf('keep')
  assert.throws(() => open('keep', { persistent: true }), { code: 'EBUSY', message: /keep/ })
  closeSync(first)
  const second = open('keep', { persistent: true })
  assert.equal(indexOf('keep'), index)
  assert.deepEqual(native.tunState(second), { name: 'keep', mtuBytes: 1400, up: true })
})

namespaceTest('a persistent device with another MULTI_QUEUE flag is made anew', () => {
  const options = { persistent: true, mayReplace: true }
  closeSync(open('keep', { persistent: true }))
  const index = indexOf('keep')
  assert.throws(() => open('keep', { persistent: true, multiQueue: true }), { code: 'EINVAL' })
  const queues = [0, 1].map(() => open('keep', { ...options, multiQueue: true }))
  const again = indexOf('keep')
  assert.notEqual(again, index)
  for (const fd of queues) closeSync(fd)
  open('keep', options)
  assert.notEqual(indexOf('keep'), again)
})

namespaceTest('a new device gets the MTU, one that is there keeps its own', () => {
  const options = { multiQueue: false, persistent: true, mayReplace: true, name: 'keep' }
  const first = native.openTun({ ...options, mtuBytes: 1380 }).fd
  assert.equal(native.tunState(first).mtuBytes, 1380)
  ip('link set keep mtu 1300')
  closeSync(first)
  const second = native.openTun({ ...options, mtuBytes: 1380 }).fd
  assert.equal(native.tunState(second).mtuBytes, 1300)
  closeSync(second)
  const anew = native.openTun({ ...options, multiQueue: true, mtuBytes: 1380 }).fd
  assert.equal(native.tunState(anew).mtuBytes, 1380)
})

namespaceTest('a device that is not persistent goes with its descriptor', () => {
  const fd = open('short')
  assert.ok(indexOf('short') > 0)
  closeSync(fd)
  assert.throws(() => ip('link show short'), /does not exist/)
})

namespaceTest('a device becomes persistent when its descriptor is adopted as such', () => {
  const fd = open('late')
  const index = indexOf('late')
  native.openTun({ name: 'late', multiQueue: false, persistent: true, fd })
  closeSync(fd)
  assert.equal(indexOf('late'), index)
  // Opened without the wish it stays what it was.
  closeSync(open('late'))
  assert.equal(indexOf('late'), index)
})

namespaceTest('a device that cannot be had as it was asked for is not left behind', () => {
  assert.throws(() => open('small', { persistent: true, mtuBytes: 67 }), /mtuBytes/)
  assert.throws(() => ip('link show small'), /does not exist/)
})

namespaceTest('a deleted device is told apart from one that has nothing to say', () => {
  const harness = createTestContext()
  const { context, memory } = harness
  const fd = open('tun7')
  ip('link set tun7 up')
  while (native.readTun(context, fd, 0, 0) > 0);
  assert.equal(memory.state[STATE.DRAINED], 1)
  ip('link del tun7')
  assert.notEqual(waitFor(harness, fd, POLL.IN) & POLL.ERR, 0)
  assert.equal(native.readTun(context, fd, 0, 0), -EBADFD)
  setRow(memory, 0, { OFFSET: 64, LENGTH: 20 })
  assert.equal(native.writeTun(context, fd, 0, 1), -EBADFD)
  assert.throws(() => native.tunState(fd), { code: 'EBADFD', errno: EBADFD })
  assert.equal(native.setTunOffload(fd, 0), -EBADFD)
})

namespaceTest('a device that moved to another namespace is still found', async () => {
  const fd = open('tun7')
  const child = spawn('unshare', ['-n', 'sh', '-c', 'echo ready; exec cat'], { stdio: 'pipe' })
  await new Promise(resolve => child.stdout.once('data', resolve))
  ip(`link set tun7 netns ${child.pid}`)
  assert.deepEqual(native.tunState(fd), { name: 'tun7', mtuBytes: 1500, up: false })
  const there = ['-t', String(child.pid), '-n', 'ip', 'link', 'set', 'tun7']
  execFileSync('nsenter', [...there, 'name', 'far', 'mtu', '1300', 'up'])
  assert.deepEqual(native.tunState(fd), { name: 'far', mtuBytes: 1300, up: true })
  // The thread is back in its own namespace: what it makes now is here.
  open('near')
  assert.ok(indexOf('near') > 0)
  assert.throws(() => ip('link show far'), /does not exist/)
  child.stdin.end()
  await new Promise(resolve => child.once('exit', resolve))
})

const adopt = (fd: number) => native.openTun({ name: '', multiQueue: false, persistent: false, fd })

namespaceTest('an open descriptor of a device is adopted, another one is not', () => {
  const fd = open('tun7')
  assert.deepEqual(adopt(fd), { fd, name: 'tun7' })
  const other = openSync('/dev/null', 'r')
  assert.throws(() => adopt(other), {
    code: 'ENOTTY',
    message: `adopt descriptor ${other}: Inappropriate ioctl for device`,
  })
  closeSync(other)
  const unbound = openSync('/dev/net/tun', 'r+')
  assert.throws(() => adopt(unbound), { code: 'EBADFD' })
  closeSync(unbound)
})

namespaceTest('a device without virtio headers is not adopted', () => {
  // Python, which node-gyp needs anyway, can do the ioctl and hand the descriptor on.
  const makeDevice = `
import fcntl, os, struct, sys
fd = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', b'plain', 0x1001))
os.set_inheritable(fd, True)
os.execv(sys.argv[1], [sys.argv[1], '--input-type=module', '-e', sys.argv[2], str(fd)])`
  const module = new URL('../../../src/native.ts', import.meta.url).href
  const adoptIt = `
    const { loadNative } = await import(${JSON.stringify(module)})
    const options = { name: '', multiQueue: false, persistent: false, fd: Number(process.argv[1]) }
    try { loadNative().openTun(options) } catch (error) { console.log(error.code, error.message) }`
  const printed = execFileSync('python3', ['-c', makeDevice, process.execPath, adoptIt], {
    encoding: 'utf8',
  })
  assert.match(
    printed,
    /^EINVAL adopt descriptor \d+: plain must be a TUN device with NO_PI and VN/,
  )
})

namespaceTest('a name that cannot be had is named in the error', () => {
  const message = 'open TUN device lo: Invalid argument'
  assert.throws(() => open('lo'), { code: 'EINVAL', errno: 22, message })
  assert.throws(() => open('lo', { persistent: true }), { code: 'EINVAL', message })
  assert.throws(() => open('sixteen-letters-'), { code: 'ENAMETOOLONG' })
})

namespaceTest('the kernel chooses the number of a pattern', () => {
  const options = { name: 'hw%d', multiQueue: false, persistent: false }
  assert.equal(native.openTun(options).name, 'hw0')
  assert.equal(native.openTun(options).name, 'hw1')
})
