// AES-256-GCM (NIST SP 800-38D) with VAES and VPCLMULQDQ on 256-bit registers: for CPUs where
// OpenSSL, which has such a path for AVX-512 only, encrypts one block at a time.
//
// A packet is short, so what counts is what it costs once: the key schedule and the powers of the
// hash key are kept, the mask of the tag is encrypted together with the rest of the text, and the
// hash is reduced once for 16 blocks. Packets follow each other without waiting: the processor
// begins the next one while the last steps of this one are under way.
//
// Hash values are kept with their bytes reversed. The bit-reflected product of a and b is then that
// of a, b and x, so that each power of the hash key is kept divided by x.
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#include "aead-kernel.h"

#define FORM __attribute__((target("avx2,bmi2,aes,pclmul,vaes,vpclmulqdq")))
#define FORM_INLINE FORM inline __attribute__((always_inline))

namespace hawser {
namespace {

constexpr int kRounds = 14, kBlockBytes = 16;
constexpr int kChunkPairs = 8, kChunkBytes = kChunkPairs * 2 * kBlockBytes;
// The rest of a text, less than a chunk, and one block more.
constexpr int kRestPairs = kChunkPairs + 1;

// Everything twice, for the two halves of a register, or for two blocks that follow each other.
struct GcmKey {
  uint8_t round_keys[kRounds + 1][32];
  uint8_t powers[kRestPairs][32];  // H^18 and H^17, ... H^2 and H^1
  uint8_t folded[kRestPairs][32];  // the exclusive or of their halves, for Karatsuba's product
};

struct alignas(64) Scratch {
  uint8_t stream[kRestPairs * 32];
  uint8_t rest[kRestPairs * 32];
};

FORM_INLINE __m256i Load(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

FORM_INLINE void Store(void* to, __m256i value) {
  _mm256_storeu_si256(static_cast<__m256i*>(to), value);
}

FORM_INLINE __m128i Load128(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}

FORM_INLINE void Store128(void* to, __m128i value) {
  _mm_storeu_si128(static_cast<__m128i*>(to), value);
}

FORM_INLINE __m128i ReverseOrder() {
  return _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

FORM_INLINE __m256i ReverseBytes(__m256i blocks) {
  return _mm256_shuffle_epi8(blocks, _mm256_broadcastsi128_si256(ReverseOrder()));
}

// ---- GHASH

struct Products {
  __m256i low, middle, high;
};

FORM_INLINE Products NoProducts() {
  const __m256i zero = _mm256_setzero_si256();
  return {zero, zero, zero};
}

FORM_INLINE __m256i Fold(__m256i value) {
  return _mm256_xor_si256(value, _mm256_shuffle_epi32(value, 0x4e));
}

// Two blocks (reversed) by two powers.
FORM_INLINE void MultiplyAdd(Products& sum, __m256i blocks, __m256i powers, __m256i folded) {
  sum.low = _mm256_xor_si256(sum.low, _mm256_clmulepi64_epi128(blocks, powers, 0x00));
  sum.high = _mm256_xor_si256(sum.high, _mm256_clmulepi64_epi128(blocks, powers, 0x11));
  sum.middle = _mm256_xor_si256(sum.middle, _mm256_clmulepi64_epi128(Fold(blocks), folded, 0x00));
}

// The sum of both lanes modulo x^128 + x^7 + x^2 + x + 1. What stands at bit p of the low half
// belongs to bits p + 128, p + 127, p + 126 and p + 121: 64 bits of it are moved up at a time.
FORM_INLINE __m128i Reduce(const Products& sum) {
  const __m256i middle = _mm256_xor_si256(sum.middle, _mm256_xor_si256(sum.low, sum.high));
  const __m256i low256 = _mm256_xor_si256(sum.low, _mm256_slli_si256(middle, 8));
  const __m256i high256 = _mm256_xor_si256(sum.high, _mm256_srli_si256(middle, 8));
  __m128i low = _mm_xor_si128(_mm256_castsi256_si128(low256), _mm256_extracti128_si256(low256, 1));
  const __m128i high =
      _mm_xor_si128(_mm256_castsi256_si128(high256), _mm256_extracti128_si256(high256, 1));
  const __m128i polynomial = _mm_set_epi64x(0, static_cast<long long>(0xc200000000000000));
  for (int i = 0; i < 2; i++) {
    low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, polynomial, 0x00));
  }
  return _mm_xor_si128(low, high);
}

// ---- AES

// Encrypts kPairs pairs of blocks.
template <int kPairs>
FORM_INLINE void Encrypt(const GcmKey& key, __m256i (&blocks)[kPairs]) {
  const __m256i first = Load(key.round_keys[0]), last = Load(key.round_keys[kRounds]);
#pragma GCC unroll 9
  for (int i = 0; i < kPairs; i++) blocks[i] = _mm256_xor_si256(blocks[i], first);
#pragma GCC unroll 13
  for (int round = 1; round < kRounds; round++) {
    const __m256i round_key = Load(key.round_keys[round]);
#pragma GCC unroll 9
    for (int i = 0; i < kPairs; i++) blocks[i] = _mm256_aesenc_epi128(blocks[i], round_key);
  }
#pragma GCC unroll 9
  for (int i = 0; i < kPairs; i++) blocks[i] = _mm256_aesenclast_epi128(blocks[i], last);
}

// The block counters of a packet: four zero bytes, its number, and 32 bits big-endian.
class Counters {
 public:
  FORM_INLINE explicit Counters(uint64_t packet)
      : nonce_(_mm_set_epi64x(static_cast<long long>(packet >> 32),
                              static_cast<long long>(packet << 32))) {}

