// ChaCha20-Poly1305 (RFC 8439) across the packets of a batch, for AVX2.
//
// ChaCha20: a register holds one word of the state of eight blocks, of any packets.
//
// Poly1305: a 64-bit lane holds one packet, in five limbs of 26 bits. A step takes 64 bytes of each
// of four packets: h = (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r, with one reduction for four blocks.
#if defined(__x86_64__)
#include <immintrin.h>

#include "chacha-batch.h"

#define FORM __attribute__((target("avx2,bmi2")))
#define FORM_INLINE FORM inline __attribute__((always_inline))

namespace hawser {
namespace {

constexpr int kSetLanes = 8, kPassLanes = 32;
constexpr int kGroupPackets = 4;  // packets of a Poly1305 step
constexpr int kLimbs = 5, kLimbBits = 26;
constexpr uint64_t kLimbMask = (uint64_t{1} << kLimbBits) - 1;
constexpr uint64_t kHighBit = uint64_t{1} << 24;  // 2^128 in the fifth limb

// Memory that the batch works in.
struct StateScratch : ChaChaScratch<kSetLanes, kPassLanes> {
  alignas(64) uint32_t state[2][16][kSetLanes];
};

FORM_INLINE __m256i Load(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

FORM_INLINE void Store(void* to, __m256i value) {
  _mm256_storeu_si256(static_cast<__m256i*>(to), value);
}

// ---- ChaCha20

// The state of the lanes of one set (RFC 8439 2.3), word by word. `run` goes past the set.
FORM void FillState(const ChaChaPacket* packets, const ChaChaRun*& run, const ChaChaRun* end,
                    int set, uint32_t (*state)[kSetLanes]) {
  static const int kConstants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  for (int i = 0; i < 4; i++) Store(state[i], _mm256_set1_epi32(kConstants[i]));
  __m256i nonce[3] = {}, counter = {};
  const uint8_t* key = nullptr;
  for (; run != end && run->lane / kSetLanes == set; run++) {
    const ChaChaPacket& packet = packets[run->packet];
    const int lane = run->lane % kSetLanes;
    // Runs come in the order of their lanes: what is right of a run is overwritten by the next.
    const __m256i mask = _mm256_cmpgt_epi32(lanes, _mm256_set1_epi32(lane - 1));
    if (packet.key != key) {
      key = packet.key;
      for (int i = 0; i < 8; i++) {
        int word;
        memcpy(&word, key + 4 * i, 4);
        const __m256i before = lane == 0 ? _mm256_setzero_si256() : Load(state[4 + i]);
        Store(state[4 + i], _mm256_blendv_epi8(before, _mm256_set1_epi32(word), mask));
      }
    }
    const __m256i first = _mm256_set1_epi32(static_cast<int>(run->first_block) - lane);
    counter = _mm256_blendv_epi8(counter, _mm256_add_epi32(lanes, first), mask);
    const uint32_t words[3] = {packet.salt, static_cast<uint32_t>(packet.counter),
                               static_cast<uint32_t>(packet.counter >> 32)};
    for (int i = 0; i < 3; i++) {
      const __m256i word = _mm256_set1_epi32(static_cast<int>(words[i]));
      nonce[i] = _mm256_blendv_epi8(nonce[i], word, mask);
    }
  }
  Store(state[12], counter);
  for (int i = 0; i < 3; i++) Store(state[13 + i], nonce[i]);
}

// Two quarter rounds side by side (RFC 8439 2.1), as many as there are registers for, on words in
// memory. Each step overwrites one of its operands: compilers use more registers by themselves.
// clang-format off
#define ADD(TO, FROM) asm("vpaddd %1, %0, %0" : "+x"(TO) : "x"(FROM));
#define XOR(TO, FROM) asm("vpxor %1, %0, %0" : "+x"(TO) : "x"(FROM));
#define ROTATE_BYTES(WORD, ORDER) WORD = _mm256_shuffle_epi8(WORD, ORDER);
#define ROTATE(WORD, BITS) \
  WORD = _mm256_or_si256(_mm256_slli_epi32(WORD, BITS), _mm256_srli_epi32(WORD, 32 - (BITS)));
#define HALF(ORDER, BITS_C)                       \
  ADD(a0, b0) ADD(a1, b1) XOR(d0, a0) XOR(d1, a1) \
  ROTATE_BYTES(d0, ORDER) ROTATE_BYTES(d1, ORDER) \
  ADD(c0, d0) ADD(c1, d1) XOR(b0, c0) XOR(b1, c1) \
  ROTATE(b0, BITS_C) ROTATE(b1, BITS_C)
// clang-format on

template <int kA, int kB, int kC, int kD>
FORM_INLINE void TwoQuarterRounds(uint32_t (*x)[kSetLanes], __m256i by16, __m256i by8) {
  // The second one is on the next column, or diagonal.
  constexpr int kNextB = 4 + (kB + 1) % 4, kNextC = 8 + (kC + 1) % 4, kNextD = 12 + (kD + 1) % 4;
  __m256i a0 = Load(x[kA]), b0 = Load(x[kB]), c0 = Load(x[kC]), d0 = Load(x[kD]);
  __m256i a1 = Load(x[kA + 1]), b1 = Load(x[kNextB]), c1 = Load(x[kNextC]), d1 = Load(x[kNextD]);
  HALF(by16, 12)
  HALF(by8, 7)
  Store(x[kA], a0), Store(x[kB], b0), Store(x[kC], c0), Store(x[kD], d0);
  Store(x[kA + 1], a1), Store(x[kNextB], b1), Store(x[kNextC], c1), Store(x[kNextD], d1);
}

// The 20 rounds and the addition of the initial state, which the result replaces, over kSets sets.
// The instructions of one set wait for each other. So two sets take turns: while one waits, the
// other is at work. Both do not fit into registers; loads and stores are what there is room for.
template <int kSets>
FORM void Rounds(uint32_t (*state)[16][kSetLanes]) {
  const __m256i by16 = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
  const __m256i by8 = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14));
  alignas(32) uint32_t x[kSets][16][kSetLanes];
  memcpy(x, state, sizeof x);
#pragma GCC unroll 1
  for (int round = 0; round < 20; round += 2) {
#pragma GCC unroll 2
    for (int set = 0; set < kSets; set++) {
      TwoQuarterRounds<0, 4, 8, 12>(x[set], by16, by8);
      TwoQuarterRounds<2, 6, 10, 14>(x[set], by16, by8);
    }
#pragma GCC unroll 2
    for (int set = 0; set < kSets; set++) {
      TwoQuarterRounds<0, 5, 10, 15>(x[set], by16, by8);
      TwoQuarterRounds<2, 7, 8, 13>(x[set], by16, by8);
    }
  }
  for (int set = 0; set < kSets; set++) {
    for (int i = 0; i < 16; i++) {
      Store(state[set][i], _mm256_add_epi32(Load(state[set][i]), Load(x[set][i])));
    }
  }
}

// From words of eight blocks to the blocks one after the other.
FORM void Transpose(const uint32_t (*words)[kSetLanes], uint8_t (*blocks)[kBlockBytes]) {
  __m256i quads[4][4];  // [g][k]: words 4g to 4g + 3 of lanes k and k + 4
#pragma GCC unroll 4
  for (int g = 0; g < 4; g++) {
    const __m256i a = Load(words[4 * g]), b = Load(words[4 * g + 1]);
    const __m256i c = Load(words[4 * g + 2]), d = Load(words[4 * g + 3]);
    const __m256i ab0 = _mm256_unpacklo_epi32(a, b), ab1 = _mm256_unpackhi_epi32(a, b);
    const __m256i cd0 = _mm256_unpacklo_epi32(c, d), cd1 = _mm256_unpackhi_epi32(c, d);
    quads[g][0] = _mm256_unpacklo_epi64(ab0, cd0);
    quads[g][1] = _mm256_unpackhi_epi64(ab0, cd0);
    quads[g][2] = _mm256_unpacklo_epi64(ab1, cd1);
    quads[g][3] = _mm256_unpackhi_epi64(ab1, cd1);
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++) {
    Store(blocks[k], _mm256_permute2x128_si256(quads[0][k], quads[1][k], 0x20));
    Store(blocks[k] + 32, _mm256_permute2x128_si256(quads[2][k], quads[3][k], 0x20));
    Store(blocks[k + 4], _mm256_permute2x128_si256(quads[0][k], quads[1][k], 0x31));
    Store(blocks[k + 4] + 32, _mm256_permute2x128_si256(quads[2][k], quads[3][k], 0x31));
  }
}

// The key stream of the lanes of a pass.
FORM void MakePass(StateScratch& scratch, int runs, int lanes) {
  const ChaChaRun* run = scratch.runs;
  const ChaChaRun* const end = run + runs;
  const int sets = (lanes + kSetLanes - 1) / kSetLanes;
  for (int set = 0; set < sets; set += 2) {
    uint8_t(*blocks)[kBlockBytes] = scratch.stream + set * kSetLanes;
    FillState(scratch.packets, run, end, set, scratch.state[0]);
    if (set + 1 == sets) {
      Rounds<1>(scratch.state);
      Transpose(scratch.state[0], blocks);
      return;
    }
    FillState(scratch.packets, run, end, set + 1, scratch.state[1]);
    Rounds<2>(scratch.state);
    Transpose(scratch.state[0], blocks);
    Transpose(scratch.state[1], blocks + kSetLanes);
  }
}

FORM void Xor(uint8_t* text, const uint8_t* stream, size_t length) {
  for (; length >= 32; length -= 32, text += 32, stream += 32) {
    Store(text, _mm256_xor_si256(Load(text), Load(stream)));
  }
  for (; length >= 8; length -= 8, text += 8, stream += 8) {
    uint64_t word, mask;
    memcpy(&word, text, 8);
    memcpy(&mask, stream, 8);
    word ^= mask;
    memcpy(text, &word, 8);
  }
  for (size_t i = 0; i < length; i++) text[i] ^= stream[i];
}

// ---- Poly1305

struct Limbs {
  __m256i limb[kLimbs];
};

// A power of r, with 5 r for the limbs that wrap around.
struct Power {
  __m256i r[kLimbs], wrapped[kLimbs];
};

FORM_INLINE __m256i Set(uint64_t value) {
  return _mm256_set1_epi64x(static_cast<long long>(value));
}

// sum += a * power, where all limbs have less than 32 bits.
FORM_INLINE void MultiplyAdd(Limbs& sum, const Limbs& a, const Power& power) {
#pragma GCC unroll 5
  for (int i = 0; i < kLimbs; i++) {
#pragma GCC unroll 5
    for (int j = 0; j < kLimbs; j++) {
      const __m256i& factor = i + j < kLimbs ? power.r[j] : power.wrapped[j];
      __m256i& to = sum.limb[(i + j) % kLimbs];
      // Left to itself, the compiler makes all products first, and spills them.
      __m256i product;
      asm("vpmuludq %3, %2, %1\n\tvpaddq %1, %0, %0"
          : "+x"(to), "=&x"(product)
          : "x"(a.limb[i]), "m"(factor));
    }
  }
}

#define CARRY(FROM, TO)                                                   \
  l[TO] = _mm256_add_epi64(l[TO], _mm256_srli_epi64(l[FROM], kLimbBits)); \
  l[FROM] = _mm256_and_si256(l[FROM], mask);
#define CARRY_AROUND                                                                     \
  {                                                                                      \
    const __m256i carry = _mm256_srli_epi64(l[4], kLimbBits);                            \
    l[4] = _mm256_and_si256(l[4], mask);                                                 \
    l[0] = _mm256_add_epi64(l[0], _mm256_add_epi64(carry, _mm256_slli_epi64(carry, 2))); \
  }

// Sums of less than 2^60 to limbs of 26 bits and a little.
FORM_INLINE void Reduce(Limbs& h) {
  const __m256i mask = Set(kLimbMask);
  __m256i* l = h.limb;
  CARRY(0, 1)
  CARRY(3, 4)
  CARRY(1, 2)
  CARRY_AROUND
  CARRY(2, 3)
  CARRY(0, 1)
  CARRY(3, 4)
}

FORM_INLINE Limbs Nothing() {
  Limbs sum;
  for (__m256i& limb : sum.limb) limb = _mm256_setzero_si256();
  return sum;
}

FORM_INLINE Power MakePower(const Limbs& value) {
  Power power;
  for (int i = 0; i < kLimbs; i++) {
    power.r[i] = value.limb[i];
    power.wrapped[i] = _mm256_add_epi64(value.limb[i], _mm256_slli_epi64(value.limb[i], 2));
  }
  return power;
}

FORM_INLINE Power Times(const Power& a, const Power& b) {
  Limbs factor, sum = Nothing();
  for (int i = 0; i < kLimbs; i++) factor.limb[i] = a.r[i];
  MultiplyAdd(sum, factor, b);
  Reduce(sum);
  return MakePower(sum);
}

FORM_INLINE Limbs Split(__m256i low, __m256i high) {
  const __m256i mask = Set(kLimbMask);
  Limbs m;
  m.limb[0] = _mm256_and_si256(low, mask);
  m.limb[1] = _mm256_and_si256(_mm256_srli_epi64(low, 26), mask);
  m.limb[2] = _mm256_and_si256(
      _mm256_or_si256(_mm256_srli_epi64(low, 52), _mm256_slli_epi64(high, 12)), mask);
  m.limb[3] = _mm256_and_si256(_mm256_srli_epi64(high, 14), mask);
  m.limb[4] = _mm256_srli_epi64(high, 40);
  return m;
}

// Four packets: their one-time keys, and where their texts are.
struct Group {
  Power power[4];  // r^4, r^3, r^2, r
  __m256i s_low, s_high;
  PolyTexts<kGroupPackets> texts;
};

// From two blocks of four packets, 32 bytes each, to words[block][low or high] by packets.
FORM_INLINE void TransposeRows(const __m256i (&rows)[4], __m256i (*words)[2]) {
  const __m256i low01 = _mm256_unpacklo_epi64(rows[0], rows[1]);
  const __m256i low23 = _mm256_unpacklo_epi64(rows[2], rows[3]);
  const __m256i high01 = _mm256_unpackhi_epi64(rows[0], rows[1]);
  const __m256i high23 = _mm256_unpackhi_epi64(rows[2], rows[3]);
  words[0][0] = _mm256_permute2x128_si256(low01, low23, 0x20);
  words[1][0] = _mm256_permute2x128_si256(low01, low23, 0x31);
  words[0][1] = _mm256_permute2x128_si256(high01, high23, 0x20);
  words[1][1] = _mm256_permute2x128_si256(high01, high23, 0x31);
}

// The keys of four packets that follow each other, clamped (RFC 8439 2.5).
FORM void LoadKeys(const uint8_t (*keys)[32], Group& group) {
  const __m256i rows[4] = {Load(keys[0]), Load(keys[1]), Load(keys[2]), Load(keys[3])};
  __m256i words[2][2];
  TransposeRows(rows, words);
  group.s_low = words[1][0];
  group.s_high = words[1][1];
  const __m256i low = _mm256_and_si256(words[0][0], Set(0x0ffffffc0fffffff));
  const __m256i high = _mm256_and_si256(words[0][1], Set(0x0ffffffc0ffffffc));
  group.power[3] = MakePower(Split(low, high));
  group.power[2] = Times(group.power[3], group.power[3]);
  group.power[1] = Times(group.power[2], group.power[3]);
  group.power[0] = Times(group.power[2], group.power[2]);
}

// One step over four packets, 64 bytes each as two halves. `high[j]` is 2^128 where block j exists.
FORM_INLINE Limbs Step(const Limbs& h, const __m256i (&first)[4], const __m256i (&second)[4],
                       const __m256i (&high)[4], const Group& group) {
  __m256i words[4][2];
  TransposeRows(first, words);
  TransposeRows(second, words + 2);
  Limbs sum = Nothing();
  // The product with h comes last: nothing before it has to wait for the step before.
#pragma GCC unroll 4
  for (int j = 3; j >= 0; j--) {
    Limbs m = Split(words[j][0], words[j][1]);
    m.limb[4] = _mm256_or_si256(m.limb[4], high[j]);
    if (j == 0) {
      for (int i = 0; i < kLimbs; i++) m.limb[i] = _mm256_add_epi64(m.limb[i], h.limb[i]);
    }
    MultiplyAdd(sum, m, group.power[j]);
  }
  Reduce(sum);
  return sum;
}

// 2^128 for the packets in which a block exists: first_blocks[i] + j >= 0.
FORM_INLINE __m256i HighBits(__m256i first_blocks, int j) {
  const __m256i exists = _mm256_cmpgt_epi64(first_blocks, Set(static_cast<uint64_t>(-1 - j)));
  return _mm256_and_si256(exists, Set(kHighBit));
}

FORM_INLINE __m256i Widen(const int32_t (&blocks)[4]) {
  int64_t wide[4];
  for (int i = 0; i < 4; i++) wide[i] = blocks[i];
  return Load(wide);
}

// A step in which some packets have not begun. `behind`: steps from here to the last one.
FORM Limbs EnterStep(const Limbs& h, int32_t behind, const Group& group) {
  const PolyTexts<kGroupPackets>& texts = group.texts;
  __m256i rows[2][4], high[4];
  const __m256i pair = _mm256_setr_epi64x(0, 0, 1, 1);
  int32_t blocks[4];
  for (int i = 0; i < kGroupPackets; i++) {
    blocks[i] = texts.tail_block[i] - 4 * behind;
    const uint8_t* from = texts.tail[i] - int64_t{64} * behind;
    for (int half = 0; half < 2; half++) {
      // Masked loads touch nothing where the mask is zero.
      const __m256i number =
          _mm256_add_epi64(pair, Set(static_cast<uint64_t>(int64_t{blocks[i]} + 2 * half)));
      const __m256i exists = _mm256_cmpgt_epi64(number, Set(~uint64_t{0}));
      rows[half][i] =
          _mm256_maskload_epi64(reinterpret_cast<const long long*>(from + 32 * half), exists);
    }
  }
  const __m256i first = Widen(blocks);
  for (int j = 0; j < 4; j++) high[j] = HighBits(first, j);
  return Step(h, rows[0], rows[1], high, group);
}

// Block `block` of a text, zeros if it is before the beginning, filled up with zeros at the end.
FORM_INLINE __m128i TextBlock(const uint8_t* text, int32_t length, int32_t block) {
  // Read at 16 - n: moves n bytes from the end of a register to its beginning, and zeros behind.
  static const uint8_t kMove[32] = {0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,
                                    11,  12,  13,  14,  15,  128, 128, 128, 128, 128, 128,
                                    128, 128, 128, 128, 128, 128, 128, 128, 128, 128};
  const int32_t at = 16 * block, rest = length - at;
  if (block < 0 || rest <= 0) return _mm_setzero_si128();
  if (rest >= 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + at));
  if (length >= 16) {
    const auto* last = reinterpret_cast<const __m128i*>(text + length - 16);
    const auto* order = reinterpret_cast<const __m128i*>(kMove + 16 - rest);
    return _mm_shuffle_epi8(_mm_loadu_si128(last), _mm_loadu_si128(order));
  }
  uint64_t words[2] = {0, 0};
  for (int32_t i = 0; i < rest; i++) words[i / 8] |= uint64_t{text[at + i]} << (8 * (i % 8));
  return _mm_set_epi64x(static_cast<long long>(words[1]), static_cast<long long>(words[0]));
}

