// `wg-quick up|save|strip|down` with Hawser as its userspace implementation.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { ping } from '../support/interop/traffic.ts'
import { layWire, newKeys, wireAddress } from '../support/interop/tunnel.ts'
import { hawserWg, type Site, worldOfFile } from '../support/interop/world.ts'

const world = worldOfFile('wg-quick', ['left', 'right'], () => layWire(world))

/** wg-quick takes the interface's name from that of the file. */
const fileOf = (name: string) => `/run/${name}.conf`

function wgQuick(site: Site, action: string, name: string): Promise<string> {
  const variable = `WG_QUICK_USERSPACE_IMPLEMENTATION=${hawserWg}`
  return site.must(['env', variable, 'wg-quick', action, fileOf(name)])
}

async function up(t: TestContext, site: Site, name: string, config: string): Promise<void> {
  writeFileSync(site.outside(fileOf(name)), config, { mode: 0o600 })
  t.after(() => site.run(['ip', 'link', 'delete', name]))
  await wgQuick(site, 'up', name)
}

async function down(site: Site, name: string): Promise<void> {
  await wgQuick(site, 'down', name)
  assert.notEqual((await site.run(['ip', 'link', 'show', name])).code, 0)
  await eventually(() => !existsSync(site.outside(`/run/wireguard/${name}.sock`)))
}

test('up, save, strip and down, with all traffic through the tunnel', async t => {
  const [left, right] = [world.site('left'), world.site('right')]
  const keys = { left: newKeys(), right: newKeys(), other: newKeys() }
  await up(
    t,
    right,
    'quick1',
    `[Interface]
PrivateKey = ${keys.right.privateKey}
ListenPort = 4000
Address = 10.8.0.2/24, fd08::2/64
Address = 10.99.0.1/32
[Peer]
PublicKey = ${keys.left.publicKey}
AllowedIPs = 10.8.0.1/32, fd08::1/128
`,
  )
  await up(
    t,
    left,
    'quick0',
    `[Interface]
PrivateKey = ${keys.left.privateKey}
Address = 10.8.0.1/24, fd08::1/64
MTU = 1380
SaveConfig = true
PostUp = echo %i is up >/run/hook
PreDown = echo %i goes down >/run/hook
[Peer]
PublicKey = ${keys.right.publicKey}
Endpoint = ${wireAddress.right[4]}:4000
AllowedIPs = 0.0.0.0/0, ::/0
`,
  )
  assert.equal(readFileSync(left.outside('/run/hook'), 'utf8'), 'quick0 is up\n')
  assert.match(await left.ip('link show quick0'), / mtu 1380 /)
  // The default route leads into the tunnel, marked datagrams excepted.
  assert.match(await left.must(['wg', 'show', 'quick0', 'fwmark']), /^0x/)
  await ping(left, '10.99.0.1')
  await ping(left, 'fd08::2')
  await ping(right, '10.8.0.1')

  await left.must([
    'wg',
    'set',
    'quick0',
    'peer',
    keys.other.publicKey,
    'allowed-ips',
    '10.7.0.0/16',
  ])
  await wgQuick(left, 'save', 'quick0')
  const saved = readFileSync(left.outside(fileOf('quick0')), 'utf8')
  for (const text of [keys.left.privateKey, keys.right.publicKey, keys.other.publicKey]) {
    assert.ok(saved.includes(text), saved)
  }
  assert.match(saved, /Address = 10\.8\.0\.1\/24\n/)
  assert.match(
    await wgQuick(left, 'strip', 'quick0'),
    /AllowedIPs = (0\.0\.0\.0\/0, ::\/0|::\/0, 0\.0\.0\.0\/0)\n/,
  )

  await down(left, 'quick0')
  assert.equal(readFileSync(left.outside('/run/hook'), 'utf8'), 'quick0 goes down\n')
  assert.equal(await left.must(['nft', 'list', 'ruleset']), '')
  assert.doesNotMatch(await left.ip('rule'), /fwmark/)

  // What was saved comes up again, and is saved once more when it goes down.
  await wgQuick(left, 'up', 'quick0')
  await ping(left, '10.99.0.1')
  await down(left, 'quick0')
  await down(right, 'quick1')
})

test('up leaves nothing when the port is taken', async t => {
  const site = world.site('left')
  const config = `[Interface]
PrivateKey = ${newKeys().privateKey}
ListenPort = 4003
`
  await up(t, site, 'quick2', config)
  await assert.rejects(up(t, site, 'quick3', config), /Address already in use/)
  assert.notEqual((await site.run(['ip', 'link', 'show', 'quick3'])).code, 0)
  await eventually(() => !existsSync(site.outside('/run/wireguard/quick3.sock')))
  await down(site, 'quick2')
})
