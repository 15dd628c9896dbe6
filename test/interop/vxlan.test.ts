// Hawser and a kernel vxlan device that is set up as the stock Submariner driver does it (flood entry,
// no learning), on one wire. East is ours, west is the kernel's.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseAddress, parseRemote } from '../../src/net/address.ts'
import { Capture } from '../support/e2e/capture.ts'
import {
  cableRoutes,
  east,
  makeClusters,
  plainWire,
  stranger,
  west,
} from '../support/e2e/clusters.ts'
import { Gateway, untilDropped } from '../support/e2e/gateway.ts'
import { checksumErrors } from '../support/e2e/kernel-counters.ts'
import {
  exchangeTcp,
  exchangeTrains,
  exchangeUdp,
  ping,
  pingUntilAnswered,
  Steady,
  sendRaw,
  sendUdp,
  startEcho,
} from '../support/e2e/traffic.ts'
import {
  cableTo,
  deviceOf,
  kernelMac,
  macOf,
  mtuBytes,
  port,
  startKernelGateway,
  stopKernelGateway,
  tunnelAddress,
  vni,
} from '../support/e2e/vxlan.ts'
import type { Spaces } from '../support/namespaces.ts'
import { ipv4, pattern, TCP_FLAG, tcp, udp } from '../support/packets.ts'
import type { SlowPacket } from '../support/slow/packet.ts'

interface World {
  readonly spaces: Spaces
  readonly gateway: Gateway
}

async function joined(context: TestContext): Promise<World> {
  const spaces = await makeClusters(context)
  await startKernelGateway(spaces, west, east)
  const gateway = await Gateway.start(spaces, east.gateway)
  await spaces.configure(east.gateway, [`link set gw0 mtu ${mtuBytes}`])
  await gateway.apply(deviceOf(east), [cableTo(west)])
  await cableRoutes(spaces, east, west.prefixes.slice(0, 1))
  return { spaces, gateway }
}

for (const [from, to, who] of [
  [east, west, 'our side'],
  [west, east, 'the kernel’s side'],
] as const) {
  test(`from a cold start, ${who} first: ping, then everything that TCP and UDP do`, async context => {
    const { spaces, gateway } = await joined(context)
    await startEcho(spaces, to.pod)
    const host = to.podAddress
    await pingUntilAnswered(spaces, from.pod, host)
    for (const plain of [false, true]) {
      if (plain) await plainWire(spaces)
      await exchangeTcp(spaces, from.pod, host, 4_000_000)
      if (!plain) superpackets((await gateway.cable('west')).counters)
      await exchangeTcp(spaces, from.pod, host, 1_000_000, 6)
      await exchangeUdp(spaces, from.pod, host, 100, mtuBytes - 28)
      const train = { bytes: 1200, count: 40, rounds: 20, dontFragment: true }
      const { resent } = await exchangeTrains(spaces, from.pod, host, train)
      assert.ok(resent <= 40, `${resent} datagrams were sent again`)
      await ping(spaces, from.pod, host, '-M', 'do', '-s', String(mtuBytes - 28))
    }
    assert.deepEqual((await gateway.cable('west')).drops, {})
    for (const { pod } of [east, west]) {
      assert.deepEqual(await checksumErrors(spaces, pod), { tcp: 0, udp: 0, udp6: 0 })
    }
  })
}

/** Packets crossed the TUN device many at a time, both ways. */
function superpackets(counters: Readonly<Record<string, number>>): void {
  const text = JSON.stringify(counters)
  assert.ok(counters['tx-packets'] > 3 * counters['tx-superpackets'], text)
  assert.ok(counters['rx-packets'] > 3 * counters['rx-superpackets'], text)
}

test('TCP as the first traffic of all, from either side', async context => {
  for (const [from, to] of [
    [east, west],
    [west, east],
  ] as const) {
    const { spaces } = await joined(context)
    await startEcho(spaces, to.pod)
    await exchangeTcp(spaces, from.pod, to.podAddress, 100_000, 4)
  }
})

/** A frame of the cable as it was captured, and what is in it. */
interface Encapsulated {
  readonly outer: SlowPacket
  readonly sourcePort: number
  readonly header: string
  readonly toMac: string
  readonly fromMac: string
  readonly etherType: number
  readonly inner: Uint8Array
}

function encapsulated(outer: SlowPacket): Encapsulated | undefined {
  const { protocol, payload } = outer
  if (protocol !== 17 || payload[2] * 256 + payload[3] !== port) return undefined
  const hex = (from: number, to: number) => Buffer.from(payload.subarray(from, to)).toString('hex')
  return {
    outer,
    sourcePort: payload[0] * 256 + payload[1],
    header: hex(8, 16),
    toMac: hex(16, 22),
    fromMac: hex(22, 28),
    etherType: payload[28] * 256 + payload[29],
    inner: payload.subarray(30),
  }
}

