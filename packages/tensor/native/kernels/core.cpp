#include "core.h"

#include <cstring>

#include "../thread-pool.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr int64_t block = 1 << 16;

template <class T>
void fill(T* y, T value, int64_t count) {
  parallel((count + block - 1) / block, [&](int64_t index, int) {
    const int64_t start = index * block;
    const int64_t end = start + block < count ? start + block : count;
    for (int64_t i = start; i < end; ++i) y[i] = value;
  });
}

template <class T>
void copy_rows(const T* x, T* y, const int32_t* shape, const int32_t* strides, int32_t rank) {
  const int64_t inner = rank > 0 ? shape[rank - 1] : 1;
  const int64_t step = rank > 0 ? strides[rank - 1] : 1;
  int64_t rows = 1;
  for (int32_t d = 0; d + 1 < rank; ++d) rows *= shape[d];
  if (inner == 0 || rows == 0) return;
  const int64_t group = inner >= block ? 1 : block / inner;
  parallel((rows + group - 1) / group, [&](int64_t index, int) {
    const int64_t last = (index + 1) * group < rows ? (index + 1) * group : rows;
    for (int64_t row = index * group; row < last; ++row) {
      int64_t rest = row;
      int64_t offset = 0;
      for (int32_t d = rank - 2; d >= 0; --d) {
        offset += (rest % shape[d]) * strides[d];
        rest /= shape[d];
      }
      const T* from = x + offset;
      T* to = y + row * inner;
      if (step == 1) {
        std::memcpy(to, from, static_cast<size_t>(inner) * sizeof(T));
      } else {
        for (int64_t i = 0; i < inner; ++i) to[i] = from[i * step];
      }
    }
  });
}

}  // namespace

void fill_f32(float* y, float value, int64_t count) { fill(y, value, count); }
void fill_i32(int32_t* y, int32_t value, int64_t count) { fill(y, value, count); }

void copy_strided(const void* x, void* y, const int32_t* shape, const int32_t* strides, int32_t rank, int32_t size) {
  switch (size) {
    case 1: copy_rows(static_cast<const uint8_t*>(x), static_cast<uint8_t*>(y), shape, strides, rank); break;
    case 2: copy_rows(static_cast<const uint16_t*>(x), static_cast<uint16_t*>(y), shape, strides, rank); break;
    case 4: copy_rows(static_cast<const uint32_t*>(x), static_cast<uint32_t*>(y), shape, strides, rank); break;
    default: copy_rows(static_cast<const uint64_t*>(x), static_cast<uint64_t*>(y), shape, strides, rank); break;
  }
}

}  // namespace cloze::CLOZE_ISA
