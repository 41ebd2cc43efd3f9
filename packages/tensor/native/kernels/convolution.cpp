#include "convolution.h"

#include "../simd.h"
#include "../thread-pool.h"

namespace cloze::CLOZE_ISA {
namespace {

// Taps first to end of one token, for some of its columns.
struct Window {
  const float* x;  // of tap 0
  const float* weights;
  int64_t first, end;
  int64_t step_x, step_w;
};

enum class Weights { none, of_head, of_column };

template <Weights kind>
CLOZE_INLINE vf weighted(vf x, const float* weight, int64_t count) {
  if constexpr (kind == Weights::none) return x;
  if constexpr (kind == Weights::of_head) return x * broadcast(*weight);
  return x * (count == VW ? loadu(weight) : load_part(weight, count));
}

template <Weights kind>
void sum_columns(const Window& window, float* y, int64_t columns) {
  constexpr int64_t group = 4;
  constexpr int64_t stride = kind == Weights::of_column ? 1 : 0;
  int64_t c = 0;
  // Several sums at once hide how long each addition takes.
  for (; c + group * VW <= columns; c += group * VW) {
    vf sums[group] = {};
    for (int64_t j = window.first; j < window.end; ++j) {
      const float* from = window.x + j * window.step_x + c;
      const float* weight = window.weights + j * window.step_w + stride * c;
      for (int64_t g = 0; g < group; ++g) sums[g] += weighted<kind>(loadu(from + g * VW), weight + stride * g * VW, VW);
    }
    for (int64_t g = 0; g < group; ++g) storeu(y + c + g * VW, sums[g]);
  }
  for (; c < columns; c += VW) {
    const int64_t count = columns - c < VW ? columns - c : VW;
    vf sum = vzero();
    for (int64_t j = window.first; j < window.end; ++j) {
      const float* from = window.x + j * window.step_x + c;
      const float* weight = window.weights + j * window.step_w + stride * c;
      sum += weighted<kind>(count == VW ? loadu(from) : load_part(from, count), weight, count);
    }
    if (count == VW) storeu(y + c, sum);
    else store_part(y + c, sum, count);
  }
}

}  // namespace

void convolve_tokens_f32(const float* x, const float* weights, float* y, const int32_t* offsets, int64_t sequences,
                         int64_t tokens, int64_t width, int64_t taps, int64_t before, int64_t row_x, int64_t tap_x,
                         int64_t row_y, int64_t heads, int64_t row_w, int64_t head_w, int64_t tap_w) {
  constexpr int64_t rows = 16;
  const int64_t size = width / heads;
  const bool by_column = weights && size == 1 && head_w == 1;
  const float* const first_weight = weights ? weights : x;
  parallel((tokens + rows - 1) / rows, [&](int64_t block, int) {
    const int64_t last = (block + 1) * rows < tokens ? (block + 1) * rows : tokens;
    // The sequence of the first row: the last one that starts there or before.
    int64_t sequence = 0;
    for (int64_t high = sequences; high - sequence > 1;) {
      const int64_t middle = (sequence + high) / 2;
      if (offsets[middle] <= block * rows) sequence = middle;
      else high = middle;
    }
    for (int64_t t = block * rows; t < last; ++t) {
      while (t >= offsets[sequence + 1]) ++sequence;
      const int64_t from = offsets[sequence] - t + before, to = offsets[sequence + 1] - t + before;
      Window window{x + (t - before) * row_x, first_weight, from > 0 ? from : 0, to < taps ? to : taps, row_x + tap_x, tap_w};
      if (!weights) {
        window.step_w = 0;
        sum_columns<Weights::none>(window, y + t * row_y, width);
        continue;
      }
      window.weights = weights + t * row_w;
      if (by_column) {
        sum_columns<Weights::of_column>(window, y + t * row_y, width);
        continue;
      }
      for (int64_t h = 0; h < heads; ++h) {
        sum_columns<Weights::of_head>(window, y + t * row_y + h * size, size);
        window.x += size;
        window.weights += head_w;
      }
    }
  });
}

}  // namespace cloze::CLOZE_ISA
