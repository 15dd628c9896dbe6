// A gateway with two pairs of workers and remotes of both: each session keeps to the pair that owns it,
// whoever began it and wherever it goes, and nothing of one is lost to the other.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { collect } from '../../src/lab/process.ts'
import { parsePrefix, parseRemote } from '../../src/net/address.ts'
import type { CableTable } from '../../src/tables/tables.ts'
import { Capture } from '../support/e2e/capture.ts'
import { device, hawser } from '../support/e2e/gateway.ts'
import { makeStar, port, type Star, vxlanTo, wireguardTo } from '../support/e2e/star.ts'
import {
  exchangeTcp,
  exchangeTrains,
  exchangeUdp,
  ping,
  pingUntilAnswered,
  Steady,
  startEcho,
} from '../support/e2e/traffic.ts'
import { eventually } from '../support/eventually.ts'
import { below } from '../support/random-superpackets.ts'
import { seededRandom, testSeed } from '../support/rng.ts'
import { newKeyPair } from '../support/sim/pair.ts'
import { temporaryDirectory } from '../support/temporary.ts'

const pairs = 2

/** With sessions on every cable: of two of them each begun by the spoke, of the others by the hub. */
async function joined(context: TestContext): Promise<Star> {
  const star = await makeStar(context, { spokes: 4, pairs })
  const { spaces, hubNode, spokes, flat } = star
  for (const [index, spoke] of spokes.entries()) {
    if (index < 2) await pingUntilAnswered(spaces, spoke.space, hubNode.inner)
    else await pingUntilAnswered(spaces, hubNode.space, spoke.inner)
  }
  await pingUntilAnswered(spaces, flat.space, hubNode.inner)
  return star
}

/** What a key, a slot, a table or a datagram in the wrong place would show itself as. */
const suspicious = [
  ...['unknown-index', 'authentication-failed', 'replayed', 'key-expired', 'counter-exhausted'],
  ...['malformed-datagram', 'malformed-inner', 'source-not-allowed', 'unknown-peer', 'no-slot'],
  ...['handshake-decrypt-failed', 'handshake-queue-full', 'vxlan-wrong-remote', 'no-remote'],
]

async function assertUnsuspicious({ hub, gateways }: Star): Promise<void> {
  for (const gateway of [hub, ...gateways]) {
    const { cables, drops } = await gateway.status()
    for (const counts of [drops, ...cables.map(cable => cable.drops)]) {
      const found = Object.keys(counts).filter(reason => suspicious.includes(reason))
      assert.deepEqual(found, [], `${gateway.space}: ${JSON.stringify(counts)}`)
    }
  }
}

test('traffic of all kinds over both pairs, and a VXLAN cable beside', async context => {
  const star = await joined(context)
  const { spaces, hub, hubNode, spokes, flat } = star
  assert.equal((await hub.status()).pairs, pairs)
  const shown = await spaces.mustRun('hub', [hawser, 'status', '--interface', device])
  assert.match(shown, /^process .*, 2 pairs of workers,/m)
  const link = await spaces.mustRun('hub', ['ip', '-d', 'link', 'show', device])
  assert.match(link, / multi_queue numqueues 2 /)

  const remotes = [...spokes, flat]
  await Promise.all([hubNode, ...remotes].map(({ space }) => startEcho(spaces, space)))
  const train = { bytes: 1200, count: 40, rounds: 10, dontFragment: true }
  for (const flows of [1, 8]) {
    await Promise.all(
      remotes.flatMap(({ space, inner }) => [
        exchangeTcp(spaces, space, hubNode.inner, 1_000_000, flows),
        exchangeTcp(spaces, hubNode.space, inner, 1_000_000, flows),
      ]),
    )
  }
  for (const { space, inner, inner6 } of remotes) {
    for (const [from, host] of [
      [hubNode.space, inner],
      [space, hubNode.inner],
    ]) {
      await exchangeUdp(spaces, from, host, 50, 1372)
      await exchangeTrains(spaces, from, host, train)
    }
    await ping(spaces, hubNode.space, inner6, '-s', '1300')
    await ping(spaces, space, hubNode.inner6, '-s', '1300')
  }
  for (const { counters } of (await hub.status()).cables.slice(0, spokes.length)) {
    assert.equal(counters['handshakes'], 1)
  }
  await assertUnsuspicious(star)
})

