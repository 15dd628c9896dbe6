#include "aead.h"

#include <openssl/crypto.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "aead-kernel.h"
#include "aead-keys.h"
#include "aead-openssl.h"

namespace hawser {
namespace {

// Of one cipher, the best first.
const AeadKernel* const kKernels[] = {
#if defined(__x86_64__)
    &kChaChaAvx512, &kChaChaAvx2, &kAesGcmAvx512, &kAesGcmAvx2,
#endif
    nullptr,  // an array has to have something
};
constexpr size_t kKernelCount = sizeof kKernels / sizeof *kKernels - 1;

constexpr const char* kOpenssl = "openssl";
constexpr size_t kAlignment = 64;

}  // namespace

struct AeadState {
  // What is in force for one cipher, and the jobs that wait for it.
  struct Cipher {
    const AeadKernel* kernel = nullptr;  // null: EVP
    std::string reason;
    uint8_t* scratch = nullptr;
    size_t scratch_bytes = 0;
    size_t waiting = 0;
    KeyedJob jobs[kKernelJobs];
  };

  KeyCache keys;
  Cipher ciphers[kAes256Gcm + 1];
};

namespace {

uint8_t* AllocateScratch(const AeadKernel& kernel, size_t* bytes) {
  *bytes = (kernel.scratch_bytes + kAlignment - 1) / kAlignment * kAlignment;
  auto* scratch = static_cast<uint8_t*>(aligned_alloc(kAlignment, *bytes));
  if (scratch != nullptr) memset(scratch, 0, *bytes);
  return scratch;
}

void FreeScratch(uint8_t* scratch, size_t bytes) {
  if (scratch != nullptr) OPENSSL_cleanse(scratch, bytes);
  free(scratch);
}

// ---- Choosing

// A batch under two keys, sealed and opened by a kernel, must be what EVP makes of it, and a
// changed tag must be refused.
class KnownAnswers {
 public:
  explicit KnownAnswers(const AeadKernel& kernel) : kernel_(kernel) {}

  bool Hold(uint8_t* scratch) {
    constexpr size_t kJobs = sizeof kLengths / sizeof *kLengths;
    for (size_t i = 0; i < sizeof texts_; i++) texts_[i] = static_cast<uint8_t>(i * 167 + (i >> 8));
    memcpy(expected_, texts_, sizeof texts_);
    MakeKeys();
    AeadJob jobs[kJobs];
    KeyedJob keyed[kJobs];
    uint32_t at = 0;
    for (size_t i = 0; i < kJobs; at += kLengths[i++] + kTagBytes) {
      jobs[i] = {texts_ + at, kLengths[i], 0, (i << 40) + i, false};
      keyed[i] = {&jobs[i], kernel_.key_bytes > 0 ? expanded_[i % 2].data() : keys_[i % 2]};
      if (!ByEvp(i, jobs[i], expected_ + at)) return false;
    }
    kernel_.seal(scratch, keyed, kJobs);
    if (memcmp(texts_, expected_, sizeof texts_) != 0) return false;
    jobs[kJobs / 2].text[kLengths[kJobs / 2]] ^= 1;
    kernel_.open(scratch, keyed, kJobs);
    at = 0;
    for (size_t i = 0; i < kJobs; at += kLengths[i++] + kTagBytes) {
      if (jobs[i].good != (i != kJobs / 2)) return false;
      for (uint32_t j = 0; j < kLengths[i]; j++) {
        const uint8_t plain = static_cast<uint8_t>((at + j) * 167 + ((at + j) >> 8));
        if (texts_[at + j] != (jobs[i].good ? plain : 0)) return false;
      }
    }
    return true;
  }

 private:
  static constexpr uint32_t kLengths[] = {0,   1,   15,  16,  17,  47,  48,  63,  64,   65, 92,
                                          127, 128, 129, 192, 255, 256, 511, 700, 1420, 33, 1420};

  void MakeKeys() {
    for (size_t i = 0; i < sizeof keys_; i++) keys_[i / 32][i % 32] = static_cast<uint8_t>(i * 29);
    for (int i = 0; i < 2 && kernel_.key_bytes > 0; i++) {
      expanded_[i].assign(kernel_.key_bytes, 0);
      kernel_.expand(keys_[i], expanded_[i].data());
    }
  }

  bool ByEvp(size_t i, AeadJob job, uint8_t* text) const {
    job.text = text;
    EVP_CIPHER* cipher = FetchCipher(kernel_.method);
    EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
    const bool good = context != nullptr && SetKey(context, cipher, keys_[i % 2], kSeal) &&
                      RunPacket(context, kSeal, job);
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    return good;
  }

