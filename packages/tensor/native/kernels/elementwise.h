#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// y[i] = f(x[i]); the codes are those of src/backend/contract/elementwise.ts.
void unary_f32(int32_t code, const float* x, float* y, int64_t count);

// y[o, i] = f(a[o * outer_a + i * inner_a], b[o * outer_b + i * inner_b]) for y [outer, inner]: inner strides are 0 or 1,
// so that equal shapes, scalars, row vectors and columns all run without a copy. Comparisons give 0 or 1.
void binary_f32(int32_t code, const float* a, const float* b, float* y, int64_t outer, int64_t inner, int64_t outer_a,
                int64_t inner_a, int64_t outer_b, int64_t inner_b);

// y = condition != 0 ? a : b, all of `count` elements.
void where_f32(const int32_t* condition, const float* a, const float* b, float* y, int64_t count);

void float_to_int(const float* x, int32_t* y, int64_t count);
void int_to_float(const int32_t* x, float* y, int64_t count);

}  // namespace cloze::CLOZE_ISA
