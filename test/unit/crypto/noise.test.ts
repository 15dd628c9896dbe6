import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gcm } from '@noble/ciphers/aes.js'
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import {
  aesSuite,
  chachaSuite,
  createSuite,
  type Identity,
  identify,
  openInitiation,
  type PeerKeys,
  readResponse,
  type Suite,
  writeInitiation,
  writeResponse,
} from '../../../src/crypto/noise.ts'
import {
  agree,
  importPrivateKey,
  importPublicKey,
  publicKeyOf,
} from '../../../src/crypto/x25519.ts'
import { method } from '../../../src/tables/shared.ts'
import { fromHex, nobleAead, toHex } from '../../support/protocol-deps.ts'
import { aesVector, chachaVector, type NoiseVector } from '../../vectors/noise-ikpsk2.ts'

function identityOf(secret: Uint8Array): Identity {
  const privateKey = importPrivateKey(secret)
  return { privateKey, publicKey: publicKeyOf(privateKey) }
}

function peerOf(identity: Identity, publicKey: Uint8Array): PeerKeys {
  const publicKeyObject = importPublicKey(publicKey)
  const staticStatic = agree(identity.privateKey, publicKeyObject)
  assert.ok(staticStatic)
  return { publicKey, publicKeyObject, staticStatic }
}

function present<T>(value: T | undefined): T {
  assert.ok(value !== undefined)
  return value
}

/** Plays a vector through both sides, and checks each message and payload. */
function check(vector: NoiseVector, methodCode: number): void {
  const suite = createSuite(vector.name, methodCode, fromHex(vector.prologue))
  const initiator = identityOf(fromHex(vector.initiatorStatic))
  const responder = identityOf(fromHex(vector.responderStatic))
  assert.equal(toHex(responder.publicKey), vector.responderPublic)
  const toResponder = peerOf(initiator, responder.publicKey)
  const toInitiator = peerOf(responder, initiator.publicKey)
  const psk = fromHex(vector.presharedKey)
  const [[payload1, message1], [payload2, message2], ...transport] = vector.messages

  const out1 = new Uint8Array(message1.length / 2)
  const ephemeral1 = fromHex(vector.initiatorEphemeral)
  const payload = fromHex(payload1)
  const sent = present(
    writeInitiation(nobleAead, suite, initiator, toResponder, ephemeral1, payload, out1),
  )
  assert.equal(toHex(out1), message1)
  assert.ok(
    ephemeral1.every(byte => byte === 0),
    'the ephemeral secret is wiped',
  )

  const identified = present(identify(nobleAead, [suite], responder, out1))
  assert.equal(toHex(identified.remoteStatic), toHex(initiator.publicKey))
  const opened1 = new Uint8Array(payload1.length / 2)
  const opened = present(openInitiation(nobleAead, identified, toInitiator, opened1))
  assert.equal(toHex(opened1), payload1)

  const out2 = new Uint8Array(message2.length / 2)
  const ephemeral2 = fromHex(vector.responderEphemeral)
  const answer = fromHex(payload2)
  const responderKeys = present(
    writeResponse(nobleAead, opened, toInitiator, psk, ephemeral2, answer, out2),
  )
  assert.equal(toHex(out2), message2)

  const opened2 = new Uint8Array(payload2.length / 2)
  const initiatorKeys = present(readResponse(nobleAead, sent, initiator, psk, out2, opened2))
  assert.equal(toHex(opened2), payload2)
  assert.deepEqual(initiatorKeys.send, responderKeys.receive)
  assert.deepEqual(initiatorKeys.receive, responderKeys.send)

  const isAes = methodCode === method.aes256Gcm
  for (const [index, [plain, sealed]] of transport.entries()) {
    const key = index % 2 === 0 ? initiatorKeys.send : responderKeys.send
    const nonce = new DataView(new ArrayBuffer(12))
    // Noise 12.3 and 12.4: ChaChaPoly counts little-endian, AESGCM big-endian.
    nonce.setUint32(isAes ? 8 : 4, index >> 1, !isAes)
    const bytes = new Uint8Array(nonce.buffer)
    const cipher = isAes ? gcm(key, bytes) : chacha20poly1305(key, bytes)
    assert.equal(toHex(cipher.encrypt(fromHex(plain))), sealed, `transport message ${index}`)
  }
}

