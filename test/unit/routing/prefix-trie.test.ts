import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type Address,
  maskBytes,
  type Prefix,
  parseAddress,
  parsePrefix,
} from '../../../src/net/address.ts'
import {
  buildTrie,
  type PrefixEntry,
  type PrefixTable,
  PrefixTrie,
} from '../../../src/routing/prefix-trie.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { SlowRouter } from '../../support/slow/router.ts'
import { allowedIps } from '../../vectors/allowed-ips.ts'

/** Looks an address up, IPv6 in the middle of other bytes. */
function lookup(trie: PrefixTrie, { family, bytes }: Address): number {
  if (family === 4) {
    const signed = Buffer.from(bytes).readInt32BE()
    const value = trie.lookup4(signed)
    assert.equal(trie.lookup4(signed >>> 0), value, 'signed and unsigned must not differ')
    return value
  }
  const slab = new Uint8Array(40).fill(0x5a)
  slab.set(bytes, 9)
  return trie.lookup6(slab, 9)
}

function build(routes: Readonly<Record<string, number>>): PrefixTrie {
  const entries = Object.entries(routes)
  return new PrefixTrie(
    buildTrie(entries.map(([text, value]) => ({ prefix: parsePrefix(text), value }))),
  )
}

function check(trie: PrefixTrie, expected: Readonly<Record<string, number>>): void {
  for (const [address, value] of Object.entries(expected))
    assert.equal(lookup(trie, parseAddress(address)), value, address)
}

for (const { name, insert, expect } of allowedIps) {
  test(`allowed-IP vectors of the kernel: ${name}`, () => {
    // Peers are numbered by their letter; host bits stay in, for the table must mask them itself.
    const entries = insert.map(([text, peer]): PrefixEntry => {
      const [address, bits] = text.split('/')
      return {
        prefix: { ...parseAddress(address), bits: Number(bits) },
        value: peer.charCodeAt(0) - 97,
      }
    })
    const trie = new PrefixTrie(buildTrie(entries))
    for (const [address, peer] of expect) {
      const value = peer === '' ? -1 : peer.charCodeAt(0) - 97
      assert.equal(lookup(trie, parseAddress(address)), value, address)
    }
  })
}

test('an empty table holds nothing', () => {
  check(build({}), { '0.0.0.0': -1, '255.255.255.255': -1, '::': -1, 'ffff::': -1 })
})

test('the families are apart', () => {
  check(build({ '0.0.0.0/0': 4 }), { '0.0.0.0': 4, '255.255.255.255': 4, '::': -1, '::1': -1 })
  check(build({ '::/0': 6 }), { '0.0.0.0': -1, '10.0.0.1': -1, '::': 6, 'ffff::ffff': 6 })
})

test('a default route, a host in it, and a prefix of every length around the host', () => {
  const host = { 4: '170.187.204.221', 6: '2001:db8:1:2:3:4:5:6' } as const
  for (const family of [4, 6] as const) {
    const most = family === 4 ? 32 : 128
    const { bytes } = parseAddress(host[family])
    const prefix = (bits: number): Prefix => ({
      family,
      bytes: maskBytes(bytes.slice(), bits),
      bits,
    })
    const all = Array.from({ length: most + 1 }, (_, bits) => ({
      prefix: prefix(bits),
      value: bits,
    }))
    const trie = new PrefixTrie(buildTrie(all))
    // With bit n turned, the longest prefix that still holds the address is that of length n.
    for (let bit = 0; bit < most; bit++) {
      const other = bytes.slice()
      other[bit >> 3] ^= 0x80 >> (bit & 7)
      assert.equal(lookup(trie, { family, bytes: other }), bit)
    }
    assert.equal(lookup(trie, { family, bytes }), most)
    // Alone, each holds exactly its own.
    for (let bits = 0; bits <= most; bits++) {
      const alone = new PrefixTrie(buildTrie([{ prefix: prefix(bits), value: 7 }]))
      assert.equal(lookup(alone, { family, bytes }), 7)
      for (const bit of [bits - 1, bits].filter(bit => bit >= 0 && bit < most)) {
        const other = bytes.slice()
        other[bit >> 3] ^= 0x80 >> (bit & 7)
        assert.equal(lookup(alone, { family, bytes: other }), bit < bits ? -1 : 7)
      }
    }
  }
})

