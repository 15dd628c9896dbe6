// The public key that belongs to a private key (X25519, RFC 7748 section 6.1), to tell our own key
// among those of the peers. `wg` derives it by itself for display.

import { createPrivateKey, createPublicKey } from 'node:crypto'

/** Takes 32 bytes, clamped or not. */
export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  const key = Buffer.from(privateKey.buffer, privateKey.byteOffset, privateKey.byteLength)
  const secret = createPrivateKey({ key, format: 'raw-private', asymmetricKeyType: 'x25519' })
  return createPublicKey(secret).export({ format: 'raw-public' })
}
