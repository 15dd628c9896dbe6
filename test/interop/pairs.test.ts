// One Hawser with two pairs of workers and four wireguard-go, of which two begin: a session of either
// pair, begun by either side.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Daemon, startDaemon } from '../support/interop/daemon.ts'
import { type Content, contentAt, ping } from '../support/interop/traffic.ts'
import { type Keys, newKeys, newPresharedKey } from '../support/interop/tunnel.ts'
import { type Site, worldOfFile } from '../support/interop/world.ts'

const numbers = [1, 2, 3, 4]
const nameOf = (number: number) => `peer${number}`
const port = 51_820
const interfaceName = 'wg0'

let content: Content
const world = worldOfFile('pairs', ['hub', ...numbers.map(nameOf)], async () => {
  for (const number of numbers) {
    const [hub, peer] = [world.site('hub'), world.site(nameOf(number))]
    const wire = `wire${number}`
    await world.wire(hub, peer, wire)
    await hub.ip(`address add 192.0.${number}.1/24 dev ${wire}`)
    await peer.ip(`address add 192.0.${number}.2/24 dev ${wire}`)
  }
  content = await contentAt(world, 3_000_001, 'hub', ...numbers.map(nameOf))
})

interface End {
  readonly site: Site
  readonly daemon: Daemon
  readonly keys: Keys
  /** Its address inside. */
  readonly inner: string
}

async function start(t: TestContext, name: string, inner: string, pairs?: number): Promise<End> {
  const site = world.site(name)
  const kind = pairs === undefined ? 'wireguard-go' : 'observed'
  const variables = pairs === undefined ? {} : { HAWSER_PAIRS: String(pairs) }
  const daemon = await startDaemon(site, kind, interfaceName, variables)
  t.after(() => daemon.stop())
  return { site, daemon, keys: newKeys(), inner }
}

const head = ({ keys }: End) =>
  `[Interface]\nPrivateKey = ${keys.privateKey}\nListenPort = ${port}\n`

async function bringUp({ site, inner }: End): Promise<void> {
  await site.ip(`address add ${inner}/16 dev ${interfaceName}`)
  await site.ip(`link set ${interfaceName} up mtu 1420`)
}

/** Peers 1 and 2 know the hub alone by their endpoint, of 3 and 4 only they know the hub's. */
async function join(t: TestContext) {
  const hub = await start(t, 'hub', '10.77.0.1', 2)
  const peers = await Promise.all(
    numbers.map(number => start(t, nameOf(number), `10.77.${number}.1`)),
  )
  const presharedKeys = numbers.map(number => (number % 2 === 0 ? newPresharedKey() : undefined))
  const section = (other: End, index: number, endpoint: string | undefined) => {
    const key = presharedKeys[index]
    return `[Peer]
PublicKey = ${other.keys.publicKey}
AllowedIPs = ${other.inner}/32
${key === undefined ? '' : `PresharedKey = ${key}`}
${endpoint === undefined ? '' : `Endpoint = ${endpoint}:${port}`}
`
  }
  const isBegun = (index: number) => index < 2
  const toPeers = peers.map((peer, index) =>
    section(peer, index, isBegun(index) ? `192.0.${numbers[index]}.2` : undefined),
  )
  await hub.daemon.configure('setconf', head(hub) + toPeers.join(''))
  await bringUp(hub)
  const configureOf = (index: number) => async (peer: End) => {
    const endpoint = isBegun(index) ? undefined : `192.0.${numbers[index]}.1`
    await peer.daemon.configure('setconf', head(peer) + section(hub, index, endpoint))
    await bringUp(peer)
  }
  for (const [index, peer] of peers.entries()) await configureOf(index)(peer)
  return { hub, peers, isBegun, configureOf }
}

test('sessions of both pairs, begun by either side, carry everything whole', async t => {
  const { hub, peers, isBegun } = await join(t)
  assert.equal((await hub.daemon.status()).pairs, 2)
  for (const [index, peer] of peers.entries()) {
    const [from, to] = isBegun(index) ? [hub, peer] : [peer, hub]
    await ping(from.site, to.inner, { sizes: [0, 56, 1392] })
    await ping(to.site, from.inner)
  }
  await Promise.all(
    peers.flatMap(({ site, inner }) => [
      content.exchange(hub.site, inner),
      content.exchange(site, hub.inner),
    ]),
  )
  const { cables, drops } = await hub.daemon.status()
  for (const counts of [drops, ...cables.map(cable => cable.drops)]) {
    const expected = ['link-local', 'no-remote', 'no-route']
    assert.deepEqual(
      Object.keys(counts).filter(reason => !expected.includes(reason)),
      [],
      JSON.stringify(counts),
    )
  }
})

test('a peer of either pair that starts anew is answered', async t => {
  const { hub, peers, configureOf } = await join(t)
  for (const index of [2, 3]) {
    const before = peers[index]
    await ping(before.site, hub.inner)
    await before.daemon.stop()
    const daemon = await startDaemon(before.site, 'wireguard-go', interfaceName)
    t.after(() => daemon.stop())
    const anew = { ...before, daemon }
    await configureOf(index)(anew)
    await ping(anew.site, hub.inner)
    await ping(hub.site, anew.inner)
  }
})
