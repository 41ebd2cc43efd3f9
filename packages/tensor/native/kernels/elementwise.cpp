#include "elementwise.h"

#include <cmath>

#include "../thread-pool.h"
#include "../vector-math.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr int64_t block = 1 << 14;

template <class F>
void map(const float* x, float* y, int64_t count, F f) {
  parallel((count + block - 1) / block, [&](int64_t index, int) {
    int64_t i = index * block;
    const int64_t end = i + block < count ? i + block : count;
    for (; i + VW <= end; i += VW) storeu(y + i, f(loadu(x + i)));
    if (i < end) store_part(y + i, f(load_part(x + i, end - i, 1.0f)), end - i);
  });
}

template <class F>
vf per_lane(vf x, F f) {
  for (int lane = 0; lane < VW; ++lane) x[lane] = f(x[lane]);
  return x;
}

template <class F>
void zip(const float* a, const float* b, float* y, int64_t outer, int64_t inner, int64_t outer_a, int64_t inner_a,
         int64_t outer_b, int64_t inner_b, F f) {
  const int64_t wide = (inner + block - 1) / block;
  const int64_t rows = inner >= block ? 1 : block / (inner > 0 ? inner : 1);
  const int64_t groups = (outer + rows - 1) / rows;
  parallel(groups * wide, [&](int64_t index, int) {
    const int64_t first = index / wide * rows;
    const int64_t last = first + rows < outer ? first + rows : outer;
    const int64_t start = index % wide * block;
    const int64_t end = start + block < inner ? start + block : inner;
    for (int64_t o = first; o < last; ++o) {
      const float* pa = a + o * outer_a;
      const float* pb = b + o * outer_b;
      float* py = y + o * inner;
      int64_t i = start;
      const vf constant_a = broadcast(*pa);
      const vf constant_b = broadcast(*pb);
      for (; i + VW <= end; i += VW)
        storeu(py + i, f(inner_a ? loadu(pa + i) : constant_a, inner_b ? loadu(pb + i) : constant_b));
      if (i < end)
        store_part(py + i, f(inner_a ? load_part(pa + i, end - i, 1.0f) : constant_a,
                             inner_b ? load_part(pb + i, end - i, 1.0f) : constant_b), end - i);
    }
  });
}

// A vector beside narrow rows, repeated until its rows are wide: few numbers of a row would each cost a row's start.
template <class F>
void zip_rows(const float* a, const float* b, float* y, int64_t outer, int64_t inner, int64_t outer_a, int64_t inner_a,
              int64_t outer_b, int64_t inner_b, F f) {
  constexpr int64_t times = 4 * VW;
  const bool vector_a = outer_a == 0 && inner_a == 1 && outer_b == inner && inner_b == 1;
  const bool vector_b = outer_b == 0 && inner_b == 1 && outer_a == inner && inner_a == 1;
  if (!(vector_a || vector_b) || inner < 2 || inner > times || outer < 4 * times)
    return zip(a, b, y, outer, inner, outer_a, inner_a, outer_b, inner_b, f);
  float repeated[times * times];
  const float* vector = vector_a ? a : b;
  for (int64_t i = 0; i < times * inner; ++i) repeated[i] = vector[i % inner];
  const int64_t groups = outer / times;
  const int64_t wide = times * inner;
  const int64_t done = groups * wide;
  const int64_t rest = outer - groups * times;
  if (vector_a) {
    zip(repeated, b, y, groups, wide, 0, 1, wide, 1, f);
    if (rest > 0) zip(a, b + done, y + done, rest, inner, 0, 1, inner, 1, f);
  } else {
    zip(a, repeated, y, groups, wide, wide, 1, 0, 1, f);
    if (rest > 0) zip(a + done, b, y + done, rest, inner, inner, 1, 0, 1, f);
  }
}

vf truth(vi mask) { return select(mask, broadcast(1.0f), vzero()); }

}  // namespace

void unary_f32(int32_t code, const float* x, float* y, int64_t count) {
  switch (code) {
    case 0: return map(x, y, count, [](vf v) { return -v; });
    case 1: return map(x, y, count, [](vf v) { return vexp(v); });
    case 2: return map(x, y, count, [](vf v) { return vlog(v); });
    case 3: return map(x, y, count, [](vf v) { return vsqrt(v); });
    case 4: return map(x, y, count, [](vf v) { return 1.0f / vsqrt(v); });
    case 5: return map(x, y, count, [](vf v) { return vabs(v); });
    case 6: return map(x, y, count, [](vf v) { return truth(v > 0.0f) - truth(v < 0.0f); });
    case 7: return map(x, y, count, [](vf v) { return 1.0f / v; });
    case 8: return map(x, y, count, [](vf v) { return v * v; });
    case 9: return map(x, y, count, [](vf v) { return verf(v); });
    case 10: return map(x, y, count, [](vf v) { return vtanh(v); });
    case 11: return map(x, y, count, [](vf v) { return vsigmoid(v); });
    case 12: return map(x, y, count, [](vf v) { return per_lane(v, [](float s) { return std::sin(s); }); });
    case 13: return map(x, y, count, [](vf v) { return per_lane(v, [](float s) { return std::cos(s); }); });
    case 14: return map(x, y, count, [](vf v) { return per_lane(v, [](float s) { return std::floor(s); }); });
    case 15: return map(x, y, count, [](vf v) { return vsoftplus(v); });
    case 16: return map(x, y, count, [](vf v) { return vrelu(v); });
    default: return;
  }
}

void binary_f32(int32_t code, const float* a, const float* b, float* y, int64_t outer, int64_t inner, int64_t outer_a,
                int64_t inner_a, int64_t outer_b, int64_t inner_b) {
  const auto run = [&](auto f) { zip_rows(a, b, y, outer, inner, outer_a, inner_a, outer_b, inner_b, f); };
  switch (code) {
    case 0: return run([](vf p, vf q) { return p + q; });
    case 1: return run([](vf p, vf q) { return p - q; });
    case 2: return run([](vf p, vf q) { return p * q; });
    case 3: return run([](vf p, vf q) { return p / q; });
    case 4: return run([](vf p, vf q) {
      for (int lane = 0; lane < VW; ++lane) p[lane] = std::pow(p[lane], q[lane]);
      return p;
    });
    case 5: return run([](vf p, vf q) { return vmax(p, q); });
    case 6: return run([](vf p, vf q) { return vmin(p, q); });
    case 7: return run([](vf p, vf q) { return truth(p == q); });
    case 8: return run([](vf p, vf q) { return truth(p != q); });
    case 9: return run([](vf p, vf q) { return truth(p < q); });
    case 10: return run([](vf p, vf q) { return truth(p <= q); });
    case 11: return run([](vf p, vf q) { return truth(p > q); });
    case 12: return run([](vf p, vf q) { return truth(p >= q); });
    default: return;
  }
}

void where_f32(const int32_t* condition, const float* a, const float* b, float* y, int64_t count) {
  parallel((count + block - 1) / block, [&](int64_t index, int) {
    const int64_t end = (index + 1) * block < count ? (index + 1) * block : count;
    for (int64_t i = index * block; i < end; ++i) y[i] = condition[i] != 0 ? a[i] : b[i];
  });
}

void float_to_int(const float* x, int32_t* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<int32_t>(x[i]);
}

void int_to_float(const int32_t* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(x[i]);
}

}  // namespace cloze::CLOZE_ISA