test('what is on the wire looks the same from both ends', async context => {
  const { spaces } = await joined(context)
  await plainWire(spaces)
  await startEcho(spaces, west.pod)
  const capture = await Capture.start(spaces, west.gateway, 'wire')
  await exchangeTcp(spaces, east.pod, west.podAddress, 200_000, 8)
  await ping(spaces, east.pod, west.podAddress)
  const cable = () => capture.packets(() => true).map(({ packet }) => encapsulated(packet))
  const from = (side: number) =>
    cable()
      .filter(frame => frame !== undefined)
      .filter(({ outer }) => outer.source[3] === side)
  const [ours, theirs] = [from(1), from(2)]
  assert.ok(ours.length > 100 && theirs.length > 100)

  const ourMac = Buffer.from(macOf(east)).toString('hex')
  const theirMac = (await kernelMac(spaces, west)).replaceAll(':', '')
  const header = `08000000${vni.toString(16).padStart(6, '0')}00`
  for (const [frames, fromMac, toMac] of [
    [ours, ourMac, theirMac],
    [theirs, theirMac, ourMac],
  ] as const) {
    assert.ok(frames.every(frame => frame.header === header))
    assert.ok(frames.every(frame => frame.fromMac === fromMac))
    const packets = frames.filter(frame => frame.etherType === 0x0800)
    assert.ok(packets.every(frame => frame.toMac === toMac))
    const others = frames.filter(frame => frame.etherType !== 0x0800)
    assert.ok(others.every(frame => frame.etherType === 0x0806 && frame.inner.length === 28))
    // None larger than what a wire of 1500 carries: nothing was fragmented outside.
    assert.ok(frames.every(frame => frame.outer.payload.length + 20 <= 1500))
    assert.ok(frames.every(frame => !frame.outer.moreFragments && !frame.outer.dontFragment))
    const ports = new Set(packets.map(frame => frame.sourcePort))
    assert.ok(ports.size >= 3, `${ports.size} source ports for 9 flows`)
  }
  // A flow keeps to its port, or its packets could overtake each other.
  const portsOfFlow = new Map<number, Set<number>>()
  for (const { inner, sourcePort } of ours.filter(({ inner: bytes }) => bytes[9] === 6)) {
    const flow = inner[20] * 256 + inner[21]
    portsOfFlow.set(flow, (portsOfFlow.get(flow) ?? new Set()).add(sourcePort))
  }
  assert.equal(portsOfFlow.size, 8)
  assert.ok([...portsOfFlow.values()].every(ports => ports.size === 1))
})

for (const [from, to, who] of [
  [west, east, 'its own pods'],
  [east, west, 'our pods alone'],
] as const) {
  test(`the kernel’s side comes back with another MAC, and ${who} send`, async context => {
    const { spaces, gateway } = await joined(context)
    await startEcho(spaces, to.pod)
    const steady = new Steady(spaces, from.pod, to.podAddress, 20_000)
    await steady.moves()
    const before = await kernelMac(spaces, west)
    await stopKernelGateway(spaces, west)
    await startKernelGateway(spaces, west, east, { mac: '02:00:00:00:77:01' })
    assert.notEqual(await kernelMac(spaces, west), before)
    await steady.moves()
    assert.deepEqual((await gateway.cable('west')).drops, {})
  })
}

/** A VXLAN datagram around an inner frame. */
function vxlanDatagram(
  frame: { to: Uint8Array; from: Uint8Array; type: number; inner: Uint8Array },
  vniOnWire = vni,
): Uint8Array {
  const header = [8, 0, 0, 0, vniOnWire >> 16, (vniOnWire >> 8) & 255, vniOnWire & 255, 0]
  const type = [frame.type >> 8, frame.type & 255]
  return Uint8Array.from([...header, ...frame.to, ...frame.from, ...type, ...frame.inner])
}

const spoofMac = Uint8Array.of(2, 0, 0, 0, 0, 0x66)

function arp(operation: number, address: string): Uint8Array {
  const [sender, target] = [address, tunnelAddress(east)].map(text => parseAddress(text).bytes)
  const head = [0, 1, 8, 0, 6, 4, 0, operation]
  return Uint8Array.from([...head, ...spoofMac, ...sender, ...macOf(east), ...target])
}

