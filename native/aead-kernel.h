// What a form of the AEAD is to native/aead.cc: a kernel that works on a batch of one cipher. Each
// is in a file of its own and compiled for the instructions that it needs, function by function, so
// that nothing outside of it (an inline function of a header, say) is compiled for them too.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "aead.h"
#include "layout.h"

namespace hawser {

// A packet with the key that it is given, in the form that the kernel's `expand` made, or the 32
// bytes themselves.
struct KeyedJob {
  AeadJob* job;
  const uint8_t* key;
};

// Packets that a kernel is given at most at a time.
constexpr size_t kKernelJobs = 128;

struct AeadKernel {
  const char* name;
  Method method;
  bool (*runs_here)();
  // Size of a key's expanded form, 0 when there is none, and how it is made.
  size_t key_bytes;
  void (*expand)(const uint8_t* key, uint8_t* expanded);
  // Memory that the kernel works in, aligned to 64 bytes. Holds secrets from call to call.
  size_t scratch_bytes;
  // At most kKernelJobs jobs, at least one. Sets `good` of each; zeroes what is not good.
  void (*seal)(void* scratch, const KeyedJob* jobs, size_t count);
  void (*open)(void* scratch, const KeyedJob* jobs, size_t count);
  // A batch of one job with a longer text is faster by EVP.
  uint32_t alone_most_bytes;
};

#if defined(__x86_64__)
extern const AeadKernel kChaChaAvx512, kChaChaAvx2, kAesGcmAvx512, kAesGcmAvx2;
#endif

}  // namespace hawser
