#include "crf.h"

#include <cmath>
#include <cstring>

#include "../simd.h"
#include "../thread-pool.h"
#include "../vector-math.h"

namespace cloze::CLOZE_ISA {
namespace {

constexpr float none = -__builtin_inff();
constexpr float lowest = -1e30f;  // Keeps -inf - -inf away.

// f(first label, how many) for vectors of labels; the last one may be part of one.
template <class F>
CLOZE_INLINE void in_vectors(int64_t labels, F f) {
  for (int64_t j = 0; j < labels; j += VW) f(j, labels - j < VW ? labels - j : VW);
}

// log(sum(exp(x))), for x of `labels` numbers.
float log_sum_exp(const float* x, int64_t labels) {
  vf most = broadcast(lowest);
  in_vectors(labels, [&](int64_t j, int64_t count) { most = vmax(load_part(x + j, count, none), most); });
  const float top = reduce_max(most);
  vf total = vzero();
  in_vectors(labels, [&](int64_t j, int64_t count) {
    const vf part = load_part(x + j, count, none);
    total += select(part > lowest, vexp(part - top), vzero());
  });
  return top + std::log(reduce_sum(total));
}

// x -= log(sum(exp(x))), which is returned.
float normalize_logs(float* x, int64_t labels) {
  const float sum = log_sum_exp(x, labels);
  if (!std::isfinite(sum)) return sum;
  for (int64_t j = 0; j < labels; ++j) x[j] -= sum;
  return sum;
}

}  // namespace

void crf_f32(const float* emissions, const float* rules, const int32_t* offsets, float* log_partition, float* alphas,
             int64_t sequences, int64_t labels) {
  const float* start = rules + labels * labels;
  const float* end = start + labels;
  parallel(sequences, [&](int64_t s, int thread) {
    if (offsets[s] == offsets[s + 1]) {
      log_partition[s] = 0;
      return;
    }
    double total = 0;
    for (int64_t t = offsets[s]; t < offsets[s + 1]; ++t) {
      const float* e = emissions + t * labels;
      float* alpha = alphas + t * labels;
      if (t == offsets[s]) {
        for (int64_t j = 0; j < labels; ++j) alpha[j] = start[j] + e[j];
      } else {
        const float* before = alpha - labels;
        in_vectors(labels, [&](int64_t j, int64_t count) {
          vf most = broadcast(lowest);
          for (int64_t i = 0; i < labels; ++i)
            most = vmax(load_part(rules + i * labels + j, count, none) + before[i], most);
          vf sum = vzero();
          for (int64_t i = 0; i < labels; ++i) sum += vexp(load_part(rules + i * labels + j, count, none) + before[i] - most);
          store_part(alpha + j, most + vlog(sum) + load_part(e + j, count), count);
        });
      }
      total += normalize_logs(alpha, labels);
    }
    const float* last = alphas + (offsets[s + 1] - 1) * labels;
    float* closing = thread_scratch(thread, labels * sizeof(float));
    for (int64_t j = 0; j < labels; ++j) closing[j] = last[j] + end[j];
    log_partition[s] = static_cast<float>(total + log_sum_exp(closing, labels));
  });
}

void crf_backward_f32(const float* emissions, const float* rules, const int32_t* offsets, const float* alphas,
                      const float* gradient, float* gemissions, float* grules, int64_t sequences, int64_t labels,
                      int64_t group) {
  const int64_t size = (labels + 2) * labels;
  const int64_t width = (labels + VW - 1) / VW * VW;
  const float* end = rules + (labels + 1) * labels;
  parallel((sequences + group - 1) / group, [&](int64_t index, int thread) {
    float* own = grules + index * size;
    std::memset(own, 0, size * sizeof(float));
    float* gstart = own + labels * labels;
    float* gend = gstart + labels;
    float* edges = thread_scratch(thread, (labels + 4) * width * sizeof(float));
    float* beta = edges + labels * width;
    float* ahead = beta + width;
    float* tops = ahead + width;
    float* joint = tops + width;
    for (int64_t s = index * group; s < sequences && s < (index + 1) * group; ++s) {
      const float g = gradient[s];
      for (int64_t t = offsets[s + 1] - 1; t >= offsets[s]; --t) {
        const float* alpha = alphas + t * labels;
        float* ge = gemissions + t * labels;
        const bool last = t == offsets[s + 1] - 1;
        if (last) std::memcpy(beta, end, labels * sizeof(float));
        for (int64_t j = 0; j < labels; ++j) joint[j] = alpha[j] + beta[j];
        normalize_logs(joint, labels);
        in_vectors(labels, [&](int64_t j, int64_t count) {
          const vf share = vexp(load_part(joint + j, count, none)) * g;
          store_part(ge + j, share, count);
          if (last) store_part(gend + j, load_part(gend + j, count) + share, count);
          if (t == offsets[s]) store_part(gstart + j, load_part(gstart + j, count) + share, count);
        });
        if (t == offsets[s]) continue;
        const float* before = alpha - labels;
        for (int64_t j = 0; j < labels; ++j) ahead[j] = emissions[t * labels + j] + beta[j];
        for (int64_t i = 0; i < labels; ++i) {
          const float* row = rules + i * labels;
          vf most = broadcast(lowest);
          in_vectors(labels, [&](int64_t j, int64_t count) {
            most = vmax(load_part(row + j, count, none) + load_part(ahead + j, count), most);
          });
          tops[i] = reduce_max(most);
          vf sum = vzero();
          in_vectors(labels, [&](int64_t j, int64_t count) {
            const vf score = load_part(row + j, count, none) + load_part(ahead + j, count);
            const vf power = select(score > lowest, vexp(score - tops[i]), vzero());
            storeu(edges + i * width + j, power);
            sum += power;
          });
          beta[i] = tops[i] + std::log(reduce_sum(sum));
        }
        // (Of the scratch, joint is free again.)
        for (int64_t i = 0; i < labels; ++i) joint[i] = before[i] + beta[i];
        const float all = log_sum_exp(joint, labels);
        for (int64_t i = 0; i < labels; ++i) {
          const float scale = g * std::exp(before[i] + tops[i] - all);
          if (scale == 0) continue;
          float* into = own + i * labels;
          in_vectors(labels, [&](int64_t j, int64_t count) {
            store_part(into + j, fma(loadu(edges + i * width + j), broadcast(scale), load_part(into + j, count)), count);
          });
        }
        normalize_logs(beta, labels);
      }
    }
  });
}

}  // namespace cloze::CLOZE_ISA