test('of a prefix given twice the last value holds, host bits or not', () => {
  const twice = [
    { prefix: parsePrefix('10.0.0.0/8'), value: 1 },
    { prefix: parsePrefix('10.0.0.0/9'), value: 2 },
    { prefix: { ...parseAddress('10.7.7.7'), bits: 8 }, value: 3 },
  ]
  check(new PrefixTrie(buildTrie(twice)), { '10.0.0.1': 2, '10.200.0.1': 3 })
  check(new PrefixTrie(buildTrie(twice.toReversed())), { '10.0.0.1': 2, '10.200.0.1': 1 })
})

test('the greatest value, and value 0', () => {
  const trie = build({ '10.0.0.0/8': 0x7fff_fffd, '11.0.0.0/8': 0, '::/0': 0 })
  check(trie, { '10.1.1.1': 0x7fff_fffd, '11.1.1.1': 0, '12.0.0.0': -1, '::': 0 })
})

test('an entry that no address can have is our bug', () => {
  const entry = (bits: number, value: number) => [
    { prefix: { ...parseAddress('10.0.0.0'), bits }, value },
  ]
  for (const [bits, value] of [
    [33, 0],
    [-1, 0],
    [8, -1],
    [8, 1.5],
    [8, 0x7fff_fffe],
  ])
    assert.throws(() => buildTrie(entry(bits, value)), { code: 'ERR_ASSERTION' })
})

/** Random prefixes of which many lie within each other, as the kernel's selftest makes them. */
function randomEntries(random: () => number, count: number): PrefixEntry[] {
  const entries: PrefixEntry[] = []
  for (let i = 0; i < count; i++) {
    const family = random() < 0.5 ? 4 : 6
    const most = family === 4 ? 32 : 128
    const similar = entries[Math.floor(random() * entries.length)]
    const bytes = Uint8Array.from({ length: most / 8 }, () => random() * 256)
    if (similar?.prefix.family === family && random() < 0.8) {
      // Shares a random number of leading bits with one before.
      const shared = Math.floor(random() * (most + 1))
      const head = maskBytes(similar.prefix.bytes.slice(), shared)
      const tail = bytes.map(
        (byte, k) => byte & ~(0xff00 >> Math.min(8, Math.max(0, shared - k * 8))),
      )
      for (const k of bytes.keys()) bytes[k] = head[k] | tail[k]
    }
    const bits = Math.floor(random() * (most + 1))
    const prefix = { family, bytes: maskBytes(bytes, bits), bits } as const
    entries.push({ prefix, value: Math.floor(random() * 1000) })
  }
  return entries
}

/** Addresses at and around the borders of prefixes, and some anywhere. */
function* probes(random: () => number, entries: readonly PrefixEntry[]): Iterable<Address> {
  for (const { prefix } of entries) {
    const { family, bytes, bits } = prefix
    yield { family, bytes }
    const last = bytes.map((byte, k) => byte | (0xff >> Math.min(8, Math.max(0, bits - k * 8))))
    yield { family, bytes: last }
    const near = last.slice()
    const bit = Math.floor(random() * bytes.length * 8)
    near[bit >> 3] ^= 0x80 >> (bit & 7)
    yield { family, bytes: near }
    yield { family, bytes: bytes.map(() => random() * 256) }
  }
}

for (const [rounds, count] of [
  [300, 10],
  [30, 100],
  [3, 1500],
] as const) {
  test(`${rounds} random tables of ${count} prefixes equal the list`, () => {
    const seed = testSeed()
    const random = seededRandom(seed)
    for (let round = 0; round < rounds; round++) {
      const entries = randomEntries(random, count)
      const slow = new SlowRouter()
      for (const { prefix, value } of entries) slow.add(prefix, value)
      const trie = new PrefixTrie(buildTrie(entries))
      for (const address of probes(random, entries.slice(0, 150)))
        assert.equal(lookup(trie, address), slow.lookup(address), `seed ${seed}, round ${round}`)
    }
  })
}

