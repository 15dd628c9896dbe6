// Addresses between nodes, against what stock's functions give (GetVtepIPAddressFrom), and MACs.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAddress, parseAddress } from '../../../src/net/address.ts'
import { overlayAddress, overlayMac } from '../../../src/route-agent/overlay.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

test('a node has the address on the overlay that stock agents work out', () => {
  const rows = [
    ['10.17.2.3', '240.17.2.3'],
    ['192.168.1.100', '240.168.1.100'],
    ['fe80::1ff:fe23:4567:890a', 'fd00:100:100::4567:890a'],
    ['fd12:3456:789a:1::1', 'fd00:100:100::1'],
    ['fd00:abcd::1234:5678', 'fd00:100:100::1234:5678'],
  ]
  for (const [from, expected] of rows) {
    assert.equal(formatAddress(overlayAddress(parseAddress(from))), expected)
  }
})

test('a MAC is of its address alone, unicast and locally administered', () => {
  assert.equal(overlayMac(parseAddress('172.31.1.2')), '02:00:ac:1f:01:02')
  const seed = testSeed()
  const random = seededRandom(seed)
  const seen = new Set<string>()
  for (let i = 0; i < 1000; i++) {
    for (const [family, length] of [
      [4, 4],
      [6, 16],
    ] as const) {
      const address = { family, bytes: Uint8Array.from({ length }, () => random() * 256) }
      const mac = overlayMac(address)
      assert.match(mac, /^02(:[0-9a-f]{2}){5}$/)
      assert.equal(overlayMac(address), mac)
      seen.add(`${family} ${mac}`)
    }
  }
  // Of 2 000 chance is not to be seen: 40 bits, 32 of them where the address has no more.
  assert.ok(seen.size >= 1998, `HAWSER_SEED=${seed}: ${seen.size}`)
})

test('IPv6 addresses of one ending have different MACs', () => {
  assert.notEqual(overlayMac(parseAddress('2001:db8::1:2')), overlayMac(parseAddress('fd00::1:2')))
})
