// From a record of a ring (record.ts) to the packets that it stands for, for whoever shows them. A
// superpacket is cut as the addon cuts it (native/segment.cc): what differs by segment is the length,
// the IPv4 identification, TCP's sequence number and flags, UDP's length, and the checksums. Those can
// only be finished over whole packets; of a packet that was not kept whole the checksum stays as it is.

import { read16, read32, write16, write32 } from '../packet/bytes.ts'
import { finishChecksum, writeIpv4Checksum, writeTransportChecksum } from '../packet/checksum.ts'
import { IPV4, IPV6, PROTOCOL, TCP, UDP } from '../packet/headers.ts'
import { PacketView } from '../packet/packet-view.ts'
import { RECORD, stage } from './record.ts'

export interface CapturedPacket {
  /** From the IP header on: as much as was kept. */
  readonly bytes: Uint8Array
  /** Its whole length. */
  readonly lengthBytes: number
}

const scratch = new Uint8Array(65_535)

/** FIN and PSH, and CWR, in byte 13 of a TCP header. */
const lastOnly = 0x01 | 0x08
const firstOnly = 0x80

/** Word numbers of the records in `bytes`, in their order. Throws RangeError for half a record. */
export function recordsOf(bytes: Uint8Array): number[] {
  const words = wordsOf(bytes)
  const found: number[] = []
  for (let word = 0; word < words.length; ) {
    const length = words[word + RECORD.LENGTH]
    const end = word * 4 + length
    if (length < RECORD.BYTES || (length & 7) !== 0 || end > bytes.length)
      throw new RangeError(`a record of ${length} bytes at ${word * 4} of ${bytes.length}`)
    if (words[word + RECORD.STORED] > length - RECORD.BYTES)
      throw new RangeError(`a record at ${word * 4} has more bytes than it is long`)
    found.push(word)
    word += length >> 2
  }
  return found
}

export function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
}

/** What was stored behind the words. */
export function storedOf(bytes: Uint8Array, word: number): Uint8Array {
  const start = word * 4 + RECORD.BYTES
  return bytes.subarray(start, start + wordsOf(bytes)[word + RECORD.STORED])
}

/** The packets of a record, each at most `snaplenBytes` long. */
export function packetsOf(bytes: Uint8Array, word: number, snaplenBytes: number): CapturedPacket[] {
  const words = wordsOf(bytes)
  const stored = storedOf(bytes, word)
  const whole = words[word + RECORD.WHOLE]
  const header = words[word + RECORD.HEADER]
  if (header === 0) {
    const csum = words[word + RECORD.CSUM]
    if (csum !== 0 && stored.length === whole)
      finishChecksum(stored, 0, whole, csum & 0xffff, csum >>> 16)
    return [{ bytes: stored.subarray(0, snaplenBytes), lengthBytes: whole }]
  }
  const size = words[word + RECORD.SIZE]
  const kept = words[word + RECORD.KEPT]
  const count = words[word + RECORD.SEGMENTS]
  const isWire = words[word + RECORD.STAGE] === stage.wire
  const packets: CapturedPacket[] = []
  for (let index = 0; index < count; index++) {
    const payload = Math.min(size, whole - header - index * size)
    const from = header + index * kept
    const part = stored.subarray(from, from + Math.min(kept, payload))
    const packet = new Uint8Array(header + part.length)
    packet.set(stored.subarray(0, header))
    packet.set(part, header)
    const lengthBytes = header + payload
    finishSegment(packet, lengthBytes, index, size, index === count - 1, isWire)
    packets.push({ bytes: packet.subarray(0, snaplenBytes), lengthBytes })
  }
  return packets
}

/** The fields of one segment, whose header is that of the superpacket still. */
function finishSegment(
  packet: Uint8Array,
  lengthBytes: number,
  index: number,
  size: number,
  isLast: boolean,
  isWire: boolean,
): void {
  const isIpv4 = packet[0] >> 4 === 4
  if (isIpv4) {
    write16(packet, IPV4.TOTAL_LENGTH, lengthBytes)
    // Datagrams were sent one by one to the eye of the network, and their identification is not known.
    if (!isWire) write16(packet, IPV4.IDENTIFICATION, read16(packet, IPV4.IDENTIFICATION) + index)
    writeIpv4Checksum(packet, 0, (packet[0] & 15) * 4)
  } else write16(packet, IPV6.PAYLOAD_LENGTH, lengthBytes - IPV6.BYTES)
  const isWhole = packet.length === lengthBytes
  // Of a packet that was cut the decoder sees the start, in a memory as large as the whole.
  if (!isWhole) scratch.set(packet)
  const view = new PacketView(isWhole ? packet : scratch)
  if (!view.decode(0, lengthBytes)) return
  const transport = view.transportOffset
  if (view.protocol === PROTOCOL.TCP) {
    const sequence = read32(packet, transport + TCP.SEQUENCE)
    write32(packet, transport + TCP.SEQUENCE, sequence + index * size)
    if (!isLast) packet[transport + TCP.FLAGS] &= ~lastOnly
    if (index > 0) packet[transport + TCP.FLAGS] &= ~firstOnly
  } else write16(packet, transport + UDP.LENGTH, lengthBytes - transport)
  // UDP over IPv4 needs none, and the one that the kernel made for the wire is not known.
  if (isWhole && !(isWire && isIpv4)) writeTransportChecksum(view)
}
