// The commands of `wg` on `hawser wg` and on wireguard-go: both are told the same and must tell the
// same.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Daemon, startDaemon } from '../support/interop/daemon.ts'
import { newKeys, newPresharedKey } from '../support/interop/tunnel.ts'
import { worldOfFile } from '../support/interop/world.ts'
import { ask } from '../support/uapi-client.ts'

const world = worldOfFile('wg-tool', ['left', 'right'])

const own = newKeys()
const peers = [newKeys(), newKeys(), newKeys()].map(({ publicKey }) => publicKey)
const presharedKey = newPresharedKey()

/** No peer has an endpoint and keepalives: one of the two would send, and tell of it. */
const firstConfig = `[Interface]
PrivateKey = ${own.privateKey}
ListenPort = 4500
FwMark = 0x1234
[Peer]
PublicKey = ${peers[0]}
PresharedKey = ${presharedKey}
AllowedIPs = 10.1.0.0/16, fd01::/64, 192.0.2.7/32
Endpoint = 198.51.100.1:7
[Peer]
PublicKey = ${peers[1]}
AllowedIPs = 10.2.0.0/16
PersistentKeepalive = 25
`

const secondConfig = `[Interface]
PrivateKey = ${own.privateKey}
ListenPort = 4501
[Peer]
PublicKey = ${peers[0]}
AllowedIPs = 10.1.0.0/17, 10.2.128.0/17
[Peer]
PublicKey = ${peers[2]}
AllowedIPs = 0.0.0.0/0, ::/0
`

const addedConfig = `[Peer]
PublicKey = ${peers[2]}
AllowedIPs = 10.2.0.0/16, fd03::3/128
Endpoint = 203.0.113.9:1
`

type Step = readonly [name: string, run: (daemon: Daemon) => Promise<unknown>]

const set = (...settings: readonly string[]) => {
  return (daemon: Daemon) => daemon.wg('set', daemon.interfaceName, ...settings)
}

const steps: readonly Step[] = [
  ['nothing', async () => {}],
  ['setconf', daemon => daemon.configure('setconf', firstConfig)],
  ['addconf, which takes a prefix over', daemon => daemon.configure('addconf', addedConfig)],
  ['set: a mark', set('fwmark', '0xcafe')],
  ['set: a port', set('listen-port', '4502')],
  ['set: another interval', set('peer', peers[1], 'persistent-keepalive', '65535')],
  ['set: no keepalives', set('peer', peers[1], 'persistent-keepalive', 'off')],
  ['set: remove a peer', set('peer', peers[1], 'remove')],
  ['set: remove a peer that is not there', set('peer', peers[1], 'remove')],
  ['set: an endpoint', set('peer', peers[0], 'endpoint', '[fd00::9]:65535')],
  [
    'set: allowed IPs with host bits',
    set('peer', peers[0], 'allowed-ips', '10.9.8.7/8,fd01::1/16'),
  ],
  ['set: no allowed IPs', set('peer', peers[0], 'allowed-ips', '')],
  ['set: no preshared key', set('peer', peers[0], 'preshared-key', '/dev/null')],
  ['set: a peer with our own key', set('peer', own.publicKey, 'allowed-ips', '10.5.0.0/16')],
  ['syncconf', daemon => daemon.configure('syncconf', secondConfig)],
  ['setconf again', daemon => daemon.configure('setconf', firstConfig)],
  ['set: no private key', set('private-key', '/dev/null')],
  ['set: no mark', set('fwmark', 'off')],
]

test('both implementations tell the same after the same commands', async t => {
  const both = await Promise.all([
    startDaemon(world.site('left'), 'hawser', 'wg0'),
    startDaemon(world.site('right'), 'wireguard-go', 'wg0'),
  ])
  for (const daemon of both) t.after(() => daemon.stop())
  // Theirs chooses a port before it is told one.
  for (const daemon of both) await daemon.wg('set', 'wg0', 'listen-port', '4499')
  for (const [name, run] of steps) {
    await t.test(name, async () => {
      const [ours, theirs] = await Promise.all(
        both.map(async daemon => {
          await run(daemon)
          return await told(daemon)
        }),
      )
      assert.deepEqual(ours, theirs)
    })
  }
})

const fields = [
  ...['public-key', 'private-key', 'listen-port', 'fwmark', 'peers', 'preshared-keys'],
  ...['endpoints', 'allowed-ips', 'latest-handshakes', 'transfer', 'persistent-keepalive'],
]

/** What `wg` shows, without the order of peers and of allowed IPs, which is a matter of chance. */
async function told(daemon: Daemon): Promise<Record<string, string[]>> {
  const { interfaceName: name } = daemon
  const commands = [
    ...[['show', 'interfaces'], ['show'], ['show', 'all', 'dump'], ['showconf', name]],
    ...fields.map(field => ['show', name, field]),
  ]
  const answers: Record<string, string[]> = {}
  for (const command of commands) {
    const lines = (await daemon.wg(...command)).split('\n')
    const sorted = lines.map(line =>
      line
        .split(/[\s,]+/)
        .sort()
        .join(' '),
    )
    answers[command.join(' ')] = sorted.sort()
  }
  return answers
}

test('what makes no sense is refused whole', async t => {
  const site = world.site('left')
  const daemon = await startDaemon(site, 'hawser', 'wg1')
  t.after(() => daemon.stop())
  await daemon.configure('setconf', firstConfig)
  const before = await daemon.wg('show', 'wg1', 'dump')
  // `wg` itself refuses most nonsense, so this speaks to the socket.
  const socket = site.outside('/run/wireguard/wg1.sock')
  const wrong = [
    'set=1\nlisten_port=4700\nlisten_port=65536\n\n',
    'set=1\nreplace_peers=true\npublic_key=00\n\n',
    `set=1\nreplace_peers=true\npublic_key=${'1'.repeat(64)}\nprotocol_version=2\n\n`,
    'set=1\nfwmark=1\nno_such_key=1\n\n',
  ]
  for (const request of wrong) {
    assert.deepEqual(await ask(socket, request), { lines: [], errno: -22 }, request)
    assert.equal(await daemon.wg('show', 'wg1', 'dump'), before)
  }
})
