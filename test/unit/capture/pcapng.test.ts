import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  interfaceBlock,
  packetBlock,
  secretsBlock,
  sectionBlock,
  statisticsBlock,
} from '../../../src/capture/pcapng.ts'
import { ipv4, ipv6 } from '../../support/packets.ts'
import { below, randomBytes } from '../../support/random-superpackets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { slowPackets, slowPcapng } from '../../support/slow/pcapng.ts'

const section = sectionBlock('hawser')
const west = interfaceBlock({
  name: 'west inner',
  description: 'd',
  snaplenBytes: 114,
  filter: 'tcp port 80',
})

test('random packets are read back by a slow reader', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const packets = Array.from({ length: 300 }, (_, index) => {
    const bytes = randomBytes(random, 1 + below(random, 300))
    bytes[0] = random() < 0.5 ? 0x45 : 0x60
    return {
      interfaceNumber: 0,
      seconds: below(random, 2 ** 32),
      nanos: below(random, 1e9),
      isOutbound: random() < 0.5,
      bytes,
      lengthBytes: bytes.length + below(random, 2000),
      comment: 'ü'.repeat(below(random, 200)) || `${index}`,
    }
  })
  const found = slowPackets(Buffer.concat([section, west, ...packets.map(packetBlock)]))
  assert.deepEqual(
    found.map(({ ethernet, ...packet }) => packet),
    packets.map(packet => ({
      interfaceName: 'west inner',
      nanos: BigInt(packet.seconds) * 1_000_000_000n + BigInt(packet.nanos),
      flags: packet.isOutbound ? 2 : 1,
      comment: packet.comment,
      originalBytes: 14 + packet.lengthBytes,
      packet: Buffer.from(packet.bytes),
    })),
    `seed ${seed}`,
  )
})

test('the made-up header tells the family, and the direction by its addresses', () => {
  const block = (bytes: Uint8Array, isOutbound: boolean) => {
    const times = { interfaceNumber: 0, seconds: 1, nanos: 0 }
    return packetBlock({ ...times, isOutbound, bytes, lengthBytes: bytes.length, comment: '' })
  }
  const file = [section, west, block(ipv4(), true), block(ipv6(), false), block(ipv4(), false)]
  const [out, in6, in4] = slowPackets(Buffer.concat(file)).map(({ ethernet }) => ethernet)
  assert.deepEqual(
    [out, in6, in4].map(header => header.toString('hex', 12)),
    ['0800', '86dd', '0800'],
  )
  assert.deepEqual(out.subarray(0, 6), in4.subarray(6, 12))
  assert.deepEqual(in4, Buffer.concat([in6.subarray(0, 12), Buffer.from([8, 0])]))
})

test('an interface, secrets and statistics have what the specification says', () => {
  const lines = new TextEncoder().encode('PRESHARED_KEY = AAAA\n')
  const statistics = statisticsBlock(3, 7, 5, 2 ** 40, 6)
  const [, iface, secrets, stats] = slowPcapng(
    Buffer.concat([section, west, secretsBlock(lines), statistics]),
  )
  assert.deepEqual([...iface.body], [1, 0, 0, 0, 114, 0, 0, 0])
  const filter = iface.options.find(({ code }) => code === 11)?.value
  assert.equal(`${filter}`, '\0tcp port 80')
  assert.equal(secrets.body.readUInt32LE(0), 0x57474b4c)
  assert.equal(`${secrets.body.subarray(8)}`, 'PRESHARED_KEY = AAAA\n')
  assert.equal(stats.body.readUInt32LE(0), 3)
  assert.deepEqual(
    stats.options.map(({ code, value }) => [code, value.readBigUInt64LE()]),
    [
      [4, 2n ** 40n],
      [5, 6n],
    ],
  )
})
