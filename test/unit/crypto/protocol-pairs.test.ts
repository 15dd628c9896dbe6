// Several engines that share the peers of one device: each gives out indices of its own, and an
// initiation that arrives at the wrong one is handed over.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { INITIATION, RESPONSE, readIndex } from '../../../src/crypto/messages.ts'
import { Protocol, type ProtocolAction } from '../../../src/crypto/protocol.ts'
import { importPrivateKey, publicKeyOf } from '../../../src/crypto/x25519.ts'
import { drop } from '../../../src/tables/counters.ts'
import { protocolDeps, remoteRecord } from '../../support/protocol-deps.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

const wallMs = Date.UTC(2026, 0, 1)
const nowMs = 1000

function secretOf(byte: number): Uint8Array {
  return new Uint8Array(32).fill(byte)
}

const publicOf = (byte: number) => publicKeyOf(importPrivateKey(secretOf(byte)))

function engine(random: () => number, secret: number, pair: number, pairs: number): Protocol {
  const protocol = new Protocol({ ...protocolDeps(random), place: { pair, pairs } })
  protocol.setPrivateKey(secretOf(secret), nowMs)
  return protocol
}

function only<K extends ProtocolAction['kind']>(protocol: Protocol, kind: K) {
  const found = protocol.actions.filter(action => action.kind === kind)
  assert.equal(found.length, 1, `${kind} in ${protocol.actions.map(action => action.kind)}`)
  return found[0] as ProtocolAction & { kind: K }
}

test('an initiation is handed over to the engine that has the peer, which answers', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const initiator = engine(random, 1, 0, 1)
  const peer = { publicKey: publicOf(2), keepaliveSeconds: 0 }
  initiator.addPeer(0, peer, nowMs)
  const first = engine(random, 2, 0, 4)
  const owner = engine(random, 2, 3, 4)
  owner.addPeer(7, { publicKey: publicOf(1), keepaliveSeconds: 0 }, nowMs)
  const ciphers = { accepted: ['chacha20-poly1305'], preferred: 'chacha20-poly1305' } as const
  first.addElsewhere({ cable: 7, pair: 3, publicKey: publicOf(1), ciphers })

  initiator.wantHandshake(0, nowMs, wallMs)
  const { message } = only(initiator, 'send')
  const from = remoteRecord([192, 0, 2, 1], 51_820)
  assert.equal(first.receive(message, from, nowMs), drop.none)
  assert.ok(first.step(nowMs, wallMs))
  const handed = only(first, 'handOver')
  assert.deepEqual([handed.pair, handed.cable], [3, 7])
  assert.deepEqual(handed.message, message)
  assert.deepEqual(handed.remote, from)
  assert.equal(first.dropped.length, 0)

  owner.suspend()
  assert.equal(owner.accept(handed.message, handed.remote), drop.deviceDown)
  assert.equal(owner.step(nowMs, wallMs), false)
  owner.resume(nowMs)
  assert.equal(owner.accept(handed.message, handed.remote), drop.none)
  assert.ok(owner.step(nowMs, wallMs))
  const answer = only(owner, 'send').message
  assert.equal(answer[0], RESPONSE.TYPE, `seed ${seed}`)
  assert.equal(readIndex(answer, RESPONSE.SENDER) & 3, 3, `seed ${seed}`)

  first.removeElsewhere(7)
  first.actions.length = 0
  first.receive(message, from, nowMs)
  first.step(nowMs, wallMs)
  assert.deepEqual(first.dropped, [{ cable: -1, reason: drop.unknownPeer }])
  assert.equal(first.actions.length, 0)
})

test('receiver indices name their pair in the low bits', () => {
  const random = seededRandom(testSeed())
  for (const pairs of [1, 2, 4, 8]) {
    const seen = new Set<number>()
    for (let pair = 0; pair < pairs; pair++) {
      const protocol = engine(random, 2, pair, pairs)
      for (let cable = 0; cable < 8; cable++) {
        const publicKey = publicOf(10 + cable)
        protocol.addPeer(cable, { publicKey, keepaliveSeconds: 0 }, nowMs)
        protocol.wantHandshake(cable, nowMs, wallMs)
      }
      for (const action of protocol.actions) {
        if (action.kind !== 'send') continue
        const index = readIndex(action.message, INITIATION.SENDER)
        assert.equal(index & (pairs - 1), pair)
        seen.add(index)
      }
    }
    assert.equal(seen.size, 8 * pairs)
  }
})
