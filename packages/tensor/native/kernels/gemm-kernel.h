// The register tile of the matrix product, and the packing that feeds it.
//
// A tile is H rows by NV vectors of C, kept in registers over a block of k. B comes as rows of vectors (`ldb` apart),
// A as one scalar at a time, broadcast: either packed ([k][H]: rows 1 apart, k-steps H apart) or where it lies.
#pragma once
#include <cstdint>
#include <utility>

#include "../simd.h"
#include "fetch-ahead.h"
#include "transpose.h"

namespace cloze::CLOZE_ISA {

// Tile height and width (in vectors): as many accumulators as the registers hold beside NV of B and one of A.
constexpr int tile_vectors = 2;
#if defined(__AVX512F__)
constexpr int tile_rows = 14;
#elif defined(__AVX2__)
constexpr int tile_rows = 6;
#elif defined(__aarch64__)
constexpr int tile_rows = 12;
#else
constexpr int tile_rows = 4;
#endif
constexpr int tile_columns = tile_vectors * VW;

// Steps of k in a round of the loop. For WebAssembly LLVM would make one expression of the sums of several: a long chain of
// additions that wait for each other, and more values at a time than there are registers.
#if defined(__wasm__)
constexpr int unrolled = 1;
#else
constexpr int unrolled = 4;
#endif

using TileKernel = void (*)(int64_t k, const float* a, int64_t row_a, const float* b, int64_t ldb, float* c, int64_t ldc, bool add, Ahead ahead);

// Packed A: rows 1 apart, steps of k H apart.
template <int H, int NV>
void tile_packed(int64_t k, const float* __restrict a, int64_t /*row_a*/, const float* __restrict b, int64_t ldb, float* __restrict c, int64_t ldc, bool add, Ahead ahead) {
  vf acc[H][NV];
#pragma GCC unroll 16
  for (int i = 0; i < H; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) acc[i][j] = vzero();
  }
  const auto step = [&](const float* at, const float* bt) __attribute__((always_inline)) {
    vf bv[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) bv[j] = loadu(bt + j * VW);
#pragma GCC unroll 16
    for (int i = 0; i < H; ++i) {
      const vf av = broadcast(at[i]);
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) acc[i][j] = fma(av, bv[j], acc[i][j]);
    }
  };
  int64_t p = 0;
  for (; p + unrolled <= k; p += unrolled) {
    fetch_ahead(ahead);
#pragma GCC unroll 4
    for (int u = 0; u < unrolled; ++u) step(a + u * H, b + u * ldb);
    a += unrolled * H;
    b += unrolled * ldb;
  }
  for (; p < k; ++p) {
    step(a, b);
    a += H;
    b += ldb;
  }
#pragma GCC unroll 16
  for (int i = 0; i < H; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      float* to = c + i * ldc + j * VW;
      storeu(to, add ? loadu(to) + acc[i][j] : acc[i][j]);
    }
  }
}

// A where it lies: rows row_a apart, steps of k 1 apart. Rows are reached from every third one, to save registers.
template <int H, int NV>
void tile_direct(int64_t k, const float* __restrict a, int64_t row_a, const float* __restrict b, int64_t ldb, float* __restrict c, int64_t ldc, bool add, Ahead ahead) {
  vf acc[H][NV];
#pragma GCC unroll 16
  for (int i = 0; i < H; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) acc[i][j] = vzero();
  }
  constexpr int groups = (H + 2) / 3;
  const float* rows[groups];
#pragma GCC unroll 8
  for (int g = 0; g < groups; ++g) rows[g] = a + 3 * g * row_a;
  for (int64_t p = 0; p < k; ++p) {
    if (p % unrolled == 0) fetch_ahead(ahead);
    vf bv[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) bv[j] = loadu(b + j * VW);
#pragma GCC unroll 16
    for (int i = 0; i < H; ++i) {
      const vf av = broadcast(rows[i / 3][(i % 3) * row_a]);
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) acc[i][j] = fma(av, bv[j], acc[i][j]);
    }
