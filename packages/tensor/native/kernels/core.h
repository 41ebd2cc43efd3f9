#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

void fill_f32(float* y, float value, int64_t count);
void fill_i32(int32_t* y, int32_t value, int64_t count);

// Copies a strided view into contiguous memory: y[i0, i1, ...] = x[sum(i * strides)].
// `shape` and `strides` (in elements, may be 0 or negative) have `rank` entries; `size` is bytes per element (1, 2, 4 or 8).
void copy_strided(const void* x, void* y, const int32_t* shape, const int32_t* strides, int32_t rank, int32_t size);

}  // namespace cloze::CLOZE_ISA
