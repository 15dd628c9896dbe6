// Writes pcapng (draft-ietf-opsawg-pcapng), block by block, each as bytes:
//
//   section (SHB) · interface (IDB) for each cable and stage · secrets (DSB) · packets (EPB)
//   · statistics (ISB) for each interface at the end
//
// Every interface has link type Ethernet, and every packet a made-up Ethernet header: libpcap refuses a
// file with two link types, and one with two interfaces of raw IP. Instants are in nanoseconds. All of it
// is little-endian; a block is padded to 32 bits and has its length at both ends.

export const ethernetBytes = 14

const blockType = {
  section: 0x0a0d0d0a,
  interface: 1,
  packet: 6,
  statistics: 5,
  secrets: 10,
} as const
const linkTypeEthernet = 1
/** "WGKL": lines of a WireGuard key log (secrets-types.h of Wireshark). */
const secretsTypeWireguard = 0x57474b4c

const option = {
  end: 0,
  comment: 1,
  section: { application: 4 },
  interface: { name: 2, description: 3, resolution: 9, filter: 11 },
  packet: { flags: 2 },
  statistics: { received: 4, dropped: 5 },
} as const

const flags = { inbound: 1, outbound: 2 } as const
const nanosecondResolution = 9

export interface InterfaceBlock {
  readonly name: string
  readonly description: string
  readonly snaplenBytes: number
  readonly filter: string
}

export interface PacketBlock {
  readonly interfaceNumber: number
  readonly seconds: number
  readonly nanos: number
  readonly isOutbound: boolean
  /** From the IP header on. */
  readonly bytes: Uint8Array
  /** The whole packet's, without an Ethernet header. */
  readonly lengthBytes: number
  readonly comment: string
}

export function sectionBlock(application: string): Uint8Array {
  const body = new BlockWriter(blockType.section)
  body.u32(0x1a2b3c4d)
  body.u16(1)
  body.u16(0)
  // The length of the section is not known.
  body.u32(0xffff_ffff)
  body.u32(0xffff_ffff)
  body.text(option.section.application, application)
  return body.finish()
}

export function interfaceBlock(block: InterfaceBlock): Uint8Array {
  const body = new BlockWriter(blockType.interface)
  body.u16(linkTypeEthernet)
  body.u16(0)
  body.u32(block.snaplenBytes)
  body.text(option.interface.name, block.name)
  body.text(option.interface.description, block.description)
  body.option(option.interface.resolution, Uint8Array.of(nanosecondResolution))
  // Code 0: a filter in words.
  if (block.filter !== '') body.text(option.interface.filter, `\0${block.filter}`)
  return body.finish()
}

export function packetBlock(block: PacketBlock): Uint8Array {
  const captured = ethernetBytes + block.bytes.length
  const body = new BlockWriter(blockType.packet, captured)
  body.u32(block.interfaceNumber)
  body.time(block.seconds, block.nanos)
  body.u32(captured)
  body.u32(ethernetBytes + block.lengthBytes)
  body.data(ethernetHeader(block), block.bytes)
  const direction = block.isOutbound ? flags.outbound : flags.inbound
  body.option(option.packet.flags, Uint8Array.of(direction, 0, 0, 0))
  if (block.comment !== '') body.text(option.comment, block.comment)
  return body.finish()
}

export function secretsBlock(lines: Uint8Array): Uint8Array {
  const body = new BlockWriter(blockType.secrets, lines.length)
  body.u32(secretsTypeWireguard)
  body.u32(lines.length)
  body.data(lines)
  return body.finish()
}

/** How many packets an interface has had, and how many of them were lost on their way here. */
export function statisticsBlock(
  interfaceNumber: number,
  seconds: number,
  nanos: number,
  received: number,
  dropped: number,
): Uint8Array {
  const body = new BlockWriter(blockType.statistics)
  body.u32(interfaceNumber)
  body.time(seconds, nanos)
  body.option(option.statistics.received, u64(received))
  body.option(option.statistics.dropped, u64(dropped))
  return body.finish()
}

/** Locally administered addresses: ours, and that of whoever is on the other side. */
const ownAddress = [0x02, 0x48, 0x57, 0x00, 0x00, 0x01]
const otherAddress = [0x02, 0x48, 0x57, 0x00, 0x00, 0x02]
const headers = {
  outbound4: Uint8Array.from([...otherAddress, ...ownAddress, 0x08, 0x00]),
  outbound6: Uint8Array.from([...otherAddress, ...ownAddress, 0x86, 0xdd]),
  inbound4: Uint8Array.from([...ownAddress, ...otherAddress, 0x08, 0x00]),
  inbound6: Uint8Array.from([...ownAddress, ...otherAddress, 0x86, 0xdd]),
} as const

function ethernetHeader({ bytes, isOutbound }: PacketBlock): Uint8Array {
  const isIpv6 = bytes[0] >> 4 === 6
  if (isOutbound) return isIpv6 ? headers.outbound6 : headers.outbound4
  return isIpv6 ? headers.inbound6 : headers.inbound4
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true)
  return bytes
}

class BlockWriter {
  #bytes: Uint8Array
  #view: DataView
  #length = 8
  #hasOptions = false

  constructor(type: number, dataBytes = 0) {
    this.#bytes = new Uint8Array(dataBytes + 256)
    this.#view = new DataView(this.#bytes.buffer)
    this.#view.setUint32(0, type, true)
  }

  u16(value: number): void {
    const at = this.#grow(2)
    this.#view.setUint16(at, value, true)
  }

  u32(value: number): void {
    const at = this.#grow(4)
    this.#view.setUint32(at, value, true)
  }

  /** Nanoseconds since 1970 as 64 bits, the high half first. */
  time(seconds: number, nanos: number): void {
    const since1970 = BigInt(seconds) * 1_000_000_000n + BigInt(nanos)
    this.u32(Number(since1970 >> 32n))
    this.u32(Number(since1970 & 0xffff_ffffn))
  }

  data(...parts: readonly Uint8Array[]): void {
    const length = parts.reduce((sum, part) => sum + part.length, 0)
    let at = this.#grow((length + 3) & ~3)
    for (const part of parts) {
      this.#bytes.set(part, at)
      at += part.length
    }
  }

  option(code: number, value: Uint8Array): void {
    this.u16(code)
    this.u16(value.length)
    this.data(value)
    this.#hasOptions = true
  }

  text(code: number, value: string): void {
    this.option(code, new TextEncoder().encode(value).subarray(0, 0xffff))
  }

  finish(): Uint8Array {
    if (this.#hasOptions) this.u32(option.end)
    const length = this.#length + 4
    this.u32(length)
    this.#view.setUint32(4, length, true)
    return this.#bytes.subarray(0, length)
  }

  /** Room for so many bytes: where it starts. May exchange the memory. */
  #grow(bytes: number): number {
    const at = this.#length
    this.#length += bytes
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length)
      larger.set(this.#bytes)
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    return at
  }
}