test('what is sent to the gateway names the pair that owns the cable', async context => {
  const star = await makeStar(context, { spokes: 4, pairs })
  const { spaces, hubNode, spokes } = star
  const wire = await Capture.start(spaces, hubNode.space, 'wire')
  for (const [index, spoke] of spokes.entries()) {
    const [from, to] = index < 2 ? [spoke, hubNode] : [hubNode, spoke]
    await pingUntilAnswered(spaces, from.space, to.inner)
  }
  for (const [index, { address }] of spokes.entries()) {
    const source = Uint8Array.from(address.split('.').map(Number))
    const fromSpoke = ({ source: seen }: { source: Uint8Array }) =>
      Buffer.compare(seen, source) === 0
    const payloads = wire.packets(fromSpoke).map(({ packet }) => packet.payload.subarray(8))
    const receivers = payloads.flatMap(payload => {
      if (payload[0] === 4 || payload[0] === 3) return [payload[4]]
      return payload[0] === 2 ? [payload[8]] : []
    })
    assert.ok(receivers.length > 0, `${payloads.length} datagrams`)
    for (const low of receivers) assert.equal(low & (pairs - 1), index & (pairs - 1))
  }
})

test('a remote of the second pair roams', async context => {
  const star = await joined(context)
  const { spaces, hub, hubNode, spokes } = star
  const [, second] = spokes
  const steady = await steadyTo(star, second.space, hubNode.inner)
  for (const last of [52, 12]) {
    await spaces.configure(second.space, [
      'address flush dev wire',
      `address add 192.0.2.${last}/24 dev wire`,
    ])
    await steady.moves()
    const remote = parseRemote(`192.0.2.${last}:${port}`)
    await eventually(async () => {
      const { remote: now } = await hub.cable(second.space)
      return now !== undefined && Buffer.compare(now.address.bytes, remote.address.bytes) === 0
    })
    await ping(spaces, hubNode.space, second.inner)
  }
  await assertUnsuspicious(star)
})

async function steadyTo({ spaces, hubNode, spokes }: Star, space: string, host: string) {
  const server = [hubNode, ...spokes].find(({ inner }) => inner === host)
  assert.ok(server)
  await startEcho(spaces, server.space)
  const steady = new Steady(spaces, space, host, 50_000)
  await steady.moves()
  return steady
}

test('the cipher of cables of both pairs changes under traffic', async context => {
  const star = await joined(context)
  const { spaces, hub, hubNode, gateways } = star
  const spokes = star.spokes.slice(0, 2)
  const steadies = await Promise.all(
    spokes.map(({ inner }) => steadyTo(star, hubNode.space, inner)),
  )
  for (const first of ['aes-256-gcm', 'chacha20-poly1305']) {
    const ciphers =
      first === 'aes-256-gcm' ? `${first},chacha20-poly1305` : 'chacha20-poly1305,aes-256-gcm'
    const options = ['--interface', device, '--cipher', ciphers, '--remote-ciphers', ciphers]
    for (const { space } of spokes) {
      await spaces.mustRun(space, [hawser, 'cable', 'set', hubNode.space, ...options])
      await spaces.mustRun(hubNode.space, [hawser, 'cable', 'set', space, ...options])
    }
    for (const [index, { space }] of spokes.entries()) {
      const both = async () => [
        (await hub.cable(space)).cipher,
        (await gateways[index].cable(hubNode.space)).cipher,
      ]
      await eventually(async () => (await both()).every(cipher => cipher === first))
      await steadies[index].moves()
    }
  }
  await assertUnsuspicious(star)
})