  // Two blocks.
  FORM_INLINE __m256i Pair(uint32_t first, uint32_t second) const {
    const __m256i numbers = _mm256_set_epi32(static_cast<int>(__builtin_bswap32(second)), 0, 0, 0,
                                             static_cast<int>(__builtin_bswap32(first)), 0, 0, 0);
    return _mm256_or_si256(_mm256_broadcastsi128_si256(nonce_), numbers);
  }

  // Two times kPairs blocks in a row.
  template <int kPairs>
  FORM_INLINE void Row(uint32_t first, __m256i (&blocks)[kPairs]) const {
    // The number is counted in the lowest word of the reversed block.
    const __m256i reversed = ReverseBytes(Pair(0, 0));
    const __m256i start =
        _mm256_set_epi32(0, 0, 0, static_cast<int>(first + 1), 0, 0, 0, static_cast<int>(first));
    __m256i next = _mm256_add_epi32(reversed, start);
    const __m256i two = _mm256_set_epi32(0, 0, 0, 2, 0, 0, 0, 2);
#pragma GCC unroll 9
    for (int i = 0; i < kPairs; i++) {
      blocks[i] = ReverseBytes(next);
      next = _mm256_add_epi32(next, two);
    }
  }

 private:
  const __m128i nonce_;
};

// ---- A packet

// 16 blocks of text, and what they add to the hash.
template <bool kSealing>
FORM_INLINE __m128i Chunk(const GcmKey& key, const Counters& counters, uint32_t number,
                          __m128i hash, uint8_t* text) {
  __m256i blocks[kChunkPairs];
  counters.Row(number, blocks);
  Encrypt(key, blocks);
  Products sum = NoProducts();
#pragma GCC unroll 8
  for (int i = 0; i < kChunkPairs; i++) {
    const __m256i in = Load(text + 32 * i), out = _mm256_xor_si256(in, blocks[i]);
    Store(text + 32 * i, out);
    __m256i hashed = ReverseBytes(kSealing ? out : in);
    if (i == 0) hashed = _mm256_xor_si256(hashed, _mm256_zextsi128_si256(hash));
    const int power = i + kRestPairs - kChunkPairs;
    MultiplyAdd(sum, hashed, Load(key.powers[power]), Load(key.folded[power]));
  }
  return Reduce(sum);
}

// The mask of the tag, and behind it the stream for the rest of the text.
template <int kPairs>
FORM void RestStream(const GcmKey& key, const Counters& counters, uint32_t number,
                     uint8_t* stream) {
  __m256i blocks[kPairs];
  counters.Row(number - 1, blocks);
  blocks[0] = counters.Pair(1, number);
  Encrypt(key, blocks);
#pragma GCC unroll 9
  for (int i = 0; i < kPairs; i++) Store(stream + 32 * i, blocks[i]);
}

FORM void MakeRestStream(const GcmKey& key, const Counters& counters, uint32_t number, int blocks,
                         uint8_t* stream) {
  using Function = void (*)(const GcmKey&, const Counters&, uint32_t, uint8_t*);
  static constexpr Function kFunctions[kRestPairs] = {RestStream<1>, RestStream<2>, RestStream<3>,
                                                      RestStream<4>, RestStream<5>, RestStream<6>,
                                                      RestStream<7>, RestStream<8>, RestStream<9>};
  kFunctions[blocks / 2](key, counters, number, stream);
}

// Copies fewer than 16 bytes, and adds the stream on the way if there is one.
FORM_INLINE void CopyFew(uint8_t* to, const uint8_t* from, const uint8_t* stream, uint32_t length) {
  uint64_t word, add = 0;
  if (length >= 8) {
    memcpy(&word, from, 8);
    if (stream != nullptr) memcpy(&add, stream, 8);
    word ^= add;
    memcpy(to, &word, 8);
  }
  for (uint32_t i = length & 8; i < length; i++) {
    to[i] = static_cast<uint8_t>(from[i] ^ (stream != nullptr ? stream[i] : 0));
  }
}

// The rest of the text and the lengths; returns the tag.
template <bool kSealing>
FORM_INLINE __m128i Rest(Scratch& scratch, const GcmKey& key, const Counters& counters,
                         uint32_t number, __m128i hash, uint8_t* text, uint32_t rest,
                         uint32_t length) {
  const uint32_t blocks = (rest + kBlockBytes - 1) / kBlockBytes;
  MakeRestStream(key, counters, number, static_cast<int>(blocks), scratch.stream);
  const uint8_t* stream = scratch.stream + kBlockBytes;
  // Hashed are the text, filled up with zeros, and a block of lengths, at the end of pairs.
  const uint32_t pairs = blocks / 2 + 1;
  const uint32_t empty = pairs * 2 - blocks - 1;  // 0 or 1 blocks at the beginning
  Store128(scratch.rest, _mm_setzero_si128());
  uint8_t* hashed = scratch.rest + empty * kBlockBytes;
  uint32_t at = 0;
  for (; at + kBlockBytes <= rest; at += kBlockBytes) {
    const __m128i in = Load128(text + at), out = _mm_xor_si128(in, Load128(stream + at));
    Store128(text + at, out);
    Store128(hashed + at, kSealing ? out : in);
  }
  if (at < rest) {
    Store128(hashed + at, _mm_setzero_si128());
    if (!kSealing) CopyFew(hashed + at, text + at, nullptr, rest - at);
    CopyFew(text + at, text + at, stream + at, rest - at);
    if (kSealing) CopyFew(hashed + at, text + at, nullptr, rest - at);
  }
  const uint64_t bits = __builtin_bswap64(uint64_t{length} * 8);
  Store128(hashed + blocks * kBlockBytes, _mm_set_epi64x(static_cast<long long>(bits), 0));
  // The hash so far goes into the first block that is not empty.
  const __m128i none = _mm_setzero_si128();
  __m256i before = empty != 0 ? _mm256_set_m128i(hash, none) : _mm256_zextsi128_si256(hash);
  Products sum = NoProducts();
  for (uint32_t i = 0; i < pairs; i++) {
    const uint32_t power = kRestPairs - pairs + i;
    const __m256i value = _mm256_xor_si256(ReverseBytes(Load(scratch.rest + 32 * i)), before);
    MultiplyAdd(sum, value, Load(key.powers[power]), Load(key.folded[power]));
    before = _mm256_setzero_si256();
  }
  const __m128i reversed = _mm_shuffle_epi8(Reduce(sum), ReverseOrder());
  return _mm_xor_si128(reversed, Load128(scratch.stream));
}

template <bool kSealing>
FORM __m128i RunPacket(Scratch& scratch, const GcmKey& key, const AeadJob& job) {
  const Counters counters(job.counter);
  __m128i hash = _mm_setzero_si128();
  uint8_t* text = job.text;
  uint32_t number = 2, rest = job.length;
  for (; rest >= kChunkBytes; rest -= kChunkBytes) {
    hash = Chunk<kSealing>(key, counters, number, hash, text);
    text += kChunkBytes;
    number += kChunkPairs * 2;
  }
  return Rest<kSealing>(scratch, key, counters, number, hash, text, rest, job.length);
}

FORM void SealPackets(void* scratch, const KeyedJob* jobs, size_t count) {
  for (size_t i = 0; i < count; i++) {
    AeadJob& job = *jobs[i].job;
    const auto& key = *reinterpret_cast<const GcmKey*>(jobs[i].key);
    Store128(job.text + job.length, RunPacket<true>(*static_cast<Scratch*>(scratch), key, job));
    job.good = true;
  }
}

FORM void OpenPackets(void* scratch, const KeyedJob* jobs, size_t count) {
  for (size_t i = 0; i < count; i++) {
    AeadJob& job = *jobs[i].job;
    const auto& key = *reinterpret_cast<const GcmKey*>(jobs[i].key);
    const __m128i tag = RunPacket<false>(*static_cast<Scratch*>(scratch), key, job);
    const __m128i difference = _mm_xor_si128(tag, Load128(job.text + job.length));
    job.good = _mm_testz_si128(difference, difference) != 0;
    if (!job.good) memset(job.text, 0, job.length);
  }
}

// ---- Keys

// One step of the key schedule (FIPS 197 5.2): four words more, from the four that are eight back.
FORM_INLINE __m128i NextKey(__m128i before, __m128i word) {
  before = _mm_xor_si128(before, _mm_slli_si128(before, 4));
  before = _mm_xor_si128(before, _mm_slli_si128(before, 8));
  return _mm_xor_si128(before, word);
}

FORM void ExpandRoundKeys(const uint8_t* bytes, GcmKey& key) {
  __m128i words[kRounds + 1];
  words[0] = Load128(bytes);
  words[1] = Load128(bytes + kBlockBytes);
#define TWO_KEYS(AT, CONSTANT) \
  words[AT] = NextKey(         \
      words[AT - 2], _mm_shuffle_epi32(_mm_aeskeygenassist_si128(words[AT - 1], CONSTANT), 0xff));
#define ODD_KEY(AT)                  \
  words[AT] = NextKey(words[AT - 2], \
                      _mm_shuffle_epi32(_mm_aeskeygenassist_si128(words[AT - 1], 0), 0xaa));
  TWO_KEYS(2, 0x01)
  ODD_KEY(3)
  TWO_KEYS(4, 0x02)
  ODD_KEY(5)
  TWO_KEYS(6, 0x04)
  ODD_KEY(7)
  TWO_KEYS(8, 0x08)
  ODD_KEY(9)
  TWO_KEYS(10, 0x10)
  ODD_KEY(11)
  TWO_KEYS(12, 0x20)
  ODD_KEY(13)
  TWO_KEYS(14, 0x40)
#undef TWO_KEYS
#undef ODD_KEY
  for (int i = 0; i <= kRounds; i++)
    Store(key.round_keys[i], _mm256_broadcastsi128_si256(words[i]));
}

FORM __m128i Multiply(__m128i a, __m128i b) {
  Products sum = NoProducts();
  const __m256i second = _mm256_zextsi128_si256(b);
  MultiplyAdd(sum, _mm256_zextsi128_si256(a), second, Fold(second));
  return Reduce(sum);
}

// H / x: the reversed value moved up by one, and x^-1 = x^127 + x^6 + x + 1 for what falls out.
FORM __m128i DivideByX(__m128i value) {
  const uint64_t low = static_cast<uint64_t>(_mm_cvtsi128_si64(value));
  const uint64_t high = static_cast<uint64_t>(_mm_extract_epi64(value, 1));
  const uint64_t out = uint64_t{0} - (high >> 63);
  return _mm_set_epi64x(
      static_cast<long long>((high << 1 | low >> 63) ^ (out & 0xc200000000000000)),
      static_cast<long long>(low << 1 ^ (out & 1)));
}

FORM void Expand(const uint8_t* bytes, uint8_t* expanded) {
  auto& key = *reinterpret_cast<GcmKey*>(expanded);
  ExpandRoundKeys(bytes, key);
  __m256i zero[1] = {_mm256_setzero_si256()};
  Encrypt(key, zero);
  const __m128i h = DivideByX(_mm_shuffle_epi8(_mm256_castsi256_si128(zero[0]), ReverseOrder()));
  __m128i power = h;
  for (int i = kRestPairs * 2 - 1; i >= 0; i--) {
    Store128(key.powers[i / 2] + 16 * (i % 2), power);
    power = Multiply(power, h);
  }
  for (int i = 0; i < kRestPairs; i++) Store(key.folded[i], Fold(Load(key.powers[i])));
}

// That the system keeps the registers (XGETBV) is part of what "avx2" says.
bool RunsHere() {
  constexpr unsigned kVaes = 1u << 9, kVpclmulqdq = 1u << 10;
  unsigned a, b, c, d;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
         __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & kVaes) != 0 && (c & kVpclmulqdq) != 0;
}

}  // namespace

const AeadKernel kAesGcmAvx2 = {"avx2",          kAes256Gcm,  RunsHere,    sizeof(GcmKey), Expand,
                                sizeof(Scratch), SealPackets, OpenPackets, UINT32_MAX};

}  // namespace hawser
#endif
