// Authenticated encryption of a batch: ChaCha20-Poly1305 (RFC 8439) and AES-256-GCM, with
// nonces of a counter in little-endian after four bytes, which are zero in WireGuard (whitepaper
// 5.4.6). Jobs of one batch may carry different keys. A job works in place; the tag lies
// behind the text.
//
// Each cipher has several forms: "openssl", by EVP, runs everywhere; the others are kernels for
// some instructions, which work on a whole batch. The best that this CPU executes, and that gave
// the same as EVP when it was tried at the start, is in force.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "layout.h"

namespace hawser {

constexpr int32_t kTagBytes = 16;

// Keys and forms of one environment (thread). Not to be shared between threads.
struct AeadState;

// Forms by name, as HAWSER_AEAD_CHACHA and HAWSER_AEAD_AES ask for them. Null or empty: the best.
// A form that is unknown, or cannot be had on this CPU, leaves OpenSSL's.
AeadState* CreateAeadState(const char* chacha_form, const char* aes_form);
AeadState* CreateAeadState();  // as the environment variables say
void DestroyAeadState(AeadState* state);

struct AeadJob {
  uint8_t* text;    // plaintext or ciphertext, changed in place; the tag is at text + length
  uint32_t length;  // without the tag
  uint32_t slot;
  uint64_t counter;  // bytes 4 to 11 of the nonce
  bool good;         // result
  // Not of WireGuard, which has zeros here: the first four bytes of the nonce, and the length of
  // additional data, which stands before the text, filled up with zeros to a multiple of 16.
  uint32_t salt = 0, additional = 0;

  uint32_t additional_room() const { return (additional + 15) & ~uint32_t{15}; }
};

// Seals each job with the send key of its slot and writes the tag. `good` is false only when the
// slot holds no cipher or OpenSSL has no memory: then the text is zeroed.
void AeadSealBatch(AeadState& state, const Slot* slots, AeadJob* jobs, size_t count);

// Opens each job with the receive key of its slot. A text that was not authentic is zeroed and its
// job is not good; the others are not touched by that.
void AeadOpenBatch(AeadState& state, const Slot* slots, AeadJob* jobs, size_t count);

// One operation with nonce 0. When opening, `in` ends with the tag and `out` is in_len - 16 bytes;
// when sealing, `out` is in_len + 16 bytes. Returns 0, or -EBADMSG: a wrong tag (then `out` is
// zeroed), an input shorter than a tag, or an unknown method.
int HandshakeAead(bool seal, uint32_t method, const uint8_t* key, const uint8_t* ad, size_t ad_len,
                  const uint8_t* in, size_t in_len, uint8_t* out);

// The forms that were compiled in, and whether this CPU can execute them.
struct AeadForm {
  Method method;
  const char* name;
  bool runs_here;
};
const AeadForm* AeadForms(size_t* count);

// The form in force for a cipher, and why it is not the one that was asked for, or the best that
// this CPU executes; empty when it is.
struct AeadChoice {
  std::string form, reason;
};
AeadChoice AeadFormInForce(const AeadState& state, Method method);

}  // namespace hawser