#pragma GCC unroll 8
    for (int g = 0; g < groups; ++g) ++rows[g];
    b += ldb;
  }
#pragma GCC unroll 16
  for (int i = 0; i < H; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      float* to = c + i * ldc + j * VW;
      storeu(to, add ? loadu(to) + acc[i][j] : acc[i][j]);
    }
  }
}

template <int NV, int... H>
inline TileKernel packed_kernel(int h, std::integer_sequence<int, H...>) {
  static constexpr TileKernel table[] = {&tile_packed<H + 1, NV>...};
  return table[h - 1];
}
template <int NV, int... H>
inline TileKernel direct_kernel(int h, std::integer_sequence<int, H...>) {
  static constexpr TileKernel table[] = {&tile_direct<H + 1, NV>...};
  return table[h - 1];
}
// The kernel for h rows (1..tile_rows) and one or two vectors.
inline TileKernel tile_kernel(int h, int vectors, bool direct) {
  const auto heights = std::make_integer_sequence<int, tile_rows>{};
  if (direct) return vectors == 1 ? direct_kernel<1>(h, heights) : direct_kernel<2>(h, heights);
  return vectors == 1 ? packed_kernel<1>(h, heights) : packed_kernel<2>(h, heights);
}

// ---- Packing ----

// Packs `width` lines of length `k` side by side: to[p * padded + i] = from[i * line + p * step], zero for width <= i < padded.
// `line` is the stride between lines and `step` the one along k. Writes up to VW - 1 elements beyond the end of `to`.
inline void pack_panel(float* to, int padded, int width, int64_t k, const float* from, int64_t line, int64_t step) {
  if (line == 1) {
    for (int c = 0; c < padded; c += VW) {
      const int part = width - c < 0 ? 0 : (width - c < VW ? width - c : VW);
      const bool whole = padded - c >= VW;
      const float* source = from + c;
      float* target = to + c;
      if (part == VW) {
        for (int64_t p = 0; p < k; ++p) storeu(target + p * padded, loadu(source + p * step));
      } else if (whole || c == 0) {
        for (int64_t p = 0; p < k; ++p) storeu(target + p * padded, load_part(source + p * step, part));
      } else {
        for (int64_t p = 0; p < k; ++p) store_part(target + p * padded, load_part(source + p * step, part), padded - c);
      }
    }
    return;
  }
  if (step == 1) {
    for (int c = 0; c < padded; c += VW) {
      const int part = width - c < 0 ? 0 : (width - c < VW ? width - c : VW);
      const bool overlap = padded - c >= VW || c == 0;
      const float* source = from + c * line;
      float* target = to + c;
      vf r[VW];
      int64_t p = 0;
      for (; p + VW <= k; p += VW) {
        if (part == VW) {
#pragma GCC unroll 16
          for (int i = 0; i < VW; ++i) r[i] = loadu(source + i * line + p);
        } else {
#pragma GCC unroll 16
          for (int i = 0; i < VW; ++i) r[i] = i < part ? loadu(source + i * line + p) : vzero();
        }
        transpose(r);
        if (overlap) {
#pragma GCC unroll 16
          for (int j = 0; j < VW; ++j) storeu(target + (p + j) * padded, r[j]);
        } else {
#pragma GCC unroll 16
          for (int j = 0; j < VW; ++j) store_part(target + (p + j) * padded, r[j], padded - c);
        }
      }
      for (; p < k; ++p) {
        for (int i = 0; i < VW && c + i < padded; ++i) target[p * padded + i] = i < part ? source[i * line + p] : 0.0f;
      }
    }
    return;
  }
  for (int64_t p = 0; p < k; ++p) {
    for (int i = 0; i < padded; ++i) to[p * padded + i] = i < width ? from[i * line + p * step] : 0.0f;
  }
}

}  // namespace cloze::CLOZE_ISA
