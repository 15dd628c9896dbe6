// The handshake Noise_IKpsk2 (Noise specification revision 34, 7.5 and 9; WireGuard whitepaper 5.4)
// over bytes: what an initiation and a response carry between their frame and their MACs.
//
//   initiator                                            responder
//   writeInitiation -> InitiationSent      --- 1 --->    identify -> InitiationIdentified
//                                                        openInitiation -> InitiationOpened
//   readResponse -> TransportKeys          <--- 2 ---    writeResponse -> TransportKeys
//
// Each step takes the state that the step before gave, so a half-filled handshake cannot be written
// down. A step that fails gives undefined and wipes what it derived; a response that does not fit
// leaves the initiation untouched, for the true one may still come.
//
// The names beside the steps are the whitepaper's: C chaining key, H hash, κ key, Q preshared key,
// E ephemeral, S static, i initiator, r responder. The cipher is a parameter: the names in the
// construction string and the AEAD differ, all the rest is the same.

import type { KeyObject } from 'node:crypto'
import type { CipherName } from '../tables/cipher.ts'
import { method } from '../tables/shared.ts'
import type { Aead } from './actions.ts'
import { hashInto, kdf1, kdf2, kdf3, wipeScratch } from './blake2s.ts'
import { implementation, specification } from './messages.ts'
import { agree, importPrivateKey, importPublicKey, publicKeyOf } from './x25519.ts'

/** A construction and its prologue, with the first C and H. */
export interface Suite {
  /** shared.ts `method` of its AEAD. */
  readonly method: number
  readonly chainingKey: Uint8Array
  readonly hash: Uint8Array
}

export interface Identity {
  readonly privateKey: KeyObject
  readonly publicKey: Uint8Array
}

/** What this side holds for a peer. */
export interface PeerKeys {
  readonly publicKey: Uint8Array
  readonly publicKeyObject: KeyObject
  /** DH(S_i, S_r), the same at both ends; derived once. */
  readonly staticStatic: Uint8Array
}

interface Transcript {
  readonly chainingKey: Uint8Array
  readonly hash: Uint8Array
}

/** Initiator: message 1 was written, message 2 is awaited. */
export interface InitiationSent {
  readonly kind: 'initiationSent'
  readonly suite: Suite
  readonly transcript: Transcript
  readonly ephemeral: KeyObject
}

/** Responder: message 1 names its sender, but nothing proves yet that it is new. */
export interface InitiationIdentified {
  readonly kind: 'initiationIdentified'
  readonly suite: Suite
  readonly transcript: Transcript
  readonly remoteEphemeral: KeyObject
  readonly remoteStatic: Uint8Array
  readonly sealedPayload: Uint8Array
}

/** Responder: message 1 is authentic. */
export interface InitiationOpened {
  readonly kind: 'initiationOpened'
  readonly suite: Suite
  readonly transcript: Transcript
  readonly remoteEphemeral: KeyObject
}

export interface TransportKeys {
  readonly send: Uint8Array
  readonly receive: Uint8Array
}

const KEY = specification.keyBytes
const TAG = specification.tagBytes
/** Where the sealed static key of message 1 ends and its payload begins. */
const PAYLOAD_1 = KEY + KEY + TAG
const nothing = new Uint8Array(0)

/** C = Hash(construction), H = Hash(C ‖ prologue). */
export function createSuite(name: string, methodCode: number, prologue: Uint8Array): Suite {
  const chainingKey = new Uint8Array(KEY)
  const hash = new Uint8Array(KEY)
  hashInto(chainingKey, Buffer.from(name))
  hashInto(hash, chainingKey, prologue)
  return { method: methodCode, chainingKey, hash }
}

const prologue = Buffer.from(specification.identifier)
export const chachaSuite = createSuite(
  specification.construction,
  method.chacha20Poly1305,
  prologue,
)
export const aesSuite = createSuite(implementation.aesConstruction, method.aes256Gcm, prologue)

/** The construction of each cipher. */
export const suiteOf: Readonly<Record<CipherName, Suite>> = {
  'chacha20-poly1305': chachaSuite,
  'aes-256-gcm': aesSuite,
}