test('a capture shows the cables of both pairs in the order of time', async context => {
  const { spaces, hubNode, spokes } = await joined(context)
  const file = join(temporaryDirectory(context), 'all.pcapng')
  // Of each ping four packets: request and answer, inside and on the wire.
  const wanted = 3 * 4 * spokes.length
  const words = [...spokes.map(({ space }) => space), 'icmp or udp']
  const options = ['--interface', device, '-w', file, '-c', String(wanted)]
  const child = spaces.start(hubNode.space, [hawser, 'capture', ...options, ...words])
  const said = () => collected().stderr.toString()
  const collected = collect(child)
  await eventually(() => said().includes('capturing to'), said)
  for (const { inner } of spokes) await ping(spaces, hubNode.space, inner)
  await eventually(() => child.exitCode === 0, said)
  const fields = ['-e', 'frame.interface_name', '-e', 'frame.time_epoch']
  const command = ['tshark', '-n', '-r', file, '-T', 'fields', ...fields]
  const rows = (await spaces.mustRun(hubNode.space, command)).trim().split('\n')
  const names = new Set(rows.map(row => row.split('\t')[0]))
  const stages = spokes.flatMap(({ space }) => [`${space} inner`, `${space} wire`])
  assert.deepEqual([...names].sort(), stages.sort())
  const times = rows.map(row => Number(row.split('\t')[1]))
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  )
})

const snapshots = 200

test('200 snapshots in a row while cables of both pairs carry traffic', async context => {
  const star = await joined(context)
  const { spaces, hub, hubNode, spokes, flat, hubDevice } = star
  const seed = testSeed()
  const random = seededRandom(seed)
  const steadies = [
    await steadyTo(star, hubNode.space, spokes[0].inner),
    await steadyTo(star, hubNode.space, spokes[1].inner),
    await steadyTo(star, flat.space, hubNode.inner),
  ]
  const keys = Array.from({ length: 20 }, () => newKeyPair().publicKey)
  /** One that comes, goes, and changes its driver under its name. */
  const passing = (number: number): CableTable => {
    const other = { ...flat, ...{ space: `other${number}`, address: `192.0.2.${100 + number}` } }
    const prefixes = [`10.66.${number}.0/24`, `fd66::${number}:0/112`] as const
    if (random() < 0.3) return vxlanTo({ ...other, prefixes })
    return wireguardTo(other, {
      publicKey: keys[below(random, keys.length)],
      allowedIps: prefixes.map(parsePrefix),
      keepaliveSeconds: below(random, 3),
      presharedKey: new Uint8Array(32).fill(below(random, 3)),
    })
  }
  const distinct = (cables: CableTable[]) =>
    cables.filter((cable, at) => {
      if (cable.driver === 'vxlan') return true
      const same = (other: CableTable) =>
        other.driver === 'wireguard' && Buffer.compare(other.publicKey, cable.publicKey) === 0
      return cables.findIndex(same) === at
    })
  try {
    for (let i = 0; i < snapshots; i++) {
      const mtu = random() < 0.2 ? { mtuBytes: 1380 } : {}
      const lasting = [
        ...spokes.map(spoke => wireguardTo(spoke, { ...mtu, keepaliveSeconds: below(random, 3) })),
        vxlanTo(flat),
      ]
      const others = Array.from({ length: 20 }, (_, number) => number)
        .filter(() => random() < 0.5)
        .map(passing)
      await hub.apply(hubDevice, distinct([...lasting, ...others]))
      if (i % 40 === 0) await Promise.all(steadies.map(steady => steady.moves()))
    }
    await Promise.all(steadies.map(steady => steady.moves()))
    for (const { space } of spokes) {
      assert.equal((await hub.cable(space)).counters['handshakes'], 1, space)
    }
    for (const { space, inner } of [...spokes, flat]) {
      await ping(spaces, hubNode.space, inner)
      await ping(spaces, space, hubNode.inner)
    }
    await assertUnsuspicious(star)
  } catch (cause) {
    throw new Error(`HAWSER_SEED=${seed}`, { cause })
  }
})
