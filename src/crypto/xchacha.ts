// XChaCha20-Poly1305 by libsodium, for the sealed cookie of cookie replies (whitepaper 5.4.7): the
// one primitive of WireGuard that OpenSSL lacks. The library is handed in, because it is ready only
// after `await sodium.ready`, and there is no awaiting in the data plane.

import type sodiumModule from 'libsodium-wrappers'
import type { Xchacha } from './actions.ts'

type Sodium = Pick<
  typeof sodiumModule,
  'crypto_aead_xchacha20poly1305_ietf_encrypt' | 'crypto_aead_xchacha20poly1305_ietf_decrypt'
>

/** `sodium.ready` must have resolved. */
export function createXchacha(sodium: Sodium): Xchacha {
  return {
    seal(key, nonce, additional, plain) {
      return sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, additional, null, nonce, key)
    },
    open(key, nonce, additional, sealed) {
      try {
        return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
          null,
          sealed,
          additional,
          nonce,
          key,
        )
      } catch {
        return undefined
      }
    },
  }
}
