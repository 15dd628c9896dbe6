// Changes of the configuration while a session is in use: it goes on.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startDaemon } from '../support/interop/daemon.ts'
import { ping, RunningPing } from '../support/interop/traffic.ts'
import {
  configOf,
  endpointOf,
  layWire,
  newPresharedKey,
  openTunnel,
  type Tunnel,
} from '../support/interop/tunnel.ts'
import { worldOfFile } from '../support/interop/world.ts'

const world = worldOfFile('live-changes', ['left', 'right'], () => layWire(world))

const openLive = (t: TestContext) => openTunnel(t, world, { left: 'hawser', right: 'wireguard-go' })

/** Runs a change of `left` under traffic: no ping is lost, and the session stays the same. */
async function changeUnderTraffic(
  tunnel: Tunnel,
  change: () => Promise<unknown>,
  lostMax = 0,
): Promise<void> {
  const running = new RunningPing(tunnel.left.site, tunnel.right.inner[4], 0.02)
  await running.more(5)
  const before = await tunnel.peer(tunnel.left)
  await change()
  await running.more(10)
  const after = await tunnel.peer(tunnel.left)
  assert.equal(after.latestHandshake, before.latestHandshake, 'no other handshake')
  const { lost } = await running.stop()
  assert.ok(lost <= lostMax, `${lost} were lost\n${running.log}`)
}

test('allowed IPs come and go and the session stays', async t => {
  const tunnel = await openLive(t)
  const { inner } = tunnel.right
  const own = `${inner[4]}/32,${inner[6]}/128`
  await changeUnderTraffic(tunnel, async () => {
    for (let i = 0; i < 10; i++) {
      await tunnel.setPeer(tunnel.left, 'allowed-ips', `${own},10.200.${i}.0/24`)
      await tunnel.setPeer(tunnel.left, 'allowed-ips', own)
    }
  })
})

test('the same endpoint, set again, changes nothing', async t => {
  const tunnel = await openLive(t)
  await changeUnderTraffic(tunnel, async () => {
    await tunnel.setPeer(tunnel.left, 'endpoint', endpointOf(tunnel.right, 4))
  })
})

test('an endpoint of the other family is used in the same session', async t => {
  const tunnel = await openLive(t)
  const endpoint = endpointOf(tunnel.right, 6)
  await changeUnderTraffic(tunnel, async () => {
    // An answer that was under way takes it back to where it came from: then it is set again.
    await eventually(async () => {
      await tunnel.setPeer(tunnel.left, 'endpoint', endpoint)
      return (await tunnel.peer(tunnel.right)).endpoint === endpointOf(tunnel.left, 6)
    })
  })
  assert.equal((await tunnel.peer(tunnel.left)).endpoint, endpoint)
})

test('another preshared key waits for the next handshake', async t => {
  const tunnel = await openLive(t)
  const { left } = tunnel
  await changeUnderTraffic(tunnel, async () => {
    const script = 'cat >/run/key; wg set wg0 peer "$1" preshared-key /run/key; rm /run/key'
    const command = ['sh', '-ec', script, 'sh', tunnel.right.keys.publicKey]
    await left.site.must(command, { input: newPresharedKey() })
  })
})

test('keepalives are switched on and off and the session stays', async t => {
  const tunnel = await openLive(t)
  await changeUnderTraffic(tunnel, async () => {
    await tunnel.setPeer(tunnel.left, 'persistent-keepalive', '1')
    await tunnel.setPeer(tunnel.left, 'persistent-keepalive', 'off')
  })
})

test('another listen port is followed by the peer, in the same session', async t => {
  const tunnel = await openLive(t)
  const change = () => tunnel.left.daemon.wg('set', 'wg0', 'listen-port', '4999')
  // An answer that is under way to the port before finds nobody.
  await changeUnderTraffic(tunnel, change, 3)
  const wanted = endpointOf({ side: 'left', port: 4999 }, 4)
  assert.equal((await tunnel.peer(tunnel.right)).endpoint, wanted)
})

test('syncconf with the same peers keeps the session', async t => {
  const tunnel = await openLive(t)
  const config = configOf(tunnel, tunnel.left, true, 'PersistentKeepalive = 20')
  await changeUnderTraffic(tunnel, () => tunnel.left.daemon.configure('syncconf', config))
})

