// The AEAD by OpenSSL's EVP, one packet at a time: the form that runs on every machine, and the
// oracle of the others.
#pragma once
#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>

#include "aead.h"
#include "layout.h"

namespace hawser {

enum Direction : uint32_t { kOpen = 0, kSeal = 1 };

// To be freed with EVP_CIPHER_free; null for a method without cipher.
EVP_CIPHER* FetchCipher(uint32_t method);

// Sets the key of a context that is used for one direction.
bool SetKey(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher, const uint8_t* key,
            Direction direction);

// One packet with a keyed context: in place, the tag behind the text. False: not authentic.
bool RunPacket(EVP_CIPHER_CTX* context, Direction direction, const AeadJob& job);

}  // namespace hawser