/** Message 1 into `out` (80 bytes, the payload and a tag). Wipes `ephemeralBytes`. */
export function writeInitiation(
  aead: Aead,
  suite: Suite,
  identity: Identity,
  peer: PeerKeys,
  ephemeralBytes: Uint8Array,
  payload: Uint8Array,
  out: Uint8Array,
): InitiationSent | undefined {
  const transcript = begin(suite, peer.publicKey) // H = Hash(H ‖ S_pub_r)
  const ephemeral = importPrivateKey(ephemeralBytes) // (E_priv_i, E_pub_i) = DH-Generate()
  ephemeralBytes.fill(0)
  out.set(publicKeyOf(ephemeral))
  mixEphemeral(transcript, out.subarray(0, KEY)) // C = KDF1(C, E_pub_i); H = Hash(H ‖ E_pub_i)
  const key = new Uint8Array(KEY)
  const isDone =
    mixAgreement(transcript, key, ephemeral, peer.publicKeyObject) && // κ: DH(E_priv_i, S_pub_r)
    seal(aead, suite, transcript, key, identity.publicKey, out.subarray(KEY, PAYLOAD_1)) &&
    mixSecret(transcript, key, peer.staticStatic) && // κ: DH(S_priv_i, S_pub_r)
    seal(aead, suite, transcript, key, payload, out.subarray(PAYLOAD_1))
  key.fill(0)
  wipeScratch()
  if (!isDone) return wipe(transcript)
  return { kind: 'initiationSent', suite, transcript, ephemeral }
}

/**
 * Reads who sent message 1, with the first of the constructions that opens it: nothing in a message
 * names its own. The agreement, by far the dearest part, is the same for all of them. The message
 * must stay unchanged until it is opened.
 */
export function identify(
  aead: Aead,
  suites: readonly Suite[],
  identity: Identity,
  message: Uint8Array,
): InitiationIdentified | undefined {
  const remoteEphemeral = importPublicKey(message.subarray(0, KEY))
  const secret = agree(identity.privateKey, remoteEphemeral)
  if (secret === undefined) return undefined
  const remoteStatic = new Uint8Array(KEY)
  const key = new Uint8Array(KEY)
  const sealedStatic = message.subarray(KEY, PAYLOAD_1)
  let found: { readonly suite: Suite; readonly transcript: Transcript } | undefined
  for (const suite of suites) {
    const transcript = begin(suite, identity.publicKey)
    mixEphemeral(transcript, message.subarray(0, KEY))
    mixSecret(transcript, key, secret)
    if (open(aead, suite, transcript, key, sealedStatic, remoteStatic)) {
      found = { suite, transcript }
      break
    }
    wipe(transcript)
  }
  secret.fill(0)
  key.fill(0)
  wipeScratch()
  if (found === undefined) return undefined
  const sealedPayload = message.subarray(PAYLOAD_1)
  return { kind: 'initiationIdentified', ...found, remoteEphemeral, remoteStatic, sealedPayload }
}

/** Opens the payload of message 1, which proves that its sender has the static private key. */
export function openInitiation(
  aead: Aead,
  identified: InitiationIdentified,
  peer: PeerKeys,
  payload: Uint8Array,
): InitiationOpened | undefined {
  const { suite, transcript, remoteEphemeral, sealedPayload } = identified
  const key = new Uint8Array(KEY)
  const isDone =
    mixSecret(transcript, key, peer.staticStatic) &&
    open(aead, suite, transcript, key, sealedPayload, payload)
  key.fill(0)
  wipeScratch()
  if (!isDone) return wipe(transcript)
  return { kind: 'initiationOpened', suite, transcript, remoteEphemeral }
}

/** Message 2 into `out` (32 bytes, the payload and a tag). Ends the responder's handshake. */
export function writeResponse(
  aead: Aead,
  opened: InitiationOpened,
  peer: PeerKeys,
  presharedKey: Uint8Array,
  ephemeralBytes: Uint8Array,
  payload: Uint8Array,
  out: Uint8Array,
): TransportKeys | undefined {
  const { suite, transcript } = opened
  const ephemeral = importPrivateKey(ephemeralBytes) // (E_priv_r, E_pub_r) = DH-Generate()
  ephemeralBytes.fill(0)
  out.set(publicKeyOf(ephemeral))
  mixEphemeral(transcript, out.subarray(0, KEY)) // C = KDF1(C, E_pub_r); H = Hash(H ‖ E_pub_r)
  const key = new Uint8Array(KEY)
  const isDone =
    mixAgreement(transcript, key, ephemeral, opened.remoteEphemeral) && // DH(E_priv_r, E_pub_i)
    mixAgreement(transcript, key, ephemeral, peer.publicKeyObject) && // DH(E_priv_r, S_pub_i)
    mixPresharedKey(transcript, key, presharedKey) && // (C, τ, κ) = KDF3(C, Q); H = Hash(H ‖ τ)
    seal(aead, suite, transcript, key, payload, out.subarray(KEY))
  key.fill(0)
  if (!isDone) return wipe(transcript)
  const { first, second } = split(transcript)
  return { send: second, receive: first }
}

