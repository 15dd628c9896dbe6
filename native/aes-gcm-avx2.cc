// AES-256-GCM with VAES and VPCLMULQDQ on registers of two blocks: for CPUs without AVX-512, on
// which OpenSSL encrypts one block at a time.
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#define FORM __attribute__((target("avx2,bmi2,aes,pclmul,vaes,vpclmulqdq")))
#define OPERATION FORM inline __attribute__((always_inline))

namespace hawser {
namespace {

using Vector = __m256i;
constexpr int kLanes = 2;

OPERATION Vector Zero() { return _mm256_setzero_si256(); }
OPERATION Vector Load(const void* from) {
  return _mm256_loadu_si256(static_cast<const Vector*>(from));
}
OPERATION void Store(void* to, Vector value) {
  _mm256_storeu_si256(static_cast<Vector*>(to), value);
}
OPERATION Vector Xor(Vector a, Vector b) { return _mm256_xor_si256(a, b); }
OPERATION Vector Broadcast(__m128i block) { return _mm256_broadcastsi128_si256(block); }
OPERATION Vector Widen(__m128i block) { return _mm256_zextsi128_si256(block); }
OPERATION __m128i LowLane(Vector value) { return _mm256_castsi256_si128(value); }
OPERATION __m128i AddLanes(Vector value) {
  return _mm_xor_si128(LowLane(value), _mm256_extracti128_si256(value, 1));
}
OPERATION Vector AddLaneNumbers(Vector value) {
  return _mm256_add_epi32(value, _mm256_setr_epi32(0, 0, 0, 0, 1, 0, 0, 0));
}
OPERATION Vector ReverseBytes(Vector value) {
  return _mm256_shuffle_epi8(
      value, _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f)));
}
OPERATION Vector SwapHalves(Vector value) { return _mm256_shuffle_epi32(value, 0x4e); }
OPERATION Vector MultiplyLow(Vector a, Vector b) { return _mm256_clmulepi64_epi128(a, b, 0x00); }
OPERATION Vector MultiplyHigh(Vector a, Vector b) { return _mm256_clmulepi64_epi128(a, b, 0x11); }
OPERATION Vector AesRound(Vector a, Vector key) { return _mm256_aesenc_epi128(a, key); }
OPERATION Vector AesLastRound(Vector a, Vector key) { return _mm256_aesenclast_epi128(a, key); }

template <size_t kBytes>
OPERATION void CopyIf(uint32_t length, uint8_t*& to, const uint8_t*& from) {
  if ((length & kBytes) == 0) return;
  memcpy(to, from, kBytes);
  to += kBytes;
  from += kBytes;
}

// Up to 32 bytes, and not one more.
OPERATION void CopyPart(uint8_t* to, const uint8_t* from, uint32_t length) {
  CopyIf<32>(length, to, from);
  CopyIf<16>(length, to, from);
  CopyIf<8>(length, to, from);
  CopyIf<4>(length, to, from);
  CopyIf<2>(length, to, from);
  CopyIf<1>(length, to, from);
}

// The first bytes of a register, zeros behind them.
OPERATION Vector LoadPart(const uint8_t* from, uint32_t length) {
  uint8_t bytes[sizeof(Vector)];
  Store(bytes, Zero());
  CopyPart(bytes, from, length);
  return Load(bytes);
}
OPERATION void StorePart(uint8_t* to, Vector value, uint32_t length) {
  uint8_t bytes[sizeof(Vector)];
  Store(bytes, value);
  CopyPart(to, bytes, length);
}
OPERATION Vector KeepPart(Vector value, uint32_t length) {
  const Vector order = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
                                        17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
  const Vector kept = _mm256_cmpgt_epi8(_mm256_set1_epi8(static_cast<char>(length)), order);
  return _mm256_and_si256(value, kept);
}

}  // namespace
}  // namespace hawser

#include "aes-gcm-batch.h"

namespace hawser {
namespace {

// That the system keeps the registers (XGETBV) is part of what "avx2" says.
bool RunsHere() {
  constexpr unsigned kVaes = 1u << 9, kVpclmulqdq = 1u << 10;
  unsigned a, b, c, d;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
         __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & kVaes) != 0 && (c & kVpclmulqdq) != 0;
}

}  // namespace

const AeadKernel kAesGcmAvx2 = {"avx2", kAes256Gcm,  RunsHere,    sizeof(GcmKey), Expand,
                                0,      SealPackets, OpenPackets, UINT32_MAX};

}  // namespace hawser
#endif
