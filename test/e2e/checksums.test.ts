// A transport checksum is never repaired on the way: what a pod sent wrong arrives wrong, whatever
// stands beside it in the same train, and whatever the cable. What was right is right.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equalBytes } from '../../src/net/address.ts'
import { Capture, type CapturedPacket } from '../support/e2e/capture.ts'
import {
  cableRoutes,
  east,
  makeClusters,
  plainWire,
  type Side,
  west,
} from '../support/e2e/clusters.ts'
import { Gateway } from '../support/e2e/gateway.ts'
import { checksumErrors } from '../support/e2e/kernel-counters.ts'
import { pingUntilAnswered, sendRaw } from '../support/e2e/traffic.ts'
import * as vxlan from '../support/e2e/vxlan.ts'
import { joinByWireguard } from '../support/e2e/wireguard.ts'
import { eventually } from '../support/eventually.ts'
import type { Spaces } from '../support/namespaces.ts'
import { ipv4, ipv6, pattern, TCP_FLAG, type Transport, tcp, udp } from '../support/packets.ts'
import type { SlowPacket } from '../support/slow/packet.ts'

const sourcePort = 40_000
const port = 9
const payloadBytes = 900

const families = [
  (transport: Transport) =>
    ipv4({ source: east.podAddress, destination: west.podAddress }, transport),
  (transport: Transport) =>
    ipv6({ source: east.podAddress6, destination: west.podAddress6 }, transport),
]

/** Of ten packets of a flow two have a wrong checksum: what comes before and after may be merged. */
const wrongOnes = [3, 7]

function flow(make: (transport: Transport) => Uint8Array, isTcp: boolean): Uint8Array[] {
  return Array.from({ length: 10 }, (_, i) => {
    const payload = pattern(payloadBytes, i)
    const ports = { sourcePort, destinationPort: port }
    const sequence = 1 + i * payloadBytes
    const transport = isTcp
      ? tcp({ ...ports, sequence, flags: TCP_FLAG.ACK, payload })
      : udp({ ...ports, payload })
    const packet = make(transport)
    const at = packet.length - payloadBytes - (isTcp ? 4 : 2)
    if (wrongOnes.includes(i)) packet[at] ^= 0x5a
    return packet
  })
}

/** Captured packets that are merged count with all that is in them. */
function dataBytes(list: readonly CapturedPacket[]): number {
  return list.reduce((sum, { packet: { protocol, payload } }) => {
    return sum + payload.length - (protocol === 6 ? 20 : 8)
  }, 0)
}

function isOurs({ protocol, payload }: SlowPacket): boolean {
  return [6, 17].includes(protocol) && payload[0] * 256 + payload[1] === sourcePort
}

const packets = families.flatMap(make => [flow(make, true), flow(make, false)]).flat()

const sentBytes = packets.length * payloadBytes

async function joinByVxlan(spaces: Spaces): Promise<void> {
  const start = async (own: Side, other: Side) => {
    const gateway = await Gateway.start(spaces, own.gateway)
    await gateway.apply(vxlan.deviceOf(own), [vxlan.cableTo(other)])
    await cableRoutes(spaces, own, other.prefixes)
  }
  await Promise.all([start(east, west), start(west, east)])
}

for (const [name, join] of [
  ['WireGuard', joinByWireguard],
  ['VXLAN', joinByVxlan],
] as const) {
  test(`wrong checksums stay wrong and right ones right, ${name}`, async context => {
    const spaces = await makeClusters(context)
    await join(spaces)
    await pingUntilAnswered(spaces, east.pod, west.podAddress)
    const pod = await Capture.start(spaces, west.pod, 'eth0')
    let seen = 0
    for (const plain of [false, true]) {
      if (plain) await plainWire(spaces)
      await sendRaw(spaces, east.pod, packets)
      await eventually(() => dataBytes(pod.packets(isOurs).slice(seen)) >= sentBytes)
      const list = pod.packets(isOurs).slice(seen)
      assert.equal(dataBytes(list), sentBytes)
      seen += list.length
      for (const [index, packet] of packets.entries()) {
        if (!wrongOnes.includes(index % 10)) continue
        // The IP header has changed on the way, by the hop limit.
        const body = packet.slice(packet[0] >> 4 === 4 ? 20 : 40)
        const same = list.filter(({ packet: { payload } }) => equalBytes(payload, body))
        assert.equal(same.length, 1, `packet ${index}, plain ${plain}`)
      }
    }
    // Two in ten of both families; UDP to a closed port is looked at before anything else.
    assert.deepEqual(await checksumErrors(spaces, west.pod), { tcp: 8, udp: 4, udp6: 4 })
  })
}