/**
 * Reads message 2. On success the initiation is spent; on failure it is as before, because anybody
 * can send a response that does not fit.
 */
export function readResponse(
  aead: Aead,
  sent: InitiationSent,
  identity: Identity,
  presharedKey: Uint8Array,
  message: Uint8Array,
  payload: Uint8Array,
): TransportKeys | undefined {
  const { suite } = sent
  const transcript = copyOf(sent.transcript)
  mixEphemeral(transcript, message.subarray(0, KEY))
  const remoteEphemeral = importPublicKey(message.subarray(0, KEY))
  const key = new Uint8Array(KEY)
  const isDone =
    mixAgreement(transcript, key, sent.ephemeral, remoteEphemeral) && // DH(E_priv_i, E_pub_r)
    mixAgreement(transcript, key, identity.privateKey, remoteEphemeral) && // DH(S_priv_i, E_pub_r)
    mixPresharedKey(transcript, key, presharedKey) &&
    open(aead, suite, transcript, key, message.subarray(KEY), payload)
  key.fill(0)
  if (!isDone) return wipe(transcript)
  wipe(sent.transcript)
  const { first, second } = split(transcript)
  return { send: first, receive: second }
}

/** Forgets the secrets of a handshake that will not go on. */
export function wipeHandshake(state: { readonly transcript: Transcript }): void {
  wipe(state.transcript)
}

/** (T1, T2) = KDF2(C, ε): the initiator sends with the first, the responder with the second. */
function split(transcript: Transcript): { first: Uint8Array; second: Uint8Array } {
  const first = new Uint8Array(KEY)
  const second = new Uint8Array(KEY)
  kdf2(first, second, transcript.chainingKey, nothing)
  wipe(transcript)
  return { first, second }
}

function begin(suite: Suite, responderPublic: Uint8Array): Transcript {
  const transcript = copyOf(suite)
  mixHash(transcript, responderPublic)
  return transcript
}

function copyOf(from: Transcript): Transcript {
  return { chainingKey: from.chainingKey.slice(), hash: from.hash.slice() }
}

function wipe(transcript: Transcript): undefined {
  transcript.chainingKey.fill(0)
  transcript.hash.fill(0)
  wipeScratch()
}

function mixHash({ hash }: Transcript, bytes: Uint8Array): void {
  hashInto(hash, hash, bytes)
}

function mixEphemeral(transcript: Transcript, publicKey: Uint8Array): void {
  kdf1(transcript.chainingKey, transcript.chainingKey, publicKey)
  mixHash(transcript, publicKey)
}

/** (C, κ) = KDF2(C, secret). */
function mixSecret({ chainingKey }: Transcript, key: Uint8Array, secret: Uint8Array): true {
  kdf2(chainingKey, key, chainingKey, secret)
  return true
}

/** (C, κ) = KDF2(C, DH(private, public)); false for a public key of low order. */
function mixAgreement(
  transcript: Transcript,
  key: Uint8Array,
  privateKey: KeyObject,
  publicKey: KeyObject,
): boolean {
  const secret = agree(privateKey, publicKey)
  if (secret === undefined) return false
  mixSecret(transcript, key, secret)
  secret.fill(0)
  return true
}

function mixPresharedKey(transcript: Transcript, key: Uint8Array, presharedKey: Uint8Array): true {
  const { chainingKey } = transcript
  const mixed = new Uint8Array(KEY)
  kdf3(chainingKey, mixed, key, chainingKey, presharedKey)
  mixHash(transcript, mixed)
  mixed.fill(0)
  return true
}

/** out = AEAD(κ, 0, plain, H); H = Hash(H ‖ out). */
function seal(
  aead: Aead,
  suite: Suite,
  transcript: Transcript,
  key: Uint8Array,
  plain: Uint8Array,
  out: Uint8Array,
): boolean {
  if (aead(true, suite.method, key, transcript.hash, plain, out) !== 0) return false
  mixHash(transcript, out)
  return true
}

function open(
  aead: Aead,
  suite: Suite,
  transcript: Transcript,
  key: Uint8Array,
  sealed: Uint8Array,
  out: Uint8Array,
): boolean {
  if (aead(false, suite.method, key, transcript.hash, sealed, out) !== 0) return false
  mixHash(transcript, sealed)
  return true
}
