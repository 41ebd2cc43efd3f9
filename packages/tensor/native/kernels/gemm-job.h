// What a matrix product is to compute, and what becomes of a tile of its sums: the part that all ways to compute them share.
#pragma once
#include <cstdint>

#include "../simd.h"
#include "../vector-math.h"
#include "activate.h"
#include "fetch-ahead.h"

namespace cloze::CLOZE_ISA {
namespace {

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

struct Job {
  const float* a;
  int64_t row_a, col_a;
  const float* b;  // null where B is packed already
  int64_t row_b, col_b;
  float* c;
  int64_t ldc, col_c;
  int64_t m, n, k;
  // product
  float alpha, beta;
  // linear layer
  bool linear;
  const float* bias;
  Activation activation;
  float* preactivation;
  const float* residual;

  bool residual_first() const { return residual && activation == Activation::none && !preactivation; }
  // Length of the blocks of k, at most `depth` and a multiple of `step` (the last may be shorter).
  int64_t pass_length(int64_t depth, int64_t step) const {
    const int64_t passes = k > 0 ? divide_up(k, depth) : 1;
    return divide_up(divide_up(k, passes), step) * step;
  }
};

// What becomes of one tile of sums: `sums` is [rows, columns] with rows `ld` apart, at (row, column) of C.
struct Tile {
  const float* sums;
  int64_t ld, row, column;
  int rows, columns;
  bool first, last;  // of the blocks of k
};

template <Activation kind>
void finish_linear(const Job& job, const Tile& tile) {
  const bool residual_first = job.residual_first();
  for (int i = 0; i < tile.rows; ++i) {
    const int64_t at = (tile.row + i) * job.ldc + tile.column;
    float* y = job.c + at;
    for (int j = 0; j < tile.columns; j += VW) {
      const bool whole = tile.columns - j >= VW;
      const int part = whole ? VW : tile.columns - j;
      const auto read = [&](const float* p) { return whole ? loadu(p + j) : load_part(p + j, part); };
      const auto write = [&](float* p, vf x) { whole ? storeu(p + j, x) : store_part(p + j, x, part); };
      vf x = loadu(tile.sums + i * tile.ld + j);
      if (!tile.first) {
        x += read(y);
      } else if (residual_first) {
        x += read(job.residual + at);
      }
      if (tile.last) {
        if (job.bias) x += read(job.bias + tile.column);
        if (job.preactivation) write(job.preactivation + at, x);
        x = activate<kind>(x);
        if (job.residual && !residual_first) x += read(job.residual + at);
      }
      write(y, x);
    }
  }
}

void finish_product(const Job& job, const Tile& tile) {
  const vf alpha = broadcast(job.alpha);
  const float scale = tile.first ? job.beta : 1.0f;
  for (int i = 0; i < tile.rows; ++i) {
    const float* sums = tile.sums + i * tile.ld;
    float* c = job.c + (tile.row + i) * job.ldc + tile.column * job.col_c;
    if (job.col_c != 1) {
      for (int j = 0; j < tile.columns; ++j) {
        float* to = c + j * job.col_c;
        const float x = job.alpha * sums[j];
        *to = scale == 0.0f ? x : x + scale * *to;
      }
      continue;
    }
    for (int j = 0; j < tile.columns; j += VW) {
      const vf x = alpha * loadu(sums + j);
      const int part = tile.columns - j;
      if (part >= VW) {
        storeu(c + j, scale == 0.0f ? x : fma(broadcast(scale), loadu(c + j), x));
      } else {
        store_part(c + j, scale == 0.0f ? x : fma(broadcast(scale), load_part(c + j, part), x), part);
      }
    }
  }
}

void finish(const Job& job, const Tile& tile) {
  if (!job.linear) return finish_product(job, tile);
  with_activation(tile.last ? job.activation : Activation::none,
                  [&]<Activation kind>() { finish_linear<kind>(job, tile); });
}

// The place of a tile in C, and what is added there.
CLOZE_INLINE void fetch_tile(const Job& job, int64_t row, int64_t column, int rows, int columns) {
  if (job.col_c == 1) fetch_results(job.c, job.residual, row * job.ldc + column, job.ldc, rows, columns);
}

// Whether sums may go straight into C, and if so whether they are added to what is there.
inline bool straight(const Job& job, bool first, bool last, bool& add) {
  add = !first;
  if (job.linear) {
    if (first && job.residual_first()) return false;
    return !last || !(job.bias || job.preactivation || job.residual || job.activation != Activation::none);
  }
  if (job.alpha != 1.0f || job.col_c != 1) return false;
  if (!first) return true;
  add = job.beta == 1.0f;
  return job.beta == 0.0f || job.beta == 1.0f;
}

}  // namespace
}  // namespace cloze::CLOZE_ISA
