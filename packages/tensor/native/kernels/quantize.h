#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// Rounded to nearest, ties to even; NaN stays NaN.
void float_to_bfloat16(const float* x, uint16_t* y, int64_t count);
void bfloat16_to_float(const uint16_t* x, float* y, int64_t count);

// y = x / scale rounded (ties to even) + zero, kept within [lowest, 127]; one scale and zero for each row of `width`.
void quantize_int8_f32(const float* x, int8_t* y, const float* scale, const int32_t* zero, int64_t rows, int64_t width,
                       int32_t lowest);
// y = (x - zero) scale
void dequantize_int8_f32(const int8_t* x, float* y, const float* scale, const int32_t* zero, int64_t rows, int64_t width);

}  // namespace cloze::CLOZE_ISA
