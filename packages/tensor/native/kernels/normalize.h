#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// y = (s - mean) * inverse_deviation * gamma + beta with s = x + residual (residual may be null). `total` receives s
// (null when not wanted); `statistics` [rows, 2] receives mean and 1 / sqrt(variance + epsilon). beta may be null.
void layer_norm_f32(const float* x, const float* residual, const float* gamma, const float* beta, float* y, float* total,
                    float* statistics, int64_t rows, int64_t width, float epsilon);
// gx is the gradient of s. dgamma and dbeta (each may be null) are written, or added to when `accumulate` is 1.
void layer_norm_backward_f32(const float* total, const float* statistics, const float* gamma, const float* gy, float* gx,
                             float* dgamma, float* dbeta, int64_t rows, int64_t width, int32_t accumulate_gamma,
                             int32_t accumulate_beta);

// y = softmax(x) along rows, or its logarithm.
void softmax_f32(const float* x, float* y, int64_t rows, int64_t width, int32_t logarithm);
void softmax_backward_f32(const float* y, const float* gy, float* gx, int64_t rows, int64_t width, int32_t logarithm);

// Per row: loss = (1 - smoothing) * -log p[target] + smoothing * mean(-log p); rows whose target is `ignore` cost 0.
// `log_sums` [rows] receives log(sum(exp(logits))).
void cross_entropy_f32(const float* logits, const int32_t* targets, float* losses, float* log_sums, int64_t rows,
                       int64_t classes, int32_t ignore, float smoothing);
// gx = (softmax(logits) - smoothed one-hot) * scale, 0 for ignored rows. gx may be logits.
void cross_entropy_backward_f32(const float* logits, const int32_t* targets, const float* log_sums, float* gx, int64_t rows,
                                int64_t classes, int32_t ignore, float smoothing, float scale);

}  // namespace cloze::CLOZE_ISA
