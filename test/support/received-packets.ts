// Packets of a few flows as a peer may send them: mostly consecutive data, with everything in
// between that ends a run of them.

import { icmp, ipv4, ipv6, pattern, rawTransport, TCP_FLAG, tcp, udp } from './packets.ts'
import { below, chance, pick, type Random, randomBytes } from './random-superpackets.ts'
import type { ReceivedPacket } from './slow/coalesce.ts'
import { write16 } from './slow/segment.ts'

export interface FlowOptions {
  readonly flows: number
  /** Probability that a packet does not simply continue its flow. */
  readonly perturbation?: number
}

interface Flow {
  readonly isIpv6: boolean
  readonly isUdp: boolean
  readonly slot: number
  readonly source: string
  readonly sourcePort: number
  readonly dontFragment: boolean
  options: Uint8Array
  sequence: number
  identification: number
  size: number
  acknowledgment: number
  window: number
  flags: number
  innerTos: number
  hops: number
  flowLabel: number
  outerTos: number
}

export class FlowSource {
  readonly #random: Random
  readonly #flows: Flow[]
  readonly #perturbation: number
  #train = 0

  constructor(random: Random, options: FlowOptions) {
    this.#random = random
    this.#perturbation = options.perturbation ?? 0.15
    this.#flows = Array.from({ length: options.flows }, (_, i) => makeFlow(random, i))
  }

  next(): ReceivedPacket {
    const random = this.#random
    const flow = pick(random, this.#flows)
    if (chance(random, 0.1)) this.#train++
    flow.flags = TCP_FLAG.ACK
    const isOdd = chance(random, this.#perturbation)
    if (isOdd) pick(random, changes)(flow, random)
    const length = isOdd && chance(random, 0.3) ? 1 + below(random, flow.size) : flow.size
    let bytes = build(flow, pattern(length, below(random, 256)))
    flow.sequence = (flow.sequence + length) % 2 ** 32
    flow.identification = (flow.identification + 1) & 0xffff
    if (chance(random, this.#perturbation / 3)) bytes = pick(random, damages)(bytes, random)
    return { bytes, slot: flow.slot, tos: flow.outerTos, train: this.#train }
  }
}

function makeFlow(random: Random, index: number): Flow {
  return {
    isIpv6: chance(random, 0.5),
    isUdp: chance(random, 0.4),
    // Flows that differ in nothing but their slot, or their port.
    slot: below(random, 2),
    source: '',
    sourcePort: 4000 + (index >> 1),
    dontFragment: chance(random, 0.5),
    options: randomBytes(random, 4 * below(random, 4)),
    sequence: below(random, 2 ** 32),
    identification: below(random, 65_536),
    size: 1 + below(random, 60),
    acknowledgment: 1,
    window: 100,
    flags: TCP_FLAG.ACK,
    innerTos: 0,
    hops: 64,
    flowLabel: 1,
    outerTos: 0,
  }
}

/** What ends a run of data, though each packet of it is right. */
const changes: readonly ((flow: Flow, random: Random) => void)[] = [
  flow => {
    flow.flags |= TCP_FLAG.PSH
  },
  (flow, random) => {
    flow.flags = below(random, 256)
  },
  flow => {
    flow.sequence = (flow.sequence + flow.size) % 2 ** 32
  },
  flow => {
    flow.sequence = (flow.sequence + 2 ** 32 - flow.size) % 2 ** 32
  },
  (flow, random) => {
    flow.identification = below(random, 65_536)
  },
  (flow, random) => {
    flow.size = 1 + below(random, 60)
  },
  flow => {
    flow.acknowledgment++
  },
  flow => {
    flow.window++
  },
  (flow, random) => {
    flow.innerTos = below(random, 4)
  },
  (flow, random) => {
    flow.hops = 62 + below(random, 3)
  },
  (flow, random) => {
    flow.flowLabel = below(random, 3)
  },
  (flow, random) => {
    flow.outerTos = below(random, 4)
  },
  (flow, random) => {
    flow.options = randomBytes(random, 4 * below(random, 4))
  },
  () => {},
]

function build(flow: Flow, payload: Uint8Array): Uint8Array {
  const { sourcePort, sequence, acknowledgment, window, flags, options } = flow
  const transport = flow.isUdp
    ? udp({ sourcePort, payload })
    : tcp({ sourcePort, sequence, acknowledgment, window, flags, options, payload })
  if (flow.isIpv6) {
    const { innerTos: tos, hops: hopLimit, flowLabel } = flow
    return ipv6({ tos, hopLimit, flowLabel }, transport)
  }
  const { innerTos: tos, hops: ttl, identification, dontFragment } = flow
  return ipv4({ tos, ttl, identification, dontFragment }, transport)
}

/** Packets that are wrong, or of another kind. The length of the IP header stays right. */
const damages: readonly ((bytes: Uint8Array, random: Random) => Uint8Array)[] = [
  (bytes, random) => flipped(bytes, random, bytes[0] >> 4 === 6 ? 40 : 20),
  (bytes, random) => flipped(bytes, random, 1),
  bytes => withChecksum(bytes, 0),
  bytes => withChecksum(bytes, 0x1234),
  (_, random) => ipv4({}, icmp(8, 0, pattern(20), below(random, 2 ** 32))),
  (_, random) => ipv4({ moreFragments: true }, udp({ payload: pattern(8 * below(random, 8)) })),
  (_, random) => ipv4({ fragmentOffset: 8 }, udp({ payload: pattern(below(random, 64)) })),
  (_, random) => ipv4({ options: Uint8Array.of(1, 1, 1, 0) }, tcp({ sequence: below(random, 9) })),
  (_, random) => ipv4({}, rawTransport(pick(random, [6, 17]), pattern(below(random, 24)))),
  (_, random) =>
    ipv6({}, rawTransport(pick(random, [6, 17, 44, 58, 59, 0]), pattern(below(random, 24)))),
]

/** One bit flipped at or behind `from`, but for the version and the lengths of the IP header. */
function flipped(packet: Uint8Array, random: Random, from: number): Uint8Array {
  const bytes = packet.slice()
  const isIpv6 = bytes[0] >> 4 === 6
  const at = from + below(random, bytes.length - from)
  const isLength = isIpv6 ? at === 4 || at === 5 : at === 2 || at === 3
  if (!isLength) bytes[at] ^= 1 << below(random, 8)
  return bytes
}

function withChecksum(packet: Uint8Array, value: number): Uint8Array {
  const bytes = packet.slice()
  const isIpv6 = bytes[0] >> 4 === 6
  const transport = isIpv6 ? 40 : 20
  write16(bytes, transport + (bytes[isIpv6 ? 6 : 9] === 17 ? 6 : 16), value)
  return bytes
}