test('a port that is taken is EADDRINUSE, and the one before goes on', async t => {
  const tunnel = await openLive(t)
  const { site, daemon } = tunnel.left
  const holder = await startDaemon(site, 'hawser', 'holder0')
  t.after(() => holder.stop())
  await holder.wg('set', 'holder0', 'listen-port', '4998')
  await ping(site, tunnel.right.inner[4])
  const peers = await daemon.wg('show', 'wg0', 'peers')
  await changeUnderTraffic(tunnel, async () => {
    const { code, stderr } = await site.run([
      'wg',
      'set',
      'wg0',
      'listen-port',
      '4998',
      'fwmark',
      '9',
    ])
    assert.equal(code, 1)
    assert.match(stderr, /Address already in use/)
  })
  // Whole or not at all: the mark of the same set is not in force either.
  assert.equal(await daemon.wg('show', 'wg0', 'fwmark'), 'off\n')
  assert.equal(await daemon.wg('show', 'wg0', 'listen-port'), `${tunnel.left.port}\n`)
  assert.equal(await daemon.wg('show', 'wg0', 'peers'), peers)
})

test('the mark is on every datagram, and on none when it is off again', async t => {
  const tunnel = await openLive(t)
  const { site, daemon } = tunnel.left
  const ruleset = `
    add table inet marks
    add chain inet marks output { type filter hook output priority 0; }
    add rule inet marks output oifname "wire" meta l4proto udp meta mark 0xabcd counter
    add rule inet marks output oifname "wire" meta l4proto udp meta mark 0 counter`
  await site.must(['nft', ruleset])
  t.after(() => site.must(['nft', 'flush', 'ruleset']))
  const counted = async () => {
    const list = await site.must(['nft', 'list', 'table', 'inet', 'marks'])
    const [marked, bare] = [...list.matchAll(/counter packets (\d+)/g)].map(([, n]) => Number(n))
    return { marked, bare }
  }
  await daemon.wg('set', 'wg0', 'fwmark', '0xabcd')
  const before = await counted()
  await ping(site, tunnel.right.inner[4], { count: 5 })
  const marked = await counted()
  assert.ok(marked.marked >= before.marked + 5, JSON.stringify({ before, marked }))
  assert.equal(marked.bare, before.bare)

  await tunnel.setPeer(tunnel.left, 'endpoint', endpointOf(tunnel.right, 6))
  await ping(site, tunnel.right.inner[4], { count: 5 })
  const overIpv6 = await counted()
  assert.ok(overIpv6.marked >= marked.marked + 5)
  assert.equal(overIpv6.bare, before.bare)

  await daemon.wg('set', 'wg0', 'fwmark', 'off')
  await ping(site, tunnel.right.inner[4], { count: 5 })
  const off = await counted()
  assert.equal(off.marked, overIpv6.marked)
  assert.ok(off.bare >= overIpv6.bare + 5)
})

test('persistent keepalives arrive without any traffic', async t => {
  const options = { left: 'hawser', right: 'wireguard-go', knowing: ['left'] } as const
  const tunnel = await openTunnel(t, world, { ...options, peerLines: 'PersistentKeepalive = 1' })
  const { right } = tunnel
  // Nothing was sent through the tunnel: the keepalive asked for the session.
  await eventually(async () => (await tunnel.peer(right)).latestHandshake > 0)
  const first = (await tunnel.peer(right)).rxBytes
  // Three keepalives of 32 bytes.
  await eventually(async () => {
    return (await tunnel.peer(right)).rxBytes >= first + 96
  })
})

test('a device that goes down ends its sessions; up again, its first packet makes one', async t => {
  const tunnel = await openLive(t)
  const { left, right } = tunnel
  await ping(left.site, right.inner[4])
  const before = await tunnel.peer(right)
  const said = (line: string) =>
    eventually(
      () => left.daemon.log.includes(line),
      () => left.daemon.log,
    )
  await said('wg0 is up')
  await left.site.ip('link set wg0 down')
  await said('wg0 is down')
  await left.site.ip('link set wg0 up')
  // A single packet, which nothing repeats.
  const { stdout } = await left.site.run(['ping', '-n', '-c', '1', '-W', '9', right.inner[4]])
  assert.match(stdout, / 1 received/, `${stdout}\n${tunnel.logs}`)
  assert.ok((await tunnel.peer(right)).latestHandshake >= before.latestHandshake)
  await ping(right.site, left.inner[4])
})
