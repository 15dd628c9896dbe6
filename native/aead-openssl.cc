#include "aead-openssl.h"

#include <errno.h>
#include <openssl/crypto.h>

#include <cstring>

#include "aead.h"

namespace hawser {
namespace {

constexpr int kNonceBytes = 12;

// The handshake's operation with additional data, in `context`. `length` is without the tag.
bool RunHandshake(EVP_CIPHER_CTX* context, bool seal, const EVP_CIPHER* cipher, const uint8_t* key,
                  const uint8_t* ad, int ad_length, const uint8_t* in, int length, uint8_t* out) {
  const uint8_t nonce[kNonceBytes] = {};
  int done = 0, rest = 0;
  if (EVP_CipherInit_ex(context, cipher, nullptr, key, nonce, seal ? 1 : 0) != 1) return false;
  if (!seal) {
    uint8_t tag[kTagBytes];
    memcpy(tag, in + length, kTagBytes);
    if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag) != 1) return false;
  }
  if (ad_length > 0 && EVP_CipherUpdate(context, nullptr, &rest, ad, ad_length) != 1) return false;
  if (length > 0 && EVP_CipherUpdate(context, out, &done, in, length) != 1) return false;
  uint8_t none[kTagBytes];  // an AEAD has nothing left to write, and `out` may have no room
  if (EVP_CipherFinal_ex(context, none, &rest) != 1) return false;
  return !seal || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, out + length) == 1;
}

}  // namespace

EVP_CIPHER* FetchCipher(uint32_t method) {
  switch (method) {
    case kChaCha20Poly1305:
      return EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
    case kAes256Gcm:
      return EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    default:
      return nullptr;
  }
}

bool SetKey(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher, const uint8_t* key,
            Direction direction) {
  return EVP_CipherInit_ex(context, cipher, nullptr, key, nullptr, static_cast<int>(direction)) ==
         1;
}

bool RunPacket(EVP_CIPHER_CTX* context, Direction direction, const AeadJob& job) {
  uint8_t nonce[kNonceBytes];
  memcpy(nonce, &job.salt, sizeof job.salt);
  memcpy(nonce + 4, &job.counter, sizeof job.counter);
  int done = 0, rest = 0;
  const auto length = static_cast<int>(job.length), additional = static_cast<int>(job.additional);
  uint8_t* text = job.text;
  uint8_t* tag = text + length;
  if (EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce, -1) != 1) return false;
  if (direction == kOpen &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag) != 1) {
    return false;
  }
  if (additional > 0 &&
      EVP_CipherUpdate(context, nullptr, &rest, text - job.additional_room(), additional) != 1) {
    return false;
  }
  if (length > 0 && EVP_CipherUpdate(context, text, &done, text, length) != 1) return false;
  if (EVP_CipherFinal_ex(context, text + done, &rest) != 1) return false;
  return direction == kOpen ||
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag) == 1;
}

int HandshakeAead(bool seal, uint32_t method, const uint8_t* key, const uint8_t* ad, size_t ad_len,
                  const uint8_t* in, size_t in_len, uint8_t* out) {
  if (!seal && in_len < kTagBytes) return -EBADMSG;
  const size_t length = seal ? in_len : in_len - kTagBytes;
  // Implicit fetches: a handshake is rare, and there is no state here to keep a cipher in.
  const EVP_CIPHER* cipher = method == kChaCha20Poly1305 ? EVP_chacha20_poly1305()
                             : method == kAes256Gcm      ? EVP_aes_256_gcm()
                                                         : nullptr;
  EVP_CIPHER_CTX* context = cipher != nullptr ? EVP_CIPHER_CTX_new() : nullptr;
  const bool good =
      context != nullptr && RunHandshake(context, seal, cipher, key, ad, static_cast<int>(ad_len),
                                         in, static_cast<int>(length), out);
  EVP_CIPHER_CTX_free(context);
  if (!good) OPENSSL_cleanse(out, length);
  return good ? 0 : -EBADMSG;
}

}  // namespace hawser
