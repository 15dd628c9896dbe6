// AES-256-GCM (NIST SP 800-38D) on registers of several blocks: the part that is the same for all
// widths. A packet is short, so what counts is what it costs once: the key schedule and the powers
// of the hash key are kept, the mask of the tag is encrypted together with the end of the text, and
// the hash is reduced once for eight registers. Packets do not wait for each other: the processor
// begins the next one while the last steps of this one are under way.
//
// Hash values are kept with their bytes reversed. The bit-reflected product of a and b is then that
// of a, b and x, so that each power of the hash key is kept divided by x.
//
// Included by a file that has defined FORM, the attributes of its functions, and `Vector` with its
// operations; everything here is local to that file.
#pragma once
#include <immintrin.h>

#include "aead-kernel.h"

#define FORM_INLINE FORM inline __attribute__((always_inline))

namespace hawser {
namespace {

constexpr int kRounds = 14, kBlock = 16;
constexpr int kRows = 8;  // registers of text in a chunk: enough to cover the latency of AES
// A chunk of the widest registers, and the block of lengths. Then zeros, for what is no text.
constexpr int kPowers = kRows * 4 + 1, kNoPowers = 4;

struct GcmKey {
  uint8_t round_keys[kRounds + 1][kBlock];
  uint8_t powers[kPowers + kNoPowers][kBlock];  // H^33, ... H^1
  uint8_t folded[kPowers + kNoPowers][kBlock];  // the two halves added, for Karatsuba's product
};

FORM_INLINE __m128i Load128(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}

FORM_INLINE void Store128(void* to, __m128i value) {
  _mm_storeu_si128(static_cast<__m128i*>(to), value);
}

FORM_INLINE __m128i Words(uint64_t high, uint64_t low) {
  return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
}

FORM_INLINE __m128i ReverseOrder() { return Words(0x0001020304050607, 0x08090a0b0c0d0e0f); }

FORM_INLINE __m128i Reverse128(__m128i block) { return _mm_shuffle_epi8(block, ReverseOrder()); }

FORM_INLINE __m128i Fold128(__m128i value) {
  return _mm_xor_si128(value, _mm_shuffle_epi32(value, 0x4e));
}

// ---- GHASH

struct Products {
  Vector low, middle, high;
};

FORM_INLINE Products NoProducts() { return {Zero(), Zero(), Zero()}; }

// Blocks (reversed) by powers.
FORM_INLINE void MultiplyAdd(Products& sum, Vector blocks, Vector powers, Vector folded) {
  sum.low = Xor(sum.low, MultiplyLow(blocks, powers));
  sum.high = Xor(sum.high, MultiplyHigh(blocks, powers));
  sum.middle = Xor(sum.middle, MultiplyLow(Xor(blocks, SwapHalves(blocks)), folded));
}

// Blocks by the powers from number `power` on.
FORM_INLINE void MultiplyAdd(Products& sum, Vector blocks, const GcmKey& key, int power) {
  MultiplyAdd(sum, blocks, Load(key.powers[power]), Load(key.folded[power]));
}

// The sum of all lanes modulo x^128 + x^7 + x^2 + x + 1. What stands at bit p of the low half
// belongs to bits p + 128, p + 127, p + 126 and p + 121: 64 bits of it are moved up at a time.
FORM_INLINE __m128i Reduce(const Products& sum) {
  __m128i low = AddLanes(sum.low), high = AddLanes(sum.high);
  const __m128i middle = _mm_xor_si128(AddLanes(sum.middle), _mm_xor_si128(low, high));
  low = _mm_xor_si128(low, _mm_slli_si128(middle, 8));
  high = _mm_xor_si128(high, _mm_srli_si128(middle, 8));
  const __m128i polynomial = Words(0, 0xc200000000000000);
  for (int i = 0; i < 2; i++) {
    low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, polynomial, 0x00));
  }
  return _mm_xor_si128(low, high);
}

// ---- AES

template <int kCount>
FORM_INLINE void Encrypt(const GcmKey& key, Vector (&blocks)[kCount]) {
  const Vector first = Broadcast(Load128(key.round_keys[0]));
#pragma GCC unroll 9
  for (int i = 0; i < kCount; i++) blocks[i] = Xor(blocks[i], first);
#pragma GCC unroll 13
  for (int round = 1; round < kRounds; round++) {
    const Vector round_key = Broadcast(Load128(key.round_keys[round]));
#pragma GCC unroll 9
    for (int i = 0; i < kCount; i++) blocks[i] = AesRound(blocks[i], round_key);
  }
  const Vector last = Broadcast(Load128(key.round_keys[kRounds]));
#pragma GCC unroll 9
  for (int i = 0; i < kCount; i++) blocks[i] = AesLastRound(blocks[i], last);
}