test('what does not belong to the cable is counted and has no effect', async context => {
  const { spaces, gateway } = await joined(context)
  await pingUntilAnswered(spaces, east.pod, west.podAddress)
  const pod = await Capture.start(spaces, east.pod, 'eth0')
  const message = (source: string) =>
    ipv4(
      { source, destination: east.podAddress },
      udp({ destinationPort: 9, payload: pattern(50) }),
    )
  const frame = (inner: Uint8Array, to = macOf(east)) => ({
    to,
    from: spoofMac,
    type: 0x0800,
    inner,
  })
  const honest = vxlanDatagram(frame(message(west.podAddress)))
  const arpFrame = (operation: number, address: string) =>
    vxlanDatagram({ to: macOf(east), from: spoofMac, type: 0x0806, inner: arp(operation, address) })

  // From elsewhere: data, and the tunnel address claimed by request and by reply.
  const claims = [1, 2].map(operation => arpFrame(operation, tunnelAddress(west)))
  await sendUdp(spaces, stranger.space, east.address, port, [honest, ...claims])
  await untilDropped(gateway, 'vxlan-wrong-remote', undefined, 3)
  assert.equal(await gateway.drops('vxlan-wrong-remote', 'west'), 0)

  // From the right address, as the remote could send it itself.
  await sendUdp(spaces, west.gateway, east.address, port, [
    vxlanDatagram(frame(message('10.9.0.9'))),
    vxlanDatagram(frame(message(east.podAddress))),
    vxlanDatagram(frame(message(west.podAddress)), vni + 1),
    vxlanDatagram(frame(message(west.podAddress), spoofMac)),
    vxlanDatagram(frame(message(west.podAddress), new Uint8Array(6).fill(0xff))),
    vxlanDatagram({ ...frame(message(west.podAddress)), type: 0x88cc }),
    vxlanDatagram(frame(message(west.podAddress).subarray(0, 40))),
    arpFrame(2, '241.0.2.3'),
    vxlanDatagram(frame(new Uint8Array(0))),
  ])
  await untilDropped(gateway, 'source-not-allowed', 'west', 2)
  await untilDropped(gateway, 'vxlan-header', 'west', 3)
  await untilDropped(gateway, 'vxlan-wrong-mac', 'west', 2)
  await untilDropped(gateway, 'malformed-inner', 'west', 1)
  await untilDropped(gateway, 'vxlan-wrong-remote', 'west', 1)

  // Nobody took the remote's place, and none of it came to the pod, but for what is honest.
  await ping(spaces, east.pod, west.podAddress)
  const isMessage = ({ protocol, payload }: SlowPacket) => protocol === 17 && payload[3] === 9
  assert.equal(pod.packets(isMessage).length, 0)
  await sendUdp(spaces, west.gateway, east.address, port, [honest])
  await pod.until(1, isMessage)
})

test('a wrong inner checksum that the kernel’s side sends arrives wrong', async context => {
  const { spaces } = await joined(context)
  await pingUntilAnswered(spaces, west.pod, east.podAddress)
  const pod = await Capture.start(spaces, east.pod, 'eth0')
  const addresses = { source: west.podAddress, destination: east.podAddress }
  const packets = [
    ipv4(addresses, udp({ destinationPort: 9, payload: pattern(600) })),
    ipv4(addresses, tcp({ destinationPort: 9, flags: TCP_FLAG.ACK, payload: pattern(600) })),
  ]
  for (const packet of packets) packet[packet.length - 1] ^= 0x40
  for (const plain of [false, true]) {
    if (plain) await plainWire(spaces)
    await sendRaw(spaces, west.pod, packets)
  }
  const isOurs = ({ source, payload }: SlowPacket) => source[1] === 2 && payload.length > 600
  const arrived = await pod.until(4, isOurs)
  for (const { packet } of arrived) {
    const sent = packets.find(bytes => bytes[9] === packet.protocol)
    assert.deepEqual(packet.payload, sent?.slice(20))
  }
  assert.deepEqual(await checksumErrors(spaces, east.pod), { tcp: 2, udp: 2, udp6: 0 })
})

test('over IPv6 outside', async context => {
  const { spaces, gateway } = await joined(context)
  await stopKernelGateway(spaces, west)
  await startKernelGateway(spaces, west, east, { outerIpv6: true })
  const remote = parseRemote(`[${west.address6}]:${port}`)
  await gateway.apply(deviceOf(east), [
    cableTo(west, { remote, remoteSerial: 2, mtuBytes: mtuBytes - 20 }),
  ])
  await startEcho(spaces, west.pod)
  await pingUntilAnswered(spaces, west.pod, east.podAddress)
  await exchangeTcp(spaces, east.pod, west.podAddress, 2_000_000)
})
