// The AES form of handshake and data message, bit by bit: the engine plays the recorded exchange, and
// the addon seals and opens the recorded data messages under the keys that came out of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Keypair, type PeerCiphers, Protocol } from '../../../src/crypto/protocol.ts'
import { importPrivateKey, publicKeyOf } from '../../../src/crypto/x25519.ts'
import { loadNative } from '../../../src/native.ts'
import { ROW, ROW_HEADROOM } from '../../../src/packet/batch.ts'
import { drop } from '../../../src/tables/counters.ts'
import { method } from '../../../src/tables/shared.ts'
import { publishSlot, writePort } from '../../support/key-slots.ts'
import { createTestContext, getRow, setRow, setTrain } from '../../support/native-context.ts'
import { fromHex, protocolDeps, remoteRecord, toHex } from '../../support/protocol-deps.ts'
import { forgetTrains, sealedTrains } from '../../support/sealed-trains.ts'
import { aesTranscript as vector } from '../../vectors/aes-transcript.ts'

const aes: PeerCiphers = {
  accepted: ['aes-256-gcm', 'chacha20-poly1305'],
  preferred: 'aes-256-gcm',
}
const filled = (byte: number) => new Uint8Array(32).fill(byte)
/** The wall clock of the stamp: 2^62 + 10 s + 1.7e9 s, and 200 ms. */
const wallMs = (0x6553f10a - 10) * 1000 + 200

/** An engine whose handshake AEAD is the addon's, and whose randomness is that of the vector. */
function engine(secret: number, ephemeral: number, index: number): Protocol {
  const random = (bytes: Uint8Array): void => {
    if (bytes.length === 4) new DataView(bytes.buffer).setUint32(0, index, true)
    else bytes.fill(ephemeral)
  }
  const deps = protocolDeps(() => 0)
  const protocol = new Protocol({ ...deps, aead: loadNative().handshakeAead, random })
  protocol.setPrivateKey(filled(secret), 0)
  return protocol
}

function addPeer(protocol: Protocol, secret: number): void {
  const publicKey = publicKeyOf(importPrivateKey(filled(secret)))
  const presharedKey = filled(vector.presharedKey)
  protocol.addPeer(0, { publicKey, presharedKey, keepaliveSeconds: 0, ciphers: aes }, 0)
}

interface Outcome {
  readonly message: string
  readonly keypair: { readonly send: string; readonly receive: string; readonly method: number }
}

/** The handshake message and the keys that the engine's actions hold. */
function outcomeOf(protocol: Protocol): Partial<Outcome> {
  let outcome: Partial<Outcome> = {}
  for (const action of protocol.actions.splice(0)) {
    if (action.kind === 'send') outcome = { ...outcome, message: toHex(action.message) }
    if (action.kind !== 'keypair') continue
    const { keypair } = action
    assert.ok(keypair instanceof Keypair)
    const [send, receive] = [toHex(keypair.sendKey), toHex(keypair.receiveKey)]
    outcome = { ...outcome, keypair: { send, receive, method: keypair.method } }
  }
  return outcome
}

test('the engine plays the recorded handshake', () => {
  const initiator = engine(vector.initiatorStatic, vector.initiatorEphemeral, vector.initiatorIndex)
  const responder = engine(vector.responderStatic, vector.responderEphemeral, vector.responderIndex)
  addPeer(initiator, vector.responderStatic)
  addPeer(responder, vector.initiatorStatic)
  const from = remoteRecord([192, 0, 2, 1], 4500)

  initiator.wantHandshake(0, 1000, wallMs)
  assert.equal(outcomeOf(initiator).message, vector.initiation)

  assert.equal(responder.receive(fromHex(vector.initiation), from, 1000), drop.none)
  responder.step(1000, wallMs)
  assert.deepEqual(responder.dropped, [])
  const keys = [vector.responderSends, vector.initiatorSends]
  const keypair = { send: keys[0], receive: keys[1], method: method.aes256Gcm }
  assert.deepEqual(outcomeOf(responder), { message: vector.response, keypair })

  assert.equal(initiator.receive(fromHex(vector.response), from, 1001), drop.none)
  initiator.step(1001, wallMs)
  assert.deepEqual(initiator.dropped, [])
  const mirrored = { send: keys[1], receive: keys[0], method: method.aes256Gcm }
  assert.deepEqual(outcomeOf(initiator).keypair, mirrored)
})

const remote = 1

/** A context with a slot for each side, whose local indices are those of the vector. */
function keyed() {
  const context = createTestContext()
  const base = { method: method.aes256Gcm, rejectAfterMessages: 2n ** 53n }
  const [toResponder, toInitiator] = [
    fromHex(vector.initiatorSends),
    fromHex(vector.responderSends),
  ]
  publishSlot(context.shared, {
    ...{ ...base, slot: 0, cable: 0, generation: 901, sendCounter: 0n },
    ...{ localIndex: vector.initiatorIndex, remoteIndex: vector.responderIndex },
    ...{ sendKey: toResponder, receiveKey: toInitiator },
  })
  publishSlot(context.shared, {
    ...{ ...base, slot: 1, cable: 1, generation: 902, sendCounter: vector.lateNumber },
    ...{ localIndex: vector.responderIndex, remoteIndex: vector.initiatorIndex },
    ...{ sendKey: toInitiator, receiveKey: toResponder },
  })
  writePort(context.shared, remote, 4500)
  return context
}

test('the addon seals the recorded data messages', () => {
  const context = keyed()
  const { memory, native } = context
  const packet = fromHex(vector.packet)
  const seal = (slot: number, length: number): string => {
    memory.slab.set(packet, ROW_HEADROOM)
    setRow(memory, 0, {
      ...{ OFFSET: ROW_HEADROOM, LENGTH: length, SEGMENTS: 1, SLOT: slot, REMOTE: remote },
      ...{ FD: 9, CABLE: slot, PAD: 1420 | (64 << 16) },
    })
    assert.equal(native.seal(context.context, 0, 1), 1)
    const [train] = sealedTrains(memory)
    forgetTrains(memory)
    return toHex(train.datagrams[0])
  }
  assert.equal(seal(0, 0), vector.keepalive)
  assert.equal(seal(0, packet.length), vector.first)
  assert.equal(seal(1, packet.length), vector.late)
})

test('the addon opens the recorded data messages', () => {
  const messages = [vector.keepalive, vector.first, vector.late]
  messages.forEach((text, at) => {
    const context = keyed()
    const { memory, native } = context
    const bytes = fromHex(text)
    memory.slab.set(bytes, 64)
    const from = { family: 4, port: 4500, address: [192, 0, 2, 1] } as const
    const words = { OFFSET: 64, LENGTH: bytes.length, SEGMENT_SIZE: bytes.length, SLOT: -1 }
    setTrain(memory, 0, words, from)
    assert.equal(native.open(context.context, 0, 1, 1), 1)
    assert.equal(getRow(memory, 0, 'SLOT'), at === 2 ? 0 : 1)
    if (at === 0) return
    const offset = memory.rows[ROW.OFFSET]
    const opened = memory.slab.subarray(offset, offset + memory.rows[ROW.LENGTH])
    assert.equal(toHex(opened), vector.packet)
  })
})
