// Random superpackets as the kernel hands them over: right lengths, and in the checksum field the
// folded sum of the pseudo-header.

import { ipv4, ipv6, pattern, TCP_FLAG, tcp, udp } from './packets.ts'
import { slowSum } from './slow/checksum.ts'
import { pseudoHeader, type SlowSuperpacket, write16 } from './slow/segment.ts'

export type Random = () => number

export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit)
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[below(random, values.length)]
}

export function chance(random: Random, probability: number): boolean {
  return random() < probability
}

export function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => below(random, 256))
}

/** Flags of TCP data: what coalescing makes, or anything that segmentation may meet. */
export type Flags = 'data' | 'any'

/** A superpacket of 2 to 128 segments. */
export function randomSuperpacket(random: Random, flags: Flags = 'any'): SlowSuperpacket {
  const isIpv6 = chance(random, 0.5)
  const isUdp = chance(random, 0.4)
  const options = isUdp ? new Uint8Array(0) : randomBytes(random, 4 * below(random, 11))
  const transport = isIpv6 ? 40 : 20
  const headerLength = transport + (isUdp ? 8 : 20 + options.length)
  const gsoSize = pick(random, [1, 8, 536, 1200, 1 + below(random, 1400)])
  const most = Math.min(128 * gsoSize, chance(random, 0.05) ? 65_535 - headerLength : 6000)
  const payload = pattern(gsoSize + 1 + below(random, most - gsoSize), below(random, 256))
  const ports = { sourcePort: below(random, 65_536), destinationPort: below(random, 65_536) }
  const segment = isUdp
    ? udp({ ...ports, payload })
    : tcp({ ...ports, ...randomTcp(random, flags), options, payload })
  const bytes = isIpv6 ? ipv6(randomIpv6(random), segment) : ipv4(randomIpv4(random), segment)
  return leaveUnfinished(
    { bytes, gso: isUdp ? 5 : isIpv6 ? 4 : 1, gsoSize, headerLength },
    transport,
  )
}

function randomTcp(random: Random, flags: Flags) {
  const data = TCP_FLAG.ACK | (chance(random, 0.5) ? TCP_FLAG.PSH : 0)
  return {
    sequence: chance(random, 0.2) ? 2 ** 32 - 1 - below(random, 3000) : below(random, 2 ** 32),
    acknowledgment: below(random, 2 ** 32),
    window: below(random, 65_536),
    flags: flags === 'data' ? data : below(random, 256),
  }
}

function randomIpv4(random: Random) {
  return {
    tos: below(random, 256),
    ttl: 1 + below(random, 255),
    identification: below(random, 65_536),
    dontFragment: chance(random, 0.5),
  }
}

function randomIpv6(random: Random) {
  return {
    tos: below(random, 256),
    flowLabel: below(random, 2 ** 20),
    hopLimit: 1 + below(random, 255),
  }
}

/** The packet with its transport checksum left to be finished. */
export function leaveUnfinished(
  packet: Omit<SlowSuperpacket, 'csum'>,
  transport: number,
): SlowSuperpacket {
  const { bytes } = packet
  const isUdp = bytes[bytes[0] >> 4 === 6 ? 6 : 9] === 17
  const checksumOffset = isUdp ? 6 : 16
  write16(bytes, transport + checksumOffset, slowSum(pseudoHeader(bytes, transport, isUdp)))
  return { ...packet, csum: transport | (checksumOffset << 16) }
}
