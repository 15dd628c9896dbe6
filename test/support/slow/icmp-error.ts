// ICMP errors as the RFCs describe them, with objects and strings: the twin of packet/icmp-error.ts.
// Undefined where a packet must not be answered (RFC 1122 3.2.2, RFC 4443 2.4 e).

import { formatAddress } from '../../../src/net/address.ts'
import { icmp, icmp6, ipv4, ipv6 } from '../packets.ts'
import { type SlowPacket, slowDecode } from './packet.ts'

export type SlowKind = 'noRoute' | 'hostUnreachable' | 'tooBig'

const types = {
  4: { noRoute: [3, 0], hostUnreachable: [3, 1], tooBig: [3, 4] },
  6: { noRoute: [1, 0], hostUnreachable: [1, 3], tooBig: [2, 0] },
} as const

export function slowIcmpError(
  kind: SlowKind,
  bytes: Uint8Array,
  mtuBytes: number,
): Uint8Array | undefined {
  const packet = slowDecode(bytes)
  if (packet === undefined || packet.fragmentOffset > 0 || isError(packet)) return undefined
  const addresses = [packet.source, packet.destination]
  const texts = addresses.map(address => formatAddress({ family: packet.version, bytes: address }))
  if (addresses.some((address, i) => !isUnicast(address, texts[i]))) return undefined
  const [destination, source] = texts
  const [type, code] = types[packet.version][kind]
  const mtu = kind === 'tooBig' ? mtuBytes : 0
  if (packet.version === 6) {
    return ipv6({ source, destination }, icmp6(type, code, bytes.slice(0, 1280 - 48), mtu))
  }
  const spec = { source, destination, tos: 0xc0, identification: 0, dontFragment: true }
  return ipv4(spec, icmp(type, code, bytes.slice(0, 576 - 28), Math.min(mtu, 0xffff)))
}

function isError({ protocol, payload }: SlowPacket): boolean {
  if (protocol !== 1 && protocol !== 58) return false
  return payload.length < 8 || isErrorType(protocol, payload[0])
}

function isErrorType(protocol: number, type: number): boolean {
  if (protocol === 58) return type < 128 || type === 137
  return ![0, 8, 9, 10, 13, 14, 15, 16, 17, 18, 42, 43].includes(type)
}

function isUnicast(address: Uint8Array, text: string): boolean {
  if (address.length === 4)
    return !/^(0\.|127\.|169\.254\.|22[4-9]\.|23\d\.|255\.255\.255\.255$)/.test(text)
  return !/^(::1?$|fe[89ab].:|ff..:)/.test(text)
}
