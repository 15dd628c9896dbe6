// The life of `hawser datapath` beside its traffic: restarts, a second one on the same device, and the
// end of the device.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { cableRoutes, east, makeClusters, west } from '../support/e2e/clusters.ts'
import { device, Gateway, hawser } from '../support/e2e/gateway.ts'
import { ping, pingUntilAnswered, Steady, startEcho } from '../support/e2e/traffic.ts'
import { cableTo, deviceOf, joinByWireguard } from '../support/e2e/wireguard.ts'

test('a gateway that is started again finds its device and routes, and connections go on', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  await startEcho(spaces, west.pod)
  const steady = new Steady(spaces, east.pod, west.podAddress, 20_000)
  await steady.moves()
  const showRoutes = async () => {
    const shown = await spaces.mustRun(east.gateway, ['ip', 'route', 'show', 'dev', device])
    // Without a reader the device has no carrier.
    return shown.replaceAll(' linkdown', '')
  }
  const routes = await showRoutes()
  assert.match(routes, /10\.2\.0\.0\/16 scope link src 10\.1\.0\.1/)
  const index = await spaces.mustRun(east.gateway, ['cat', `/sys/class/net/${device}/ifindex`])

  let gateway = gateways.east
  for (const signal of ['TERM', 'KILL']) {
    assert.equal(await gateway.end(signal), signal === 'TERM' ? 0 : 137)
    // Nobody reads the device now; it is there with all that hangs on it.
    assert.equal(await showRoutes(), routes)
    gateway = await Gateway.start(spaces, east.gateway)
    const again = await spaces.mustRun(east.gateway, ['cat', `/sys/class/net/${device}/ifindex`])
    assert.equal(again, index)
    assert.equal(await showRoutes(), routes)
    assert.deepEqual((await gateway.status()).generation, 0)
    await gateway.apply(deviceOf(east), [cableTo(west)])
    await steady.moves()
  }
  // The side that had a session left all the time: it makes a new one by itself.
  await ping(spaces, west.pod, east.podAddress6)
})

test('a gateway whose peer starts again is heard without being spoken to', async context => {
  const spaces = await makeClusters(context)
  const keepaliveSeconds = 1
  const gateways = await joinByWireguard(spaces, { keepaliveSeconds })
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
  await gateways.east.end('KILL')
  const gateway = await Gateway.start(spaces, east.gateway)
  await gateway.apply(deviceOf(east), [cableTo(west, { keepaliveSeconds })])
  // West still seals under the old session; east's keepalive makes a new one.
  await pingUntilAnswered(spaces, west.pod, east.podAddress)
})

test('the end of the device is the end of its gateway, with exit code 0', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
  const closed = gateways.east.client.closed
  await spaces.mustRun(east.gateway, ['ip', 'link', 'delete', device])
  assert.equal(await gateways.east.exitCode, 0, gateways.east.log)
  assert.match(gateways.east.log, /gw0 ends: the device was deleted/)
  await closed
  const left = await spaces.mustRun(east.gateway, ['ls', '/run/hawser', '/run/wireguard'])
  assert.doesNotMatch(left, /gw0\.sock/)
  const status = await spaces.run(east.gateway, [hawser, 'status', '--interface', device])
  assert.equal(status.code, 3)

  // What comes after it starts from nothing.
  const gateway = await Gateway.start(spaces, east.gateway)
  await gateway.apply(deviceOf(east), [cableTo(west)])
  await cableRoutes(spaces, east, west.prefixes)
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
})

test('a second gateway on a device, a socket or a port that is taken says so and ends', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  const start = (...args: string[]) => {
    const command = [hawser, 'datapath', ...args]
    return spaces.run(east.gateway, command, { timeoutMs: 20_000 })
  }
  const busy = await start('--interface', device, '--socket', '/run/hawser/second.sock')
  assert.equal(busy.code, 1)
  assert.match(busy.stderr, /gw0/)
  assert.match(busy.stderr, /busy|in use/i)
  assert.match(busy.stderr, /choose another name/)
  assert.ok(busy.stderr.trim().split('\n').length <= 2, busy.stderr)

  const socket = await start('--interface', 'gw1', '--socket', `/run/hawser/${device}.sock`)
  assert.equal(socket.code, 1)
  assert.match(socket.stderr, /gw0\.sock/)

  const second = await Gateway.start(spaces, west.gateway, 'gw1')
  await assert.rejects(second.apply(deviceOf(west), []), { code: 'EADDRINUSE' })

  assert.ok(existsSync(spaces.path(east.gateway, `/run/hawser/${device}.sock`)))
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
  assert.equal((await gateways.east.status()).up, true)
})
