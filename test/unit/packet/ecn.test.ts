import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ECN, mergeEcn, outerEcn, setEcn } from '../../../src/packet/ecn.ts'
import { checkPacket, checksumsHold, inSlab, ipv4, ipv6, tcp } from '../../support/packets.ts'

const { NOT_ECT, ECT0, ECT1, CE } = ECN
const drop = -1

// RFC 6040 figure 4: what goes on, by the codepoint inside and outside.
const decapsulation: readonly [inner: number, outer: number, result: number][] = [
  [NOT_ECT, NOT_ECT, NOT_ECT],
  [NOT_ECT, ECT0, NOT_ECT],
  [NOT_ECT, ECT1, NOT_ECT],
  [NOT_ECT, CE, drop],
  [ECT0, NOT_ECT, ECT0],
  [ECT0, ECT0, ECT0],
  [ECT0, ECT1, ECT1],
  [ECT0, CE, CE],
  [ECT1, NOT_ECT, ECT1],
  [ECT1, ECT0, ECT1],
  [ECT1, ECT1, ECT1],
  [ECT1, CE, CE],
  [CE, NOT_ECT, CE],
  [CE, ECT0, CE],
  [CE, ECT1, CE],
  [CE, CE, CE],
]

test('the codepoints are those of RFC 3168', () => {
  assert.deepEqual([NOT_ECT, ECT1, ECT0, CE], [0b00, 0b01, 0b10, 0b11])
})

test('decapsulation: all 16 combinations of RFC 6040 figure 4, whatever the DSCP', () => {
  assert.equal(new Set(decapsulation.map(([inner, outer]) => inner * 4 + outer)).size, 16)
  for (const [inner, outer, result] of decapsulation) {
    assert.equal(mergeEcn(inner, outer), result, `inner ${inner}, outer ${outer}`)
    assert.equal(mergeEcn(0xb8 | inner, 0x88 | outer), result)
  }
})

test('encapsulation copies the ECN bits and no DSCP', () => {
  for (let tos = 0; tos < 256; tos++) assert.equal(outerEcn(tos), tos % 4)
})

test('setEcn changes the two bits alone and corrects the header checksum', () => {
  for (let tos = 0; tos < 256; tos++) {
    for (const ecn of [0, 1, 2, 3]) {
      const expected = (tos & 0xfc) | ecn
      for (const [version, make] of [
        [4, ipv4],
        [6, ipv6],
      ] as const) {
        const packet = make({ tos }, tcp())
        const slab = inSlab(packet)
        setEcn(slab, 64, version, ecn)
        const after = slab.slice(64, 64 + packet.length)
        assert.equal(checkPacket(after, checksumsHold).tos, expected)
        assert.deepEqual(slab, inSlab(make({ tos: expected }, tcp())))
      }
    }
  }
})

test('a wrong header checksum stays wrong', () => {
  const packet = ipv4({ tos: ECT0 })
  packet[10] ^= 0x40
  setEcn(packet, 0, 4, CE)
  const right = ipv4({ tos: CE })
  assert.notDeepEqual(packet, right)
})
