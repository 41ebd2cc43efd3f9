#include "optimizer.h"

#include <cmath>
#include <cstring>

#include "../simd.h"
#include "../thread-pool.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr int64_t block = 1 << 15;

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// f(start, end) for fixed parts of [0, count).
template <class F>
void in_blocks(int64_t count, F f) {
  parallel((count + block - 1) / block, [&](int64_t index, int) { f(index * block, least(count, (index + 1) * block)); });
}

// f(row) for named rows, a fixed number of them in a part.
template <class F>
void in_rows(int64_t count, int64_t width, F f) {
  const int64_t group = width >= block ? 1 : block / (width > 0 ? width : 1);
  parallel((count + group - 1) / group, [&](int64_t index, int) {
    for (int64_t i = index * group, end = least(count, i + group); i < end; ++i) f(i);
  });
}

struct Adam {
  float gradient_scale, keep, one_minus_beta1, beta2, one_minus_beta2, step_size, inverse_root, epsilon;
};

struct Moments {
  vf m, v;
};

CLOZE_INLINE Moments moments(vf g, vf m, vf v, float one_minus_beta1, float beta2, float one_minus_beta2) {
  return {m + (g - m) * one_minus_beta1, v * beta2 + g * g * one_minus_beta2};
}

CLOZE_INLINE void adamw_part(float* p, const float* g, float* m, float* v, int64_t count, const Adam& a) {
  const auto next = [&](vf gv, vf pv, Moments old, Moments& out) {
    out = moments(gv * a.gradient_scale, old.m, old.v, a.one_minus_beta1, a.beta2, a.one_minus_beta2);
    return pv * a.keep - (out.m * a.step_size) / (vsqrt(out.v) * a.inverse_root + a.epsilon);
  };
  int64_t i = 0;
  for (; i + VW <= count; i += VW) {
    Moments out;
    storeu(p + i, next(loadu(g + i), loadu(p + i), {loadu(m + i), loadu(v + i)}, out));
    storeu(m + i, out.m);
    storeu(v + i, out.v);
  }
  if (i < count) {
    const int64_t rest = count - i;
    Moments out;
    store_part(p + i, next(load_part(g + i, rest), load_part(p + i, rest), {load_part(m + i, rest), load_part(v + i, rest)}, out), rest);
    store_part(m + i, out.m, rest);
    store_part(v + i, out.v, rest);
  }
}

// Runs body(i, lanes) over vectors of a range; the last one may be short.
template <class F>
CLOZE_INLINE void in_vectors(int64_t start, int64_t end, F body) {
  int64_t i = start;
  for (; i + VW <= end; i += VW) body(i, static_cast<int64_t>(VW));
  if (i < end) body(i, end - i);
}
CLOZE_INLINE vf get(const float* p, int64_t lanes_used) { return lanes_used == VW ? loadu(p) : load_part(p, lanes_used); }
CLOZE_INLINE void put(float* p, vf x, int64_t lanes_used) {
  if (lanes_used == VW) storeu(p, x);
  else store_part(p, x, lanes_used);
}

typedef double vd __attribute__((vector_size(2 * CLOZE_VECTOR_BYTES)));

CLOZE_INLINE double squares(const float* x, int64_t count) {
  vd sum0{}, sum1{};
  int64_t i = 0;
  for (; i + 2 * VW <= count; i += 2 * VW) {
    const vd a = __builtin_convertvector(loadu(x + i), vd);
    const vd b = __builtin_convertvector(loadu(x + i + VW), vd);
    sum0 += a * a;
    sum1 += b * b;
  }
  sum0 += sum1;
  double total = 0;
  for (int lane = 0; lane < VW; ++lane) total += sum0[lane];
  for (; i < count; ++i) total += static_cast<double>(x[i]) * x[i];
  return total;
}

// Adds up what part(index) gives for index in [0, count), in order.
template <class F>
double add_parts(int64_t count, F part) {
  if (count <= 0) return 0;
  double* sums = reinterpret_cast<double*>(thread_scratch(0, static_cast<size_t>(count) * sizeof(double)));
  double total = 0;
  if (!sums) {
    for (int64_t i = 0; i < count; ++i) total += part(i);
    return total;
  }
  parallel(count, [&](int64_t index, int) { sums[index] = part(index); });
  for (int64_t i = 0; i < count; ++i) total += sums[i];
  return total;
}

}  // namespace

void adamw_f32(float* p, const float* g, float* m, float* v, int64_t count, float gradient_scale, float keep, float one_minus_beta1,
               float beta2, float one_minus_beta2, float step_size, float inverse_root, float epsilon) {
  const Adam a{gradient_scale, keep, one_minus_beta1, beta2, one_minus_beta2, step_size, inverse_root, epsilon};
  in_blocks(count, [&](int64_t from, int64_t to) { adamw_part(p + from, g + from, m + from, v + from, to - from, a); });
}

