// Rotary positions (arXiv 2104.09864), and gated activations: what modern layers do between two products.
#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// y = x [rows, columns] in which each of the first `heads` groups of `size` columns is turned: pair i of a group by the angle
// whose cosine and sine stand in row places[row] of `cosines` and `sines` [.., size / 2]. A pair is (i, i + size / 2), or with
// `interleaved` (2i, 2i + 1). `direction` -1 turns back. places may be null: row by row. y may be x.
void rotary_f32(const float* x, const float* cosines, const float* sines, const int32_t* places, float* y, int64_t rows,
                int64_t columns, int64_t heads, int64_t size, int32_t interleaved, int32_t direction);

// y [rows, width] = activation(x[:, :width]) * x[:, width:] for x [rows, 2 width]; `code` as in activation.h.
void gate_f32(int32_t code, const float* x, float* y, int64_t rows, int64_t width);
// gx [rows, 2 width]
void gate_backward_f32(int32_t code, const float* x, const float* gy, float* gx, int64_t rows, int64_t width);

}  // namespace cloze::CLOZE_ISA
