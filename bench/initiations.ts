// Initiations of WireGuard handshakes, made ahead by the code of src/crypto and kept in records, so
// that a flood is not slower than who is flooded: the curve operations are done, MACs are stamped
// when a message leaves. Record n is message n / peers of peer n % peers; its number is its sender
// index. The ephemeral key is kept beside the message, to read the response to it.
//
//   ephemeral private key, 32 bytes | TAI64N, 12 bytes | message without MACs, 148 bytes

import type { Aead } from '../src/crypto/actions.ts'
import { INITIATION, specification, writeIndex } from '../src/crypto/messages.ts'
import {
  chachaSuite,
  type Identity,
  type InitiationSent,
  type PeerKeys,
  writeInitiation,
} from '../src/crypto/noise.ts'
import { agree, importPrivateKey, importPublicKey, publicKeyOf } from '../src/crypto/x25519.ts'

const EPHEMERAL = 0
const STAMP = specification.keyBytes
const MESSAGE = STAMP + specification.timestampBytes
export const recordBytes = MESSAGE + INITIATION.BYTES

/** Who floods: private keys of the peers, and the gateway's public key, in base64. */
export interface FleetFile {
  readonly gateway: string
  readonly privateKeys: readonly string[]
}

export interface Initiator {
  readonly identity: Identity
  readonly gateway: PeerKeys
}

export function initiatorsOf(fleet: FleetFile): Initiator[] {
  const publicKey = Uint8Array.from(Buffer.from(fleet.gateway, 'base64'))
  const publicKeyObject = importPublicKey(publicKey)
  return fleet.privateKeys.map(text => {
    const privateKey = importPrivateKey(Buffer.from(text, 'base64'))
    const staticStatic = agree(privateKey, publicKeyObject)
    if (staticStatic === undefined) throw new Error('a key of low order')
    return {
      identity: { privateKey, publicKey: publicKeyOf(privateKey) },
      gateway: { publicKey, publicKeyObject, staticStatic },
    }
  })
}

/** Fills a record. `round` makes the stamps of a peer rise; `seconds` is the time of the flood. */
export function writeRecord(
  aead: Aead,
  initiator: Initiator,
  record: Uint8Array,
  number: number,
  round: number,
  seconds: number,
  random: (bytes: Uint8Array) => void,
): void {
  random(record.subarray(EPHEMERAL, STAMP))
  const stamp = new DataView(record.buffer, record.byteOffset + STAMP)
  stamp.setUint32(0, 0x4000_0000)
  stamp.setUint32(4, seconds)
  stamp.setUint32(8, round)
  const message = messageOf(record)
  message[0] = INITIATION.TYPE
  writeIndex(message, INITIATION.SENDER, number)
  seal(aead, initiator, record)
}

/** The message of a record; its MACs are the caller's to stamp. */
export function messageOf(record: Uint8Array): Uint8Array {
  return record.subarray(MESSAGE, MESSAGE + INITIATION.BYTES)
}

/** The handshake that a record began, to read its response with. */
export function handshakeOf(aead: Aead, initiator: Initiator, record: Uint8Array): InitiationSent {
  return seal(aead, initiator, record)
}

function seal(aead: Aead, { identity, gateway }: Initiator, record: Uint8Array): InitiationSent {
  const ephemeral = record.slice(EPHEMERAL, STAMP)
  const stamp = record.subarray(STAMP, MESSAGE)
  const noise = messageOf(record).subarray(INITIATION.NOISE, INITIATION.NOISE_END)
  const sent = writeInitiation(aead, chachaSuite, identity, gateway, ephemeral, stamp, noise)
  if (sent === undefined) throw new Error('an initiation could not be made')
  return sent
}
