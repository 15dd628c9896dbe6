// Handshakes and traffic share the inbound worker: one handshake a breath, and while some wait a
// breath takes more of the traffic that is there.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CookieHolder } from '../../../src/crypto/cookie.ts'
import { importPrivateKey, publicKeyOf } from '../../../src/crypto/x25519.ts'
import { buildInbound } from '../../../src/datapath/build.ts'
import type { ContextMemory } from '../../../src/native.ts'
import { KIND, ROW } from '../../../src/packet/batch.ts'
import { buildTrie } from '../../../src/routing/prefix-trie.ts'
import { drop, noCable, readCounter } from '../../../src/tables/counters.ts'
import { createSharedMemory } from '../../../src/tables/memory.ts'
import { fillRandom, protocolDeps, xchacha } from '../../support/protocol-deps.ts'
import { seededRandom } from '../../support/rng.ts'

const privateKey = new Uint8Array(32).fill(7)
const initiationBytes = 148

/** An inbound half whose socket always has `trains` trains, with `messages` initiations in the first. */
function makeInbound(trains: number, messages: number) {
  const random = seededRandom(1)
  const contexts: ContextMemory[] = []
  const memory = createSharedMemory()
  let left = messages
  let receives = 0
  const rowsOf = ({ rows }: ContextMemory): number => {
    const count = left
    left = 0
    for (let row = 0; row < count; row++) {
      rows[row * ROW.WORDS + ROW.KIND] = KIND.message
      rows[row * ROW.WORDS + ROW.CABLE] = -1
      rows[row * ROW.WORDS + ROW.LENGTH] = initiationBytes
    }
    return count
  }
  const { aead, ...deps } = protocolDeps(random)
  const built = buildInbound({
    native: {
      createContext: memory => contexts.push(memory) - 1,
      poll: () => 0,
      readTun: () => 0,
      writeTun: () => 0,
      receiveUdp() {
        receives++
        return trains
      },
      sendUdp: (_context, _first, end) => end,
      seal: (_context, _first, end) => end,
      open: context => rowsOf(contexts[context]),
      handshakeAead: aead,
    },
    ...{ memory, tunFd: 1, coalesce: 0, autoCiphers: [], ...deps },
    wallNowMs: () => 0,
    monotonicMs: () => 0,
    wakeOutbound: () => {},
    wakeInbound: () => {},
    foreignSink: () => true,
  })
  // Its sender knows the key and nothing else: right mac1, and no handshake behind it.
  const message = fillRandom(random, new Uint8Array(initiationBytes))
  message.set([1, 0, 0, 0])
  new CookieHolder(xchacha, publicKeyOf(importPrivateKey(privateKey))).stamp(message, 0)
  built.batch.slab.set(message)
  built.wireguard.setPrivateKey(privateKey, 0)
  built.inbound.apply(buildTrie([]), [7])
  return () => {
    const before = receives
    built.inbound.breathe(1000, false)
    const made = readCounter(memory, noCable, drop.handshakeDecryptFailed)
    return [receives - before, made]
  }
}

test('while handshakes wait, a breath takes more trains and makes one of them', () => {
  const breathe = makeInbound(4, 3)
  assert.deepEqual(breathe(), [1, 1])
  assert.deepEqual(breathe(), [4, 2])
  assert.deepEqual(breathe(), [4, 3])
  // The queue is seen to be empty here.
  assert.deepEqual(breathe(), [4, 3])
  assert.deepEqual(breathe(), [1, 3])
})

test('a socket that has given all it had is not asked again', () => {
  const breathe = makeInbound(3, 3)
  assert.deepEqual(breathe(), [1, 1])
  assert.deepEqual(breathe(), [1, 2])
})
