import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { publishedSubnets, reservedSubnets, SubnetBook } from '../../../src/control/subnets.ts'
import { formatPrefix, maskBytes, type Prefix, parsePrefix } from '../../../src/net/address.ts'
import { contains, overlaps } from '../../../src/net/prefix.ts'
import { prefixes, texts } from '../../support/control-world.ts'

test('what others can reach: services, then pods; with Globalnet the global CIDRs for IPv4', () => {
  const lists = {
    clusterCidrs: prefixes('10.1.0.0/16', 'fd00:1::/48'),
    serviceCidrs: prefixes('10.101.0.0/16', 'fd00:101::/112'),
  }
  assert.deepEqual(texts(publishedSubnets({ ...lists, globalCidrs: [] })), [
    ...['10.101.0.0/16', 'fd00:101::/112', '10.1.0.0/16', 'fd00:1::/48'],
  ])
  const globalCidrs = prefixes('242.0.0.0/16')
  assert.deepEqual(texts(publishedSubnets({ ...lists, globalCidrs })), [
    ...['242.0.0.0/16', 'fd00:101::/112', 'fd00:1::/48'],
  ])
})

test('whoever claims first has it, in both directions of an overlap', () => {
  const book = new SubnetBook()
  assert.deepEqual(book.claim(prefixes('10.1.0.0/16', '10.1.2.0/24', 'fd00::/48'), 'a'), [])
  const refused = book.claim(prefixes('10.0.0.0/8', '10.1.3.0/24', '10.2.0.0/16', 'fd00::/64'), 'b')
  assert.deepEqual(
    refused.map(({ prefix, by }) => [formatPrefix(prefix), formatPrefix(by.prefix), by.owner]),
    [
      ['10.0.0.0/8', '10.1.0.0/16', 'a'],
      ['10.1.3.0/24', '10.1.0.0/16', 'a'],
      ['fd00::/64', 'fd00::/48', 'a'],
    ],
  )
  const owners = [
    '10.1.0.0/16',
    '10.1.9.0/24',
    '10.2.0.0/15',
    '10.2.0.0/16',
    '10.0.0.0/8',
    'fd00::/49',
  ]
  assert.deepEqual(
    owners.map(text => book.ownerOf(parsePrefix(text))),
    ['a', 'a', undefined, 'b', undefined, 'a'],
  )
})

test('the two families have nothing to do with one another', () => {
  const book = new SubnetBook()
  book.claim(prefixes('10.0.0.0/8'), 'a')
  assert.deepEqual(book.claim(prefixes('a00::/8'), 'b'), [])
})

/** Few bits, so that prefixes meet. */
const arbitraryPrefix: fc.Arbitrary<Prefix> = fc
  .tuple(fc.nat(15), fc.integer({ min: 0, max: 5 }))
  .map(([first, bits]) => ({
    family: 4,
    bytes: maskBytes(Uint8Array.of(first << 4, 0, 0, 0), bits),
    bits,
  }))

test('the same as asking every claim that was made before', () => {
  const claims = fc.array(fc.array(arbitraryPrefix, { maxLength: 4 }), { maxLength: 8 })
  fc.assert(
    fc.property(claims, arbitraryPrefix, (lists, asked) => {
      const book = new SubnetBook()
      const had: { readonly prefix: Prefix; readonly owner: string }[] = []
      for (const [index, list] of lists.entries()) {
        const owner = String(index)
        const free = list.filter(prefix => !had.some(entry => overlaps(entry.prefix, prefix)))
        const refused = book.claim(list, owner).map(({ prefix }) => formatPrefix(prefix))
        const wanted = list.filter(prefix => !free.includes(prefix)).map(formatPrefix)
        assert.deepEqual(refused.sort(), wanted.sort())
        had.push(...free.map(prefix => ({ prefix, owner })))
      }
      const found = had.find(({ prefix }) => contains(prefix, asked))
      assert.equal(book.ownerOf(asked), found?.owner)
    }),
  )
})

test('reserved subnets do not overlap one another', () => {
  assert.deepEqual(new SubnetBook().claim(reservedSubnets, 'a'), [])
  for (const [at, one] of reservedSubnets.entries()) {
    assert.ok(!reservedSubnets.slice(at + 1).some(other => overlaps(one, other)))
  }
})