// The last step: up to three blocks of text, filled up with zeros, and the block of lengths.
FORM Limbs LastStep(const Limbs& h, const Group& group) {
  const PolyTexts<kGroupPackets>& texts = group.texts;
  __m256i rows[2][4], high[4];
  for (int i = 0; i < kGroupPackets; i++) {
    const int32_t block = texts.tail_block[i], end = 16 * block + texts.tail_end[i];
    const uint8_t* start = texts.tail[i] - int64_t{16} * block;
    const __m128i lengths = _mm_set_epi64x(texts.length[i], texts.additional[i]);
    rows[0][i] = _mm256_set_m128i(TextBlock(start, end, block + 1), TextBlock(start, end, block));
    rows[1][i] = _mm256_set_m128i(lengths, TextBlock(start, end, block + 2));
  }
  const __m256i first = Widen(texts.tail_block);
  for (int j = 0; j < 3; j++) high[j] = HighBits(first, j);
  high[3] = Set(kHighBit);
  return Step(h, rows[0], rows[1], high, group);
}

// h mod p + s mod 2^128 (RFC 8439 2.5.1), the tags of four packets as low and high words.
FORM void FinishTags(Limbs h, const Group& group, uint64_t (*tags)[kGroupPackets]) {
  const __m256i mask = Set(kLimbMask);
  __m256i* l = h.limb;
  for (int i = 0; i < 2; i++) {
    CARRY(0, 1)
    CARRY(1, 2)
    CARRY(2, 3)
    CARRY(3, 4)
    CARRY_AROUND
  }
  CARRY(0, 1)
  // h - p = h + 5 - 2^130: taken where it is not negative.
  __m256i g[kLimbs], carry = Set(5);
  for (int i = 0; i < kLimbs; i++) {
    g[i] = _mm256_add_epi64(l[i], carry);
    carry = _mm256_srli_epi64(g[i], kLimbBits);
    g[i] = _mm256_and_si256(g[i], mask);
  }
  const __m256i reduced = _mm256_cmpgt_epi64(carry, _mm256_setzero_si256());
  for (int i = 0; i < kLimbs; i++) l[i] = _mm256_blendv_epi8(l[i], g[i], reduced);
  __m256i low = _mm256_or_si256(_mm256_or_si256(l[0], _mm256_slli_epi64(l[1], 26)),
                                _mm256_slli_epi64(l[2], 52));
  __m256i high =
      _mm256_or_si256(_mm256_or_si256(_mm256_srli_epi64(l[2], 12), _mm256_slli_epi64(l[3], 14)),
                      _mm256_slli_epi64(l[4], 40));
  low = _mm256_add_epi64(low, group.s_low);
  // Unsigned comparison by signed numbers with the sign turned round.
  const __m256i sign = Set(uint64_t{1} << 63);
  const __m256i over =
      _mm256_cmpgt_epi64(_mm256_xor_si256(group.s_low, sign), _mm256_xor_si256(low, sign));
  high = _mm256_sub_epi64(_mm256_add_epi64(high, group.s_high), over);
  Store(tags[0], low);
  Store(tags[1], high);
}