// The block counters of a packet: its nonce, and 32 bits big-endian, which are counted in the
// lowest word of the reversed block.
class Counters {
 public:
  FORM_INLINE explicit Counters(const AeadJob& job)
      : reversed_(Reverse128(Words(job.counter >> 32, job.counter << 32 | job.salt))) {}

  // As many blocks as there are lanes, from a number on.
  FORM_INLINE Vector Row(uint32_t number) const {
    const __m128i start = _mm_add_epi32(reversed_, _mm_cvtsi32_si128(static_cast<int>(number)));
    return ReverseBytes(AddLaneNumbers(Broadcast(start)));
  }

 private:
  const __m128i reversed_;
};

// ---- A packet

// A whole number of chunks and what is left of a packet.
struct Progress {
  __m128i hash;
  uint8_t* text;
  uint32_t number, rest;
};

// A chunk of text, and what it adds to the hash.
template <bool kSealing>
FORM_INLINE void Chunk(const GcmKey& key, const Counters& counters, Progress& at) {
  Vector blocks[kRows];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; i++) {
    blocks[i] = counters.Row(at.number + static_cast<uint32_t>(i * kLanes));
  }
  Encrypt(key, blocks);
  Products sum = NoProducts();
#pragma GCC unroll 8
  for (int i = 0; i < kRows; i++) {
    uint8_t* text = at.text + i * kLanes * kBlock;
    const Vector in = Load(text), out = Xor(in, blocks[i]);
    Store(text, out);
    Vector hashed = ReverseBytes(kSealing ? out : in);
    if (i == 0) hashed = Xor(hashed, Widen(at.hash));
    MultiplyAdd(sum, hashed, key, kPowers - (kRows - i) * kLanes);
  }
  at.hash = Reduce(sum);
  at.text += kRows * kLanes * kBlock;
  at.number += kRows * kLanes;
}

// The rest of the text in kCount registers, the last of them partly filled; returns the tag.
template <bool kSealing, int kCount>
FORM __m128i Rest(const GcmKey& key, const Counters& counters, const Progress& at,
                  const AeadJob& job) {
  Vector blocks[kCount + 1];
#pragma GCC unroll 8
  for (int i = 0; i < kCount; i++) {
    blocks[i] = counters.Row(at.number + static_cast<uint32_t>(i * kLanes));
  }
  blocks[kCount] = counters.Row(1);
  Encrypt(key, blocks);
  const int count = static_cast<int>((at.rest + kBlock - 1) / kBlock);
  Products sum = NoProducts();
  Vector before = Widen(at.hash);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; i++) {
    uint8_t* text = at.text + i * kLanes * kBlock;
    Vector hashed;
    if (i < kCount - 1) {
      const Vector in = Load(text), out = Xor(in, blocks[i]);
      Store(text, out);
      hashed = kSealing ? out : in;
    } else {
      const uint32_t bytes = at.rest - static_cast<uint32_t>(i * kLanes * kBlock);
      const Vector in = LoadPart(text, bytes), out = Xor(in, blocks[i]);
      StorePart(text, out, bytes);
      hashed = kSealing ? KeepPart(out, bytes) : in;
    }
    MultiplyAdd(sum, Xor(ReverseBytes(hashed), before), key, kPowers - 1 - count + i * kLanes);
    before = Zero();
  }
  const __m128i lengths = Words(uint64_t{job.additional} * 8, uint64_t{job.length} * 8);
  MultiplyAdd(sum, Xor(Widen(lengths), before), key, kPowers - 1);
  return _mm_xor_si128(Reverse128(Reduce(sum)), LowLane(blocks[kCount]));
}

// What additional data makes of the hash, block by block: there is little of it.
FORM __m128i HashAdditional(const GcmKey& key, const AeadJob& job) {
  __m128i hash = _mm_setzero_si128();
  for (uint32_t left = job.additional_room(); left > 0; left -= kBlock) {
    Products sum = NoProducts();
    const __m128i block = _mm_xor_si128(hash, Reverse128(Load128(job.text - left)));
    MultiplyAdd(sum, Widen(block), key, kPowers - 1);
    hash = Reduce(sum);
  }
  return hash;
}

