// Key agreement on Curve25519 (RFC 7748) through node:crypto. Keys are imported once and kept as
// KeyObjects, because importing a private key costs more than the agreement itself; the imported
// copy lives in OpenSSL's memory, which clears it when the object is collected.
//
// A shared secret of all zeros means that the other side sent a point of low order (RFC 7748 6.1).
// WireGuard refuses it, and so does `agree`: it is the only answer that a remote can provoke.

import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto'

/** Imports 32 bytes, clamped or not. The caller's array stays the caller's to wipe. */
export function importPrivateKey(bytes: Uint8Array): KeyObject {
  return createPrivateKey({ key: view(bytes), format: 'raw-private', asymmetricKeyType: 'x25519' })
}

export function importPublicKey(bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: view(bytes), format: 'raw-public', asymmetricKeyType: 'x25519' })
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
