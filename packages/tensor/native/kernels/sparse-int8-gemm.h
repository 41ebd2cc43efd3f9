// Products of 8-bit codes with sparse weights, with exact sums. As in sparse-gemm.h the lanes of a vector are tokens; a step
// multiplies the codes of int8_step_codes() inputs at once.
#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// y = activation(x * w^T + bias) + residual. Group g of outputs (height * g ...) has the steps starts[g] to starts[g + 1].
// Step s multiplies the inputs inputs[s * int8_step_codes() ...] (any, within the row; the weight of those that are too many is
// 0) with the codes weights[(s * height + i) * int8_step_codes() ...] for output i, as wide as the form of codes has them (8 or
// 16 bits). runs: a step's inputs follow each other, and inputs[s] is the number of the step in the row instead.
// codes, parameters and columns are those of int8-gemm.h.
void linear_sparse_int8_f32(const void* codes, const float* parameters, const int32_t* starts, const int32_t* inputs,
                            const void* weights, const float* columns, const float* bias, float* y, int64_t m, int64_t n,
                            int64_t k, int64_t height, int32_t runs, int32_t activation, const float* residual);

}  // namespace cloze::CLOZE_ISA
