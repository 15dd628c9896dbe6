// The local address that a peer was heard on goes away, and the inbound worker's own datagrams are the
// first to find out.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writeRemote } from '../../../src/cable/remotes.ts'
import { buildInbound, type NativePath } from '../../../src/datapath/build.ts'
import { type Context, type ContextMemory, loadNative } from '../../../src/native.ts'
import { parseRemote } from '../../../src/net/address.ts'
import { STATE, TRAIN } from '../../../src/packet/batch.ts'
import { createSharedMemory } from '../../../src/tables/memory.ts'
import { CABLE, REMOTE } from '../../../src/tables/shared.ts'
import { fillRandom, xchacha } from '../../support/protocol-deps.ts'
import { seededRandom } from '../../support/rng.ts'
import { newKeyPair } from '../../support/sim/pair.ts'

const EINVAL = 22
const nowMs = 1_000_000
const cable = 3
const random = seededRandom(1)

test('a refused source is taken from the remote in the same breath, without a wake-up', () => {
  const addon = loadNative()
  const memory = createSharedMemory()
  const contexts = new Map<Context, ContextMemory>()
  const sources: number[] = []
  const native: NativePath = {
    ...addon,
    receiveUdp: () => 0,
    createContext(batch) {
      const context = addon.createContext(batch)
      contexts.set(context, batch)
      return context
    },
    /** Takes what has no source of its own. */
    sendUdp(context, first, end) {
      const { trains, state } = contexts.get(context) as ContextMemory
      const source = trains[first * TRAIN.WORDS + TRAIN.REMOTE + (REMOTE.SOURCE >> 2)]
      sources.push(source)
      state[STATE.ERRNO] = source === 0 ? 0 : EINVAL
      return source === 0 ? end : first
    },
  }
  const { inbound, wireguard, outbox, publisher } = buildInbound({
    ...{ native, memory, tunFd: 1, coalesce: 0, xchacha, autoCiphers: ['chacha20-poly1305'] },
    random: bytes => void fillRandom(random, bytes),
    wallNowMs: () => 1.7e12,
    monotonicMs: () => nowMs,
    wakeOutbound: () => {},
    wakeInbound: () => {},
    foreignSink: () => true,
  })
  outbox.useSockets(7, 8)
  wireguard.setPrivateKey(newKeyPair().privateKey, nowMs)
  const remote = parseRemote('192.0.2.1:4500')
  inbound.setCable(
    cable,
    {
      ...{ name: 'west', driver: 'wireguard', publicKey: newKeyPair().publicKey, remote },
      ...{ remoteSerial: 1, allowedIps: [], keepaliveSeconds: 0 },
    },
    1420,
    nowMs,
  )
  const heardOn = writeRemote(new Uint8Array(REMOTE.BYTES), remote)
  heardOn.set([192, 0, 2, 9], REMOTE.SOURCE)
  publisher.setRemote(cable, heardOn)

  wireguard.wanted(cable, nowMs)
  inbound.breathe(nowMs, false)
  assert.equal(sources.length, 2)
  assert.equal(sources[1], 0)
  assert.deepEqual(publisher.remoteRecord(cable), heardOn.fill(0, REMOTE.SOURCE))
  assert.equal(memory.cables[cable * CABLE.WORDS + CABLE.SOURCE_FAILED], 0)
})