test('the published vector of Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s', () => {
  check(chachaVector, method.chacha20Poly1305)
})

test('the published vector of Noise_IKpsk2_25519_AESGCM_BLAKE2s', () => {
  check(aesVector, method.aes256Gcm)
})

test("WireGuard's first chaining key and hash are the well-known ones", () => {
  const chainingKey = '60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36'
  const hash = '2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3'
  assert.equal(toHex(chachaSuite.chainingKey), chainingKey)
  assert.equal(toHex(chachaSuite.hash), hash)
})

interface Started {
  readonly initiator: Identity
  readonly responder: Identity
  readonly toInitiator: PeerKeys
  readonly sent: NonNullable<ReturnType<typeof writeInitiation>>
  readonly message: Uint8Array
}

function start(suite: Suite): Started {
  const initiator = identityOf(new Uint8Array(32).fill(1))
  const responder = identityOf(new Uint8Array(32).fill(2))
  const message = new Uint8Array(108)
  const sent = present(
    writeInitiation(
      nobleAead,
      suite,
      initiator,
      peerOf(initiator, responder.publicKey),
      new Uint8Array(32).fill(3),
      new Uint8Array(12),
      message,
    ),
  )
  return {
    initiator,
    responder,
    toInitiator: peerOf(responder, initiator.publicKey),
    sent,
    message,
  }
}

function respond({ responder, toInitiator, message }: Started, psk: Uint8Array): Uint8Array {
  const identified = present(identify(nobleAead, [chachaSuite], responder, message))
  const opened = present(openInitiation(nobleAead, identified, toInitiator, new Uint8Array(12)))
  const out = new Uint8Array(48)
  const ephemeral = new Uint8Array(32).fill(4)
  present(writeResponse(nobleAead, opened, toInitiator, psk, ephemeral, new Uint8Array(0), out))
  return out
}

test('one construction does not open what the other sealed', () => {
  const { responder, message } = start(chachaSuite)
  assert.equal(identify(nobleAead, [aesSuite], responder, message), undefined)
})

test('a forged response leaves the initiation usable for the true one', () => {
  const started = start(chachaSuite)
  const psk = new Uint8Array(32)
  const response = respond(started, psk)
  const { sent, initiator } = started
  const empty = new Uint8Array(0)
  for (let i = 0; i < response.length; i++) {
    const forged = response.slice()
    forged[i] ^= 1
    assert.equal(
      readResponse(nobleAead, sent, initiator, psk, forged, empty),
      undefined,
      `byte ${i}`,
    )
  }
  assert.ok(readResponse(nobleAead, sent, initiator, psk, response, empty))
})

test('another preshared key does not open the response', () => {
  const started = start(chachaSuite)
  const response = respond(started, new Uint8Array(32).fill(9))
  const { sent, initiator } = started
  const none = new Uint8Array(32)
  assert.equal(
    readResponse(nobleAead, sent, initiator, none, response, new Uint8Array(0)),
    undefined,
  )
})

test('an ephemeral key of low order is refused', () => {
  const { responder, message } = start(chachaSuite)
  message.fill(0, 0, 32)
  assert.equal(identify(nobleAead, [chachaSuite], responder, message), undefined)
})

test('a spent initiation is wiped', () => {
  const started = start(chachaSuite)
  const psk = new Uint8Array(32)
  const response = respond(started, psk)
  readResponse(nobleAead, started.sent, started.initiator, psk, response, new Uint8Array(0))
  const { chainingKey, hash } = started.sent.transcript
  assert.ok([...chainingKey, ...hash].every(byte => byte === 0))
})
