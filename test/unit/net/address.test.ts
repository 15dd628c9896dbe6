import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  equalBytes,
  equalRemote,
  formatAddress,
  formatPrefix,
  formatRemote,
  maskBytes,
  parseAddress,
  parsePort,
  parsePrefix,
  parseRemote,
  prefixKey,
} from '../../../src/net/address.ts'
import { testSeed } from '../../support/rng.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

const addresses: readonly [text: string, bytes: string, formatted: string][] = [
  ['0.0.0.0', '00000000', '0.0.0.0'],
  ['10.20.30.40', '0a141e28', '10.20.30.40'],
  ['255.255.255.255', 'ffffffff', '255.255.255.255'],
  ['::', '00000000000000000000000000000000', '::'],
  ['::1', '00000000000000000000000000000001', '::1'],
  ['2001:DB8::0001', '20010db8000000000000000000000001', '2001:db8::1'],
  ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008', '1:2:3:4:5:6:7:8'],
  ['1:2:3:4:5:6:7::', '00010002000300040005000600070000', '1:2:3:4:5:6:7:0'],
  ['::2:3:4:5:6:7:8', '00000002000300040005000600070008', '0:2:3:4:5:6:7:8'],
  // RFC 5952 4.2.2 and 4.2.3: the longest run of zeros, the first of two equal ones.
  ['2001:db8:0:1:1:1:1:1', '20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '20010000000000010000000000000001', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
  // An IPv4 tail (RFC 4291 2.2.3) counts by its position alone.
  ['::ffff:1.2.3.4', '00000000000000000000ffff01020304', '::ffff:102:304'],
  ['::1.2.3.4', '00000000000000000000000001020304', '::102:304'],
  ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221', '64:ff9b::c000:221'],
  ['1:2:3:4:5:6:7.8.9.10', '0001000200030004000500060708090a', '1:2:3:4:5:6:708:90a'],
]

for (const [text, bytes, formatted] of addresses) {
  test(`address ${text}`, () => {
    const address = parseAddress(text)
    assert.equal(hex(address.bytes), bytes)
    assert.equal(address.family, bytes.length === 8 ? 4 : 6)
    assert.equal(formatAddress(address), formatted)
    assert.deepEqual(parseAddress(formatted), address)
  })
}

const invalidAddresses = [
  ...[
    '',
    ' ',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.-4',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '1.2.3.4\n',
  ],
  ...['01.2.3.4', '1.2.3.08', '0x1.2.3.4', '1.2.3.4/8', '1..2.3', '1e1.2.3.4', '١.2.3.4'],
  ...[':', ':::', '1::2::3', '1:2', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2:3:4:5:6:7:8'],
  ...['::g', '12345::', '::00001', '[::1]', '::1%1', 'fe80::1%eth0', '::1 ', '::1\n', '::1/64'],
  ...['::1.2.3', '::1.2.3.256', '::ffff:010.2.3.4', '::ffff:0x1.2.3.4', '::1.2.3.4.5', '1.2.3.4::'],
  ...['1:2:3:4:5:6:7:1.2.3.4', '::1.2.3.4:5', ':1.2.3.4', 'localhost', 'constructor'],
]

for (const text of invalidAddresses) {
  test(`no address: ${JSON.stringify(text)}`, () => {
    const refusal = { name: 'GatewayError', code: 'EINVAL' }
    assert.throws(() => parseAddress(text), refusal)
    assert.throws(() => parsePrefix(`${text}/0`), refusal)
  })
}

test('every address text is taken or refused as the C library of node does', () => {
  const piece = fc.constantFrom(
    ':',
    '::',
    '.',
    '0',
    '1',
    '12',
    '255',
    '256',
    '007',
    'f',
    'ffff',
    'g',
    '1.2.3.4',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 17 }), pieces => {
      const text = pieces.join('')
      let family = 0
      try {
        family = parseAddress(text).family
      } catch {
        family = 0
      }
      assert.equal(family, isIP(text), JSON.stringify(text))
    }),
    { seed: testSeed(), numRuns: 5000 },
  )
})

const anyAddress = fc
  .boolean()
  .chain(isV4 => fc.uint8Array({ minLength: isV4 ? 4 : 16, maxLength: isV4 ? 4 : 16 }))
  .map(bytes => ({ family: bytes.length === 4 ? (4 as const) : (6 as const), bytes }))

test('what is formatted parses to the same: addresses, prefixes, remotes', () => {
  fc.assert(
    fc.property(
      anyAddress,
      fc.nat(128),
      fc.nat(65_535),
      fc.nat(999_999_999),
      (address, n, port, s) => {
        const text = formatAddress(address)
        assert.deepEqual(parseAddress(text), { ...address, bytes: Uint8Array.from(address.bytes) })
        const bits = n % (address.bytes.length * 8 + 1)
        const prefix = parsePrefix(`${text}/${bits}`)
        assert.equal(prefix.bits, bits)
        assert.deepEqual(parsePrefix(formatPrefix(prefix)), prefix)
        const remote = { address, port, scope: address.family === 6 ? s : 0 }
        assert(equalRemote(parseRemote(formatRemote(remote)), remote))
      },
    ),
    { seed: testSeed() },
  )
})

