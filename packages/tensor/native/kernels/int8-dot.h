// Sums of products of 8-bit codes: what all kernels that multiply them share.
#pragma once
#include "../simd.h"

namespace cloze::CLOZE_ISA {

// A step multiplies the codes that fit in 32 bits: four of 8 bits, or two of 16. Activations are 0 to 255, weights -127 to 127.
#if defined(__AVX512VNNI__)
typedef uint8_t Code;
typedef int8_t WeightCode;
CLOZE_INLINE vi dot_step(vi sum, vi a, vi b) {
  return reinterpret_cast<vi>(
      _mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
}
#elif defined(__AVX2__)
typedef int16_t Code;
typedef int16_t WeightCode;
CLOZE_INLINE vi dot_step(vi sum, vi a, vi b) {
  return sum + reinterpret_cast<vi>(_mm256_madd_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
}
#else
typedef int16_t Code;
typedef int16_t WeightCode;
CLOZE_INLINE vi dot_step(vi sum, vi a, vi b) {
#if defined(__SSE2__)
  return sum + reinterpret_cast<vi>(_mm_madd_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#elif defined(__wasm_simd128__)
  return sum + reinterpret_cast<vi>(wasm_i32x4_dot_i16x8(reinterpret_cast<v128_t>(a), reinterpret_cast<v128_t>(b)));
#else
  // The low and the high 16 bits of each lane, as signed numbers.
  return sum + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}
#endif

// Codes of a step, and steps of a row of k codes (filled up with zeros).
constexpr int per_step = 4 / sizeof(Code);
#if defined(__AMX_INT8__)
constexpr int64_t steps_together = 16;  // rows fill tile registers
#else
constexpr int64_t steps_together = 1;
#endif
inline int64_t steps_of(int64_t k) {
  const int64_t codes = per_step * steps_together;
  return (k + codes - 1) / codes * steps_together;
}

// Rows of accumulators that the registers hold, two vectors each.
#if defined(__AVX512VNNI__)
constexpr int code_tile_rows = 14;
#elif defined(__AVX2__)
constexpr int code_tile_rows = 6;
#else
constexpr int code_tile_rows = 4;
#endif

}  // namespace cloze::CLOZE_ISA