  const AeadKernel& kernel_;
  uint8_t keys_[2][32];
  std::vector<uint8_t> expanded_[2];
  uint8_t texts_[8192], expected_[8192];
};

// Takes the best form, or the one that was asked for, or OpenSSL's.
void Choose(AeadState::Cipher& cipher, Method method, const char* wanted) {
  const bool any = wanted == nullptr || *wanted == 0;
  if (!any && strcmp(wanted, kOpenssl) == 0) return;
  bool known = false;
  for (size_t i = 0; i < kKernelCount; i++) {
    const AeadKernel& kernel = *kKernels[i];
    if (kernel.method != method || !(any || strcmp(wanted, kernel.name) == 0)) continue;
    known = true;
    const std::string name = kernel.name;
    if (!kernel.runs_here()) {
      if (!any) cipher.reason = "this CPU cannot execute " + name;
      continue;
    }
    size_t bytes = 0;
    uint8_t* scratch = AllocateScratch(kernel, &bytes);
    if (scratch != nullptr && KnownAnswers(kernel).Hold(scratch)) {
      cipher.kernel = &kernel;
      cipher.scratch = scratch;
      cipher.scratch_bytes = bytes;
      return;
    }
    FreeScratch(scratch, bytes);
    cipher.reason = name + " gave wrong answers";
  }
  if (!any && !known) cipher.reason = std::string("there is no form ") + wanted;
}

// ---- Batches

void Refuse(AeadJob& job) {
  job.good = false;
  memset(job.text, 0, job.length);
}

void ByEvp(AeadState& state, const Slot* slots, AeadJob& job, Direction direction) {
  EVP_CIPHER_CTX* context = state.keys.Context(slots[job.slot], job.slot, direction);
  job.good = context != nullptr && RunPacket(context, direction, job);
  if (!job.good) Refuse(job);
}

// Runs the jobs that wait for the kernel of a cipher.
void Flush(AeadState& state, const Slot* slots, AeadState::Cipher& cipher, Direction direction) {
  const AeadKernel& kernel = *cipher.kernel;
  const size_t count = cipher.waiting;
  if (count == 0) return;
  AeadJob& first = *cipher.jobs[0].job;
  if (count == 1 && first.length > kernel.alone_most_bytes) {
    ByEvp(state, slots, first, direction);
  } else {
    (direction == kSeal ? kernel.seal : kernel.open)(cipher.scratch, cipher.jobs, count);
  }
  cipher.waiting = 0;
}

void RunBatch(AeadState& state, const Slot* slots, AeadJob* jobs, size_t count,
              Direction direction) {
  state.keys.SweepOne(slots);
  for (size_t i = 0; i < count; i++) {
    AeadJob& job = jobs[i];
    const Slot& slot = slots[job.slot];
    const uint32_t method = slot.method;
    if (method != kChaCha20Poly1305 && method != kAes256Gcm) {
      Refuse(job);
      continue;
    }
    AeadState::Cipher& cipher = state.ciphers[method];
    if (cipher.kernel == nullptr) {
      ByEvp(state, slots, job, direction);
      continue;
    }
    const uint8_t* key = direction == kSeal ? slot.send_key : slot.receive_key;
    if (cipher.kernel->key_bytes > 0) {
      key = state.keys.Expanded(slot, job.slot, direction, *cipher.kernel);
      if (key == nullptr) {
        Refuse(job);
        continue;
      }
    }
    cipher.jobs[cipher.waiting++] = {&job, key};
    if (cipher.waiting == kKernelJobs) Flush(state, slots, cipher, direction);
  }
  for (AeadState::Cipher& cipher : state.ciphers) {
    if (cipher.kernel != nullptr) Flush(state, slots, cipher, direction);
  }
  state.keys.FreeRetired();
}

}  // namespace

AeadState* CreateAeadState(const char* chacha_form, const char* aes_form) {
  auto* state = new AeadState;
  Choose(state->ciphers[kChaCha20Poly1305], kChaCha20Poly1305, chacha_form);
  Choose(state->ciphers[kAes256Gcm], kAes256Gcm, aes_form);
  return state;
}

AeadState* CreateAeadState() {
  return CreateAeadState(getenv("HAWSER_AEAD_CHACHA"), getenv("HAWSER_AEAD_AES"));
}

void DestroyAeadState(AeadState* state) {
  for (AeadState::Cipher& cipher : state->ciphers) {
    FreeScratch(cipher.scratch, cipher.scratch_bytes);
  }
  delete state;
}

void AeadSealBatch(AeadState& state, const Slot* slots, AeadJob* jobs, size_t count) {
  RunBatch(state, slots, jobs, count, kSeal);
}

void AeadOpenBatch(AeadState& state, const Slot* slots, AeadJob* jobs, size_t count) {
  RunBatch(state, slots, jobs, count, kOpen);
}

const AeadForm* AeadForms(size_t* count) {
  static const std::vector<AeadForm> forms = [] {
    std::vector<AeadForm> list = {{kChaCha20Poly1305, kOpenssl, true},
                                  {kAes256Gcm, kOpenssl, true}};
    for (size_t i = 0; i < kKernelCount; i++) {
      list.push_back({kKernels[i]->method, kKernels[i]->name, kKernels[i]->runs_here()});
    }
    return list;
  }();
  *count = forms.size();
  return forms.data();
}

AeadChoice AeadFormInForce(const AeadState& state, Method method) {
  const AeadState::Cipher& cipher = state.ciphers[method];
  return {cipher.kernel != nullptr ? cipher.kernel->name : kOpenssl, cipher.reason};
}

}  // namespace hawser
