#include "reduce.h"

#include <cmath>
#include <cstring>

#include "../simd.h"
#include "../thread-pool.h"

namespace cloze::CLOZE_ISA {
namespace {

// Along contiguous memory: vectors first, then their lanes in a fixed order.
template <class V, class L>
float along(const float* x, int64_t length, float start, V combine, L last) {
  vf sum[4] = {broadcast(start), broadcast(start), broadcast(start), broadcast(start)};
  int64_t i = 0;
  for (; i + 4 * VW <= length; i += 4 * VW)
    for (int j = 0; j < 4; ++j) sum[j] = combine(sum[j], loadu(x + i + j * VW));
  for (; i + VW <= length; i += VW) sum[0] = combine(sum[0], loadu(x + i));
  if (i < length) sum[1] = combine(sum[1], load_part(x + i, length - i, start));
  return last(combine(combine(sum[0], sum[1]), combine(sum[2], sum[3])));
}

template <class V, class L>
void reduce(const float* x, float* y, int64_t outer, int64_t length, int64_t inner, float start, V combine, L last) {
  if (inner == 1) {
    constexpr int64_t rows = 16;
    parallel((outer + rows - 1) / rows, [&](int64_t index, int) {
      const int64_t end = (index + 1) * rows < outer ? (index + 1) * rows : outer;
      for (int64_t o = index * rows; o < end; ++o) y[o] = along(x + o * length, length, start, combine, last);
    });
    return;
  }
  constexpr int64_t columns = 4 * VW;
  const int64_t strips = (inner + columns - 1) / columns;
  parallel(outer * strips, [&](int64_t index, int) {
    const int64_t o = index / strips;
    const int64_t first = index % strips * columns;
    for (int64_t i = first; i < first + columns && i < inner; i += VW) {
      const int64_t part = inner - i < VW ? inner - i : VW;
      vf sum = broadcast(start);
      const float* p = x + o * length * inner + i;
      for (int64_t l = 0; l < length; ++l, p += inner)
        sum = combine(sum, part == VW ? loadu(p) : load_part(p, part, start));
      if (part == VW) storeu(y + o * inner + i, sum);
      else store_part(y + o * inner + i, sum, part);
    }
  });
}

}  // namespace

void reduce_f32(int32_t code, const float* x, float* y, int64_t outer, int64_t length, int64_t inner) {
  if (code == 0)
    reduce(x, y, outer, length, inner, 0.0f, [](vf a, vf b) { return a + b; }, [](vf a) { return reduce_sum(a); });
  else if (code == 1)
    reduce(x, y, outer, length, inner, -INFINITY, [](vf a, vf b) { return vmax(a, b); }, [](vf a) { return reduce_max(a); });
  else
    reduce(x, y, outer, length, inner, INFINITY, [](vf a, vf b) { return vmin(a, b); }, [](vf a) { return reduce_min(a); });
}

void cumulative_sum_f32(const float* x, float* y, int64_t outer, int64_t length, int64_t inner, int32_t reverse) {
  constexpr int64_t columns = 32;
  const int64_t strips = (inner + columns - 1) / columns;
  parallel(outer * strips, [&](int64_t index, int) {
    const int64_t first = index % strips * columns;
    const int64_t width = inner - first < columns ? inner - first : columns;
    const int64_t base = index / strips * length * inner + first;
    double sum[columns] = {};
    for (int64_t l = 0; l < length; ++l) {
      const int64_t at = base + (reverse ? length - 1 - l : l) * inner;
      for (int64_t i = 0; i < width; ++i) y[at + i] = static_cast<float>(sum[i] += static_cast<double>(x[at + i]));
    }
  });
}

void take_rows_f32(const float* x, const int32_t* indices, float* y, int64_t count, int64_t width) {
  // Narrow rows, as those of a convolution's windows, by the thousand: a task is at least 16 KB.
  const int64_t rows = 32 * width >= 4096 ? 32 : 4096 / (width > 0 ? width : 1);
  parallel((count + rows - 1) / rows, [&](int64_t index, int) {
    const int64_t end = (index + 1) * rows < count ? (index + 1) * rows : count;
    for (int64_t i = index * rows; i < end; ++i) {
      const float* from = x + static_cast<int64_t>(indices[i]) * width;
      float* to = y + i * width;
      if (width % VW == 0)
        for (int64_t c = 0; c < width; c += VW) storeu(to + c, loadu(from + c));
      else std::memcpy(to, from, static_cast<size_t>(width) * sizeof(float));
    }
  });
}

void scatter_add_rows_f32(const float* x, const int32_t* indices, float* y, int64_t count, int64_t width) {
  const int64_t columns = 8 * VW;
  const int64_t strips = (width + columns - 1) / columns;
  // Of many narrow rows each task adds those of its own rows of y; every row still has its sums in the order of x.
  const int64_t shares = strips == 1 && count * width >= 1 << 15 ? 4 : 1;
  parallel(strips * shares, [&](int64_t index, int) {
    const int64_t share = index % shares;
    const int64_t first = index / shares * columns;
    const int64_t end = first + columns < width ? first + columns : width;
    for (int64_t i = 0; i < count; ++i) {
      if (((indices[i] >> 6) & (shares - 1)) != share) continue;
      const float* from = x + i * width;
      float* to = y + static_cast<int64_t>(indices[i]) * width;
      int64_t c = first;
      for (; c + VW <= end; c += VW) storeu(to + c, loadu(to + c) + loadu(from + c));
      for (; c < end; ++c) to[c] += from[c];
    }
  });
}

}  // namespace cloze::CLOZE_ISA
