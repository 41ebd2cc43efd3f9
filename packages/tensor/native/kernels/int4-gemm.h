// Matrix products with weights of 4 bits, for few rows, where reading the weights is what takes the time. Activations are
// 8-bit codes as in int8-gemm.h; sums are exact.
#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// Bytes of the codes of a weight [n, k] in the order in which linear_int4_f32 reads them, aligned to 64 bytes.
int64_t packed_int4_bytes(int64_t n, int64_t k);
// codes [n, k] are 0 to 15. `sums` [n] receives the sum of the codes of each output.
void pack_int4(const int8_t* codes, void* packed, float* sums, int64_t n, int64_t k);

// y = activation(x * w^T + bias) + residual, where the weight of output j is code * columns[j] + columns[n + j] and
// columns[2 n + j] is the sum of its codes. codes and parameters are those of quantize_rows_f32.
void linear_int4_f32(const void* codes, const float* parameters, const void* packed, const float* columns, const float* bias,
                     float* y, int64_t m, int64_t n, int64_t k, int32_t activation, const float* residual);

}  // namespace cloze::CLOZE_ISA
