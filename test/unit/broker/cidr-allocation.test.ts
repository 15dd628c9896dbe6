import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocateCidr } from '../../../src/broker/cidr-allocation.ts'
import type { CidrBook } from '../../../src/kube/resources/cidr-book.ts'
import { formatPrefix, parsePrefix } from '../../../src/net/address.ts'
import { GatewayError } from '../../../src/net/errors.ts'

function bookWith(
  range: string | undefined,
  entries: Readonly<Record<string, string>> = {},
  clusterSize = 65_536,
): CidrBook {
  return {
    isEnabled: true,
    range: range === undefined ? undefined : parsePrefix(range),
    clusterSize,
    entries: Object.entries(entries).map(([clusterId, cidr]) => ({
      clusterId,
      cidrs: [parsePrefix(cidr)],
    })),
  }
}

interface Row {
  readonly book: CidrBook
  readonly size?: number
  readonly cidr?: string
  /** The block, or the code of the error. */
  readonly gives: string
}

const taken = { a: '242.0.0.0/16', b: '242.1.0.0/16' }

const rows: readonly Row[] = [
  { book: bookWith('242.0.0.0/8'), gives: '242.0.0.0/16' },
  { book: bookWith('242.0.0.0/8', taken), gives: '242.2.0.0/16' },
  // What somebody left is given out again.
  { book: bookWith('242.0.0.0/8', { b: '242.1.0.0/16' }), gives: '242.0.0.0/16' },
  // Its own stays, whatever is asked for.
  { book: bookWith('242.0.0.0/8', { ...taken, me: '242.9.0.0/16' }), gives: '242.9.0.0/16' },
  { book: bookWith('242.0.0.0/8', taken), size: 200, gives: '242.2.0.0/24' },
  { book: bookWith('242.0.0.0/8', taken), size: 257, gives: '242.2.0.0/23' },
  // Behind a small one at the next multiple of the larger.
  { book: bookWith('242.0.0.0/8', { a: '242.0.0.0/24' }), gives: '242.1.0.0/16' },
  { book: bookWith('242.0.0.0/8', { a: '242.0.0.0/10' }), gives: '242.64.0.0/16' },
  { book: bookWith('242.0.0.0/15'), gives: '242.0.0.0/16' },
  { book: bookWith('242.0.0.0/16'), gives: 'CIDR_EXHAUSTED' },
  { book: bookWith('242.0.0.0/15', taken), gives: 'CIDR_EXHAUSTED' },
  { book: bookWith(undefined), gives: 'CIDR_EXHAUSTED' },
  { book: bookWith('242.0.0.0/8', taken, 0), gives: '242.2.0.0/16' },
  { book: bookWith('242.0.0.0/8', taken), cidr: '242.7.0.0/24', gives: '242.7.0.0/24' },
  { book: bookWith('242.0.0.0/8', taken), cidr: '242.0.128.0/24', gives: 'CIDR_TAKEN' },
  {
    book: bookWith('242.0.0.0/8', { me: '242.0.0.0/16' }),
    cidr: '242.5.0.0/16',
    gives: '242.5.0.0/16',
  },
  { book: bookWith('fd00:242::/48'), gives: 'fd00:242::/112' },
]

test('blocks are given out as the operator does', () => {
  for (const { book, size, cidr, gives } of rows) {
    const wish = { clusterId: 'me', size, cidr: cidr === undefined ? undefined : parsePrefix(cidr) }
    let given: string
    try {
      const { cidrs, book: after } = allocateCidr(book, wish, 65_536)
      given = cidrs.map(formatPrefix).join()
      const own = after.entries.find(({ clusterId }) => clusterId === 'me')
      assert.equal(own?.cidrs.map(formatPrefix).join(), given)
      // Asked again it says the same, and has nothing to write.
      assert.equal(allocateCidr(after, wish, 65_536).book, after)
    } catch (error) {
      assert.ok(error instanceof GatewayError, String(error))
      given = error.code
    }
    assert.equal(given, gives)
  }
})

test('whose block it is, is said', () => {
  const wish = { clusterId: 'me', size: undefined, cidr: parsePrefix('242.1.2.0/24') }
  assert.throws(
    () => allocateCidr(bookWith('242.0.0.0/8', taken), wish, 65_536),
    /242\.1\.2\.0\/24 overlaps with 242\.1\.0\.0\/16 of the cluster b/,
  )
})