test('every table of a few short prefixes equals the list, for every address', () => {
  const prefix = fc.record({ top: fc.nat(255), bits: fc.nat(9), value: fc.nat(9) })
  fc.assert(
    fc.property(fc.array(prefix, { maxLength: 12 }), fc.boolean(), (rows, isV4) => {
      const family = isV4 ? 4 : 6
      const slow = new SlowRouter()
      const address = (top: number, next: number) => {
        const bytes = new Uint8Array(isV4 ? 4 : 16)
        bytes.set([top, next])
        return bytes
      }
      const entries = rows.map(({ top, bits, value }) => {
        const masked = { family, bytes: maskBytes(address(top, 0x80), bits), bits } as const
        slow.add(masked, value)
        return { prefix: masked, value }
      })
      const trie = new PrefixTrie(buildTrie(entries))
      for (let top = 0; top < 256; top += 1 + (top & 3))
        for (const next of [0, 0x80]) {
          const probe = { family, bytes: address(top, next) } as const
          assert.equal(lookup(trie, probe), slow.lookup(probe))
        }
    }),
    { seed: testSeed(), numRuns: 200 },
  )
})

function megabytes(table: PrefixTable): number {
  return table.words.byteLength / 2 ** 20
}

test('130 560 prefixes take little memory and are all found', () => {
  // As the kernel's netns.sh configures them: half IPv4, half IPv6 host prefixes, side by side.
  const entries: PrefixEntry[] = []
  for (let i = 0; i < 65_280; i++) {
    const tail = [i >> 8, i & 255]
    const v4 = { family: 4, bytes: Uint8Array.of(10, 9, ...tail), bits: 32 } as const
    const v6 = {
      family: 6,
      bytes: Uint8Array.of(0xab, 0xcd, ...tail.flatMap(b => [0, b]), 0, 0, 0, 0, 0, 0, 0, 1, 0, 0),
      bits: 112,
    } as const
    entries.push({ prefix: v4, value: i }, { prefix: v6, value: i })
  }
  const table = buildTrie(entries)
  assert(megabytes(table) < 8, `${megabytes(table)} MB`)
  const trie = new PrefixTrie(table)
  for (const { prefix, value } of entries) assert.equal(lookup(trie, prefix), value)
  check(trie, { '10.10.0.0': -1, '10.9.255.0': -1, 'abcd::2:0:0': -1 })
})

test('100 000 random IPv6 prefixes stay within the memory that the file promises', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  for (const host of [true, false]) {
    const entries = Array.from({ length: 100_000 }, (_, value): PrefixEntry => {
      const bits = host ? 128 : Math.floor(random() * 129)
      const bytes = maskBytes(
        Uint8Array.from({ length: 16 }, () => random() * 256),
        bits,
      )
      return { prefix: { family: 6, bytes, bits }, value }
    })
    const table = buildTrie(entries)
    assert(megabytes(table) < 10, `${megabytes(table)} MB, seed ${seed}`)
    const trie = new PrefixTrie(table)
    const exact = host ? entries : entries.filter(({ prefix }) => prefix.bits > 64)
    // Prefixes that hold each other are all but impossible at these lengths.
    const found = exact.filter(({ prefix, value }) => lookup(trie, prefix) === value)
    assert(found.length > exact.length - 10, `seed ${seed}`)
  }
})

test('no set of prefixes takes more than 260 bytes each', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  // The worst that we know: pairs that part at the end of long ways, where nothing is shared.
  const entries = Array.from({ length: 2000 }, (_, value): PrefixEntry => {
    const bytes = Uint8Array.from({ length: 16 }, () => random() * 256)
    return { prefix: { family: 6, bytes, bits: 127 }, value }
  }).flatMap(({ prefix, value }) => [
    { prefix: { ...prefix, bytes: prefix.bytes.with(15, prefix.bytes[15] & 0xf0) }, value },
    { prefix: { ...prefix, bytes: prefix.bytes.with(15, prefix.bytes[15] | 0x0f) }, value },
  ])
  const bytes = buildTrie(entries).words.byteLength
  assert(bytes < entries.length * 260, `${bytes / entries.length} a prefix, seed ${seed}`)
})

test('two readers of one table, which lies in shared memory', () => {
  const table = buildTrie([{ prefix: parsePrefix('10.0.0.0/8'), value: 5 }])
  assert(table.words.buffer instanceof SharedArrayBuffer)
  const copy = structuredClone(table)
  assert.notEqual(copy.words, table.words)
  for (const words of [table, copy]) check(new PrefixTrie(words), { '10.1.1.1': 5, '11.0.0.0': -1 })
})
