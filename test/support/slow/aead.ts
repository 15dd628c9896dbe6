// The data message of WireGuard by node:crypto: the twin of native/aead.cc, and what tests of seal
// and open talk to (whitepaper 5.4.6).

import { createCipheriv, createDecipheriv } from 'node:crypto'
import { method } from '../../../src/tables/shared.ts'

export type CipherMethod = typeof method.chacha20Poly1305 | typeof method.aes256Gcm

const tagBytes = 16

function cipherName(code: CipherMethod): 'chacha20-poly1305' | 'aes-256-gcm' {
  return code === method.chacha20Poly1305 ? 'chacha20-poly1305' : 'aes-256-gcm'
}

/** Four zero bytes and the counter, little-endian. */
function nonceOf(counter: bigint): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64LE(counter, 4)
  return nonce
}

/** Ciphertext and tag. */
export function slowSeal(
  code: CipherMethod,
  key: Uint8Array,
  counter: bigint,
  plaintext: Uint8Array,
  additional: Uint8Array = new Uint8Array(0),
): Buffer {
  const options = { authTagLength: tagBytes }
  // The types of node:crypto tell the two ciphers apart by literal names.
  const cipher = createCipheriv(
    cipherName(code) as 'chacha20-poly1305',
    key,
    nonceOf(counter),
    options,
  )
  cipher.setAAD(additional, { plaintextLength: plaintext.length })
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/** The plaintext, or undefined when the tag is wrong. */
export function slowOpen(
  code: CipherMethod,
  key: Uint8Array,
  counter: bigint,
  sealed: Uint8Array,
  additional: Uint8Array = new Uint8Array(0),
): Buffer | undefined {
  const options = { authTagLength: tagBytes }
  const decipher = createDecipheriv(
    cipherName(code) as 'chacha20-poly1305',
    key,
    nonceOf(counter),
    options,
  )
  const end = sealed.length - tagBytes
  decipher.setAAD(additional, { plaintextLength: end })
  decipher.setAuthTag(sealed.subarray(end))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()])
  } catch {
    return undefined
  }
}

/** A data message: type 4, receiver index, counter, sealed text. */
export function slowMessage(
  code: CipherMethod,
  key: Uint8Array,
  receiverIndex: number,
  counter: bigint,
  plaintext: Uint8Array,
): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(4, 0)
  header.writeUInt32LE(receiverIndex, 4)
  header.writeBigUInt64LE(counter, 8)
  return Buffer.concat([header, slowSeal(code, key, counter, plaintext)])
}
