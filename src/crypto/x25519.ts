// Key agreement on Curve25519 (RFC 7748) through node:crypto. Keys are imported once and kept as
// KeyObjects, because importing a private key costs more than the agreement itself; the imported
// copy lives in OpenSSL's memory, which clears it when the object is collected.
//
// node:crypto finds out what it was given by calls that fail: three errors for one import, whose stack
// traces cost more than the import itself. So there are none meanwhile.
//
// A shared secret of all zeros means that the other side sent a point of low order (RFC 7748 6.1).
// WireGuard refuses it, and so does `agree`: it is the only answer that a remote can provoke.

import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto'

const x25519 = { asymmetricKeyType: 'x25519' } as const

/** Imports 32 bytes, clamped or not. The caller's array stays the caller's to wipe. */
export function importPrivateKey(bytes: Uint8Array): KeyObject {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return createPrivateKey({ ...x25519, key: view(bytes), format: 'raw-private' })
  } finally {
    Error.stackTraceLimit = limit
  }
}

export function importPublicKey(bytes: Uint8Array): KeyObject {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return createPublicKey({ ...x25519, key: view(bytes), format: 'raw-public' })
  } finally {
    Error.stackTraceLimit = limit
  }
}

/** The 32 bytes of the public key that belongs to a private key. */
export function publicKeyOf(privateKey: KeyObject): Uint8Array {
  return createPublicKey(privateKey).export({ format: 'raw-public' })
}

/** DH(private, public), 32 secret bytes that the caller wipes; undefined for a low-order point. */
export function agree(privateKey: KeyObject, publicKey: KeyObject): Uint8Array | undefined {
  let secret: Uint8Array
  try {
    secret = diffieHellman({ privateKey, publicKey })
  } catch {
    // OpenSSL refuses the all-zero secret by itself ("failed during derivation").
    return undefined
  }
  let seen = 0
  for (let i = 0; i < secret.length; i++) seen |= secret[i]
  return seen === 0 ? undefined : secret
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
