#include "checksum.h"

// One body, compiled for several instruction sets and chosen when the library is loaded. Only where
// GCC and glibc can do that (an ifunc), and not under a sanitizer, whose run time is not there yet
// when the choice is made.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define HAWSER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define HAWSER_CLONES
#endif

namespace hawser {
namespace {

// Eight 64-bit lanes; the compiler maps them to whatever registers there are.
typedef uint64_t Lanes __attribute__((vector_size(64)));

// Sums whole blocks of 64 bytes. The 32-bit words are added up in 64-bit lanes, which cannot
// overflow below 2^32 words.
HAWSER_CLONES uint64_t SumBlocks(const uint8_t* bytes, size_t blocks) {
  Lanes even = {}, odd = {};
  for (const uint8_t* end = bytes + blocks * sizeof(Lanes); bytes < end; bytes += sizeof(Lanes)) {
    Lanes words;
    memcpy(&words, bytes, sizeof words);
    even += words & 0xffffffff;
    odd += words >> 32;
  }
  const Lanes both = even + odd;
  return both[0] + both[1] + both[2] + both[3] + both[4] + both[5] + both[6] + both[7];
}

}  // namespace

uint64_t Sum(const uint8_t* bytes, size_t length) {
  uint64_t sum = 0;
  const size_t blocks = length / sizeof(Lanes);
  if (blocks > 0) {
    sum = SumBlocks(bytes, blocks);
    bytes += blocks * sizeof(Lanes);
    length -= blocks * sizeof(Lanes);
  }
  for (; length >= 4; bytes += 4, length -= 4) {
    uint32_t word;
    memcpy(&word, bytes, 4);
    sum += word;
  }
  if (length >= 2) {
    uint16_t word;
    memcpy(&word, bytes, 2);
    sum += word;
    bytes += 2;
    length -= 2;
  }
  // An odd byte is the first of a word whose second is 0 (RFC 1071 section 4.1).
  if (length > 0) sum += *bytes;
  return sum;
}

}  // namespace hawser
