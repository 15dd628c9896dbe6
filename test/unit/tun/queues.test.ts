import assert from 'node:assert/strict'
import { loadNative } from '../../../src/native.ts'
import { openTun } from '../../../src/tun/queues.ts'
import { ip, namespaceTest } from '../../support/namespace-test.ts'

const native = loadNative()
const mtuBytes = 1420

namespaceTest('a device that is made has as many queues as were asked for', () => {
  for (const queues of [1, 2, 8]) {
    const tun = openTun(native, { name: 'q%d', queues, mayReplace: false, mtuBytes })
    assert.equal(tun.fds.length, queues)
    for (const fd of tun.fds) assert.equal(native.tunState(fd).name, tun.name)
    tun.close()
    assert.throws(() => ip(`link show dev ${tun.name}`))
  }
})

namespaceTest('one that was made beforehand is taken as it is, or made anew', () => {
  ip('tuntap add dev before mode tun vnet_hdr')
  const options = { name: 'before', queues: 4, mtuBytes }
  const taken = openTun(native, { ...options, mayReplace: false })
  assert.equal(taken.fds.length, 1)
  assert.throws(() => openTun(native, { ...options, mayReplace: false }), { code: 'EBUSY' })
  taken.close()
  const replaced = openTun(native, { ...options, mayReplace: true })
  assert.equal(replaced.fds.length, 4)
  // In use with several queues: nobody is given another one.
  assert.throws(() => openTun(native, { ...options, mayReplace: false }), { code: 'EINVAL' })
  replaced.close()
})
