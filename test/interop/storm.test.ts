// A storm of changes under load: 200 sets in a row by the UAPI, each of which publishes tables, keys
// or remotes anew while both workers use them. No datagram may be sealed or opened with a key that is
// not its own, and the traffic goes on.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { dropNames } from '../../src/tables/counters.ts'
import { eventually } from '../support/eventually.ts'
import type { Kind } from '../support/interop/daemon.ts'
import { endlessTransfer, serveIperf } from '../support/interop/traffic.ts'
import {
  type End,
  endpointOf,
  layWire,
  openTunnel,
  resetWire,
  type Tunnel,
  wireName,
} from '../support/interop/tunnel.ts'
import { worldOfFile } from '../support/interop/world.ts'
import { seededRandom, testSeed } from '../support/rng.ts'
import { ask } from '../support/uapi-client.ts'

const world = worldOfFile('storm', ['left', 'right'], () => layWire(world))

const sets = 200
const otherPeers = 20
const secondAddress = '192.0.2.22'
let nextPort = 5201

/** What a wrong key, slot or table would show itself as. */
const suspicious = [
  ...['authentication-failed', 'unknown-index', 'replayed', 'key-expired', 'counter-exhausted'],
  ...['malformed-datagram', 'malformed-inner', 'source-not-allowed', 'no-route', 'no-remote'],
]

for (const right of ['observed', 'wireguard-go'] as const) {
  for (const reverse of [false, true]) {
    const way = reverse ? 'receiving from' : 'sending to'
    test(`200 sets while ${way} ${right === 'observed' ? 'hawser' : right}`, async t => {
      t.after(() => resetWire(world))
      const seed = testSeed()
      try {
        const tunnel = await openTunnel(t, world, { left: 'observed', right })
        await tunnel.right.site.ip(`address add ${secondAddress}/24 dev ${wireName}`)
        await storm(tunnel, reverse, seededRandom(seed))
      } catch (error) {
        throw new Error(`HAWSER_SEED=${seed}`, { cause: error })
      }
    })
  }
}

async function storm(tunnel: Tunnel, reverse: boolean, random: () => number): Promise<void> {
  const { left, right } = tunnel
  const port = nextPort++
  await serveIperf(right.site, port)
  const stop = await endlessTransfer(left.site, right.inner[4], { port, reverse })
  const carried = async () => {
    const { rxBytes, txBytes } = await tunnel.peer(left)
    return rxBytes + txBytes
  }
  const socket = left.site.outside(`/run/wireguard/${left.daemon.interfaceName}.sock`)
  const others = Array.from({ length: otherPeers }, () => randomBytes(32).toString('hex'))
  for (let i = 0; i < sets; i++) {
    if (i % (sets / 10) === 0) {
      const before = await carried()
      await eventually(async () => (await carried()) > before + 1_000_000)
    }
    const request = change(tunnel, others, random)
    assert.deepEqual(await ask(socket, request), { lines: [], errno: 0 }, request)
  }
  const before = await carried()
  await eventually(async () => (await carried()) > before + 10_000_000)
  await stop()
  for (const end of [left, right]) await assertUnsuspicious(end)
}

/** A set that changes something about a peer. */
function change(tunnel: Tunnel, others: readonly string[], random: () => number): string {
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)]
  const peer = Buffer.from(tunnel.right.keys.publicKey, 'base64').toString('hex')
  const { port } = tunnel.right
  const other = pick(others)
  const network = others.indexOf(other)
  const text = pick([
    `public_key=${other}\nallowed_ip=10.66.${network}.0/24\nendpoint=192.0.2.99:${port}\n`,
    `public_key=${other}\npreshared_key=${other}\nreplace_allowed_ips=true\n`,
    `public_key=${other}\nremove=true\n`,
    `public_key=${peer}\nendpoint=${secondAddress}:${port}\n`,
    `public_key=${peer}\nendpoint=${endpointOf(tunnel.right, 4)}\n`,
    `public_key=${peer}\nendpoint=${endpointOf(tunnel.right, 6)}\n`,
    `public_key=${peer}\npreshared_key=${other}\n`,
    `public_key=${peer}\npreshared_key=${'0'.repeat(64)}\n`,
    `public_key=${peer}\nallowed_ip=10.67.${network}.0/24\npersistent_keepalive_interval=7\n`,
    `fwmark=${network}\npublic_key=${peer}\npersistent_keepalive_interval=0\n`,
  ])
  return `set=1\n${text}\n`
}

async function assertUnsuspicious({ side, daemon }: End): Promise<void> {
  if (daemon.kind !== ('observed' satisfies Kind)) {
    assert.doesNotMatch(daemon.log, /Failed|Invalid/i)
    return
  }
  const { cables, drops } = await daemon.status()
  for (const counts of [drops, ...cables.map(cable => cable.drops)]) {
    const found = suspicious.filter(reason => counts[reason] !== undefined)
    for (const reason of suspicious) assert.ok(dropNames.includes(reason), reason)
    assert.deepEqual(found, [], `${side}: ${JSON.stringify(counts)}`)
  }
}
