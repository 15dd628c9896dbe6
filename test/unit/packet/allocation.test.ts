// What runs for each superpacket must not allocate: garbage of one direction would stall the other.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePrefix } from '../../../src/net/address.ts'
import { mergeEcn, outerEcn, setEcn } from '../../../src/packet/ecn.ts'
import { fragmentIpv4 } from '../../../src/packet/fragment.ts'
import { buildIcmpError, IcmpRateLimiter, icmpError } from '../../../src/packet/icmp-error.ts'
import { PacketView } from '../../../src/packet/packet-view.ts'
import { clampMss } from '../../../src/routing/mss.ts'
import { buildTrie, PrefixTrie } from '../../../src/routing/prefix-trie.ts'
import {
  inSlab,
  ipv4,
  ipv6,
  mssOption,
  pattern,
  TCP_FLAG,
  tcp,
  udp,
} from '../../support/packets.ts'

const rounds = 200_000

const triesMax = 60

/**
 * Bytes that a call leaves on the heap: measured until V8 has compiled it (its compiler runs beside
 * and may be late on a busy machine) and has no business of its own. The least that was seen.
 */
function bytesPerCall(call: (round: number) => number): number {
  let sum = 0
  const measure = (): number => {
    const before = process.memoryUsage().heapUsed
    for (let round = 0; round < rounds; round++) sum = (sum + call(round)) | 0
    return Math.abs(process.memoryUsage().heapUsed - before) / rounds
  }
  let least = measure()
  for (let tries = 0; tries < triesMax && least >= 1; tries++) least = Math.min(least, measure())
  assert(Number.isInteger(sum))
  return least
}

const syn = tcp({ flags: TCP_FLAG.SYN, options: mssOption(1460) })
// Addresses on both sides of 2^31: V8 keeps large numbers in another form than small ones.
const packets = [
  ipv4({ source: '200.1.2.3', destination: '241.0.0.9' }, syn),
  ipv4({ source: '10.1.2.3', destination: '241.0.0.9' }, syn),
  ipv6({}, syn),
]
const slabs = packets.map(packet => inSlab(packet))
const views = slabs.map(slab => new PacketView(slab))
const trie = new PrefixTrie(
  buildTrie(
    ['240.0.0.0/4', '10.0.0.0/8', 'fd01::/16'].map(text => ({
      prefix: parsePrefix(text),
      value: 3,
    })),
  ),
)
const limiter = new IcmpRateLimiter()
const out = new Uint8Array(4096)
const pieces = new Int32Array(16)
const big = inSlab(ipv4({}, udp({ payload: pattern(1200) })))

function mark(slab: Uint8Array, version: number, tos: number): number {
  const ecn = mergeEcn(2, outerEcn(tos))
  setEcn(slab, 64, version, ecn)
  return ecn
}

for (const [i, { length }] of packets.entries()) {
  const [slab, view] = [slabs[i], views[i]]
  view.decode(64, length)
  const { version, destinationOffset } = view
  const calls: readonly [name: string, call: (round: number) => number][] = [
    ['decode', () => (view.decode(64, length) ? view.source4 & 1 : 0)],
    ['flowHash', () => view.flowHash()],
    [
      'lookup',
      () =>
        version === 4 ? trie.lookup4(view.destination4) : trie.lookup6(slab, destinationOffset),
    ],
    ['clampMss', round => (clampMss(slab, view, 1420 - (round & 1023), false) ? 1 : 0)],
    ['ecn', round => mark(slab, version, round)],
    ['limiter', round => (limiter.allow(view, round) ? 1 : 0)],
    ['icmp', () => buildIcmpError(icmpError.tooBig, slab, 64, length, 1280, out, 0)],
  ]
  for (const [name, call] of calls) {
    test(`no allocation: ${name}, packet ${i}`, () => {
      const bytes = bytesPerCall(call)
      assert(bytes < 2, `${bytes} bytes a call`)
    })
  }
}

test('no allocation: fragmentIpv4', () => {
  const bytes = bytesPerCall(round =>
    round % 100 === 0 ? fragmentIpv4(big, 64, 1228, 576, out, 0, pieces) : 0,
  )
  assert.equal(fragmentIpv4(big, 64, 1228, 576, out, 0, pieces), 3)
  assert(bytes < 2, `${bytes} bytes a call`)
})
