// The two kinds of wire, and the proof that it is the kind it is called.
//
// A veth pair passes TSO and UDP_SEGMENT aggregates whole, which no network card does: on such a
// wire plain routing and kernel VXLAN never cut a packet, and a gateway that sends in trains looks
// better than it is. With the offloads off at both ends the kernel cuts everything that enters into
// frames of at most 1 500 bytes, and GRO puts trains together again where they arrive, as a card
// and its driver do. Which of the two it is shows in the frames that one train of 20 datagrams
// makes: exactly 20, or one.
//
// The third kind is the second behind a token bucket at either end, so that the wire is what limits
// the rate: where queues stand and a round trip under load means something.

import { run } from './commands.ts'
import { addresses, deviceCounters, inNode, type Side, wireDevice } from './network.ts'
import type { WireName } from './run-record.ts'

const trainSegments = 20
/** 10 ms of queue, as a switch port with a buffer of 1.25 MB. */
const gigabitBucket = ['tbf', 'rate', '1gbit', 'burst', '64kb', 'latency', '10ms']
const sides: readonly Side[] = ['a', 'b']
const sendTrain = new URL('./support/send-train.ts', import.meta.url).pathname

/** Switches the offloads of both ends of the wire and proves the result, or throws. */
export function useWire(wire: WireName): void {
  const [offloads, gro] = wire === 'superpackets' ? ['on', 'off'] : ['off', 'on']
  for (const side of sides) {
    const switches = ['tso', offloads, 'gso', offloads, 'tx-udp-segmentation', offloads, 'gro', gro]
    run(inNode(side, ['ethtool', '-K', wireDevice, ...switches]))
    const bucket = wire === 'gigabit' ? gigabitBucket : ['pfifo']
    run(inNode(side, ['tc', 'qdisc', 'replace', 'dev', wireDevice, 'root', ...bucket]))
  }
  proveWire(wire)
}

/**
 * Sends trains from node-a and counts what leaves it. A stray ARP frame may fall into one count,
 * so up to three trains are sent, and one exact count is the proof.
 */
function proveWire(wire: WireName): void {
  const wanted = wire === 'superpackets' ? 1 : trainSegments
  const counts: number[] = []
  // The neighbour entry must be there, or the first train waits for ARP and its frames with it.
  run(inNode('a', ['ping', '-q', '-c', '1', '-W', '2', addresses.wire.b]))
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = deviceCounters('b', wireDevice).receivedPackets
    run(inNode('a', [process.execPath, sendTrain, addresses.wire.b, String(trainSegments)]))
    counts.push(deviceCounters('b', wireDevice).receivedPackets - before)
    if (counts.includes(wanted)) return
  }
  throw new Error(
    `the wire '${wire}' is not what it is called: a UDP_SEGMENT train of ${trainSegments} ` +
      `datagrams crossed it in ${counts.join(', ')} frames, ${wanted} expected`,
  )
}
