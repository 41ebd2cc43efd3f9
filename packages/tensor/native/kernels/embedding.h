#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// y[i, :] = table[indices[i], :] * gate[gate_indices[i], :], or 0 where the bits of (seed, i, 0) drop the row at `rate`.
void gated_rows_f32(const float* table, const int32_t* indices, const float* gate, const int32_t* gate_indices, float* y,
                    int64_t count, int64_t width, float rate, int64_t seed);
// Adds into gtable and ggate (either may be null). Split over columns: the order of additions is that of the indices.
void gated_rows_backward_f32(const float* table, const int32_t* indices, const float* gate, const int32_t* gate_indices,
                             const float* gy, float* gtable, float* ggate, int64_t count, int64_t width, float rate,
                             int64_t seed);

}  // namespace cloze::CLOZE_ISA
