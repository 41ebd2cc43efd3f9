#include "rotary.h"

#include <cstring>

#include "../thread-pool.h"
#include "activate.h"

namespace cloze::CLOZE_ISA {
namespace {

template <class F>
void each_row(int64_t rows, int64_t width, F f) {
  const int64_t group = width >= 16384 ? 1 : 16384 / (width < 1 ? 1 : width);
  parallel((rows + group - 1) / group, [&](int64_t index, int) {
    const int64_t end = (index + 1) * group < rows ? (index + 1) * group : rows;
    for (int64_t row = index * group; row < end; ++row) f(row);
  });
}

}  // namespace

void rotary_f32(const float* x, const float* cosines, const float* sines, const int32_t* places, float* y, int64_t rows,
                int64_t columns, int64_t heads, int64_t size, int32_t interleaved, int32_t direction) {
  const int64_t half = size / 2;
  const float sign = direction < 0 ? -1.0f : 1.0f;
  each_row(rows, columns, [&](int64_t row) {
    const int64_t place = places ? places[row] : row;
    const float* c = cosines + place * half;
    const float* s = sines + place * half;
    for (int64_t h = 0; h < heads; ++h) {
      const float* from = x + row * columns + h * size;
      float* to = y + row * columns + h * size;
      if (interleaved) {
        for (int64_t i = 0; i < half; ++i) {
          const float a = from[2 * i], b = from[2 * i + 1];
          to[2 * i] = a * c[i] - sign * s[i] * b;
          to[2 * i + 1] = b * c[i] + sign * s[i] * a;
        }
        continue;
      }
      int64_t i = 0;
      for (; i + VW <= half; i += VW) {
        const vf a = loadu(from + i), b = loadu(from + half + i), ci = loadu(c + i), si = loadu(s + i) * sign;
        storeu(to + i, a * ci - b * si);
        storeu(to + half + i, b * ci + a * si);
      }
      for (; i < half; ++i) {
        const float a = from[i], b = from[half + i];
        to[i] = a * c[i] - sign * s[i] * b;
        to[half + i] = b * c[i] + sign * s[i] * a;
      }
    }
    const int64_t turned = heads * size;
    if (y != x && turned < columns)
      std::memcpy(y + row * columns + turned, x + row * columns + turned, static_cast<size_t>(columns - turned) * sizeof(float));
  });
}

void gate_f32(int32_t code, const float* x, float* y, int64_t rows, int64_t width) {
  with_activation(static_cast<Activation>(code), [&]<Activation kind>() {
    each_row(rows, 2 * width, [&](int64_t row) {
      const float* from = x + row * 2 * width;
      float* to = y + row * width;
      int64_t i = 0;
      for (; i + VW <= width; i += VW) storeu(to + i, activate<kind>(loadu(from + i)) * loadu(from + width + i));
      if (i < width)
        store_part(to + i, activate<kind>(load_part(from + i, width - i)) * load_part(from + width + i, width - i), width - i);
    });
  });
}

void gate_backward_f32(int32_t code, const float* x, const float* gy, float* gx, int64_t rows, int64_t width) {
  with_activation(static_cast<Activation>(code), [&]<Activation kind>() {
    each_row(rows, 2 * width, [&](int64_t row) {
      const float* from = x + row * 2 * width;
      const float* g = gy + row * width;
      float* to = gx + row * 2 * width;
      for (int64_t i = 0; i < width; i += VW) {
        const int64_t n = width - i < VW ? width - i : VW;
        const bool whole = n == VW;
        const vf a = whole ? loadu(from + i) : load_part(from + i, n);
        const vf b = whole ? loadu(from + width + i) : load_part(from + width + i, n);
        const vf gi = whole ? loadu(g + i) : load_part(g + i, n);
        const vf ga = gi * b * derivative<kind>(a), gb = gi * activate<kind>(a);
        if (whole) storeu(to + i, ga), storeu(to + width + i, gb);
        else store_part(to + i, ga, n), store_part(to + width + i, gb, n);
      }
    });
  });
}

}  // namespace cloze::CLOZE_ISA
