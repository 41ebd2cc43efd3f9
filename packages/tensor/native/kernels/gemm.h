// Matrix products in float32. All strides are in elements. Nothing here depends on the number of threads, and a row of
// the result does not depend on how many rows there are beside it, except where a whole call takes the thin path (up to four
// rows) or, on processors with AMX, that of gemm-tiles.h (from 64 rows on).
#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// C = alpha * A * B + beta * C for `batch` items. A is [m, k] with strides (row_a, col_a), B is [k, n] with strides
// (row_b, col_b), so any transposition is a matter of strides; C is [m, n] with rows ldc apart. A stride of 0 between
// items shares that operand. With beta = 0, C is not read. C must not overlap A or B.
void matmul_f32(const float* a, const float* b, float* c, int64_t batch, int64_t m, int64_t n, int64_t k, int64_t stride_a,
                int64_t stride_b, int64_t stride_c, int64_t row_a, int64_t col_a, int64_t row_b, int64_t col_b, int64_t ldc,
                float alpha, float beta);

// A weight [n, k] (rows as PyTorch's Linear keeps them) in the order in which linear_packed_f32 reads it. The order
// belongs to the instruction set: do not store it in files. `packed` must be aligned to 64 bytes.
int64_t packed_weight_bytes(int64_t n, int64_t k);
void pack_weight_f32(const float* w, float* packed, int64_t n, int64_t k);

// y = activation(x * w^T + bias) + residual, for x [m, k] with rows ldx apart and y [m, n] with rows ldy apart.
// `activation`: 0 none, 1 GELU (erf), 2 GELU (tanh), 3 ReLU, 4 SiLU, 5 tanh, 6 quick GELU. `bias`, `preactivation` and
// `residual` may be null; the last two are laid out as y. `preactivation` receives x * w^T + bias. `residual` may be y itself
// only without an activation; otherwise it must not overlap y. y must not overlap x, and `preactivation` must not overlap y.
void linear_packed_f32(const float* x, const float* packed, const float* bias, float* y, int64_t m, int64_t n, int64_t k,
                       int64_t ldx, int64_t ldy, int32_t activation, float* preactivation, const float* residual);

// The same with the weight as it is, [n, k].
void linear_f32(const float* x, const float* w, const float* bias, float* y, int64_t m, int64_t n, int64_t k, int64_t ldx,
                int64_t ldy, int32_t activation, float* preactivation, const float* residual);

}  // namespace cloze::CLOZE_ISA
