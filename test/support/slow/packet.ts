// A plain decoder of IP packets that makes an object of each: the twin of packet/packet-view.ts, and
// what checkers of packets look at. Strict where the fast one is: undefined for a malformed packet.

export interface SlowPacket {
  readonly version: 4 | 6
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly tos: number
  readonly hopLimit: number
  readonly protocol: number
  readonly headerLength: number
  /** IPv4 options, or the IPv6 extension headers. */
  readonly options: Uint8Array
  /** Everything behind the IP header and extension headers. */
  readonly payload: Uint8Array
  readonly dontFragment: boolean
  readonly moreFragments: boolean
  /** In bytes. */
  readonly fragmentOffset: number
  readonly identification: number
}

export function slowDecode(bytes: Uint8Array): SlowPacket | undefined {
  const version = bytes.length < 20 ? 0 : bytes[0] >> 4
  if (version === 4) return decode4(bytes)
  return version === 6 ? decode6(bytes) : undefined
}

function decode4(bytes: Uint8Array): SlowPacket | undefined {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const headerLength = (bytes[0] & 15) * 4
  if (headerLength < 20 || headerLength > bytes.length || data.getUint16(2) !== bytes.length)
    return undefined
  const fragment = data.getUint16(6)
  return {
    version: 4,
    source: bytes.slice(12, 16),
    destination: bytes.slice(16, 20),
    tos: bytes[1],
    hopLimit: bytes[8],
    protocol: bytes[9],
    headerLength,
    options: bytes.slice(20, headerLength),
    payload: bytes.slice(headerLength),
    dontFragment: Boolean(fragment & 0x4000),
    moreFragments: Boolean(fragment & 0x2000),
    fragmentOffset: (fragment & 0x1fff) * 8,
    identification: data.getUint16(4),
  }
}

function decode6(bytes: Uint8Array): SlowPacket | undefined {
  if (bytes.length < 40) return undefined
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (data.getUint16(4) !== bytes.length - 40) return undefined
  let protocol = bytes[6]
  let rest = bytes.slice(40)
  let [moreFragments, fragmentOffset, identification] = [false, 0, 0]
  for (let headers = 0; [0, 43, 44, 60].includes(protocol); headers++) {
    if (headers === 8 || rest.length < 8) return undefined
    const size = protocol === 44 ? 8 : 8 + rest[1] * 8
    if (rest.length < size) return undefined
    const isFragment = protocol === 44
    protocol = rest[0]
    if (isFragment) {
      const word = rest[2] * 256 + rest[3]
      fragmentOffset = word & 0xfff8
      moreFragments ||= Boolean(word & 1)
      identification = new DataView(rest.buffer).getUint32(rest.byteOffset + 4)
    }
    rest = rest.slice(size)
    if (fragmentOffset > 0) break
  }
  const headerLength = bytes.length - rest.length
  return {
    version: 6,
    source: bytes.slice(8, 24),
    destination: bytes.slice(24, 40),
    tos: (data.getUint16(0) >> 4) & 255,
    hopLimit: bytes[7],
    protocol,
    headerLength,
    options: bytes.slice(40, headerLength),
    payload: rest,
    dontFragment: true,
    moreFragments,
    fragmentOffset,
    identification,
  }
}