void adamw_rows_f32(float* p, float* g, float* m, float* v, const int32_t* rows, int64_t count, int64_t width,
                    float gradient_scale, float keep, float one_minus_beta1, float beta2, float one_minus_beta2, float step_size,
                    float inverse_root, float epsilon) {
  const Adam a{gradient_scale, keep, one_minus_beta1, beta2, one_minus_beta2, step_size, inverse_root, epsilon};
  in_rows(count, width, [&](int64_t i) {
    const int64_t at = static_cast<int64_t>(rows[i]) * width;
    adamw_part(p + at, g + at, m + at, v + at, width, a);
    std::memset(g + at, 0, static_cast<size_t>(width) * sizeof(float));
  });
}

void adam_direction_f32(const float* p, const float* g, float* m, float* v, float* u, int64_t count, float gradient_scale,
                        float decay, float one_minus_beta1, float beta2, float one_minus_beta2, float inverse_first,
                        float inverse_root, float epsilon) {
  in_blocks(count, [&](int64_t from, int64_t to) {
    in_vectors(from, to, [&](int64_t i, int64_t n) {
      const Moments out = moments(get(g + i, n) * gradient_scale, get(m + i, n), get(v + i, n), one_minus_beta1, beta2, one_minus_beta2);
      put(m + i, out.m, n);
      put(v + i, out.v, n);
      put(u + i, (out.m * inverse_first) / (vsqrt(out.v) * inverse_root + epsilon) + get(p + i, n) * decay, n);
    });
  });
}

void sgd_f32(float* p, const float* g, float* b, int64_t count, float gradient_scale, float learning_rate, float decay,
             float momentum, float dampening, int32_t nesterov, int32_t first) {
  in_blocks(count, [&](int64_t from, int64_t to) {
    in_vectors(from, to, [&](int64_t i, int64_t n) {
      const vf pv = get(p + i, n);
      vf step = get(g + i, n) * gradient_scale + pv * decay;
      if (b) {
        const vf buffer = first ? step : get(b + i, n) * momentum + step * (1.0f - dampening);
        put(b + i, buffer, n);
        step = nesterov ? step + buffer * momentum : buffer;
      }
      put(p + i, pv - step * learning_rate, n);
    });
  });
}

void sgd_rows_f32(float* p, float* g, const int32_t* rows, int64_t count, int64_t width, float gradient_scale,
                  float learning_rate, float decay) {
  in_rows(count, width, [&](int64_t i) {
    const int64_t at = static_cast<int64_t>(rows[i]) * width;
    in_vectors(at, at + width, [&](int64_t j, int64_t n) {
      const vf pv = get(p + j, n);
      put(p + j, pv - (get(g + j, n) * gradient_scale + pv * decay) * learning_rate, n);
    });
    std::memset(g + at, 0, static_cast<size_t>(width) * sizeof(float));
  });
}

void add_scaled_f32(const float* x, float* y, int64_t count, float alpha, float beta) {
  in_blocks(count, [&](int64_t from, int64_t to) {
    in_vectors(from, to, [&](int64_t i, int64_t n) {
      const vf scaled = get(x + i, n) * alpha;
      put(y + i, beta == 0.0f ? scaled : get(y + i, n) * beta + scaled, n);
    });
  });
}

void scale_rows_f32(float* x, const int32_t* rows, int64_t count, int64_t width, float factor) {
  in_rows(count, width, [&](int64_t i) {
    float* row = x + static_cast<int64_t>(rows[i]) * width;
    for (int64_t j = 0; j < width; ++j) row[j] *= factor;
  });
}

void zero_rows_f32(float* x, const int32_t* rows, int64_t count, int64_t width) {
  in_rows(count, width, [&](int64_t i) {
    std::memset(x + static_cast<int64_t>(rows[i]) * width, 0, static_cast<size_t>(width) * sizeof(float));
  });
}

double sum_squares_f32(const float* x, int64_t count) {
  return add_parts((count + block - 1) / block, [&](int64_t index) {
    const int64_t from = index * block;
    return squares(x + from, least(block, count - from));
  });
}

double sum_squares_rows_f32(const float* x, const int32_t* rows, int64_t count, int64_t width) {
  const int64_t group = width >= block ? 1 : block / (width > 0 ? width : 1);
  return add_parts((count + group - 1) / group, [&](int64_t index) {
    double total = 0;
    for (int64_t i = index * group, end = least(count, i + group); i < end; ++i)
      total += squares(x + static_cast<int64_t>(rows[i]) * width, width);
    return total;
  });
}

int64_t unique_ids(const int32_t* ids, int64_t count, int8_t* marks, int32_t* out, int64_t found) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t id = ids[i];
    out[found] = id;  // written always, counted only when new: no branch to mispredict
    found += marks[id] == 0;
    marks[id] = 1;
  }
  return found;
}

void clear_marks(const int32_t* ids, int64_t count, int8_t* marks) {
  for (int64_t i = 0; i < count; ++i) marks[ids[i]] = 0;
}

}  // namespace cloze::CLOZE_ISA
