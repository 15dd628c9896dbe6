// What the protocol engine needs, for tests: the AEAD by @noble, which shares no code with the
// addon, XChaCha20-Poly1305 by libsodium, and randomness from a seed.

import { gcm } from '@noble/ciphers/aes.js'
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import sodium from 'libsodium-wrappers'
import type { Aead, ProtocolDeps, SentInstants } from '../../src/crypto/actions.ts'
import { createXchacha } from '../../src/crypto/xchacha.ts'
import { method, REMOTE } from '../../src/tables/shared.ts'

await sodium.ready

export const xchacha = createXchacha(sodium)

/** native.handshakeAead as a twin: nonce 0, -EBADMSG for a wrong tag. */
export const nobleAead: Aead = (seal, methodCode, key, additional, input, output) => {
  const nonce = new Uint8Array(12)
  const cipher =
    methodCode === method.aes256Gcm
      ? gcm(key, nonce, additional)
      : chacha20poly1305(key, nonce, additional)
  if (seal) {
    output.set(cipher.encrypt(input))
    return 0
  }
  try {
    output.set(cipher.decrypt(input))
    return 0
  } catch {
    return -74
  }
}

export const nothingSent: SentInstants = {
  sentMs: () => 0,
  dataSentMs: () => 0,
  unansweredMs: () => 0,
}

/** Fills an array from a source of numbers in [0, 1). */
export function fillRandom<T extends Uint8Array>(random: () => number, bytes: T): T {
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(random() * 256)
  return bytes
}

export function protocolDeps(random: () => number, sent = nothingSent): ProtocolDeps {
  return { aead: nobleAead, xchacha, random: bytes => fillRandom(random, bytes), sent }
}

/** A remote record: four bytes of address make it IPv4. */
export function remoteRecord(address: readonly number[], port: number): Uint8Array {
  const record = new Uint8Array(REMOTE.BYTES)
  record[REMOTE.FAMILY] = address.length === 4 ? 2 : 10
  record[REMOTE.PORT] = port
  record[REMOTE.PORT + 1] = port >> 8
  record.set(address, REMOTE.ADDRESS)
  return record
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'))
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
