import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newKeyPair } from '../../../bench/fleet.ts'
import {
  handshakeOf,
  initiatorsOf,
  messageOf,
  recordBytes,
  writeRecord,
} from '../../../bench/initiations.ts'
import { CookieHolder } from '../../../src/crypto/cookie.ts'
import { RESPONSE } from '../../../src/crypto/messages.ts'
import { readResponse } from '../../../src/crypto/noise.ts'
import { Protocol } from '../../../src/crypto/protocol.ts'
import { fillRandom, protocolDeps, remoteRecord, xchacha } from '../../support/protocol-deps.ts'
import { seededRandom } from '../../support/rng.ts'

test('initiations made ahead are answered, in their order, and give the keys of a session', () => {
  const random = seededRandom(1)
  const deps = protocolDeps(random)
  const [gateway, peer] = [newKeyPair(), newKeyPair()]
  const protocol = new Protocol(deps)
  protocol.setPrivateKey(gateway.privateKey, 0)
  protocol.addPeer(0, { publicKey: peer.publicKey, keepaliveSeconds: 0 }, 0)
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
  const fleet = { gateway: base64(gateway.publicKey), privateKeys: [base64(peer.privateKey)] }
  const [initiator] = initiatorsOf(fleet)
  const holder = new CookieHolder(xchacha, gateway.publicKey)
  for (let round = 0; round < 3; round++) {
    const record = new Uint8Array(recordBytes)
    writeRecord(deps.aead, initiator, record, round, round, 1_000, bytes =>
      fillRandom(random, bytes),
    )
    const message = messageOf(record)
    holder.stamp(message, round * 100)
    protocol.receive(message, remoteRecord([192, 0, 2, 1], 1), round * 100)
    protocol.step(round * 100, 0)
    const actions = protocol.actions.splice(0)
    const sent = actions.find(action => action.kind === 'send')
    const made = actions.find(action => action.kind === 'keypair')
    assert.ok(sent && made, `round ${round} was answered`)
    const keys = readResponse(
      deps.aead,
      handshakeOf(deps.aead, initiator, record),
      initiator.identity,
      new Uint8Array(32),
      sent.message.subarray(RESPONSE.NOISE, RESPONSE.NOISE_END),
      new Uint8Array(0),
    )
    assert.deepEqual(keys?.send, made.keypair.receiveKey)
    assert.deepEqual(keys?.receive, made.keypair.sendKey)
  }
})
