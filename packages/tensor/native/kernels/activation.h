#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// The activations of gemm.h by the same numbers: 1 GELU (erf), 2 GELU (tanh), 3 ReLU, 4 SiLU, 5 tanh, 6 quick GELU.
void activation_f32(int32_t code, const float* x, float* y, int64_t count);
// gx = gy * derivative(x); gx may be gy.
void activation_backward_f32(int32_t code, const float* x, const float* gy, float* gx, int64_t count);

// y = x / (1 - rate) where the bits of (seed, row, column) keep it, else 0; the same call is its own backward.
void dropout_f32(const float* x, float* y, int64_t rows, int64_t width, float rate, int64_t seed);

// y[s, :] = the sum (or the mean, mode 1) over x[t, :] for t in [offsets[s], offsets[s + 1]); empty segments give 0.
void segment_sum_f32(const float* x, const int32_t* offsets, float* y, int64_t segments, int64_t width, int32_t mode);
void segment_sum_backward_f32(const float* gy, const int32_t* offsets, float* gx, int64_t segments, int64_t width, int32_t mode);

}  // namespace cloze::CLOZE_ISA
