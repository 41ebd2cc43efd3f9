// Products with sparse weights in float32. A block is `height` consecutive outputs at one input: 16, 4, or 1 for weights
// without structure. The lanes of a vector are tokens, so every block reads one line of packed activations for all its outputs
// and nothing is gathered; but lanes are the outputs of a block of 16 where 16 sums would leave no register (AVX2).
#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// y = activation(x * w^T + bias) + residual. Group g of outputs (height * g …) has the blocks starts[g] to starts[g + 1]:
// inputs[b] is the input of block b and values[b * height + i] its weight for output i. x is [m, k], y and residual are
// [m, n]; bias and residual may be null. n need not be a multiple of height; the values of absent outputs are 0.
void linear_sparse_f32(const float* x, const int32_t* starts, const int32_t* inputs, const float* values, const float* bias,
                       float* y, int64_t m, int64_t n, int64_t k, int64_t height, int32_t activation, const float* residual);

}  // namespace cloze::CLOZE_ISA
