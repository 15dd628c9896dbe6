// A WireGuard key pair from its private half, by node:crypto.

import { createPrivateKey, createPublicKey } from 'node:crypto'

/** The fixed part of PKCS #8 around an X25519 key (RFC 8410 section 7). */
const prefix = Buffer.from('302e020100300506032b656e04220420', 'hex')

export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  const der = Buffer.concat([prefix, privateKey])
  const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))
  der.fill(0)
  // The key is what ends a SubjectPublicKeyInfo.
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(-32))
}
