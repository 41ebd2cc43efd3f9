#include "normalize.h"

#include "../thread-pool.h"
#include "../vector-math.h"

namespace cloze::CLOZE_ISA {
namespace {

// Rows per block: enough work to pay for handing it to a thread.
int64_t rows_per_block(int64_t width) { return width >= 4096 ? 4 : 16384 / (width < 1 ? 1 : width); }

template <class F>
void each_row(int64_t rows, int64_t width, F f) {
  const int64_t group = rows_per_block(width);
  parallel((rows + group - 1) / group, [&](int64_t index, int) {
    const int64_t end = (index + 1) * group < rows ? (index + 1) * group : rows;
    for (int64_t row = index * group; row < end; ++row) f(row);
  });
}

// Calls f(position, lanes) over a row: full vectors, then what is left.
template <class F>
CLOZE_INLINE void lanes_of(int64_t width, F f) {
  int64_t i = 0;
  for (; i + VW <= width; i += VW) f(i, static_cast<int64_t>(VW));
  if (i < width) f(i, width - i);
}
CLOZE_INLINE vf get(const float* p, int64_t count, float fill = 0.0f) { return count == VW ? loadu(p) : load_part(p, count, fill); }
CLOZE_INLINE void put(float* p, vf x, int64_t count) {
  if (count == VW) storeu(p, x);
  else store_part(p, x, count);
}
// Zero beyond the row's end, so that sums may run over whole vectors.
CLOZE_INLINE vf inside(vf x, int64_t count) {
  return count == VW ? x : select(lanes() < broadcast_i(static_cast<int32_t>(count)), x, vzero());
}

float row_max(const float* x, int64_t width) {
  vf most = broadcast(-__builtin_inff());
  lanes_of(width, [&](int64_t i, int64_t n) { most = vmax(get(x + i, n, -__builtin_inff()), most); });
  return reduce_max(most);
}

}  // namespace

void layer_norm_f32(const float* x, const float* residual, const float* gamma, const float* beta, float* y, float* total,
                    float* statistics, int64_t rows, int64_t width, float epsilon) {
  each_row(rows, width, [&](int64_t row) {
    const float* px = x + row * width;
    const float* pr = residual ? residual + row * width : nullptr;
    // The sum is parked in y where nobody wants it kept.
    float* ps = total ? total + row * width : y + row * width;
    vf sum = vzero();
    lanes_of(width, [&](int64_t i, int64_t n) {
      vf v = get(px + i, n);
      if (pr) v += get(pr + i, n);
      put(ps + i, v, n);
      sum += v;
    });
    const float mean = reduce_sum(sum) / static_cast<float>(width);
    vf squares = vzero();
    lanes_of(width, [&](int64_t i, int64_t n) {
      const vf d = inside(get(ps + i, n) - mean, n);
      squares = fma(d, d, squares);
    });
    const float inverse = 1.0f / __builtin_sqrtf(reduce_sum(squares) / static_cast<float>(width) + epsilon);
    float* py = y + row * width;
    lanes_of(width, [&](int64_t i, int64_t n) {
      vf v = (get(ps + i, n) - mean) * inverse * get(gamma + i, n);
      if (beta) v += get(beta + i, n);
      put(py + i, v, n);
    });
    statistics[row * 2] = mean;
    statistics[row * 2 + 1] = inverse;
  });
}

void layer_norm_backward_f32(const float* total, const float* statistics, const float* gamma, const float* gy, float* gx,
                             float* dgamma, float* dbeta, int64_t rows, int64_t width, int32_t accumulate_gamma,
                             int32_t accumulate_beta) {
  if (gx) {
    each_row(rows, width, [&](int64_t row) {
      const float* ps = total + row * width;
      const float* pg = gy + row * width;
      const float mean = statistics[row * 2];
      const float inverse = statistics[row * 2 + 1];
      vf sum = vzero();
      vf product = vzero();
      lanes_of(width, [&](int64_t i, int64_t n) {
        const vf g = get(pg + i, n) * get(gamma + i, n);
        const vf hat = (get(ps + i, n) - mean) * inverse;
        sum += g;
        product = fma(g, hat, product);
      });
      const float mean_g = reduce_sum(sum) / static_cast<float>(width);
      const float mean_product = reduce_sum(product) / static_cast<float>(width);
      float* px = gx + row * width;
      lanes_of(width, [&](int64_t i, int64_t n) {
        const vf g = get(pg + i, n) * get(gamma + i, n);
        const vf hat = (get(ps + i, n) - mean) * inverse;
        put(px + i, (g - mean_g - hat * mean_product) * inverse, n);
      });
    });
  }
  if (!dgamma && !dbeta) return;
  // By strips of columns, each over all rows in order.
  const int64_t strip = 4 * VW;
  parallel((width + strip - 1) / strip, [&](int64_t index, int) {
    const int64_t end = (index + 1) * strip < width ? (index + 1) * strip : width;
    vf sum_gamma[4] = {vzero(), vzero(), vzero(), vzero()};
    vf sum_beta[4] = {vzero(), vzero(), vzero(), vzero()};
    for (int64_t row = 0; row < rows; ++row) {
      const float mean = statistics[row * 2];
      const float inverse = statistics[row * 2 + 1];
      int j = 0;
      for (int64_t i = index * strip; i < end; i += VW, ++j) {
        const int64_t n = end - i < VW ? end - i : VW;
        const vf g = get(gy + row * width + i, n);
        sum_gamma[j] = fma(g, (get(total + row * width + i, n) - mean) * inverse, sum_gamma[j]);
        sum_beta[j] += g;
      }
    }
    int j = 0;
    for (int64_t i = index * strip; i < end; i += VW, ++j) {
      const int64_t n = end - i < VW ? end - i : VW;
      if (dgamma) put(dgamma + i, accumulate_gamma ? get(dgamma + i, n) + sum_gamma[j] : sum_gamma[j], n);
      if (dbeta) put(dbeta + i, accumulate_beta ? get(dbeta + i, n) + sum_beta[j] : sum_beta[j], n);
    }
  });
}

void softmax_f32(const float* x, float* y, int64_t rows, int64_t width, int32_t logarithm) {
  each_row(rows, width, [&](int64_t row) {
    const float* px = x + row * width;
    float* py = y + row * width;
    const float most = row_max(px, width);
    vf sum = vzero();
    lanes_of(width, [&](int64_t i, int64_t n) {
      const vf e = inside(vexp(get(px + i, n) - most), n);
      if (!logarithm) put(py + i, e, n);
      sum += e;
    });
    const float total = reduce_sum(sum);
    if (logarithm) {
      const float shift = most + __builtin_logf(total);
      lanes_of(width, [&](int64_t i, int64_t n) { put(py + i, get(px + i, n) - shift, n); });
    } else {
      const float inverse = 1.0f / total;
      lanes_of(width, [&](int64_t i, int64_t n) { put(py + i, get(py + i, n) * inverse, n); });
    }
  });
}

void softmax_backward_f32(const float* y, const float* gy, float* gx, int64_t rows, int64_t width, int32_t logarithm) {
  each_row(rows, width, [&](int64_t row) {
    const float* py = y + row * width;
    const float* pg = gy + row * width;
    float* px = gx + row * width;
    vf sum = vzero();
    lanes_of(width, [&](int64_t i, int64_t n) { sum += logarithm ? get(pg + i, n) : get(pg + i, n) * get(py + i, n); });
    const float total = reduce_sum(sum);
    lanes_of(width, [&](int64_t i, int64_t n) {
      const vf p = get(py + i, n);
      const vf g = get(pg + i, n);
      put(px + i, logarithm ? g - vexp(p) * total : p * (g - total), n);
    });
  });
}

void cross_entropy_f32(const float* logits, const int32_t* targets, float* losses, float* log_sums, int64_t rows,
                       int64_t classes, int32_t ignore, float smoothing) {
  each_row(rows, classes, [&](int64_t row) {
    const float* px = logits + row * classes;
    if (targets[row] == ignore) {
      losses[row] = 0.0f;
      log_sums[row] = 0.0f;
      return;
    }
    const float most = row_max(px, classes);
    vf sum = vzero();
    vf plain = vzero();
    lanes_of(classes, [&](int64_t i, int64_t n) {
      const vf v = get(px + i, n);
      sum += inside(vexp(v - most), n);
      plain += v;
    });
    const float log_sum = most + __builtin_logf(reduce_sum(sum));
    log_sums[row] = log_sum;
    losses[row] = log_sum - (1.0f - smoothing) * px[targets[row]];
    if (smoothing > 0.0f) losses[row] -= smoothing * reduce_sum(plain) / static_cast<float>(classes);
  });
}

void cross_entropy_backward_f32(const float* logits, const int32_t* targets, const float* log_sums, float* gx, int64_t rows,
                                int64_t classes, int32_t ignore, float smoothing, float scale) {
  each_row(rows, classes, [&](int64_t row) {
    const float* px = logits + row * classes;
    float* pg = gx + row * classes;
    if (targets[row] == ignore) {
      lanes_of(classes, [&](int64_t i, int64_t n) { put(pg + i, vzero(), n); });
      return;
    }
    const float log_sum = log_sums[row];
    const float even = smoothing / static_cast<float>(classes);
    lanes_of(classes, [&](int64_t i, int64_t n) { put(pg + i, (vexp(get(px + i, n) - log_sum) - even) * scale, n); });
    pg[targets[row]] -= (1.0f - smoothing) * scale;
  });
}

}  // namespace cloze::CLOZE_ISA
