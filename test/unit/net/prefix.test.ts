import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPrefix, parseAddress, parsePrefix } from '../../../src/net/address.ts'
import { contains, hostPrefix, isLinkLocal, overlaps } from '../../../src/net/prefix.ts'

test('what lies in what', () => {
  const rows = [
    ['10.0.0.0/8', '10.1.0.0/16', true, true],
    ['10.1.0.0/16', '10.0.0.0/8', false, true],
    ['10.1.0.0/16', '10.1.0.0/16', true, true],
    ['10.1.0.0/16', '10.2.0.0/16', false, false],
    ['10.1.0.0/23', '10.1.1.0/24', true, true],
    ['10.1.0.0/23', '10.1.2.0/24', false, false],
    ['0.0.0.0/0', '192.0.2.1/32', true, true],
    ['fd00::/8', 'fd00:1::/48', true, true],
    ['fd00:1::/47', 'fd00:2::/48', false, false],
    ['0.0.0.0/0', 'fd00::/8', false, false],
    ['::/0', '10.0.0.0/8', false, false],
  ] as const
  for (const [a, b, isWithin, isMeeting] of rows) {
    const [outer, inner] = [parsePrefix(a), parsePrefix(b)]
    assert.equal(contains(outer, inner), isWithin, `${a} contains ${b}`)
    assert.equal(overlaps(outer, inner), isMeeting, `${a} overlaps ${b}`)
    assert.equal(overlaps(inner, outer), isMeeting, `${b} overlaps ${a}`)
  }
})

test('a prefix of one address, and which of them stay on their link', () => {
  assert.equal(formatPrefix(hostPrefix(parseAddress('192.0.2.1'))), '192.0.2.1/32')
  assert.equal(formatPrefix(hostPrefix(parseAddress('fd00::1'))), 'fd00::1/128')
  const rows = { 'fe80::1': true, 'febf::1': true, 'fec0::1': false, 'fd00::1': false }
  for (const [text, isOne] of Object.entries(rows)) {
    assert.equal(isLinkLocal(parseAddress(text)), isOne, text)
  }
  assert.equal(isLinkLocal(parseAddress('169.254.0.1')), false)
})
