// Sizes and answers, end to end with real kernels: what a pod is told about a packet that its gateway
// cannot carry, and that it acts on it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Capture } from '../support/e2e/capture.ts'
import { cableRoutes, east, makeClusters, plainWire, west } from '../support/e2e/clusters.ts'
import {
  exchangeTcp,
  exchangeTrains,
  ping,
  pingUntilAnswered,
  Steady,
  startEcho,
} from '../support/e2e/traffic.ts'
import { cableTo, deviceOf, joinByWireguard } from '../support/e2e/wireguard.ts'
import { eventually } from '../support/eventually.ts'
import type { Spaces } from '../support/namespaces.ts'
import type { SlowPacket } from '../support/slow/packet.ts'

const mtuBytes = 1300

/** Bytes of ping's payload that make a packet of this size. */
const payloadOf = (bytes: number, host: string) => String(bytes - (host.includes(':') ? 48 : 28))

async function learnedMtu(spaces: Spaces, space: string, host: string): Promise<number> {
  const route = await spaces.mustRun(space, ['ip', 'route', 'get', host])
  return Number(/ mtu (\d+)/.exec(route)?.[1] ?? 0)
}

async function pingOnce(spaces: Spaces, space: string, ...args: readonly string[]) {
  const { code, stdout } = await spaces.run(space, [
    'ping',
    '-c',
    '1',
    '-w',
    '5',
    '-W',
    '5',
    ...args,
  ])
  return { code, stdout }
}

test('no route and no peer: the sender hears that the host is unreachable', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  await cableRoutes(spaces, east, ['10.9.0.0/16', 'fd00:9::/32'])
  const expectUnreachable = async (host: string, text: RegExp) => {
    const { code, stdout } = await pingOnce(spaces, east.pod, host)
    assert.equal(code, 1, stdout)
    assert.match(stdout, text)
    assert.match(stdout, new RegExp(`From ${host} icmp_seq=1 Destination`))
  }
  await expectUnreachable('10.9.0.1', /Destination Host Unreachable/)
  await expectUnreachable('fd00:9::1', /Destination unreachable: Address unreachable/)
  const noRoute = await gateways.east.drops('no-route')
  assert.equal(noRoute, 2)

  const { remote: _, ...nowhere } = cableTo(west)
  await gateways.east.apply(deviceOf(east), [])
  await gateways.east.apply(deviceOf(east), [nowhere])
  await expectUnreachable(west.podAddress, /Destination Host Unreachable/)
  await expectUnreachable(west.podAddress6, /Destination unreachable: Address unreachable/)
  assert.equal(await gateways.east.drops('no-remote', 'west'), 2)
})

test('ping learns the MTU of the cable', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  await gateways.east.apply(deviceOf(east), [cableTo(west, { mtuBytes })])
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
  for (const host of [west.podAddress, west.podAddress6]) {
    assert.equal(await learnedMtu(spaces, east.pod, host), 0)
    const big = await pingOnce(spaces, east.pod, '-M', 'do', '-s', payloadOf(1301, host), host)
    assert.equal(big.code, 1, big.stdout)
    assert.match(big.stdout, host.includes(':') ? /Packet too big: mtu=1300/ : /mtu = 1300/)
    assert.equal(await learnedMtu(spaces, east.pod, host), mtuBytes)
    await ping(spaces, east.pod, host, '-M', 'do', '-s', payloadOf(mtuBytes, host))
  }
  assert.equal(await gateways.east.drops('too-big', 'west'), 2)
})

test('a cable that gets smaller under a running transfer: the connection learns, and goes on', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  await startEcho(spaces, west.pod)
  const hosts = [west.podAddress, west.podAddress6]
  const running = hosts.map(host => new Steady(spaces, east.pod, host, 300_000))
  for (const steady of running) await steady.moves()
  // Only the way out is smaller: what comes back is west's to decide.
  await gateways.east.apply(deviceOf(east), [cableTo(west, { mtuBytes })])
  for (const [at, steady] of running.entries()) {
    await steady.moves()
    await eventually(async () => (await learnedMtu(spaces, east.pod, hosts[at])) === mtuBytes)
    await steady.moves()
  }
  assert.ok((await gateways.east.drops('too-big', 'west')) > 0)
})

test('the MSS of a SYN is what the cable carries, both ways, both families', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  await gateways.east.apply(deviceOf(east), [cableTo(west, { mtuBytes })])
  await startEcho(spaces, west.pod)
  const [outside, inside] = await Promise.all([
    Capture.start(spaces, west.pod, 'eth0'),
    Capture.start(spaces, east.pod, 'eth0'),
  ])
  for (const [host, mss] of [
    [west.podAddress, mtuBytes - 40],
    [west.podAddress6, mtuBytes - 60],
  ] as const) {
    const version = host.includes(':') ? 6 : 4
    await exchangeTcp(spaces, east.pod, host, 100_000)
    const isSyn = (flags: number) => (packet: SlowPacket) =>
      packet.version === version && packet.protocol === 6 && packet.payload[13] === flags
    const [syn] = await outside.until(1, isSyn(0x02))
    assert.equal(mssOf(syn.packet), mss)
    const [answer] = await inside.until(1, isSyn(0x12))
    assert.equal(mssOf(answer.packet), mss)
    // Nobody had to ask: no connection sent anything larger.
    assert.equal(await learnedMtu(spaces, east.pod, host), 0)
  }
  assert.equal(await gateways.east.drops('too-big', 'west'), 0)
})

/** The first option of a Linux SYN is its MSS. */
function mssOf({ payload }: SlowPacket): number {
  assert.deepEqual([payload[20], payload[21]], [2, 4])
  return payload[22] * 256 + payload[23]
}

test('without DF too big packets are fragmented, superpackets too, and arrive whole', async context => {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  for (const [gateway, own, other] of [
    [gateways.east, east, west],
    [gateways.west, west, east],
  ] as const) {
    await gateway.apply(deviceOf(own), [cableTo(other, { mtuBytes })])
  }
  await startEcho(spaces, west.pod)
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
  // The TUN device would carry it, the cable does not.
  await ping(spaces, east.pod, west.podAddress, '-M', 'dont', '-s', payloadOf(1400, '10.2.0.7'))
  const seen = await Capture.start(spaces, west.pod, 'eth0')
  for (const plain of [false, true]) {
    if (plain) await plainWire(spaces)
    const train = { bytes: 1360, count: 40, rounds: 10, dontFragment: false }
    const { sent, resent } = await exchangeTrains(spaces, east.pod, west.podAddress, train)
    assert.equal(sent, 400)
    assert.ok(resent <= 40, `${resent} of ${sent} datagrams were sent again`)
  }
  const isFragment = ({ source, moreFragments, fragmentOffset }: SlowPacket) =>
    source[1] === 1 && (moreFragments || fragmentOffset > 0)
  assert.ok(seen.packets(isFragment).length >= 800)
  assert.equal(await gateways.east.drops('fragment-failed', 'west'), 0)
  assert.equal(await gateways.east.drops('too-big', 'west'), 0)
})
