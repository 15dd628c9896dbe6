// The cipher of a tunnel between daemons: a plain WireGuard peer gets ChaCha20-Poly1305 whatever our
// side enables, also when our side is wrong about it; two Hawsers get what both are told.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { type Content, contentAt, ping } from '../support/interop/traffic.ts'
import { type End, layWire, openTunnel, type Tunnel } from '../support/interop/tunnel.ts'
import { worldOfFile } from '../support/interop/world.ts'
import { type Answer, ask } from '../support/uapi-client.ts'

let content: Content
const world = worldOfFile('cipher', ['left', 'right'], async () => {
  await layWire(world)
  content = await contentAt(world, 1_000_001, 'left', 'right')
})
const chacha = 'chacha20-poly1305'
const aes = 'aes-256-gcm'

function request({ site, daemon }: End, text: string): Promise<Answer> {
  return ask(site.outside(`/run/wireguard/${daemon.interfaceName}.sock`), text)
}

/** Sets keys of ours for the peer that an end has. */
async function setCiphers(tunnel: Tunnel, end: End, ...lines: readonly string[]): Promise<void> {
  const key = Buffer.from(tunnel.other(end).keys.publicKey, 'base64').toString('hex')
  const set = `set=1\npublic_key=${key}\nupdate_only=true\n${lines.join('\n')}\n\n`
  assert.deepEqual(await request(end, set), { lines: [], errno: 0 })
}

/** What an end seals with now, by its own word. */
async function cipherOf(end: End): Promise<string | undefined> {
  const { lines } = await request(end, 'get=1\n\n')
  return lines.find(line => line.startsWith('hawser_cipher='))?.slice('hawser_cipher='.length)
}

async function exchange(tunnel: Tunnel): Promise<void> {
  for (const family of [4, 6] as const) {
    await ping(tunnel.right.site, tunnel.left.inner[family])
    await content.exchange(tunnel.left.site, tunnel.right.inner[family])
  }
}

function plainPeer(t: TestContext): Promise<Tunnel> {
  return openTunnel(t, world, { left: 'hawser', right: 'wireguard-go', withPresharedKey: true })
}

test('wireguard-go never notices what our side enables', async t => {
  const tunnel = await plainPeer(t)
  const { left, right } = tunnel
  await setCiphers(tunnel, left, `hawser_ciphers=${aes},${chacha}`)
  await ping(left.site, right.inner[4])
  assert.equal(await cipherOf(left), chacha)
  await exchange(tunnel)
  // A change in the midst of the session is none for the peer.
  const before = await tunnel.peer(right)
  await setCiphers(tunnel, left, 'hawser_ciphers=auto')
  await exchange(tunnel)
  assert.equal(await cipherOf(left), chacha)
  assert.equal((await tunnel.peer(right)).latestHandshake, before.latestHandshake)
})

test('wireguard-go is met also by a side that takes it for a Hawser', async t => {
  const tunnel = await plainPeer(t)
  const { left, right } = tunnel
  await setCiphers(tunnel, left, 'hawser_ciphers=auto', `hawser_remote_ciphers=${aes}`)
  await setCiphers(tunnel, left, `hawser_ciphers=${aes}`)
  // The third attempt, 10 s after the first.
  await ping(left.site, right.inner[4], { count: 1 })
  assert.equal(await cipherOf(left), chacha)
  await exchange(tunnel)
})

test('two Hawsers swap ciphers while traffic goes on', async t => {
  const tunnel = await openTunnel(t, world, { left: 'hawser', right: 'hawser', outer: 6 })
  const { left, right } = tunnel
  await ping(left.site, right.inner[4])
  assert.equal(await cipherOf(left), undefined, 'no line of ours for a peer without a choice')
  const every = `${aes},${chacha}`
  for (const end of [left, right]) {
    await setCiphers(tunnel, end, `hawser_ciphers=${every}`, `hawser_remote_ciphers=${every}`)
  }
  await eventually(async () => {
    await ping(left.site, right.inner[4], { count: 1 })
    return (await cipherOf(left)) === aes && (await cipherOf(right)) === aes
  })
  await exchange(tunnel)
  await setCiphers(tunnel, right, `hawser_ciphers=${chacha}`)
  await eventually(async () => {
    await ping(left.site, right.inner[4], { count: 1 })
    return (await cipherOf(left)) === chacha && (await cipherOf(right)) === chacha
  })
  await exchange(tunnel)
  // wg goes on working with what it knows.
  await tunnel.setPeer(left, 'persistent-keepalive', '25')
  assert.match((await request(left, 'get=1\n\n')).lines.join('\n'), /hawser_ciphers=aes-256-gcm/)
})
