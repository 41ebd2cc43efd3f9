#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// y[o, i] = the sum (code 0), maximum (1) or minimum (2) over l of x[o, l, i]. An empty maximum is -infinity.
void reduce_f32(int32_t code, const float* x, float* y, int64_t outer, int64_t length, int64_t inner);

// y[o, l, i] = the sum of x[o, 0, i] to x[o, l, i], in double precision; `reverse`: of x[o, l, i] to the last.
void cumulative_sum_f32(const float* x, float* y, int64_t outer, int64_t length, int64_t inner, int32_t reverse);

// y[i, :] = x[indices[i], :] for rows of `width`.
void take_rows_f32(const float* x, const int32_t* indices, float* y, int64_t count, int64_t width);
// y[indices[i], :] += x[i, :]. Split over columns: the order of the additions is that of the indices.
void scatter_add_rows_f32(const float* x, const int32_t* indices, float* y, int64_t count, int64_t width);

}  // namespace cloze::CLOZE_ISA
