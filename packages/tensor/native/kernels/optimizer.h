#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// AdamW as PyTorch computes it, in one pass over memory. p: parameter, g: gradient (times `gradient_scale`), m and v: first
// and second moment. `keep` = 1 - learning rate x weight decay; `step_size` = learning rate / (1 - beta1^t);
// `inverse_root` = 1 / sqrt(1 - beta2^t).
void adamw_f32(float* p, const float* g, float* m, float* v, int64_t count, float gradient_scale, float keep, float one_minus_beta1,
               float beta2, float one_minus_beta2, float step_size, float inverse_root, float epsilon);
// The same for the rows of a table that are named (each once); their gradient is zeroed afterwards.
void adamw_rows_f32(float* p, float* g, float* m, float* v, const int32_t* rows, int64_t count, int64_t width,
                    float gradient_scale, float keep, float one_minus_beta1, float beta2, float one_minus_beta2, float step_size,
                    float inverse_root, float epsilon);
// Adam's moments and its direction with decoupled decay added (LAMB before its trust ratio): u = m^ / (sqrt(v^) + epsilon)
// + decay x p.
void adam_direction_f32(const float* p, const float* g, float* m, float* v, float* u, int64_t count, float gradient_scale,
                        float decay, float one_minus_beta1, float beta2, float one_minus_beta2, float inverse_first,
                        float inverse_root, float epsilon);

// SGD as PyTorch computes it. `b` is the momentum buffer, null without momentum; `first`: the buffer holds nothing yet.
void sgd_f32(float* p, const float* g, float* b, int64_t count, float gradient_scale, float learning_rate, float decay,
             float momentum, float dampening, int32_t nesterov, int32_t first);
void sgd_rows_f32(float* p, float* g, const int32_t* rows, int64_t count, int64_t width, float gradient_scale,
                  float learning_rate, float decay);

// y = alpha x + beta y.
void add_scaled_f32(const float* x, float* y, int64_t count, float alpha, float beta);
void scale_rows_f32(float* x, const int32_t* rows, int64_t count, int64_t width, float factor);
void zero_rows_f32(float* x, const int32_t* rows, int64_t count, int64_t width);

// Sums of squares in double precision, in an order that does not depend on the number of threads.
double sum_squares_f32(const float* x, int64_t count);
double sum_squares_rows_f32(const float* x, const int32_t* rows, int64_t count, int64_t width);

// Appends the ids that were not seen yet to `out`, which holds `found` ids already, and returns how many it holds then.
// `marks` is one byte per possible id: 1 where it was seen.
int64_t unique_ids(const int32_t* ids, int64_t count, int8_t* marks, int32_t* out, int64_t found);
void clear_marks(const int32_t* ids, int64_t count, int8_t* marks);

}  // namespace cloze::CLOZE_ISA