FORM void Authenticate(const Group& group, uint64_t (*tags)[kGroupPackets]) {
  Limbs h = Nothing();
  int32_t behind = group.texts.steps;
  for (; behind > group.texts.full_steps; behind--) h = EnterStep(h, behind, group);
  const __m256i bit = Set(kHighBit);
  const __m256i high[4] = {bit, bit, bit, bit};
#pragma GCC unroll 1
  for (; behind > 0; behind--) {
    __m256i first[4], second[4];
#pragma GCC unroll 4
    for (int i = 0; i < kGroupPackets; i++) {
      const uint8_t* from = group.texts.tail[i] - int64_t{64} * behind;
      first[i] = Load(from);
      second[i] = Load(from + 32);
    }
    h = Step(h, first, second, high, group);
  }
  FinishTags(LastStep(h, group), group, tags);
}

// What native/chacha-batch.h asks of a form.
struct Form {
  using Scratch = StateScratch;
  static constexpr int kGroup = kGroupPackets;

  static void MakeStream(Scratch& scratch, int runs, int lanes) { MakePass(scratch, runs, lanes); }
  static void AddStream(uint8_t* text, const uint8_t* stream, size_t length) {
    Xor(text, stream, length);
  }
  static void Tags(const ChaChaPacket* packets, const uint8_t (*keys)[32], int count,
                   uint64_t (*tags)[kGroup]) {
    Group group;
    group.texts.Load(packets, count);
    LoadKeys(keys, group);
    Authenticate(group, tags);
  }
};

bool RunsHere() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"); }

}  // namespace

const AeadKernel kChaChaAvx2 = {"avx2",
                                kChaCha20Poly1305,
                                RunsHere,
                                0,
                                nullptr,
                                sizeof(StateScratch),
                                &ChaChaBatch<Form>::Seal,
                                &ChaChaBatch<Form>::Open,
                                512};

}  // namespace hawser
#endif
