// Matrix products of 8-bit codes with exact 32-bit sums: activations as unsigned codes with a scale and a zero for each
// row, weights as signed codes (-127 to 127) with a scale for each output. Nothing saturates: with VNNI four products of
// 8 bits are added at a time, elsewhere two products of 16 bits.
#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// Bytes of a row of k codes, a multiple of 4. The form belongs to the instruction set.
int64_t int8_row_bytes(int64_t k);
// Codes of rows: x is about (code - zero) * scale; `parameters` [rows, 2] receives scale and zero. The range of a row
// covers its numbers and 0. A row that holds NaN or an infinity gets the scale NaN.
void quantize_rows_f32(const float* x, void* codes, float* parameters, int64_t rows, int64_t k);
// The same with a scale and a zero (a whole number from 0 to 255) for all rows; what lies outside gets the nearest code.
void quantize_rows_within_f32(const float* x, void* codes, float* parameters, int64_t rows, int64_t k, float scale, float zero);
// Codes that are multiplied at a time: the inputs of a step of linear_sparse_int8_f32.
int32_t int8_step_codes();

// Bytes of a weight [n, k] in the order in which linear_int8_f32 reads it, aligned to 64 bytes.
int64_t packed_int8_bytes(int64_t n, int64_t k);
// Quantises and packs. `columns` [2, n] receives the scale of each output and the sum of its codes.
void pack_int8_f32(const float* w, void* packed, float* columns, int64_t n, int64_t k);

// y = activation(x * w^T + bias) + residual, of codes. y and residual are [m, n]; bias and residual may be null.
void linear_int8_f32(const void* codes, const float* parameters, const void* packed, const float* columns, const float* bias,
                     float* y, int64_t m, int64_t n, int64_t k, int32_t activation, const float* residual);

}  // namespace cloze::CLOZE_ISA