test('masking keeps exactly the first bits', () => {
  for (const length of [4, 16])
    for (let bits = 0; bits <= length * 8; bits++) {
      const masked = maskBytes(new Uint8Array(length).fill(0xff), bits)
      const text = [...masked].map(byte => byte.toString(2).padStart(8, '0')).join('')
      assert.equal(text, '1'.repeat(bits).padEnd(length * 8, '0'))
    }
})

const prefixes: readonly [text: string, formatted: string][] = [
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['10.255.255.255/8', '10.0.0.0/8'],
  ['192.0.2.77/30', '192.0.2.76/30'],
  ['192.0.2.77', '192.0.2.77/32'],
  ['192.0.2.77/32', '192.0.2.77/32'],
  ['255.255.255.255/0', '0.0.0.0/0'],
  ['2001:db8:ffff::1/33', '2001:db8:8000::/33'],
  ['2001:db8::1', '2001:db8::1/128'],
  ['ffff::/0', '::/0'],
]

for (const [text, formatted] of prefixes) {
  test(`prefix ${text}`, () => assert.equal(formatPrefix(parsePrefix(text)), formatted))
}

for (const text of [
  '/',
  '/8',
  '10.0.0.0/',
  '10.0.0.0/33',
  '10.0.0.0/-1',
  '10.0.0.0/+8',
  '10.0.0.0/ 8',
  '10.0.0.0/8 ',
  '10.0.0.0/8/8',
  '10.0.0.0/1e1',
  '10.0.0.0/0x8',
  '10.0.0.0/0008',
  '::/129',
  '::/',
  '::/8\n',
  'fe80::1%1/64',
]) {
  test(`no prefix: ${JSON.stringify(text)}`, () => {
    assert.throws(() => parsePrefix(text), { name: 'GatewayError', code: 'EINVAL' })
  })
}

test('equal prefixes have equal keys, others do not', () => {
  const texts = [
    '0.0.0.0/0',
    '::/0',
    '10.0.0.0/8',
    '10.0.0.0/9',
    '11.0.0.0/8',
    '10.0.0.0/32',
    '::/32',
    'a00::/8',
    'a00::/9',
  ]
  const keys = texts.map(text => prefixKey(parsePrefix(text)))
  assert.equal(new Set(keys).size, texts.length)
  assert.equal(prefixKey(parsePrefix('10.1.2.3/8')), keys[2])
  assert.equal(prefixKey(parsePrefix('0a00:0::ff/8')), keys[7])
})

test('ports', () => {
  for (const [text, port] of [
    ['0', 0],
    ['1', 1],
    ['51820', 51_820],
    ['65535', 65_535],
  ] as const)
    assert.equal(parsePort(text), port)
  for (const text of [
    '',
    '65536',
    '99999',
    '-1',
    '+1',
    '1.0',
    '1e3',
    '0x50',
    ' 80',
    '80 ',
    '80\n',
    'http',
    '000080',
  ])
    assert.throws(
      () => parsePort(text),
      { name: 'GatewayError', code: 'EINVAL' },
      JSON.stringify(text),
    )
})

test('remotes', () => {
  for (const [text, address, port, scope] of [
    ['192.0.2.1:4500', '192.0.2.1', 4500, 0],
    ['[2001:db8::1]:51820', '2001:db8::1', 51_820, 0],
    ['[fe80::1%2]:1', 'fe80::1', 1, 2],
    ['[::ffff:192.0.2.1]:0', '::ffff:192.0.2.1', 0, 0],
  ] as const) {
    const remote = parseRemote(text)
    assert.deepEqual(remote, { address: parseAddress(address), port, scope })
    assert.deepEqual(parseRemote(formatRemote(remote)), remote)
  }
  assert.equal(formatRemote(parseRemote('[FE80::1%7]:00080')), '[fe80::1%7]:80')
})

for (const text of [
  '',
  ':80',
  '192.0.2.1',
  '192.0.2.1:',
  '192.0.2.1:65536',
  '192.0.2.1:-1',
  '2001:db8::1:80',
  '[2001:db8::1]',
  '[2001:db8::1]80',
  '[192.0.2.1]:80',
  '[fe80::1%eth0]:80',
  '[fe80::1%]:80',
  '[fe80::1%1234567890]:80',
  '192.0.2.1%1:80',
  '[::1]:80 ',
  '[::1]:80\n',
  'localhost:80',
  '[[::1]]:80',
]) {
  test(`no remote: ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseRemote(text), { name: 'GatewayError', code: 'EINVAL' })
  })
}

test('equality of bytes and remotes', () => {
  assert(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)))
  assert(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)))
  assert(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0)))
  assert(equalRemote(undefined, undefined))
  assert(!equalRemote(undefined, parseRemote('192.0.2.1:1')))
  const remotes = [
    '192.0.2.1:1',
    '192.0.2.1:2',
    '192.0.2.2:1',
    '[fe80::1%1]:1',
    '[fe80::1%2]:1',
    '[::ffff:192.0.2.1]:1',
  ].map(parseRemote)
  for (const [i, a] of remotes.entries())
    for (const [k, b] of remotes.entries()) assert.equal(equalRemote(a, { ...b }), i === k)
})
