// The cases that the Linux driver checks its allowed-IP table with
// (drivers/net/wireguard/selftest/allowedips.c, wg_allowedips_selftest), as data.
// A peer is a letter; '' means that no peer owns the address.

export interface AllowedIpCase {
  readonly name: string
  /** In order; a later one takes an equal prefix over. Host bits are given on purpose. */
  readonly insert: readonly (readonly [prefix: string, peer: string])[]
  readonly expect: readonly (readonly [address: string, peer: string])[]
}

const nested: AllowedIpCase['insert'] = [
  ['192.168.4.0/24', 'a'],
  ['192.168.4.4/32', 'b'],
  ['192.168.0.0/16', 'c'],
  ['192.95.5.64/27', 'd'],
  ['192.95.5.65/27', 'c'],
  ['2607:5300:6000:6b00::c05f:543/128', 'd'],
  ['2607:5300:6000:6b00::/64', 'c'],
  ['0.0.0.0/0', 'e'],
  ['::/0', 'e'],
  ['::/0', 'f'],
  ['2404:6800::/32', 'g'],
  ['2404:6800:4004:800:dead:beef:dead:beef/64', 'h'],
  ['2404:6800:4004:800:dead:beef:dead:beef/128', 'a'],
  ['2444:6800:40e4:800:deae:beef:def:beef/128', 'c'],
  ['2444:6800:f0e4:800:eeae:beef::/98', 'b'],
  ['64.15.112.0/20', 'g'],
  ['64.15.123.211/25', 'h'],
  ['10.0.0.0/25', 'a'],
  ['10.0.0.128/25', 'b'],
  ['10.1.0.0/30', 'a'],
  ['10.1.0.4/30', 'b'],
  ['10.1.0.8/29', 'c'],
  ['10.1.0.16/29', 'd'],
]

export const allowedIps: readonly AllowedIpCase[] = [
  {
    name: 'nested prefixes, replaced prefixes and host bits',
    insert: nested,
    expect: [
      ['192.168.4.20', 'a'],
      ['192.168.4.0', 'a'],
      ['192.168.4.4', 'b'],
      ['192.168.200.182', 'c'],
      ['192.95.5.68', 'c'],
      ['192.95.5.96', 'e'],
      ['2607:5300:6000:6b00::c05f:543', 'd'],
      ['2607:5300:6000:6b00::c02e:1ee', 'c'],
      ['2607:5300:6000:6b01::', 'f'],
      ['2404:6800:4004:806::1006', 'g'],
      ['2404:6800:4004:806:0:1234:0:5678', 'g'],
      ['2404:67ff:4004:806:0:1234:0:5678', 'f'],
      ['2404:6801:4004:806:0:1234:0:5678', 'f'],
      ['2404:6800:4004:800:0:1234:0:5678', 'h'],
      ['2404:6800:4004:800::', 'h'],
      ['2404:6800:4004:800:1010:1010:1010:1010', 'h'],
      ['2404:6800:4004:800:dead:beef:dead:beef', 'a'],
      ['64.15.116.26', 'g'],
      ['64.15.127.3', 'g'],
      ['64.15.123.1', 'g'],
      ['64.15.123.128', 'h'],
      ['64.15.123.129', 'h'],
      ['10.0.0.52', 'a'],
      ['10.0.0.220', 'b'],
      ['10.1.0.2', 'a'],
      ['10.1.0.6', 'b'],
      ['10.1.0.10', 'c'],
      ['10.1.0.20', 'd'],
    ],
  },
  {
    name: 'hosts at the ends of ranges of which the owner was removed',
    insert: nested.filter(([, peer]) => peer !== 'a'),
    expect: [
      ['1.0.0.0', 'e'],
      ['64.0.0.0', 'e'],
      ['128.0.0.0', 'e'],
      ['192.0.0.0', 'e'],
      ['255.0.0.0', 'e'],
      ['192.168.4.20', 'c'],
      ['10.0.0.52', 'e'],
    ],
  },
  {
    name: 'hosts at the ends of ranges',
    insert: [
      ['1.0.0.0/32', 'a'],
      ['64.0.0.0/32', 'a'],
      ['128.0.0.0/32', 'a'],
      ['192.0.0.0/32', 'a'],
      ['255.0.0.0/32', 'a'],
    ],
    expect: [
      ['1.0.0.0', 'a'],
      ['1.0.0.1', ''],
      ['64.0.0.0', 'a'],
      ['128.0.0.0', 'a'],
      ['127.255.255.255', ''],
      ['192.0.0.0', 'a'],
      ['255.0.0.0', 'a'],
      ['255.0.0.1', ''],
    ],
  },
  {
    name: 'nothing is left of a peer that owned all',
    insert: [],
    expect: [['192.168.0.1', '']],
  },
  {
    name: 'a deep chain: hosts of all ones but for one bit',
    insert: Array.from({ length: 128 }, (_, bit) => [`${allOnesBut(bit)}/128`, 'a'] as const),
    expect: [
      ...Array.from({ length: 128 }, (_, bit) => [allOnesBut(bit), 'a'] as const),
      ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', ''],
      ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc', ''],
    ],
  },
  {
    name: 'lengths that are no multiples of 4 or 8',
    insert: [
      ['192.95.5.93/27', 'a'],
      ['2607:5300:6000:6b00::c05f:543/128', 'b'],
      ['10.1.0.20/29', 'c'],
      ['2607:5300:6d8a:6bf8:dab1:f1df:c05f:1523/83', 'd'],
      ['2607:5300:6d8a:6bf8:dab1:f1df:c05f:1523/21', 'e'],
    ],
    expect: [
      ['192.95.5.64', 'a'],
      ['192.95.5.95', 'a'],
      ['192.95.5.63', ''],
      ['10.1.0.16', 'c'],
      ['10.1.0.24', ''],
      ['2607:5300:6000:6b00::c05f:543', 'b'],
      ['2607:5300:6d8a:6bf8:dab1:e000::', 'd'],
      ['2607:5300:6d8a:6bf8:dab1:dfff::', 'e'],
      ['2607:5000::', 'e'],
      ['2607:4fff::', ''],
      ['2607:5800::', ''],
    ],
  },
]

function allOnesBut(bit: number): string {
  const words = Array.from({ length: 8 }, (_, i) =>
    (0xffff & ~(i === bit >> 4 ? 0x8000 >> (bit & 15) : 0)).toString(16),
  )
  return words.join(':')
}
