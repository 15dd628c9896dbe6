import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Looks, lookTimes, machineLooks, SelfWatcher } from '../../../src/control/self.ts'
import { Signal } from '../../../src/kube/signal.ts'
import { type Address, formatAddress, parseAddress, parsePrefix } from '../../../src/net/address.ts'

const text = (address: Address | undefined) => address && formatAddress(address)

function setUp(cidrs: readonly string[]) {
  let nowMs = 0
  const found = { private4: '', private6: '', interfaces: [] as string[] }
  const looks: Looks = {
    privateIp: async family => {
      const address = family === 4 ? found.private4 : found.private6
      return address === '' ? undefined : parseAddress(address)
    },
    interfaceAddresses: () => found.interfaces.map(parseAddress),
  }
  const changed = new Signal()
  const watcher = new SelfWatcher({
    clock: { monotonicMs: () => nowMs, wallMs: () => nowMs },
    clusterCidrs: cidrs.map(parsePrefix),
    publicIps: [parseAddress('192.0.2.9')],
    ...{ changed, looks },
  })
  const setNow = (ms: number) => {
    nowMs = ms
  }
  return { watcher, found, changed, setNow }
}

test('the address inside a cluster CIDR is what others ping', async () => {
  const { watcher, found, changed } = setUp(['10.1.0.0/16', 'fd00:1::/48'])
  found.private4 = '192.0.2.1'
  found.interfaces = ['127.0.0.1', '10.2.0.1', '10.1.3.1', '10.1.9.9', 'fe80::1', 'fd00:1::1']
  await watcher.look()
  const { privateIps, healthCheckIps, publicIps } = watcher.facts
  assert.deepEqual([text(privateIps.ipv4), text(privateIps.ipv6)], ['192.0.2.1', undefined])
  assert.deepEqual(
    [text(healthCheckIps.ipv4), text(healthCheckIps.ipv6)],
    ['10.1.3.1', 'fd00:1::1'],
  )
  assert.equal(text(publicIps.ipv4), '192.0.2.9')
  assert.equal(await changed.wait(0), true)
  assert.equal(watcher.nextMs, lookTimes.mostMs)
  await watcher.look()
  assert.equal(await changed.wait(0), false)
})

test('it is looked for until it is found, ever later', async () => {
  const { watcher, found, setNow } = setUp(['10.1.0.0/16'])
  found.private4 = '192.0.2.1'
  const delays: number[] = []
  for (let i = 0; i < 20; i++) {
    const atMs = watcher.nextMs
    setNow(atMs)
    await watcher.look()
    delays.push(Math.round(watcher.nextMs - atMs))
  }
  assert.deepEqual(delays.slice(0, 3), [4800, 5760, 6912])
  assert.equal(delays.at(-1), 60_000)
  found.interfaces = ['10.1.0.1']
  await watcher.look()
  assert.equal(text(watcher.facts.healthCheckIps.ipv4), '10.1.0.1')
  // An address that goes with its interface is gone; that of the node stays without a route.
  found.interfaces = []
  found.private4 = ''
  await watcher.look()
  assert.equal(watcher.facts.healthCheckIps.ipv4, undefined)
  assert.equal(text(watcher.facts.privateIps.ipv4), '192.0.2.1')
})

test('the real looks give addresses of this machine or none', async () => {
  const addresses = machineLooks.interfaceAddresses().map(formatAddress)
  for (const family of [4, 6] as const) {
    const address = await machineLooks.privateIp(family)
    if (address === undefined) continue
    assert.equal(address.family, family)
    assert.ok(addresses.includes(formatAddress(address)), formatAddress(address))
  }
})