template <bool kSealing>
FORM __m128i RunPacket(const GcmKey& key, const AeadJob& job) {
  constexpr uint32_t kRowBytes = kLanes * kBlock, kChunkBytes = kRows * kRowBytes;
  using Function = __m128i (*)(const GcmKey&, const Counters&, const Progress&, const AeadJob&);
  static constexpr Function kRest[kRows + 1] = {
      Rest<kSealing, 0>, Rest<kSealing, 1>, Rest<kSealing, 2>, Rest<kSealing, 3>, Rest<kSealing, 4>,
      Rest<kSealing, 5>, Rest<kSealing, 6>, Rest<kSealing, 7>, Rest<kSealing, 8>};
  const Counters counters(job);
  Progress at = {_mm_setzero_si128(), job.text, 2, job.length};
  if (job.additional > 0) at.hash = HashAdditional(key, job);
  for (; at.rest >= kChunkBytes; at.rest -= kChunkBytes) Chunk<kSealing>(key, counters, at);
  return kRest[(at.rest + kRowBytes - 1) / kRowBytes](key, counters, at, job);
}

FORM void SealPackets(void*, const KeyedJob* jobs, size_t count) {
  for (size_t i = 0; i < count; i++) {
    AeadJob& job = *jobs[i].job;
    const auto& key = *reinterpret_cast<const GcmKey*>(jobs[i].key);
    Store128(job.text + job.length, RunPacket<true>(key, job));
    job.good = true;
  }
}

FORM void OpenPackets(void*, const KeyedJob* jobs, size_t count) {
  for (size_t i = 0; i < count; i++) {
    AeadJob& job = *jobs[i].job;
    const auto& key = *reinterpret_cast<const GcmKey*>(jobs[i].key);
    const __m128i tag = RunPacket<false>(key, job);
    const __m128i difference = _mm_xor_si128(tag, Load128(job.text + job.length));
    job.good = _mm_testz_si128(difference, difference) != 0;
    if (!job.good) memset(job.text, 0, job.length);
  }
}

// ---- Keys

// Four words of the key schedule (FIPS 197 5.2), from the four that are eight back and the
// transformed last word.
FORM_INLINE __m128i NextKey(__m128i before, __m128i word) {
  before = _mm_xor_si128(before, _mm_slli_si128(before, 4));
  before = _mm_xor_si128(before, _mm_slli_si128(before, 8));
  return _mm_xor_si128(before, word);
}

template <int kAt>
FORM_INLINE void ExpandFrom(__m128i (&keys)[kRounds + 1]) {
  constexpr int kConstant = kAt % 2 == 0 ? 1 << (kAt / 2 - 1) : 0;
  const __m128i word = _mm_aeskeygenassist_si128(keys[kAt - 1], kConstant);
  keys[kAt] = NextKey(keys[kAt - 2],
                      kAt % 2 == 0 ? _mm_shuffle_epi32(word, 0xff) : _mm_shuffle_epi32(word, 0xaa));
  if constexpr (kAt < kRounds) ExpandFrom<kAt + 1>(keys);
}

FORM __m128i Multiply(__m128i a, __m128i b) {
  Products sum = NoProducts();
  MultiplyAdd(sum, Widen(a), Widen(b), Widen(Fold128(b)));
  return Reduce(sum);
}

// H / x: the reversed value moved up by one, and x^-1 = x^127 + x^6 + x + 1 for what falls out.
FORM __m128i DivideByX(__m128i value) {
  const auto low = static_cast<uint64_t>(_mm_cvtsi128_si64(value));
  const auto high = static_cast<uint64_t>(_mm_extract_epi64(value, 1));
  const uint64_t out = uint64_t{0} - (high >> 63);
  return Words((high << 1 | low >> 63) ^ (out & 0xc200000000000000), low << 1 ^ (out & 1));
}

FORM void Expand(const uint8_t* bytes, uint8_t* expanded) {
  auto& key = *reinterpret_cast<GcmKey*>(expanded);
  memset(&key, 0, sizeof key);
  __m128i keys[kRounds + 1];
  keys[0] = Load128(bytes);
  keys[1] = Load128(bytes + kBlock);
  ExpandFrom<2>(keys);
  for (int i = 0; i <= kRounds; i++) Store128(key.round_keys[i], keys[i]);
  Vector zero[1] = {Zero()};
  Encrypt(key, zero);
  const __m128i h = DivideByX(Reverse128(LowLane(zero[0])));
  __m128i power = h;
  for (int i = kPowers - 1; i >= 0; i--) {
    Store128(key.powers[i], power);
    Store128(key.folded[i], Fold128(power));
    power = Multiply(power, h);
  }
}

}  // namespace
}  // namespace hawser
