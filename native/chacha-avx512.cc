// ChaCha20-Poly1305 (RFC 8439) across the packets of a batch, for AVX-512 with IFMA.
//
// ChaCha20: a register holds one word of the state of 16 blocks, two sets of 16 registers run at a
// time to cover the latency of each other. A block may belong to any packet, and thereby key: the
// blocks of a batch are dealt out to lanes one packet after the other, block 0 (the Poly1305 key)
// like all others, and no lane stays empty but in the last pass.
//
// Poly1305: a 64-bit lane holds one packet, in limbs of 44, 44 and 42 bits. A step takes 64 bytes
// of each of eight packets: h = (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r, so that there is one
// reduction for four blocks. Packets of different lengths end at the same step: blocks before the
// beginning of a text are zero and leave h at zero.
//
// Branches and addresses depend on lengths and on whether a tag was right, on nothing else.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

#include "chacha-batch.h"

// The headers of GCC 12 write "undefined" operands as variables initialised by themselves.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define FORM __attribute__((target("avx2,bmi2,avx512f,avx512bw,avx512vl,avx512dq,avx512ifma")))
#define FORM_INLINE FORM inline __attribute__((always_inline))

namespace hawser {
namespace {

constexpr int kSetLanes = 16, kPassLanes = 32;
constexpr int kGroupPackets = 8;  // packets of a Poly1305 step
constexpr uint64_t kMask44 = (uint64_t{1} << 44) - 1, kMask42 = (uint64_t{1} << 42) - 1;
constexpr uint64_t kHighBit = uint64_t{1} << 40;  // 2^128 in the third limb

// Memory that the batch works in.
struct StateScratch : ChaChaScratch<kSetLanes, kPassLanes> {
  alignas(64) uint32_t state[2][16][kSetLanes];
};

// ---- ChaCha20

// The state of the lanes of one set (RFC 8439 2.3), word by word. `run` goes past the set.
FORM void FillState(const ChaChaPacket* packets, const ChaChaRun*& run, const ChaChaRun* end,
                    int set, uint32_t (*state)[kSetLanes]) {
  static const int kConstants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  for (int i = 0; i < 4; i++) _mm512_store_si512(state[i], _mm512_set1_epi32(kConstants[i]));
  __m512i nonce[3] = {}, counter = {};
  const uint8_t* key = nullptr;
  for (; run != end && run->lane / kSetLanes == set; run++) {
    const ChaChaPacket& packet = packets[run->packet];
    const int lane = run->lane % kSetLanes;
    // Runs come in the order of their lanes: what is right of a run is overwritten by the next.
    const auto mask = static_cast<__mmask16>(0xffffu << lane);
    if (packet.key != key) {
      key = packet.key;
      for (int i = 0; i < 8; i++) {
        const __m512i word = _mm512_broadcastd_epi32(_mm_loadu_si32(key + 4 * i));
        _mm512_mask_store_epi32(state[4 + i], mask, word);
      }
    }
    const __m512i first = _mm512_set1_epi32(static_cast<int>(run->first_block) - lane);
    counter = _mm512_mask_add_epi32(counter, mask, lanes, first);
    nonce[0] = _mm512_mask_set1_epi32(nonce[0], mask, static_cast<int>(packet.salt));
    nonce[1] = _mm512_mask_set1_epi32(nonce[1], mask, static_cast<int>(packet.counter));
    nonce[2] = _mm512_mask_set1_epi32(nonce[2], mask, static_cast<int>(packet.counter >> 32));
  }
  _mm512_store_si512(state[12], counter);
  for (int i = 0; i < 3; i++) _mm512_store_si512(state[13 + i], nonce[i]);
}

// The steps of a quarter round (RFC 8439 2.1). Each overwrites one of its operands, so that 32
// registers hold two sets and nothing is left to spill; compilers do not find this by themselves.
// clang-format off
#define ADD(TO, FROM) asm("vpaddd %1, %0, %0" : "+v"(TO) : "v"(FROM))
#define XOR_ROTATE(TO, FROM, BITS) \
  asm("vpxord %1, %0, %0\n\tvprold $" #BITS ", %0, %0" : "+v"(TO) : "v"(FROM))
#define A_B(X, A, B, C, D) ADD(X##A, X##B);
#define C_D(X, A, B, C, D) ADD(X##C, X##D);
#define D_16(X, A, B, C, D) XOR_ROTATE(X##D, X##A, 16);
#define B_12(X, A, B, C, D) XOR_ROTATE(X##B, X##C, 12);
#define D_8(X, A, B, C, D) XOR_ROTATE(X##D, X##A, 8);
#define B_7(X, A, B, C, D) XOR_ROTATE(X##B, X##C, 7);
#define COLUMNS(STEP, X) \
  STEP(X, 0, 4, 8, 12) STEP(X, 1, 5, 9, 13) STEP(X, 2, 6, 10, 14) STEP(X, 3, 7, 11, 15)
#define DIAGONALS(STEP, X) \
  STEP(X, 0, 5, 10, 15) STEP(X, 1, 6, 11, 12) STEP(X, 2, 7, 8, 13) STEP(X, 3, 4, 9, 14)
#define ONE_SET(WHICH, STEP) WHICH(STEP, x)
#define TWO_SETS(WHICH, STEP) WHICH(STEP, x) WHICH(STEP, y)
#define QUARTER_ROUNDS(SETS, WHICH)                                         \
  SETS(WHICH, A_B) SETS(WHICH, D_16) SETS(WHICH, C_D) SETS(WHICH, B_12) \
  SETS(WHICH, A_B) SETS(WHICH, D_8) SETS(WHICH, C_D) SETS(WHICH, B_7)
#define EACH_WORD(DO, X, STATE)                                     \
  DO(X, STATE, 0) DO(X, STATE, 1) DO(X, STATE, 2) DO(X, STATE, 3)     \
  DO(X, STATE, 4) DO(X, STATE, 5) DO(X, STATE, 6) DO(X, STATE, 7)     \
  DO(X, STATE, 8) DO(X, STATE, 9) DO(X, STATE, 10) DO(X, STATE, 11)   \
  DO(X, STATE, 12) DO(X, STATE, 13) DO(X, STATE, 14) DO(X, STATE, 15)
#define LOAD(X, STATE, I) __m512i X##I = _mm512_load_si512(STATE[I]);
#define ADD_STORE(X, STATE, I) \
  _mm512_store_si512(STATE[I], _mm512_add_epi32(X##I, _mm512_load_si512(STATE[I])));
// clang-format on

// The 20 rounds and the addition of the initial state. The result replaces the state.
FORM void OneSetRounds(uint32_t (*state)[kSetLanes]) {
  EACH_WORD(LOAD, x, state)
#pragma GCC unroll 1
  for (int round = 0; round < 20; round += 2) {
    QUARTER_ROUNDS(ONE_SET, COLUMNS)
    QUARTER_ROUNDS(ONE_SET, DIAGONALS)
  }
  EACH_WORD(ADD_STORE, x, state)
}

FORM void TwoSetsRounds(uint32_t (*first)[kSetLanes], uint32_t (*second)[kSetLanes]) {
  EACH_WORD(LOAD, x, first)
  EACH_WORD(LOAD, y, second)
#pragma GCC unroll 1
  for (int round = 0; round < 20; round += 2) {
    QUARTER_ROUNDS(TWO_SETS, COLUMNS)
    QUARTER_ROUNDS(TWO_SETS, DIAGONALS)
  }
  EACH_WORD(ADD_STORE, x, first)
  EACH_WORD(ADD_STORE, y, second)
}

// From words of 16 blocks to the blocks one after the other.
FORM void Transpose(const uint32_t (*words)[kSetLanes], uint8_t (*blocks)[kBlockBytes]) {
  __m512i quads[4][4];  // [g][k]: words 4g to 4g + 3 of lanes k, k + 4, k + 8, k + 12
#pragma GCC unroll 4
  for (int g = 0; g < 4; g++) {
    const __m512i a = _mm512_load_si512(words[4 * g]), b = _mm512_load_si512(words[4 * g + 1]);
    const __m512i c = _mm512_load_si512(words[4 * g + 2]), d = _mm512_load_si512(words[4 * g + 3]);
    const __m512i ab0 = _mm512_unpacklo_epi32(a, b), ab1 = _mm512_unpackhi_epi32(a, b);
    const __m512i cd0 = _mm512_unpacklo_epi32(c, d), cd1 = _mm512_unpackhi_epi32(c, d);
    quads[g][0] = _mm512_unpacklo_epi64(ab0, cd0);
    quads[g][1] = _mm512_unpackhi_epi64(ab0, cd0);
    quads[g][2] = _mm512_unpacklo_epi64(ab1, cd1);
    quads[g][3] = _mm512_unpackhi_epi64(ab1, cd1);
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++) {
    const __m512i low0 = _mm512_shuffle_i32x4(quads[0][k], quads[1][k], 0x44);
    const __m512i low1 = _mm512_shuffle_i32x4(quads[2][k], quads[3][k], 0x44);
    const __m512i high0 = _mm512_shuffle_i32x4(quads[0][k], quads[1][k], 0xee);
    const __m512i high1 = _mm512_shuffle_i32x4(quads[2][k], quads[3][k], 0xee);
    _mm512_store_si512(blocks[k], _mm512_shuffle_i32x4(low0, low1, 0x88));
    _mm512_store_si512(blocks[k + 4], _mm512_shuffle_i32x4(low0, low1, 0xdd));
    _mm512_store_si512(blocks[k + 8], _mm512_shuffle_i32x4(high0, high1, 0x88));
    _mm512_store_si512(blocks[k + 12], _mm512_shuffle_i32x4(high0, high1, 0xdd));
  }
}

// The key stream of the lanes of a pass.
FORM void MakePass(StateScratch& scratch, int runs, int lanes) {
  const ChaChaRun* run = scratch.runs;
  const ChaChaRun* const end = run + runs;
  FillState(scratch.packets, run, end, 0, scratch.state[0]);
  if (lanes <= kSetLanes) {
    OneSetRounds(scratch.state[0]);
    Transpose(scratch.state[0], scratch.stream);
    return;
  }
  FillState(scratch.packets, run, end, 1, scratch.state[1]);
  TwoSetsRounds(scratch.state[0], scratch.state[1]);
  Transpose(scratch.state[0], scratch.stream);
  Transpose(scratch.state[1], scratch.stream + kSetLanes);
}

FORM void Xor(uint8_t* text, const uint8_t* stream, size_t length) {
  for (; length >= kBlockBytes; length -= kBlockBytes) {
    _mm512_storeu_si512(text,
                        _mm512_xor_si512(_mm512_loadu_si512(text), _mm512_load_si512(stream)));
    text += kBlockBytes;
    stream += kBlockBytes;
  }
  if (length == 0) return;
  const __mmask64 mask = _bzhi_u64(~uint64_t{0}, static_cast<unsigned>(length));
  const __m512i bytes = _mm512_maskz_loadu_epi8(mask, text);
  _mm512_mask_storeu_epi8(text, mask, _mm512_xor_si512(bytes, _mm512_load_si512(stream)));
}

// ---- Poly1305

struct Limbs {
  __m512i limb[3];
};

// A power of r, with 20 r for the limbs that wrap around: 2^132 = 4 * 2^130 = 20 mod p.
struct Power {
  __m512i r[3], wrapped[3];
};

struct Product {
  __m512i low[3], high[3];
};

FORM_INLINE __m512i Set(uint64_t value) { return _mm512_set1_epi64(static_cast<long long>(value)); }

FORM_INLINE void MultiplyAdd(Product& sum, const __m512i (&a)[3], const Power& power) {
#define TERM(TO, A, B)                                             \
  sum.low[TO] = _mm512_madd52lo_epu64(sum.low[TO], a[A], power.B); \
  sum.high[TO] = _mm512_madd52hi_epu64(sum.high[TO], a[A], power.B)
  TERM(0, 2, wrapped[1]);
  TERM(1, 2, wrapped[2]);
  TERM(2, 2, r[0]);
  TERM(0, 1, wrapped[2]);
  TERM(1, 1, r[0]);
  TERM(2, 1, r[1]);
  TERM(0, 0, r[0]);
  TERM(1, 0, r[1]);
  TERM(2, 0, r[2]);
#undef TERM
}

// Limbs of 44, 44 (and a little) and 42 bits. The sums have less than 2^57 in their low parts, less
// than 2^46 in the high ones, which stand 2^52 higher.
FORM_INLINE Limbs Reduce(const Product& sum) {
  const __m512i mask44 = Set(kMask44), mask42 = Set(kMask42);
  Limbs h;
  __m512i carry = _mm512_srli_epi64(sum.low[0], 44);
  h.limb[0] = _mm512_and_si512(sum.low[0], mask44);
  const __m512i middle =
      _mm512_add_epi64(_mm512_add_epi64(sum.low[1], _mm512_slli_epi64(sum.high[0], 8)), carry);
  carry = _mm512_srli_epi64(middle, 44);
  h.limb[1] = _mm512_and_si512(middle, mask44);
  const __m512i upper =
      _mm512_add_epi64(_mm512_add_epi64(sum.low[2], _mm512_slli_epi64(sum.high[1], 8)), carry);
  h.limb[2] = _mm512_and_si512(upper, mask42);
  // What is above 2^130 comes back five times; the high part of the third limb is at 2^140.
  carry = _mm512_add_epi64(_mm512_srli_epi64(upper, 42), _mm512_slli_epi64(sum.high[2], 10));
  carry = _mm512_add_epi64(carry, _mm512_slli_epi64(carry, 2));
  const __m512i lower = _mm512_add_epi64(h.limb[0], carry);
  h.limb[0] = _mm512_and_si512(lower, mask44);
  h.limb[1] = _mm512_add_epi64(h.limb[1], _mm512_srli_epi64(lower, 44));
  return h;
}

FORM_INLINE Product Nothing() {
  Product sum;
  for (int i = 0; i < 3; i++) sum.low[i] = sum.high[i] = _mm512_setzero_si512();
  return sum;
}

FORM_INLINE Power MakePower(const Limbs& value) {
  Power power;
  for (int i = 0; i < 3; i++) {
    const __m512i r = value.limb[i];
    power.r[i] = r;
    power.wrapped[i] = _mm512_add_epi64(_mm512_slli_epi64(r, 4), _mm512_slli_epi64(r, 2));
  }
  return power;
}

FORM_INLINE Power Times(const Power& a, const Power& b) {
  Product sum = Nothing();
  MultiplyAdd(sum, a.r, b);
  return MakePower(Reduce(sum));
}

FORM_INLINE Limbs Split(__m512i low, __m512i high) {
  Limbs m;
  m.limb[0] = _mm512_and_si512(low, Set(kMask44));
  m.limb[1] = _mm512_and_si512(
      _mm512_or_si512(_mm512_srli_epi64(low, 44), _mm512_slli_epi64(high, 20)), Set(kMask44));
  m.limb[2] = _mm512_srli_epi64(high, 24);
  return m;
}

// Eight packets: their one-time keys, and where their texts are.
struct Group {
  Power power[4];  // r^4, r^3, r^2, r
  __m512i s_low, s_high;
  PolyTexts<kGroupPackets> texts;
};

// The keys of eight packets that follow each other, clamped (RFC 8439 2.5).
FORM void LoadKeys(const uint8_t (*keys)[32], Group& group) {
  const __m512i first = _mm512_set_epi64(13, 9, 5, 1, 12, 8, 4, 0);
  const __m512i second = _mm512_set_epi64(15, 11, 7, 3, 14, 10, 6, 2);
  const __m512i a = _mm512_load_si512(keys[0]), b = _mm512_load_si512(keys[2]);
  const __m512i c = _mm512_load_si512(keys[4]), d = _mm512_load_si512(keys[6]);
  const __m512i r_ab = _mm512_permutex2var_epi64(a, first, b);
  const __m512i r_cd = _mm512_permutex2var_epi64(c, first, d);
  const __m512i s_ab = _mm512_permutex2var_epi64(a, second, b);
  const __m512i s_cd = _mm512_permutex2var_epi64(c, second, d);
  group.s_low = _mm512_shuffle_i64x2(s_ab, s_cd, 0x44);
  group.s_high = _mm512_shuffle_i64x2(s_ab, s_cd, 0xee);
  const __m512i low =
      _mm512_and_si512(_mm512_shuffle_i64x2(r_ab, r_cd, 0x44), Set(0x0ffffffc0fffffff));
  const __m512i high =
      _mm512_and_si512(_mm512_shuffle_i64x2(r_ab, r_cd, 0xee), Set(0x0ffffffc0ffffffc));
  group.power[3] = MakePower(Split(low, high));
  group.power[2] = Times(group.power[3], group.power[3]);
  group.power[1] = Times(group.power[2], group.power[3]);
  group.power[0] = Times(group.power[2], group.power[2]);
}

// One step over the rows of eight packets, 64 bytes each. `high[j]` is 2^128 where block j exists.
FORM_INLINE Limbs Step(const Limbs& h, const __m512i (&rows)[kGroupPackets],
                       const __m512i (&high)[4], const Group& group) {
  __m512i low_pairs[4], high_pairs[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    low_pairs[i] = _mm512_unpacklo_epi64(rows[2 * i], rows[2 * i + 1]);
    high_pairs[i] = _mm512_unpackhi_epi64(rows[2 * i], rows[2 * i + 1]);
  }
  __m512i words[4][2];
#define BLOCKS(HALF, PAIRS)                                           \
  {                                                                   \
    const __m512i a = _mm512_shuffle_i64x2(PAIRS[0], PAIRS[1], 0x44); \
    const __m512i b = _mm512_shuffle_i64x2(PAIRS[2], PAIRS[3], 0x44); \
    const __m512i c = _mm512_shuffle_i64x2(PAIRS[0], PAIRS[1], 0xee); \
    const __m512i d = _mm512_shuffle_i64x2(PAIRS[2], PAIRS[3], 0xee); \
    words[0][HALF] = _mm512_shuffle_i64x2(a, b, 0x88);                \
    words[1][HALF] = _mm512_shuffle_i64x2(a, b, 0xdd);                \
    words[2][HALF] = _mm512_shuffle_i64x2(c, d, 0x88);                \
    words[3][HALF] = _mm512_shuffle_i64x2(c, d, 0xdd);                \
  }
  BLOCKS(0, low_pairs)
  BLOCKS(1, high_pairs)
#undef BLOCKS
  Product sum = Nothing();
  // The product with h comes last: nothing before it has to wait for the step before.
#pragma GCC unroll 4
  for (int j = 3; j >= 0; j--) {
    Limbs m = Split(words[j][0], words[j][1]);
    m.limb[2] = _mm512_or_si512(m.limb[2], high[j]);
    if (j == 0) {
      for (int i = 0; i < 3; i++) m.limb[i] = _mm512_add_epi64(m.limb[i], h.limb[i]);
    }
    MultiplyAdd(sum, m.limb, group.power[j]);
  }
  return Reduce(sum);
}

// A step in which some packets have not begun. `behind`: steps from here to the last one.
FORM Limbs EnterStep(const Limbs& h, int32_t behind, const Group& group) {
  __m512i rows[kGroupPackets], high[4];
  uint32_t present[4] = {};
  for (int i = 0; i < kGroupPackets; i++) {
    const int32_t block = group.texts.tail_block[i] - 4 * behind;
    const uint32_t mask = block >= 0 ? 0xff : block <= -4 ? 0 : (0xff << (-2 * block)) & 0xff;
    rows[i] = _mm512_maskz_loadu_epi64(static_cast<__mmask8>(mask),
                                       group.texts.tail[i] - int64_t{64} * behind);
    for (int j = 0; j < 4; j++) present[j] |= (mask >> (2 * j) & 1) << i;
  }
  for (int j = 0; j < 4; j++) {
    high[j] = _mm512_maskz_mov_epi64(static_cast<__mmask8>(present[j]), Set(kHighBit));
  }
  return Step(h, rows, high, group);
}

// The last step: up to three blocks of text, filled up with zeros, and the block of lengths.
FORM Limbs LastStep(const Limbs& h, const Group& group) {
  __m512i rows[kGroupPackets], high[4];
  uint32_t present[4] = {0, 0, 0, 0xff};
  for (int i = 0; i < kGroupPackets; i++) {
    const int32_t before = group.texts.tail_block[i] < 0 ? -16 * group.texts.tail_block[i] : 0;
    const auto end = static_cast<unsigned>(group.texts.tail_end[i]);
    const uint64_t mask = _bzhi_u64(~uint64_t{0}, end) & (~uint64_t{0} << before);
    const __m512i bytes = _mm512_maskz_loadu_epi8(mask, group.texts.tail[i]);
    const __m128i lengths = _mm_set_epi64x(group.texts.length[i], group.texts.additional[i]);
    rows[i] = _mm512_inserti64x2(bytes, lengths, 3);
    for (int j = 0; j < 3; j++) present[j] |= (before <= 16 * j ? 1u : 0u) << i;
  }
  for (int j = 0; j < 4; j++) {
    high[j] = _mm512_maskz_mov_epi64(static_cast<__mmask8>(present[j]), Set(kHighBit));
  }
  return Step(h, rows, high, group);
}

// h mod p + s mod 2^128 (RFC 8439 2.5.1), the tags of eight packets as low and high words.
FORM void FinishTags(Limbs h, const Group& group, uint64_t (*tags)[kGroupPackets]) {
  const __m512i mask44 = Set(kMask44), mask42 = Set(kMask42);
  __m512i* l = h.limb;
#define CARRY(FROM, TO, BITS, MASK, TIMES)                                        \
  {                                                                               \
    const __m512i carry = _mm512_srli_epi64(l[FROM], BITS);                       \
    l[FROM] = _mm512_and_si512(l[FROM], MASK);                                    \
    l[TO] = _mm512_add_epi64(l[TO], carry);                                       \
    if (TIMES == 5) l[TO] = _mm512_add_epi64(l[TO], _mm512_slli_epi64(carry, 2)); \
  }
  CARRY(1, 2, 44, mask44, 1)
  CARRY(2, 0, 42, mask42, 5)
  CARRY(0, 1, 44, mask44, 1)
  CARRY(1, 2, 44, mask44, 1)
  CARRY(2, 0, 42, mask42, 5)
  CARRY(0, 1, 44, mask44, 1)
#undef CARRY
  // h - p = h + 5 - 2^130: taken where it is not negative.
  __m512i g0 = _mm512_add_epi64(l[0], Set(5));
  __m512i g1 = _mm512_add_epi64(l[1], _mm512_srli_epi64(g0, 44));
  __m512i g2 =
      _mm512_sub_epi64(_mm512_add_epi64(l[2], _mm512_srli_epi64(g1, 44)), Set(uint64_t{1} << 42));
  const __mmask8 reduced = _mm512_cmpge_epi64_mask(g2, _mm512_setzero_si512());
  l[0] = _mm512_mask_and_epi64(l[0], reduced, g0, mask44);
  l[1] = _mm512_mask_and_epi64(l[1], reduced, g1, mask44);
  l[2] = _mm512_mask_and_epi64(l[2], reduced, g2, mask42);
  __m512i low = _mm512_or_si512(l[0], _mm512_slli_epi64(l[1], 44));
  __m512i high = _mm512_or_si512(_mm512_srli_epi64(l[1], 20), _mm512_slli_epi64(l[2], 24));
  low = _mm512_add_epi64(low, group.s_low);
  const __mmask8 carry = _mm512_cmplt_epu64_mask(low, group.s_low);
  high = _mm512_add_epi64(high, group.s_high);
  high = _mm512_mask_add_epi64(high, carry, high, Set(1));
  _mm512_storeu_si512(tags[0], low);
  _mm512_storeu_si512(tags[1], high);
}

FORM void Authenticate(const Group& group, uint64_t (*tags)[kGroupPackets]) {
  Limbs h;
  for (__m512i& limb : h.limb) limb = _mm512_setzero_si512();
  int32_t behind = group.texts.steps;
  for (; behind > group.texts.full_steps; behind--) h = EnterStep(h, behind, group);
  const __m512i bit = Set(kHighBit);
  const __m512i high[4] = {bit, bit, bit, bit};
#pragma GCC unroll 1
  for (; behind > 0; behind--) {
    __m512i rows[kGroupPackets];
#pragma GCC unroll 8
    for (int i = 0; i < kGroupPackets; i++) {
      rows[i] = _mm512_loadu_si512(group.texts.tail[i] - int64_t{64} * behind);
    }
    h = Step(h, rows, high, group);
  }
  FinishTags(LastStep(h, group), group, tags);
}

// What native/chacha-batch.h asks of a form.
struct Form {
  using Scratch = StateScratch;

  static void MakeStream(Scratch& scratch, int runs, int lanes) { MakePass(scratch, runs, lanes); }
  static void AddStream(uint8_t* text, const uint8_t* stream, size_t length) {
    Xor(text, stream, length);
  }
  static constexpr int kGroup = kGroupPackets;
  static void Tags(const ChaChaPacket* packets, const uint8_t (*keys)[32], int count,
                   uint64_t (*tags)[kGroupPackets]) {
    Group group;
    group.texts.Load(packets, count);
    LoadKeys(keys, group);
    Authenticate(group, tags);
  }
};

bool RunsHere() {
  return __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512ifma");
}

}  // namespace

const AeadKernel kChaChaAvx512 = {"avx512",
                                  kChaCha20Poly1305,
                                  RunsHere,
                                  0,
                                  nullptr,
                                  sizeof(StateScratch),
                                  &ChaChaBatch<Form>::Seal,
                                  &ChaChaBatch<Form>::Open,
                                  1536};

}  // namespace hawser
#endif
