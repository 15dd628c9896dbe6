// Reads pcapng (draft-ietf-opsawg-pcapng) one field at a time, and refuses whatever is not as the
// specification says: the twin of src/capture/pcapng.ts.

import assert from 'node:assert/strict'

export interface SlowBlock {
  readonly type: number
  /** Fixed fields and data, without type, lengths and options. */
  readonly body: Buffer
  readonly options: readonly { readonly code: number; readonly value: Buffer }[]
}

/** Bytes of the fixed fields; of a packet and of secrets their data is added. */
const fixedBytes = new Map([
  [0x0a0d0d0a, 16],
  [1, 8],
  [6, 20],
  [5, 12],
  [10, 8],
])

export function slowPcapng(file: Uint8Array): SlowBlock[] {
  const bytes = Buffer.from(file)
  const blocks: SlowBlock[] = []
  for (let at = 0; at < bytes.length; ) {
    const type = bytes.readUInt32LE(at)
    const length = bytes.readUInt32LE(at + 4)
    assert.equal(length % 4, 0, 'a block is padded to 32 bits')
    assert.ok(length >= 12 && at + length <= bytes.length, 'a block is whole')
    assert.equal(bytes.readUInt32LE(at + length - 4), length, 'both lengths are the same')
    blocks.push(block(type, bytes.subarray(at + 8, at + length - 4)))
    at += length
  }
  assert.equal(blocks[0]?.type, 0x0a0d0d0a, 'a section comes first')
  return blocks
}

function block(type: number, content: Buffer): SlowBlock {
  const fixed = fixedBytes.get(type)
  assert.ok(fixed !== undefined, `a block of type ${type}`)
  const dataBytes =
    type === 6 ? content.readUInt32LE(12) : type === 10 ? content.readUInt32LE(4) : 0
  const padded = Math.ceil(dataBytes / 4) * 4
  const end = fixed + padded
  for (let at = fixed + dataBytes; at < end; at++) assert.equal(content[at], 0, 'padding is zero')
  return {
    type,
    body: content.subarray(0, fixed + dataBytes),
    options: options(content.subarray(end)),
  }
}

function options(bytes: Buffer): SlowBlock['options'] {
  const found: { code: number; value: Buffer }[] = []
  for (let at = 0; at < bytes.length; ) {
    const code = bytes.readUInt16LE(at)
    const length = bytes.readUInt16LE(at + 2)
    if (code === 0) {
      assert.deepEqual([length, at + 4], [0, bytes.length], 'the end of the options is the end')
      return found
    }
    found.push({ code, value: bytes.subarray(at + 4, at + 4 + length) })
    at += 4 + Math.ceil(length / 4) * 4
  }
  assert.equal(found.length, 0, 'options have an end')
  return found
}

export interface SlowPacketBlock {
  readonly interfaceName: string
  readonly nanos: bigint
  readonly flags: number
  readonly comment: string
  readonly originalBytes: number
  readonly ethernet: Buffer
  readonly packet: Buffer
}

/** The packets of one section with the names of their interfaces. */
export function slowPackets(file: Uint8Array): SlowPacketBlock[] {
  const names: string[] = []
  const packets: SlowPacketBlock[] = []
  for (const { type, body, options: given } of slowPcapng(file)) {
    const option = (code: number) => given.find(other => other.code === code)?.value
    if (type === 1) {
      assert.equal(body.readUInt16LE(0), 1, 'the link type is Ethernet')
      assert.deepEqual([...(option(9) ?? [])], [9], 'instants are in nanoseconds')
      names.push(`${option(2)}`)
    } else if (type === 6) {
      const frame = body.subarray(20)
      const time = (BigInt(body.readUInt32LE(4)) << 32n) | BigInt(body.readUInt32LE(8))
      assert.ok(body.readUInt32LE(0) < names.length, 'its interface stands in front of a packet')
      packets.push({
        interfaceName: names[body.readUInt32LE(0)],
        nanos: time,
        flags: option(2)?.readUInt32LE(0) ?? 0,
        comment: `${option(1) ?? ''}`,
        originalBytes: body.readUInt32LE(16),
        ethernet: frame.subarray(0, 14),
        packet: frame.subarray(14),
      })
    }
  }
  return packets
}
