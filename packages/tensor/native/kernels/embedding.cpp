// Rows of a table, scaled by rows of another: embeddings with multiplicative positions, in one pass each way.
#include "embedding.h"

#include "../counter-random.h"
#include "../simd.h"
#include "../thread-pool.h"

namespace cloze::CLOZE_ISA {

namespace {

inline bool dropped(int64_t seed, int64_t row, uint32_t threshold) {
  return random_bits(row_key(static_cast<uint32_t>(seed), static_cast<uint32_t>(row)), 0) < threshold;
}

}  // namespace

void gated_rows_f32(const float* table, const int32_t* indices, const float* gate, const int32_t* gate_indices, float* y,
                    int64_t count, int64_t width, float rate, int64_t seed) {
  constexpr int64_t rows = 32;
  const uint32_t threshold = drop_threshold(rate);
  parallel((count + rows - 1) / rows, [&](int64_t block, int) {
    const int64_t end = (block + 1) * rows < count ? (block + 1) * rows : count;
    for (int64_t i = block * rows; i < end; ++i) {
      const float* a = table + static_cast<int64_t>(indices[i]) * width;
      const float* b = gate + static_cast<int64_t>(gate_indices[i]) * width;
      float* out = y + i * width;
      const float keep = rate > 0.0f && dropped(seed, i, threshold) ? 0.0f : 1.0f;
      for (int64_t c = 0; c < width; ++c) out[c] = a[c] * b[c] * keep;
    }
  });
}

void gated_rows_backward_f32(const float* table, const int32_t* indices, const float* gate, const int32_t* gate_indices,
                             const float* gy, float* gtable, float* ggate, int64_t count, int64_t width, float rate,
                             int64_t seed) {
  constexpr int64_t strip = 64;
  const uint32_t threshold = drop_threshold(rate);
  parallel((width + strip - 1) / strip, [&](int64_t block, int) {
    const int64_t first = block * strip;
    const int64_t n = width - first < strip ? width - first : strip;
    for (int64_t i = 0; i < count; ++i) {
      if (rate > 0.0f && dropped(seed, i, threshold)) continue;
      const int64_t at = static_cast<int64_t>(indices[i]) * width + first;
      const int64_t at_gate = static_cast<int64_t>(gate_indices[i]) * width + first;
      const float* g = gy + i * width + first;
      if (gtable != nullptr)
        for (int64_t c = 0; c < n; ++c) gtable[at + c] += g[c] * gate[at_gate + c];
      if (ggate != nullptr)
        for (int64_t c = 0; c < n; ++c) ggate[at_gate + c] += g[c] * table[at + c];
    }
  });
}

}  // namespace cloze::CLOZE_ISA
