#include "aead.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstdlib>
#include <cstring>
#include <vector>

namespace hawser {
namespace {

enum Direction : uint32_t { kOpen = 0, kSeal = 1 };

constexpr int kNonceBytes = 12;

// Contexts kept at a time, both directions together; one is about 1 KB. Beyond, the oldest goes.
constexpr size_t kMaxContexts = 16384;

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

// One packet with a keyed context: the nonce, the text in place, the tag behind it.
bool RunPacket(EVP_CIPHER_CTX* context, Direction direction, const uint8_t* nonce, uint8_t* text,
               int length) {
  int done = 0, rest = 0;
  uint8_t* tag = text + length;
  if (EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce, -1) != 1) return false;
  if (direction == kOpen &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag) != 1) {
    return false;
  }
  if (length > 0 && EVP_CipherUpdate(context, text, &done, text, length) != 1) return false;
  if (EVP_CipherFinal_ex(context, text + done, &rest) != 1) return false;
  return direction == kOpen ||
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag) == 1;
}

}  // namespace

struct AeadState {
  // A context and what it was keyed for.
  struct Entry {
    EVP_CIPHER_CTX* context;
    uint32_t generation, method;
  };

  EVP_CIPHER* ciphers[kAes256Gcm + 1] = {};
  // By slot * 2 + direction. Zero pages cost nothing until they are touched.
  Entry* entries = static_cast<Entry*>(calloc(size_t{kSlots} * 2, sizeof(Entry)));
  // Numbers of the entries that hold a context, and where the next look at an old one falls.
  std::vector<uint32_t> live;
  size_t hand = 0;
};

namespace {

void FreeContext(AeadState::Entry& entry) {
  EVP_CIPHER_CTX_free(entry.context);  // cleanses the key
  entry = {};
}

// Looks at one live context and frees it when its slot is free or has another key by now, so that
// old keys do not stay behind.
void SweepOne(AeadState& state, const Slot* slots) {
  if (state.live.empty()) return;
  if (state.hand >= state.live.size()) state.hand = 0;
  const uint32_t number = state.live[state.hand];
  AeadState::Entry& entry = state.entries[number];
  const Slot& slot = slots[number / 2];
  // The slot may belong to nobody just now, and be written by the other worker.
  if (__atomic_load_n(&slot.generation, __ATOMIC_RELAXED) == entry.generation &&
      __atomic_load_n(&slot.method, __ATOMIC_RELAXED) == entry.method) {
    state.hand++;
    return;
  }
  FreeContext(entry);
  state.live[state.hand] = state.live.back();
  state.live.pop_back();
}

// Adds an entry to the live ones, in place of the one at the hand when there are too many.
void AddLive(AeadState& state, uint32_t number) {
  if (state.live.size() < kMaxContexts) {
    state.live.push_back(number);
    return;
  }
  if (state.hand >= state.live.size()) state.hand = 0;
  FreeContext(state.entries[state.live[state.hand]]);
  state.live[state.hand++] = number;
}

// The context of a slot and direction, keyed now if it was not. Null: no cipher, or no memory.
EVP_CIPHER_CTX* KeyedContext(AeadState& state, const Slot& slot, uint32_t number) {
  AeadState::Entry& entry = state.entries[number];
  if (slot.method > kAes256Gcm || state.ciphers[slot.method] == nullptr) return nullptr;
  if (entry.context != nullptr) {
    if (entry.generation == slot.generation && entry.method == slot.method) return entry.context;
  } else {
    entry.context = EVP_CIPHER_CTX_new();
    if (entry.context == nullptr) return nullptr;
    AddLive(state, number);
  }
  const Direction direction = static_cast<Direction>(number & 1);
  const uint8_t* key = direction == kSeal ? slot.send_key : slot.receive_key;
  entry.generation = slot.generation;
  entry.method = slot.method;
  EVP_CIPHER_CTX_reset(entry.context);
  if (EVP_CipherInit_ex(entry.context, state.ciphers[slot.method], nullptr, key, nullptr,
                        static_cast<int>(direction)) != 1) {
    entry.method = kMethodFree;  // matches no slot: keyed anew at the next touch
    return nullptr;
  }
  return entry.context;
}

void RunBatch(AeadState& state, const Slot* slots, AeadJob* jobs, size_t count,
              Direction direction) {
  SweepOne(state, slots);
  for (size_t i = 0; i < count; i++) {
    AeadJob& job = jobs[i];
    uint8_t nonce[kNonceBytes] = {};
    memcpy(nonce + 4, &job.counter, sizeof job.counter);
    EVP_CIPHER_CTX* context = KeyedContext(state, slots[job.slot], job.slot * 2 + direction);
    job.good = context != nullptr &&
               RunPacket(context, direction, nonce, job.text, static_cast<int>(job.length));
    if (!job.good) memset(job.text, 0, job.length);
  }
}

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

AeadState* CreateAeadState() {
  auto* state = new AeadState;
  state->ciphers[kChaCha20Poly1305] = FetchCipher(kChaCha20Poly1305);
  state->ciphers[kAes256Gcm] = FetchCipher(kAes256Gcm);
  return state;
}

void DestroyAeadState(AeadState* state) {
  for (uint32_t number : state->live) FreeContext(state->entries[number]);
  for (EVP_CIPHER* cipher : state->ciphers) EVP_CIPHER_free(cipher);
  free(state->entries);
  delete state;
}

void AeadSealBatch(AeadState& state, const Slot* slots, AeadJob* jobs, size_t count) {
  RunBatch(state, slots, jobs, count, kSeal);
}

void AeadOpenBatch(AeadState& state, const Slot* slots, AeadJob* jobs, size_t count) {
  RunBatch(state, slots, jobs, count, kOpen);
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

const AeadForm* AeadForms(size_t* count) {
  static const AeadForm kForms[] = {{"openssl", true}};
  *count = sizeof kForms / sizeof *kForms;
  return kForms;
}

}  // namespace hawser
