#include "quantize.h"

#include <cstring>

#include "../simd.h"
#include "../thread-pool.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr int64_t block = 1 << 15;

// f(start, end) for fixed parts of [0, count).
template <class F>
void in_blocks(int64_t count, F f) {
  parallel((count + block - 1) / block, [&](int64_t index, int) {
    const int64_t end = (index + 1) * block;
    f(index * block, end < count ? end : count);
  });
}

// f(row, start, end) for parts of rows: several short rows, or a piece of a long one, in one task.
template <class F>
void in_row_parts(int64_t rows, int64_t width, F f) {
  if (width == 0) return;
  if (width >= block) {
    const int64_t pieces = (width + block - 1) / block;
    parallel(rows * pieces, [&](int64_t index, int) {
      const int64_t start = index % pieces * block;
      f(index / pieces, start, start + block < width ? start + block : width);
    });
    return;
  }
  const int64_t group = block / width;
  parallel((rows + group - 1) / group, [&](int64_t index, int) {
    for (int64_t row = index * group; row < rows && row < (index + 1) * group; ++row) f(row, 0, width);
  });
}

}  // namespace

void float_to_bfloat16(const float* x, uint16_t* y, int64_t count) {
  in_blocks(count, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      uint32_t bits;
      std::memcpy(&bits, x + i, 4);
      const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
      const uint32_t quiet = (bits >> 16) | 0x40;
      y[i] = static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
    }
  });
}

void bfloat16_to_float(const uint16_t* x, float* y, int64_t count) {
  in_blocks(count, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      const uint32_t bits = static_cast<uint32_t>(x[i]) << 16;
      std::memcpy(y + i, &bits, 4);
    }
  });
}

void quantize_int8_f32(const float* x, int8_t* y, const float* scale, const int32_t* zero, int64_t rows, int64_t width,
                       int32_t lowest) {
  // Adding and taking away 1.5 x 2^23 rounds to whole numbers, ties to even, for what the clamp below leaves.
  constexpr float magic = 12582912.0f;
  const float low = static_cast<float>(lowest);
  in_row_parts(rows, width, [&](int64_t row, int64_t from, int64_t to) {
    const float s = scale[row];
    const float z = static_cast<float>(zero[row]);
    const float* in = x + row * width;
    int8_t* out = y + row * width;
    for (int64_t i = from; i < to; ++i) {
      float value = in[i] / s;
      value = value > -1000.0f ? value : -1000.0f;
      value = value < 1000.0f ? value : 1000.0f;
      float shifted = value + magic;
      value = (shifted - magic) + z;
      value = value > low ? value : low;
      value = value < 127.0f ? value : 127.0f;
      out[i] = static_cast<int8_t>(static_cast<int32_t>(value));
    }
  });
}

void dequantize_int8_f32(const int8_t* x, float* y, const float* scale, const int32_t* zero, int64_t rows, int64_t width) {
  in_row_parts(rows, width, [&](int64_t row, int64_t from, int64_t to) {
    const float s = scale[row];
    const int32_t z = zero[row];
    for (int64_t i = from; i < to; ++i) y[row * width + i] = static_cast<float>(x[row * width + i] - z) * s;
  });
}

}  // namespace cloze::CLOZE_ISA
