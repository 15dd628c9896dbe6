// IP and UDP header of a train, as if it were one datagram. A socket tells neither: what is known of
// them (addresses, ports, TOS) stands in the train's words, the rest is what the kernel usually sends.
// The length is that of the whole train; segments.ts makes datagrams of it.

import { TRAIN } from '../packet/batch.ts'
import { write16 } from '../packet/bytes.ts'
import { writeIpv4Checksum } from '../packet/checksum.ts'
import { IPV4, IPV6, PROTOCOL, UDP } from '../packet/headers.ts'
import { REMOTE } from '../tables/shared.ts'

const AF_INET = 2
const hopLimit = 64

/** Writes it to the start of `out`; returns its length. `localPort`: that of the train's socket. */
export function writeOuterHeader(
  trains: Int32Array,
  at: number,
  localPort: number,
  isOutbound: boolean,
  out: Uint8Array,
): number {
  const record = at + TRAIN.REMOTE
  const first = trains[record]
  const remotePort = first >>> 16
  const isIpv4 = (first & 0xffff) === AF_INET
  const udpBytes = UDP.BYTES + trains[at + TRAIN.LENGTH]
  const tos = trains[at + TRAIN.TOS] & 0xff
  const transport = isIpv4 ? IPV4.MIN_BYTES : IPV6.BYTES
  out.fill(0, 0, transport + UDP.BYTES)
  const source = record + ((isOutbound ? REMOTE.SOURCE : REMOTE.ADDRESS) >> 2)
  const destination = record + ((isOutbound ? REMOTE.ADDRESS : REMOTE.SOURCE) >> 2)
  if (isIpv4) {
    out[0] = 0x45
    out[IPV4.TOS] = tos
    write16(out, IPV4.TOTAL_LENGTH, transport + udpBytes)
    out[IPV4.TTL] = hopLimit
    out[IPV4.PROTOCOL] = PROTOCOL.UDP
    copyWords(trains, source, 1, out, IPV4.SOURCE)
    copyWords(trains, destination, 1, out, IPV4.DESTINATION)
    writeIpv4Checksum(out, 0, transport)
  } else {
    out[0] = 0x60 | (tos >> 4)
    out[1] = (tos & 15) << 4
    write16(out, IPV6.PAYLOAD_LENGTH, udpBytes)
    out[IPV6.NEXT_HEADER] = PROTOCOL.UDP
    out[IPV6.HOP_LIMIT] = hopLimit
    copyWords(trains, source, 4, out, IPV6.SOURCE)
    copyWords(trains, destination, 4, out, IPV6.DESTINATION)
  }
  write16(out, transport, isOutbound ? localPort : remotePort)
  write16(out, transport + 2, isOutbound ? remotePort : localPort)
  write16(out, transport + UDP.LENGTH, udpBytes)
  return transport + UDP.BYTES
}

/** Bytes of a record lie in the words in their own order (little-endian machines alone are built for). */
function copyWords(
  words: Int32Array,
  from: number,
  count: number,
  out: Uint8Array,
  at: number,
): void {
  for (let i = 0; i < count; i++) {
    const word = words[from + i]
    out[at + i * 4] = word
    out[at + i * 4 + 1] = word >>> 8
    out[at + i * 4 + 2] = word >>> 16
    out[at + i * 4 + 3] = word >>> 24
  }
}
