import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rangeIn } from '../../../src/broker/discovery.ts'
import { merged, overlapsBetween } from '../../../src/broker/overlap.ts'
import { formatPrefix, parsePrefix } from '../../../src/net/address.ts'
import { overlaps } from '../../../src/net/prefix.ts'

test('prefixes overlap when one lies in the other', () => {
  const rows: readonly [string, string, boolean][] = [
    ['10.0.0.0/8', '10.1.0.0/16', true],
    ['10.1.0.0/16', '10.0.0.0/8', true],
    ['10.1.0.0/16', '10.2.0.0/16', false],
    ['0.0.0.0/0', '192.0.2.1/32', true],
    ['10.1.0.0/17', '10.1.128.0/17', false],
    ['::/0', '10.0.0.0/8', false],
    ['fd00::/16', 'fd00:1::/32', true],
  ]
  for (const [a, b, expected] of rows) {
    assert.equal(overlaps(parsePrefix(a), parsePrefix(b)), expected, `${a} ${b}`)
  }
})

test('both owners are named, and oneself is none', () => {
  const own = { clusterId: 'east', cidrs: ['10.1.0.0/16', 'fd00::/64'].map(parsePrefix) }
  const others = [
    { clusterId: 'west', cidrs: ['10.0.0.0/8', 'fd01::/64'].map(parsePrefix) },
    { clusterId: 'north', cidrs: [parsePrefix('10.2.0.0/16')] },
    { clusterId: 'east', cidrs: [parsePrefix('10.1.0.0/16')] },
  ]
  assert.deepEqual(overlapsBetween(own, others), [
    '10.1.0.0/16 of the cluster east overlaps with 10.0.0.0/8 of the cluster west',
  ])
})

test('neighbours become one, and nothing else is added', () => {
  const rows: readonly [readonly string[], readonly string[]][] = [
    [[], []],
    [['10.1.0.0/24', '10.1.1.0/24'], ['10.1.0.0/23']],
    [
      ['10.1.1.0/24', '10.1.2.0/24'],
      ['10.1.1.0/24', '10.1.2.0/24'],
    ],
    [['10.1.3.0/24', '10.1.0.0/24', '10.1.2.0/24', '10.1.1.0/24'], ['10.1.0.0/22']],
    [['10.1.0.0/16', '10.1.7.0/24', '10.1.0.0/16'], ['10.1.0.0/16']],
    [
      ['10.1.0.0/24', 'fd00::/65', '10.1.1.0/24', 'fd00:0:0:0:8000::/65'],
      ['10.1.0.0/23', 'fd00::/64'],
    ],
  ]
  for (const [given, expected] of rows) {
    assert.deepEqual(merged(given.map(parsePrefix)).map(formatPrefix), expected)
  }
})

test('the range is found in the words of API servers', () => {
  const rows: readonly [string, readonly string[]][] = [
    [
      'the provided IP (1.1.1.1) is not in the valid range. The range of valid IPs is 10.45.0.0/16',
      ['10.45.0.0/16'],
    ],
    ['The range of valid IPs is fd45::/112', ['fd45::/112']],
    ['no service range', []],
    ['The range of valid IPs is nonsense', []],
  ]
  for (const [message, expected] of rows) {
    assert.deepEqual(rangeIn(message).map(formatPrefix), expected, message)
  }
})
