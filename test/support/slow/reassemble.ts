// Puts IPv4 fragments together again (RFC 791 3.2): the twin of packet/fragment.ts.

import assert from 'node:assert/strict'
import { slowDecode } from './packet.ts'

export interface Reassembled {
  /** Of the first fragment. */
  readonly options: Uint8Array
  readonly payload: Uint8Array
  /** Bytes of the payload in front of the first fragment, when that is not at 0. */
  readonly startsAt: number
  /** Whether more of the datagram follows the last fragment. */
  readonly moreFollows: boolean
}

/** Takes the fragments of one datagram in any order. Fails when they overlap or leave a gap. */
export function reassemble(fragments: readonly Uint8Array[]): Reassembled {
  const parts = fragments.map(fragment => {
    const packet = slowDecode(fragment)
    assert(packet !== undefined, 'a fragment is malformed')
    return packet
  })
  parts.sort((a, b) => a.fragmentOffset - b.fragmentOffset)
  const [first] = parts
  const last = parts[parts.length - 1]
  let at = first.fragmentOffset
  for (const part of parts) {
    assert.equal(part.fragmentOffset, at, 'fragments overlap or leave a gap')
    assert.deepEqual(part.source, first.source)
    assert.deepEqual(part.destination, first.destination)
    assert.equal(part.protocol, first.protocol)
    assert.equal(part.identification, first.identification)
    assert.equal(part.tos, first.tos)
    assert.equal(part.hopLimit, first.hopLimit)
    if (part !== last)
      assert(part.moreFragments, 'a fragment in the middle says that it is the last')
    at += part.payload.length
  }
  return {
    options: first.options,
    payload: Buffer.concat(parts.map(part => part.payload)),
    startsAt: first.fragmentOffset,
    moreFollows: last.moreFragments,
  }
}
