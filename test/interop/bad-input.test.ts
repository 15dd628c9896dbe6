// Rubbish at a daemon that is in use: datagrams that strangers send to its port, and requests of a
// fuzzer to its UAPI socket. It counts and drops, or answers with an errno, and the tunnel moves on.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { DatapathStatus } from '../../src/tables/status.ts'
import { Capture } from '../support/e2e/capture.ts'
import { ping, RunningPing } from '../support/interop/traffic.ts'
import { configOf, layWire, openTunnel, wireAddress, wireName } from '../support/interop/tunnel.ts'
import { type Site, worldOfFile } from '../support/interop/world.ts'
import { seededRandom, testSeed } from '../support/rng.ts'
import { UapiClient } from '../support/uapi-client.ts'

const world = worldOfFile('bad-input', ['left', 'right'], () => layWire(world))

const floodProgram = fileURLToPath(new URL('../support/interop/flood-program.ts', import.meta.url))
const kinds = { left: 'observed', right: 'observed' } as const

/** Runs a body with a seed, which is told when it fails. */
async function withSeed(body: (seed: number) => Promise<void>): Promise<void> {
  const seed = testSeed()
  try {
    await body(seed)
  } catch (error) {
    throw new Error(`HAWSER_SEED=${seed}`, { cause: error })
  }
}

test('20 000 bad datagrams are counted and dropped, and the tunnel goes on', t =>
  withSeed(async seed => {
    const capture = await Capture.start(world.spaces, 'right', wireName)
    const tunnel = await openTunnel(t, world, { ...kinds, knowing: ['left'] })
    const { left, right } = tunnel
    const running = new RunningPing(left.site, right.inner[4], 0.05)
    await running.more(5)
    const seen = await capture.until(12, ({ protocol }) => protocol === 17)
    capture.stop()
    // Initiation, response and data messages of a session that is in use.
    const real = seen.map(({ bytes }) => Buffer.from(bytes.subarray(28)).toString('hex'))
    assert.deepEqual([...new Set(real.map(text => text.slice(0, 2)))].sort(), ['01', '02', '04'])

    const before = [await tunnel.peer(left), await tunnel.peer(right)]
    const flood = async (from: Site, address: string, count: number) => {
      const options = { address, port: right.port, seed, count, real }
      const said = await from.must([process.execPath, floodProgram, JSON.stringify(options)])
      assert.equal(said, `${count}\n`)
    }
    await Promise.all([
      flood(left.site, wireAddress.right[4], 10_000),
      flood(left.site, wireAddress.right[6], 4000),
      flood(right.site, '127.0.0.1', 4000),
      flood(right.site, '::1', 2000),
    ])
    await running.more(10)
    const after = [await tunnel.peer(left), await tunnel.peer(right)]
    for (const [i, { endpoint, latestHandshake }] of after.entries()) {
      assert.equal(endpoint, before[i].endpoint, 'nobody was followed')
      assert.equal(latestHandshake, before[i].latestHandshake, 'the session is the same')
    }
    const counts = countsOf(await right.daemon.status())
    t.diagnostic(JSON.stringify(counts))
    for (const reason of ['malformed-datagram', 'unknown-index', 'authentication-failed']) {
      assert.ok(counts[reason] > 100, `${reason}: ${counts[reason]}`)
    }
    for (const reason of ['bad-mac1', 'replayed']) assert.ok(counts[reason] > 0, reason)
    const dropped = Object.values(counts).reduce((sum, count) => sum + count, 0)
    // A busy machine may lose some at the socket, before anybody counts them.
    assert.ok(dropped > 5000, `${dropped} were counted`)

    // Strangers who made it ask for cookies do not keep a peer from a new session either.
    await tunnel.setPeer(left, 'remove')
    await left.daemon.configure('setconf', configOf(tunnel, left, true))
    await running.more(10)
    await running.stop()
    await ping(right.site, left.inner[6])
  }))

/** All drops of a data path, by reason. */
function countsOf({ cables, drops }: DatapathStatus): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const each of [drops, ...cables.map(cable => cable.drops)]) {
    for (const [reason, count] of Object.entries(each)) {
      counts[reason] = (counts[reason] ?? 0) + count
    }
  }
  return counts
}

test('300 requests of a fuzzer to the UAPI socket end with an errno, and the tunnel goes on', t =>
  withSeed(seed => fuzzUapi(t, seededRandom(seed))))

async function fuzzUapi(t: TestContext, random: () => number): Promise<void> {
  const tunnel = await openTunnel(t, world, kinds)
  const { left, right } = tunnel
  const running = new RunningPing(left.site, right.inner[4], 0.05)
  await running.more(5)
  const socket = left.site.outside('/run/wireguard/wg0.sock')
  for (let i = 0; i < 300; i++) {
    const client = await UapiClient.connect(socket)
    client.send(badRequest(random))
    client.finish()
    await client.ended()
    assert.match(client.unread, /^([a-z_]+=[^\n]*\n|\n)*$/)
    client.close()
  }
  await running.more(10)
  assert.equal((await running.stop()).lost, 0, running.log)
  await ping(right.site, left.inner[6])
}

const other = '5'.repeat(64)

/** A request that must not be obeyed, or that changes nothing that the tunnel needs. */
function badRequest(random: () => number): Buffer {
  const below = (limit: number) => Math.floor(random() * limit)
  const harmless = [
    'get=1\n\n',
    `set=1\npublic_key=${other}\nallowed_ip=10.5.0.0/16\nendpoint=192.0.2.9:9\n\n`,
    `set=1\npublic_key=${other}\npreshared_key=${other}\npersistent_keepalive_interval=0\n\n`,
    `set=1\npublic_key=${other}\nremove=true\n\n`,
  ]
  // The last line makes all of it void, so long as no empty line comes before it.
  const dangerous = [
    `set=1\nprivate_key=${other}\nlisten_port=1\nreplace_peers=true\nno_such_key=1\n\n`,
    `set=1\nfwmark=99\nreplace_peers=true\npublic_key=${other}\nno_such_key=1\n\n`,
  ]
  if (below(3) === 0) {
    const request = Buffer.from(dangerous[below(dangerous.length)])
    const end = request.indexOf('no_such')
    for (let i = below(6); i >= 0; i--) {
      const at = below(end)
      if (request[at] !== 0x0a) request[at] = 0x20 + below(0xdf)
    }
    return request
  }
  const request = Buffer.from(harmless[below(harmless.length)])
  for (let i = below(4); i > 0; i--) request[below(request.length)] = below(256)
  const cut = below(4) === 0 ? request.subarray(0, below(request.length)) : request
  return below(8) === 0 ? Buffer.concat([cut, cut]) : cut
}
