// AES-256-GCM with VAES and VPCLMULQDQ on registers of four blocks. OpenSSL has such a path too,
// but what it does once for each packet takes longer than this needs for a small one.
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#include <cstdint>
#include <cstring>

// The headers of GCC 12 write "undefined" operands as variables initialised by themselves.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define FORM __attribute__((target("bmi2,aes,pclmul,avx512bw,avx512vl,avx512dq,vaes,vpclmulqdq")))
#define OPERATION FORM inline __attribute__((always_inline))

namespace hawser {
namespace {

using Vector = __m512i;
constexpr int kLanes = 4;

OPERATION Vector Zero() { return _mm512_setzero_si512(); }
OPERATION Vector Load(const void* from) { return _mm512_loadu_si512(from); }
OPERATION void Store(void* to, Vector value) { _mm512_storeu_si512(to, value); }
OPERATION Vector Xor(Vector a, Vector b) { return _mm512_xor_si512(a, b); }
OPERATION Vector Broadcast(__m128i block) { return _mm512_broadcast_i32x4(block); }
OPERATION Vector Widen(__m128i block) { return _mm512_zextsi128_si512(block); }
OPERATION __m128i LowLane(Vector value) { return _mm512_castsi512_si128(value); }
OPERATION __m128i AddLanes(Vector value) {
  const __m256i half =
      _mm256_xor_si256(_mm512_castsi512_si256(value), _mm512_extracti64x4_epi64(value, 1));
  return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}
OPERATION Vector AddLaneNumbers(Vector value) {
  return _mm512_add_epi32(value, _mm512_setr_epi32(0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0));
}
OPERATION Vector ReverseBytes(Vector value) {
  return _mm512_shuffle_epi8(
      value, _mm512_broadcast_i32x4(_mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f)));
}
OPERATION Vector SwapHalves(Vector value) {
  return _mm512_shuffle_epi32(value, static_cast<_MM_PERM_ENUM>(0x4e));
}
OPERATION Vector MultiplyLow(Vector a, Vector b) { return _mm512_clmulepi64_epi128(a, b, 0x00); }
OPERATION Vector MultiplyHigh(Vector a, Vector b) { return _mm512_clmulepi64_epi128(a, b, 0x11); }
OPERATION Vector AesRound(Vector a, Vector key) { return _mm512_aesenc_epi128(a, key); }
OPERATION Vector AesLastRound(Vector a, Vector key) { return _mm512_aesenclast_epi128(a, key); }

OPERATION __mmask64 FirstBytes(uint32_t length) { return _bzhi_u64(~uint64_t{0}, length); }

// The first bytes of a register, zeros behind them. Masked accesses touch nothing else.
OPERATION Vector LoadPart(const uint8_t* from, uint32_t length) {
  return _mm512_maskz_loadu_epi8(FirstBytes(length), from);
}
OPERATION void StorePart(uint8_t* to, Vector value, uint32_t length) {
  _mm512_mask_storeu_epi8(to, FirstBytes(length), value);
}
OPERATION Vector KeepPart(Vector value, uint32_t length) {
  return _mm512_maskz_mov_epi8(FirstBytes(length), value);
}

}  // namespace
}  // namespace hawser

#include "aes-gcm-batch.h"

namespace hawser {
namespace {

// That the system keeps the registers (XGETBV) is part of what "avx512f" says.
bool RunsHere() {
  constexpr unsigned kVaes = 1u << 9, kVpclmulqdq = 1u << 10;
  unsigned a, b, c, d;
  return __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
         (c & kVaes) != 0 && (c & kVpclmulqdq) != 0;
}

}  // namespace

const AeadKernel kAesGcmAvx512 = {"avx512", kAes256Gcm,  RunsHere,    sizeof(GcmKey), Expand,
                                  0,        SealPackets, OpenPackets, UINT32_MAX};

}  // namespace hawser
#endif
