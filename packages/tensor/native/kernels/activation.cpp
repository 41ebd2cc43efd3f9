#include "activation.h"

#include "../thread-pool.h"
#include "../vector-random.h"
#include "activate.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr int64_t block = 1 << 14;

template <class F>
void map(const float* a, const float* b, float* y, int64_t count, F f) {
  parallel((count + block - 1) / block, [&](int64_t index, int) {
    int64_t i = index * block;
    const int64_t end = i + block < count ? i + block : count;
    for (; i + VW <= end; i += VW) storeu(y + i, f(loadu(a + i), loadu(b + i)));
    if (i < end) store_part(y + i, f(load_part(a + i, end - i), load_part(b + i, end - i)), end - i);
  });
}

}  // namespace

void activation_f32(int32_t code, const float* x, float* y, int64_t count) {
  with_activation(static_cast<Activation>(code),
                  [&]<Activation kind>() { map(x, x, y, count, [](vf v, vf) { return activate<kind>(v); }); });
}

void activation_backward_f32(int32_t code, const float* x, const float* gy, float* gx, int64_t count) {
  with_activation(static_cast<Activation>(code),
                  [&]<Activation kind>() { map(x, gy, gx, count, [](vf v, vf g) { return g * derivative<kind>(v); }); });
}

void dropout_f32(const float* x, float* y, int64_t rows, int64_t width, float rate, int64_t seed) {
  const uint32_t threshold = drop_threshold(rate);
  const float scale = 1.0f / (1.0f - rate);
  const int64_t group = width >= block ? 1 : block / (width < 1 ? 1 : width);
  parallel((rows + group - 1) / group, [&](int64_t index, int) {
    const int64_t last = (index + 1) * group < rows ? (index + 1) * group : rows;
    for (int64_t row = index * group; row < last; ++row) {
      const uint32_t key = row_key(static_cast<uint32_t>(seed), static_cast<uint32_t>(row));
      const float* px = x + row * width;
      float* py = y + row * width;
      int64_t i = 0;
      for (; i + VW <= width; i += VW)
        storeu(py + i, select(dropped_lanes(key, static_cast<uint32_t>(i), threshold), vzero(), loadu(px + i) * scale));
      for (; i < width; ++i) py[i] = random_bits(key, static_cast<uint32_t>(i)) < threshold ? 0.0f : px[i] * scale;
    }
  });
}

void segment_sum_f32(const float* x, const int32_t* offsets, float* y, int64_t segments, int64_t width, int32_t mode) {
  parallel(segments, [&](int64_t s, int) {
    const int64_t first = offsets[s];
    const int64_t last = offsets[s + 1];
    const float scale = mode == 1 && last > first ? 1.0f / static_cast<float>(last - first) : 1.0f;
    for (int64_t i = 0; i < width; i += VW) {
      const int64_t n = width - i < VW ? width - i : VW;
      vf sum = vzero();
      for (int64_t t = first; t < last; ++t) sum += n == VW ? loadu(x + t * width + i) : load_part(x + t * width + i, n);
      if (n == VW) storeu(y + s * width + i, sum * scale);
      else store_part(y + s * width + i, sum * scale, n);
    }
  });
}

void segment_sum_backward_f32(const float* gy, const int32_t* offsets, float* gx, int64_t segments, int64_t width,
                              int32_t mode) {
  parallel(segments, [&](int64_t s, int) {
    const int64_t first = offsets[s];
    const int64_t last = offsets[s + 1];
    const float scale = mode == 1 && last > first ? 1.0f / static_cast<float>(last - first) : 1.0f;
    for (int64_t t = first; t < last; ++t)
      for (int64_t i = 0; i < width; ++i) gx[t * width + i] = gy[s * width + i] * scale;
  });
}

}  // namespace cloze::CLOZE_ISA
