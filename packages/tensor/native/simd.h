// Vectors of the instruction set that this file is compiled for, in the compiler's portable vector types.
// Everything lives in namespace cloze::CLOZE_ISA, so that builds for several instruction sets link together.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#ifndef CLOZE_ISA
#define CLOZE_ISA baseline
#endif

#define CLOZE_INLINE inline __attribute__((always_inline))

namespace cloze::CLOZE_ISA {

#if defined(__AVX512F__)
constexpr int VW = 16;  // float lanes of one vector
constexpr int vector_registers = 32;
#elif defined(__AVX2__)
constexpr int VW = 8;
constexpr int vector_registers = 16;
#elif defined(__aarch64__)
constexpr int VW = 4;
constexpr int vector_registers = 32;
#else
constexpr int VW = 4;
constexpr int vector_registers = 16;
#endif

// The sizes are literals because some compilers refuse dependent ones.
#if defined(__AVX512F__)
#define CLOZE_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define CLOZE_VECTOR_BYTES 32
#else
#define CLOZE_VECTOR_BYTES 16
#endif
typedef float vf __attribute__((vector_size(CLOZE_VECTOR_BYTES)));
typedef int32_t vi __attribute__((vector_size(CLOZE_VECTOR_BYTES)));
typedef float vf_unaligned __attribute__((vector_size(CLOZE_VECTOR_BYTES), aligned(4), may_alias));
typedef int32_t vi_unaligned __attribute__((vector_size(CLOZE_VECTOR_BYTES), aligned(4), may_alias));

CLOZE_INLINE vf broadcast(float x) { return x - vf{}; }  // x - 0 is x for every x, -0 included
CLOZE_INLINE vi broadcast_i(int32_t x) { return x - vi{}; }
CLOZE_INLINE vf vzero() { return vf{}; }

CLOZE_INLINE vf loadu(const float* p) { return *reinterpret_cast<const vf_unaligned*>(p); }
CLOZE_INLINE void storeu(float* p, vf x) { *reinterpret_cast<vf_unaligned*>(p) = x; }
CLOZE_INLINE vi loadu_i(const int32_t* p) { return *reinterpret_cast<const vi_unaligned*>(p); }
CLOZE_INLINE void storeu_i(int32_t* p, vi x) { *reinterpret_cast<vi_unaligned*>(p) = x; }
CLOZE_INLINE vf load(const float* p) { return *reinterpret_cast<const vf*>(p); }  // aligned to the vector's size
CLOZE_INLINE void store(float* p, vf x) { *reinterpret_cast<vf*>(p) = x; }

CLOZE_INLINE vi as_int(vf x) { return reinterpret_cast<vi>(x); }
CLOZE_INLINE vf as_float(vi x) { return reinterpret_cast<vf>(x); }

// Lane numbers 0, 1, 2, ...
CLOZE_INLINE vi lanes() {
  vi x;
  for (int i = 0; i < VW; ++i) x[i] = i;
  return x;
}

// The first `count` lanes (0 <= count <= VW); the others read as `fill` and are not written.
CLOZE_INLINE vf load_part(const float* p, int64_t count, float fill = 0.0f) {
#if defined(__AVX512F__)
  const __mmask16 mask = static_cast<__mmask16>((1u << count) - 1u);
  return reinterpret_cast<vf>(_mm512_mask_loadu_ps(_mm512_set1_ps(fill), mask, p));
#elif defined(__AVX2__)
  const __m256i mask = reinterpret_cast<__m256i>(lanes() < broadcast_i(static_cast<int32_t>(count)));
  const __m256 x = _mm256_maskload_ps(p, mask);
  return reinterpret_cast<vf>(_mm256_blendv_ps(_mm256_set1_ps(fill), x, reinterpret_cast<__m256>(mask)));
#else
  float buffer[VW];
  for (int i = 0; i < VW; ++i) buffer[i] = i < count ? p[i] : fill;
  return loadu(buffer);
#endif
}
CLOZE_INLINE void store_part(float* p, vf x, int64_t count) {
#if defined(__AVX512F__)
  const __mmask16 mask = static_cast<__mmask16>((1u << count) - 1u);
  _mm512_mask_storeu_ps(p, mask, reinterpret_cast<__m512>(x));
#elif defined(__AVX2__)
  const __m256i mask = reinterpret_cast<__m256i>(lanes() < broadcast_i(static_cast<int32_t>(count)));
  _mm256_maskstore_ps(p, mask, reinterpret_cast<__m256>(x));
#else
  for (int i = 0; i < VW && i < count; ++i) p[i] = x[i];
#endif
}

#if defined(__wasm_relaxed_simd__)
// One instruction where the machine has it, else two: the compiler may not choose, so it is told.
CLOZE_INLINE vf fma(vf a, vf b, vf c) {
  return reinterpret_cast<vf>(wasm_f32x4_relaxed_madd(reinterpret_cast<v128_t>(a), reinterpret_cast<v128_t>(b), reinterpret_cast<v128_t>(c)));
}
#else
CLOZE_INLINE vf fma(vf a, vf b, vf c) { return a * b + c; }  // contracted where the machine has it
#endif

// Lanes of a comparison are all ones or zero: select(x > y, x, y).
CLOZE_INLINE vf select(vi mask, vf yes, vf no) { return mask ? yes : no; }
CLOZE_INLINE vi select_i(vi mask, vi yes, vi no) { return mask ? yes : no; }

// As `a > b ? a : b` by lane: where either is NaN the result is b.
CLOZE_INLINE vf vmax(vf a, vf b) { return a > b ? a : b; }
CLOZE_INLINE vf vmin(vf a, vf b) { return a < b ? a : b; }

CLOZE_INLINE vf vabs(vf x) { return as_float(as_int(x) & 0x7fffffff); }
CLOZE_INLINE vf copy_sign(vf magnitude, vf sign) {
  return as_float((as_int(magnitude) & 0x7fffffff) | (as_int(sign) & static_cast<int32_t>(0x80000000)));
}

CLOZE_INLINE vf vsqrt(vf x) {
#if defined(__AVX512F__)
  return reinterpret_cast<vf>(_mm512_maskz_sqrt_ps(0xffff, reinterpret_cast<__m512>(x)));
#elif defined(__AVX2__)
  return reinterpret_cast<vf>(_mm256_sqrt_ps(reinterpret_cast<__m256>(x)));
#elif defined(__wasm_simd128__)
  return reinterpret_cast<vf>(wasm_f32x4_sqrt(reinterpret_cast<v128_t>(x)));
#else
  for (int i = 0; i < VW; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

CLOZE_INLINE vf to_float(vi x) { return __builtin_convertvector(x, vf); }
CLOZE_INLINE vi to_int(vf x) { return __builtin_convertvector(x, vi); }  // towards zero; in range only

// Sums over lanes, in a fixed order of halves (so each instruction set always gives the same bits).
CLOZE_INLINE float reduce_sum(vf x) {
  float buffer[VW];
  storeu(buffer, x);
  for (int width = VW / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) buffer[i] += buffer[i + width];
  }
  return buffer[0];
}
CLOZE_INLINE float reduce_max(vf x) {
  float buffer[VW];
  storeu(buffer, x);
  for (int width = VW / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) buffer[i] = buffer[i] > buffer[i + width] ? buffer[i] : buffer[i + width];
  }
  return buffer[0];
}
CLOZE_INLINE float reduce_min(vf x) {
  float buffer[VW];
  storeu(buffer, x);
  for (int width = VW / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) buffer[i] = buffer[i] < buffer[i + width] ? buffer[i] : buffer[i + width];
  }
  return buffer[0];
}

}  // namespace cloze::CLOZE_ISA
