// Packets whose transport checksum is still to be finished, as they cross a TUN device with a
// virtio-net header (virtio 1.2, 5.1.6.2): the field holds the sum of the pseudo-header.

import { ipv4, ipv6, pattern, TCP_FLAG, tcp, udp } from './packets.ts'
import { slowPseudoHeader, slowSum } from './slow/checksum.ts'

export interface Flow {
  readonly version: 4 | 6
  readonly protocol: 6 | 17
  /** The virtio gso_type of its superpackets. */
  readonly gso: number
}

export const flows: readonly (Flow & { readonly name: string })[] = [
  { name: 'TCP over IPv4', version: 4, protocol: 6, gso: 1 },
  { name: 'TCP over IPv6', version: 6, protocol: 6, gso: 4 },
  { name: 'UDP over IPv4', version: 4, protocol: 17, gso: 5 },
  { name: 'UDP over IPv6', version: 6, protocol: 17, gso: 5 },
]

export interface Unfinished {
  readonly packet: Uint8Array
  /** Where the checksum starts, and where its field is, as in ROW.CSUM. */
  readonly csum: number
  readonly csumStart: number
  readonly csumOffset: number
  /** IP and transport header. */
  readonly headerLength: number
}

/** A packet of the flow with so many bytes of payload. */
export function unfinished(
  { version, protocol }: Flow,
  payloadLength: number,
  source: string,
  destination: string,
): Unfinished {
  const payload = pattern(payloadLength)
  const transport =
    protocol === 6 ? tcp({ flags: TCP_FLAG.ACK | TCP_FLAG.PSH, payload }) : udp({ payload })
  const spec = { source, destination }
  const packet =
    version === 4 ? ipv4({ ...spec, dontFragment: true }, transport) : ipv6(spec, transport)
  const csumStart = version === 4 ? 20 : 40
  const csumOffset = protocol === 6 ? 16 : 6
  const [from, to] = version === 4 ? [12, 16] : [8, 24]
  const pseudoHeader = slowPseudoHeader(
    packet.subarray(from, to),
    packet.subarray(to, csumStart),
    protocol,
    packet.length - csumStart,
  )
  new DataView(packet.buffer).setUint16(csumStart + csumOffset, slowSum(pseudoHeader))
  const headerLength = packet.length - payloadLength
  return { packet, csum: csumStart | (csumOffset << 16), csumStart, csumOffset, headerLength }
}
